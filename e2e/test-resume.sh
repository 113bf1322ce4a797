# A client that is killed every few events while mail streams in, and comes back
# with the last event that it has: it gets every event once, in order.
. "$(dirname "$0")/lib.sh"

start_server
new_inbox
export OPENMAIL_E2E_MAILS=400
node "$E2E/resume.mjs"
