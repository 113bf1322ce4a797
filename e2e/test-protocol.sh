# The WebSocket protocol as Node's ws meets it: what each message is answered
# with, every close code, and when events begin and end.
. "$(dirname "$0")/lib.sh"

start_server
new_inbox one
export INBOX_ONE=$INBOX ADDRESS_ONE=$ADDRESS
new_inbox two
export INBOX_TWO=$INBOX ADDRESS_TWO=$ADDRESS
node "$E2E/protocol.mjs"
