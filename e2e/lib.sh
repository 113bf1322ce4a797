# Sourced by every test: a server of its own in a temporary folder, and words to
# ask it with. A test fails at the first command that does.
#
# After start_server: BASE (http://…), STREAM (ws://…/v1/ws), SMTP (host:port),
# KEY (the account's key), DATA, SERVER_PID, SERVER_LOG.

set -Eeuo pipefail

E2E=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
OPENMAIL=${OPENMAIL_BIN:-$E2E/../bin/openmail}
PYTHON=/usr/bin/python3 # Debian's, which has Debian's websockets
for name in $(compgen -e OPENMAIL_) $(compgen -e OPENCLAW_); do unset "$name"; done

WORK=$(mktemp -d "${TMPDIR:-/tmp}/openmail-e2e.XXXXXX")
DATA=$WORK/data
SERVER_LOG=$WORK/server.log
HTTP_ADDR=127.0.0.1:0
SMTP_ADDR=127.0.0.1:0
PIDS=()
PATIENCE=60 # seconds

# The state of the command line stays in the test's own folder.
export HOME=$WORK/home NODE_PATH=$E2E/node_modules NODE_NO_WARNINGS=1
mkdir "$HOME"

trap 'status=$?; end_test; exit $status' EXIT
trap 'exit 143' TERM INT
trap 'echo "line $LINENO: $BASH_COMMAND" >&2' ERR

# end_test stops what the test started, and keeps its folder if KEEP is set.
end_test() {
  trap - ERR
  local pid
  for pid in "${PIDS[@]}"; do
    kill -CONT "$pid" 2>/dev/null || true
    kill "$pid" 2>/dev/null || true
  done
  for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
  if [ -n "${KEEP:-}" ]; then echo "kept: $WORK"; else rm -rf "$WORK"; fi
}

# fail ends the test and names the line of the test, not of this file.
fail() {
  echo "line ${BASH_LINENO[${#BASH_LINENO[@]} - 2]}: $*" >&2
  exit 1
}

# background runs a command that ends with the test; its process is $!.
background() {
  "$@" <&0 & # else its input would be /dev/null
  PIDS+=($!)
}

# wait_for WHAT COMMAND… waits until the command succeeds. How long is not what
# is tested: it only ends a test that has failed, so that a busy machine may take
# its time.
wait_for() {
  local what=$1 deadline=$((SECONDS + PATIENCE))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || fail "waited in vain for $what"
    sleep 0.05
  done
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# has FILE TEXT: the file holds the text (an extended regular expression).
has() { grep -Eq -- "$2" "$1"; }

# start_server [FLAG…] starts the server, or starts it again on the same ports.
start_server() {
  rm -f "$DATA/addresses.json"
  "$OPENMAIL" serve --data "$DATA" --http "$HTTP_ADDR" --smtp "$SMTP_ADDR" --log json "$@" \
    >>"$WORK/server.out" 2>>"$SERVER_LOG" &
  SERVER_PID=$!
  PIDS+=("$SERVER_PID")
  wait_for "the server to listen" listening_or_dead
  [ -s "$DATA/addresses.json" ] || fail "the server did not start: $(tail -3 "$SERVER_LOG")"
  HTTP_ADDR=$(jq -r .http "$DATA/addresses.json")
  SMTP_ADDR=$(jq -r .smtp "$DATA/addresses.json")
  KEY=$(cat "$DATA/root-key")
  BASE=http://$HTTP_ADDR
  STREAM=ws://$HTTP_ADDR/v1/ws
  SMTP=$SMTP_ADDR
  export BASE STREAM SMTP KEY DATA SERVER_PID SERVER_LOG WORK
}

listening_or_dead() { [ -s "$DATA/addresses.json" ] || gone "$SERVER_PID"; }

# stop_server asks the server to end, and waits until it has.
stop_server() {
  kill -TERM "$SERVER_PID"
  wait "$SERVER_PID" || fail "the server ended with status $?"
}

# call METHOD PATH [JSON] [CURL-FLAG…] asks the server: STATUS, BODY, and the
# answer's header in $WORK/header.
call() {
  local method=$1 path=$2 flags=()
  shift 2
  if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
    [ -z "$1" ] || flags=(-H 'Content-Type: application/json' --data "$1")
    shift
  fi
  STATUS=$(curl -sS -o "$WORK/body" -D "$WORK/header" -w '%{http_code}' -X "$method" \
    -H "Authorization: Bearer $KEY" "${flags[@]}" "$@" "$BASE$path")
  BODY=$(tr -d '\0' <"$WORK/body")
}

# want STATUS METHOD PATH… is call, and the status has to be that.
want() {
  local status=$1
  shift
  call "$@"
  [ "$STATUS" = "$status" ] || fail "$1 $2: $STATUS instead of $status: $BODY"
}

# holds FILTER [FLAG…]: the jq filter is true of BODY.
holds() {
  local filter=$1
  shift
  jq -e "$@" "$filter" >/dev/null <<<"$BODY" || fail "not true: $filter: $BODY"
}

# field FILTER: what the jq filter makes of BODY.
field() { jq -r "$1" <<<"$BODY"; }

# new_inbox [NAME] makes an inbox: INBOX, ADDRESS.
new_inbox() {
  want 201 POST /v1/inboxes "$(jq -nc --arg name "${1:-}" 'if $name == "" then {} else {mailboxName: $name} end')"
  INBOX=$(field .id)
  ADDRESS=$(field .address)
  export INBOX ADDRESS
}

# mail TO SUBJECT [BODY] sends a mail.
mail() {
  printf 'From: A Sender <sender@example.com>\r\nTo: <%s>\r\nSubject: %s\r\nMessage-ID: <%s@example.com>\r\n\r\n%s\r\n' \
    "$1" "$2" "$(unique)" "${3:-A line.}" |
    curl -sS "smtp://$SMTP/sender.example.com" --mail-from sender@example.com --mail-rcpt "$1" -T -
}

unique() { od -An -N12 -tx1 /dev/urandom | tr -d ' \n'; }

# event_state ID STATE: the event is in that state.
event_state() {
  call GET "/v1/events/$1"
  [ "$(field .state)" = "$2" ]
}

# newest_event sets EVENT to the id of the newest event.
newest_event() {
  want 200 GET '/v1/events?limit=1'
  EVENT=$(field '.data[0].id')
}

# sockets N: that many sockets are subscribed.
sockets() {
  call GET /v1/sockets
  [ "$(field '[.data[] | select(.subscribed)] | length')" = "$1" ]
}

# start_receiver STATUS… starts a webhook endpoint: HOOK is its URL, its posts
# are lines of $WORK/posts.
start_receiver() {
  rm -f "$WORK/hook"
  background node "$E2E/tools/receiver.js" "$WORK/hook" "$WORK/secret" "$@" >>"$WORK/posts"
  wait_for "the receiver" test -s "$WORK/hook"
  HOOK=$(cat "$WORK/hook")
}

# posted N: that many posts came.
posted() { [ "$(wc -l <"$WORK/posts")" -ge "$1" ]; }

# start_listener [JSON] starts a client of its own: LISTENER is its process, its
# messages are lines of $WORK/stream. JSON goes into the subscribe message.
start_listener() {
  : >"$WORK/stream"
  background node "$E2E/tools/listen.js" "$STREAM" "$KEY" "${1:-"{}"}" >"$WORK/stream"
  LISTENER=$!
  wait_for "the listener" sockets 1
}

# stop_listener ends it at once, without a word to the server.
stop_listener() {
  kill -KILL "$LISTENER"
  wait_for "the socket to go" sockets 0
}
