# The three rows of the documented table: over the socket; by signed webhook
# when the socket is gone; neither, so that the event fails and is replayed.
. "$(dirname "$0")/lib.sh"

start_server --webhook-allow 127.0.0.0/8
new_inbox
address=$ADDRESS
new_inbox

# attempts FILTER: true of the attempts of EVENT.
attempts() {
  want 200 GET "/v1/events/$EVENT/attempts"
  holds ".data | $1"
}

# 1. A socket is connected and subscribed: it gets the event, the webhook none.
start_receiver 503 200
want 200 PUT /v1/webhook "{\"url\":\"$HOOK/hook?a=1\"}"
field .webhookSecret >"$WORK/secret"
start_listener
mail "$address" "by socket"
wait_for "the event" has "$WORK/stream" '"subject":"by socket"'
newest_event
wait_for "its receipt" event_state "$EVENT" delivered
holds '.channel == "websocket" and .attempts == 1 and .reason == null and .nextAttemptAt == null'
attempts 'length == 1 and (.[0] | .n == 1 and .channel == "websocket" and .outcome == "delivered" and .tookMs < 1000 and (.remote | startswith("127.0.0.1:")))'
[ ! -s "$WORK/posts" ]

# 2a. The socket is stopped while an event is on its way, and then dies: what it
# has not confirmed goes to the webhook.
kill -STOP "$LISTENER"
mail "$address" "socket dies"
newest_event
event_state "$EVENT" armed
call GET /v1/sockets
holds '.data[0].unconfirmed == 1'
stop_listener
wait_for "the first post" posted 1
wait_for "its failure to be noted" event_state "$EVENT" due
holds '.nextAttemptAt != null and .deliveredAt == null'
retried=$EVENT

# 3. No socket and no webhook: stored, failed, replayed. This is another inbox:
# whoever subscribes to the first would be offered the event that waits.
want 204 DELETE /v1/webhook
mail "$ADDRESS" "seen by nobody 1"
mail "$ADDRESS" "seen by nobody 2"
newest_event
event_state "$EVENT" failed
holds '.reason == "no_route" and .channel == null and .attempts == 0 and .deliveredAt == null'
attempts 'length == 0'
start_listener "{\"inbox_ids\":[\"$INBOX\"],\"last_event_id\":\"$retried\"}"
wait_for "the replay" has "$WORK/stream" '"subject":"seen by nobody 2"'
wait_for "its receipt" event_state "$EVENT" delivered
holds '.channel == "websocket" and .reason == null and .attempts == 1'
attempts 'length == 1 and .[0].outcome == "delivered"'
[ "$(grep '"event"' "$WORK/stream" | jq -r .message.subject | paste -sd,)" = "seen by nobody 1,seen by nobody 2" ]
stop_listener

# 2b. The webhook is back before the retry is due, 30 s after the first post
# ended: it gets the same event with the next attempt, signed anew.
want 200 PUT /v1/webhook "{\"url\":\"$HOOK/hook?a=1\"}"
field .webhookSecret >"$WORK/secret.new"
EVENT=$retried
wait_for "the second post" posted 2
wait_for "the event to be delivered" event_state "$EVENT" delivered
holds '.channel == "webhook" and .attempts == 3'
attempts '[.[] | [.n, .channel, .outcome, .status]] == [[1,"websocket","lost",0],[2,"webhook","refused",503],[3,"webhook","delivered",200]]'
holds '.data[2].response == "answer 200"'
first=$(sed -n 1p "$WORK/posts") second=$(sed -n 2p "$WORK/posts")
jq -e --arg id "$EVENT" '.method == "POST" and .path == "/hook?a=1" and .headers["content-type"] == "application/json"
  and .headers["x-event-id"] == $id and .body.event_id == $id and .body.attempt == 2
  and .verified and .verifiedAgain' <<<"$first" >/dev/null || fail "the first post: $first"
jq -e --argjson first "$first" '.body.event_id == $first.body.event_id and .body.attempt == 3
  and .body.occurred_at == $first.body.occurred_at and .body.delivered_at > $first.body.delivered_at
  and .at - $first.at >= 30000 and .at - $first.at < 33000
  and .headers["x-signature"] != $first.headers["x-signature"]' <<<"$second" >/dev/null || fail "the second post: $second"
# The two posts had different secrets, since the endpoint was made anew.
sed -n 1p "$WORK/posts" >"$WORK/posts.1"
sed -n 2p "$WORK/posts" >"$WORK/posts.2"
"$PYTHON" "$E2E/tools/verify.py" "$WORK/posts.1" "$(cat "$WORK/secret")"
"$PYTHON" "$E2E/tools/verify.py" "$WORK/posts.2" "$(cat "$WORK/secret.new")"

# 2c. No socket and a webhook: at once, and the payload is that of the log.
cp "$WORK/secret.new" "$WORK/secret"
mail "$address" "by webhook <&> ü"
wait_for "the post" posted 3
newest_event
wait_for "its state" event_state "$EVENT" delivered
holds '.channel == "webhook" and .attempts == 1 and .payload.message.subject == "by webhook <&> ü"'
sed -n 3p "$WORK/posts" | jq -e --argjson log "$BODY" '.verified and .verifiedAgain and .body.attempt == 1
  and .body.message == $log.payload.message and (.raw | contains("by webhook <&> ü"))' >/dev/null || fail "$(sed -n 3p "$WORK/posts")"

# Sent again by hand: 202, and the post comes once more with the next attempt.
want 202 POST "/v1/events/$EVENT/redeliver"
wait_for "the post" posted 4
sed -n 4p "$WORK/posts" | jq -e --arg id "$EVENT" '.body.event_id == $id and .body.attempt == 2' >/dev/null

# A replay over a socket counts on, whichever way the attempts before it took.
start_listener "{\"last_event_id\":\"$retried\"}"
wait_for "the replay" has "$WORK/stream" '"subject":"by webhook'
grep '"subject":"by webhook' "$WORK/stream" | jq -e '.attempt == 3' >/dev/null || fail "$(tail -1 "$WORK/stream")"
