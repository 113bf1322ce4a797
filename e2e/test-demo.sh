# What `make demo` shows: an inbox, a mail through the SMTP port, its event with
# the latency; then it serves, until it is interrupted. A second time it takes up
# what the first has left.
. "$(dirname "$0")/lib.sh"

# demo runs it to the point where it serves, and finds the event delivered.
demo() {
  rm -f "$DATA/addresses.json" "$WORK/demo.out"
  background "$OPENMAIL" demo --data "$DATA" --http 127.0.0.1:0 --smtp 127.0.0.1:0 >"$WORK/demo.out" 2>&1
  SERVER_PID=$!
  wait_for "the demo to serve" has "$WORK/demo.out" '^Serving until interrupted'
  has "$WORK/demo.out" '^latency +[0-9.]+ ms from the end of the mail' || fail "no latency: $(cat "$WORK/demo.out")"
  HTTP_ADDR=$(jq -r .http "$DATA/addresses.json")
  BASE=http://$HTTP_ADDR
  KEY=$(cat "$DATA/root-key")
  sed -n 's/^event *//p' "$WORK/demo.out" | jq -e '.event == "message.received" and .message.to == "demo@openmail.localhost"' >/dev/null ||
    fail "no event: $(cat "$WORK/demo.out")"
  newest_event
  wait_for "the receipt" event_state "$EVENT" delivered
}

demo
has "$WORK/demo.out" '^account key: om_' || fail "the first start shows no key"
kill -INT "$SERVER_PID"
wait "$SERVER_PID" || fail "interrupted, it ended with status $?"

demo
! has "$WORK/demo.out" '^account key:' || fail "the second start shows a key"
want 200 GET /v1/inboxes
holds '.total == 1'
stop_server
