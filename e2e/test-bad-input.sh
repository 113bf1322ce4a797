# What no client should send, over raw connections: each is refused as the
# standards have it, the next mail is unharmed, and the log holds nothing that
# was in a key, a subject or a body.
. "$(dirname "$0")/lib.sh"

export OPENMAIL_MAX_MAIL=200000
start_server
new_inbox target
start_listener

"$PYTHON" "$E2E/bad_input.py"

# REST, HTTP and the stream.
canary=om_canarykeycanarykeycanary
root=$KEY
KEY=$canary
want 401 GET /v1/inboxes
want 401 POST /v1/inboxes '{"mailboxName":"canarybody"}'
KEY=$root
want 400 POST /v1/inboxes '{"mailboxName":"canarybody'
want 400 POST /v1/inboxes '["canarybody"]'
want 400 POST /v1/inboxes "$(printf '[%.0s' {1..20000})"
head -c 5000000 /dev/zero | tr '\0' ' ' >"$WORK/large"
want 413 POST /v1/inboxes '' -H 'Content-Type: application/json' --data-binary "@$WORK/large"
want 404 GET /v1/inboxes/..%2f..%2fetc%2fpasswd
want 404 GET "/v1/attachments/msg_x/%2e%2e%2fcanarybody"
want 400 PATCH /v1/threads/thr_x '{"is_read":"canarybody"}'
node -e '
  const WebSocket = require("ws");
  const ws = new WebSocket(`${process.env.STREAM}?token='$canary'`);
  ws.on("close", (code) => process.exit(code === 4001 ? 0 : 1));
' || fail "no 4001"

# The mails between and after all that arrived, each once and whole.
good() { grep '"event"' "$WORK/stream" | jq -r 'select(.message.body_text == "unharmed canarybody") | .message.subject' | sort; }
wait_for "the good mails" eval '[ "$(good | wc -l)" -ge "$(wc -l <"$WORK/good")" ]'
[ "$(good)" = "$(sort "$WORK/good")" ] || fail "$(good)"
[ "$(grep -c '"event"' "$WORK/stream")" = "$(wc -l <"$WORK/good")" ] || fail "a bad mail was taken"

# The server goes on, and has never panicked.
curl -sS --fail "$BASE/ready" >/dev/null
jq -es 'map(select(.level == "ERROR")) == []' "$SERVER_LOG" >/dev/null || fail "$(grep ERROR "$SERVER_LOG" | head -3)"
for secret in canary "$root" sender@ target@; do
  ! grep -qiF -- "$secret" "$SERVER_LOG" || fail "the log holds $secret: $(grep -iF -- "$secret" "$SERVER_LOG" | head -1)"
done
! grep -qF "$canary" "$WORK/server.out"
