# The server is told to stop while mail comes in and events go out, and starts
# again: what it acknowledged is there, clients come back, retries go on.
. "$(dirname "$0")/lib.sh"

start_server --webhook-allow 127.0.0.0/8
new_inbox pending
pending=$ADDRESS pending_id=$INBOX
new_inbox busy

# An event waits for its retry, 30 s after the first post.
start_receiver 503 200
want 200 PUT /v1/webhook "{\"url\":\"$HOOK/hook\"}"
field .webhookSecret >"$WORK/secret"
mail "$pending" "retry me"
wait_for "the first post" posted 1
newest_event
retried=$EVENT
wait_for "its failure to be noted" event_state "$retried" due
due=$(field .nextAttemptAt)

# A client listens to the busy inbox, and mail streams in until it is refused.
start_listener "{\"inbox_ids\":[\"$INBOX\"]}"
background "$PYTHON" "$E2E/tools/until_refused.py" "${SMTP%:*}" "${SMTP#*:}" "$ADDRESS" >"$WORK/acknowledged" 2>"$WORK/refused"
sender=$!
wait_for "50 mails" eval '[ "$(wc -l <"$WORK/acknowledged")" -ge 50 ]'
stop_server
wait "$sender"
grep -Eq '^(421|closed)' "$WORK/refused" || fail "the sender was told: $(cat "$WORK/refused")"
wait_for "the client to be told" has "$WORK/stream" '"type":"closed"'
tail -1 "$WORK/stream" | jq -e '.code == 1001' >/dev/null || fail "$(tail -1 "$WORK/stream")"
jq -es '[.[] | select(.msg == "server.stopped")] | length == 1' "$SERVER_LOG" >/dev/null

# Every mail that was answered 250 is there, once; and the client gets those
# that it had not seen.
start_server --webhook-allow 127.0.0.0/8
sort -u "$WORK/acknowledged" >"$WORK/sent"
for offset in $(seq 0 100 "$(wc -l <"$WORK/sent")"); do
  want 200 GET "/v1/inboxes/$INBOX/messages?limit=100&offset=$offset"
  field '.data[].subject'
done | sort >"$WORK/stored"
[ -z "$(comm -23 "$WORK/sent" "$WORK/stored")" ] || fail "lost: $(comm -23 "$WORK/sent" "$WORK/stored")"
[ -z "$(uniq -d "$WORK/stored")" ] || fail "doubled: $(uniq -d "$WORK/stored")"
event_subjects() { grep '"event"' "$1" | jq -r .message.subject; }
event_subjects "$WORK/stream" >"$WORK/seen"
last=$(grep '"event"' "$WORK/stream" | tail -1 | jq -r .event_id)
start_listener "{\"inbox_ids\":[\"$INBOX\"],\"last_event_id\":\"$last\"}"
all_seen() {
  event_subjects "$WORK/stream" | cat "$WORK/seen" - | sort >"$WORK/seen.all"
  [ "$(wc -l <"$WORK/seen.all")" -ge "$(wc -l <"$WORK/stored")" ]
}
wait_for "the rest of the events" all_seen
cmp "$WORK/stored" "$WORK/seen.all"

# The retry comes when it was due, not at the start and not a schedule later.
event_state "$retried" due
[ "$(field .nextAttemptAt)" = "$due" ]
wait_for "the retry to be delivered" event_state "$retried" delivered
# What the listener had not confirmed when the server stopped may have been
# posted too: this is about the event that waited.
posts() { jq -c --arg id "$retried" 'select(.body.event_id == $id)' "$WORK/posts"; }
[ "$(posts | wc -l)" = 2 ] || fail "$(posts)"
posts | tail -1 | jq -e --arg due "$due" '.verified and .body.attempt == 2
  and (.at / 1000 - ($due | sub("[.][0-9]+Z$"; "Z") | fromdate) | . >= 0 and . < 4)' >/dev/null || fail "due $due: $(posts)"
want 200 GET "/v1/inboxes/$pending_id/messages"
holds '.total == 1'
