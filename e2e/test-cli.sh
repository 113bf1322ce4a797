# The command line against a server: what a person or a script does in a day,
# and what it says when something is wrong.
. "$(dirname "$0")/lib.sh"

start_server --webhook-allow 127.0.0.0/8
export OPENMAIL_DATA=$DATA # where it finds address and key by itself
cd "$WORK"

om() { "$OPENMAIL" "$@"; }

# out FILTER COMMAND… runs it with --json; the jq filter is true of what it prints.
out() {
  local filter=$1
  shift
  BODY=$(om "$@" --json)
  jq -e "$filter" >/dev/null <<<"$BODY" || fail "openmail $*: not $filter: $BODY"
}

# An inbox, and the state of things.
out '.address == "jane@openmail.localhost" and .displayName == "Jane Doe"' init --mailbox-name jane --display-name 'Jane Doe'
INBOX=$(field .id)
jq -e --arg id "$INBOX" '.defaultInboxId == $id' "$HOME/.openmail-cli/state.json" >/dev/null
[ "$(stat -c %a "$HOME/.openmail-cli/state.json")" = 600 ]
out '.total == 1 and .data[0].displayName == "Jane Doe"' inbox list
om inbox list | grep -q jane@openmail.localhost
out '.ok and .api.health == "ok" and .api.auth == "ok" and .api.apiKeySource == "root-key" and .bridge.status == "stopped"' status
out '.ok and ([.checks[].name] == ["server","clock","key","stream","inbox","disk","smtp","dns","outbound"])' doctor

# Events as they happen: one JSON object a line.
background "$OPENMAIL" listen --json --count 2 >"$WORK/listened" 2>"$WORK/listen.err"
listener=$!
wait_for "listen to listen" sockets 1
mail jane@openmail.localhost "one"
mail jane@openmail.localhost "two"
wait "$listener"
[ "$(jq -r .message.subject "$WORK/listened" | paste -sd,)" = one,two ]
EVENT=$(sed -n 2p "$WORK/listened" | jq -r .event_id)
jq -e --arg id "$EVENT" '.lastEventId == $id' "$HOME/.openmail-cli/state.json" >/dev/null
mail jane@openmail.localhost "three" # while nobody listens: the next run begins there
[ "$(om listen --json --count 1 2>/dev/null | jq -r .message.subject)" = three ]

out '[.data[] | .state] | length == 3' events list
out '.state == "delivered" and .payload.message.subject == "two"' events get "$EVENT"
out '.data[0].channel == "websocket"' events attempts "$EVENT"
none_failed() { om events list --state failed --json | jq -e '.data | length == 0'; }
wait_for "the receipt of what had failed" none_failed

# Threads and files.
printf 'numbers\n' >"$WORK/numbers.csv"
swaks --server "$SMTP" --from swaks@example.com --to jane@openmail.localhost --header 'Subject: with a file' \
  --attach-type text/csv --attach "@$WORK/numbers.csv" --attach-name numbers.csv >/dev/null
out '.total == 4 and ([.data[].isRead] | any | not)' threads list
thread=$(field '.data[0].id')
out '.ok' threads read "$thread"
out '.total == 3' threads list --is-read false
out '.isRead and .data[0].attachments[0].filename == "numbers.csv"' threads get "$thread"
message=$(field '.data[0].id')
out '.ok' threads unread "$thread"
out '.total == 4' threads list --is-read false
mkdir "$WORK/downloads"
(cd "$WORK/downloads" && om attachments get "$message" numbers.csv >/dev/null)
cmp "$WORK/numbers.csv" "$WORK/downloads/numbers.csv"
[ "$(om attachments get "$message" numbers.csv --output -)" = numbers ]
om messages raw "$message" | grep -q '^Subject: with a file'

# A sender is blocked, its mail is held, and let go: then there is an event.
out '.type == "block" and .value == "example.com"' policy block example.com
rule=$(field .id)
mail jane@openmail.localhost "held back"
out '.total == 1 and .data[0].subject == "held back" and .data[0].reason == "blocked_by_rule"' quarantine list
held=$(field '.data[0].id')
out '.data | length == 4' events list
out '.eventId | startswith("evt_")' quarantine release "$held"
EVENT=$(field .eventId)
out '.payload.message.subject == "held back"' events get "$EVENT"
out '.total == 0' quarantine list
om policy remove "$rule" >/dev/null
out '.inbound.rules == []' policy get

# A webhook.
start_receiver 200
out '.webhookSecret | length > 20' webhook set "$HOOK/hook"
field .webhookSecret >"$WORK/secret"
out '.ok and .status == 200 and .response == "answer 200"' webhook test
jq -e '.verified and .body.event == "setup.test" and .headers["x-event-id"] == .body.event_id' "$WORK/posts" >/dev/null
out '.state == "due"' events redeliver "$EVENT"
wait_for "the post" posted 2
sed -n 2p "$WORK/posts" | jq -e --arg id "$EVENT" '.verified and .body.event_id == $id' >/dev/null
om webhook clear >/dev/null

# The bridge posts events to a program on this machine, renamed as it wants them.
cp "$WORK/posts" "$WORK/posts.webhook" && : >"$WORK/posts"
background "$OPENMAIL" ws bridge --hook-url "$HOOK/hooks/openmail" --hook-token t0ken 2>"$WORK/bridge.err"
bridge=$!
wait_for "the bridge" sockets 1
mail jane@openmail.localhost "over the bridge"
wait_for "the post" posted 1
jq -e '.path == "/hooks/openmail" and .headers.authorization == "Bearer t0ken"
  and .body.email.subject == "over the bridge" and .body.email.sender == "sender@example.com" and (.body | has("message") | not)' "$WORK/posts" >/dev/null
out '.bridge.status == "running"' status
kill -TERM "$bridge" && wait "$bridge"
! grep -q t0ken "$WORK/bridge.err" || fail "the token is in the log"

# Keys.
out '.token | startswith("om_")' keys create --name second --inbox-id "$INBOX"
second=$(field .token)
out '.total == 1' inbox list --api-key "$second"
out '.data | length == 1' keys list --inbox-id "$INBOX"
om keys revoke "$(field '.data[0].id')" --inbox-id "$INBOX" >/dev/null

# refused TEXT COMMAND… fails with status 1 and one line on stderr that has the text.
refused() {
  local text=$1 status=0
  shift
  "$@" >"$WORK/refused.out" 2>"$WORK/refused.err" || status=$?
  [ "$status" = 1 ] || fail "$*: status $status: $(cat "$WORK/refused.err")"
  [ "$(wc -l <"$WORK/refused.err")" = 1 ] || fail "$*: not one line: $(cat "$WORK/refused.err")"
  has "$WORK/refused.err" "^openmail: .*$text" || fail "$*: $(cat "$WORK/refused.err")"
}

# The operator suspends the inbox, and lets it send again.
out '.changed and .reason == "abuse"' admin suspend inbox jane@openmail.localhost --reason abuse
out '.changed == false' admin suspend inbox "$INBOX"
out '.data | length == 1' admin suspended
out '.suspension.kind == "inbox"' inbox get "$INBOX"
refused 'suspended \(abuse\)' om send --to joe@openmail.localhost --subject no --body no
om admin reactivate inbox "$INBOX" | grep 'may send again' >/dev/null
refused 'There is no such pod' om admin suspend pod pod_nothing
refused 'no server runs in the data folder' env OPENMAIL_DATA="$WORK" "$OPENMAIL" admin suspended

serve() { timeout 20 "$OPENMAIL" serve --http 127.0.0.1:0 --smtp 127.0.0.1:0 "$@"; }

refused 'there is no|No such|no such' om inbox get inb_nothing
refused 'does not know the key' om inbox list --api-key "$second"
refused 'no server answers at http://127.0.0.1:1: ' om inbox list --base-url http://127.0.0.1:1
refused 'is in use by another openmail \(process '"$SERVER_PID"'\)' serve --data "$DATA"
refused "address $HTTP_ADDR is taken by another program.*--http" serve --data "$WORK/other" --http "$HTTP_ADDR"
refused "address $SMTP_ADDR is taken by another program.*--smtp" serve --data "$WORK/other" --smtp "$SMTP_ADDR"
refused '"nonsense" is not an address' serve --data "$WORK/other" --http nonsense
refused 'OPENMAIL_LIMITS: "perhaps" is neither on nor off' env OPENMAIL_LIMITS=perhaps "$OPENMAIL" serve --data "$WORK/other"
refused 'cannot be made' serve --data /proc/nothing
refused 'OPENMAIL_ROOT_KEY' env OPENMAIL_ROOT_KEY=not-a-key-though-it-is-a-long-one "$OPENMAIL" serve --data "$WORK/third" --http 127.0.0.1:0 --smtp 127.0.0.1:0

# A database that a newer version has written is left alone.
stop_server
database=$(find "$DATA" -maxdepth 1 -name '*.db' -o -maxdepth 1 -name '*.sqlite' | head -1)
sqlite3 "$database" "insert into goose_db_version (version_id, is_applied) values (999, 1)"
refused 'database is of version 999, which a newer openmail has written' serve --data "$DATA"
