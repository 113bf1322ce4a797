# Workers in a group, of which most die with an event in hand, again and again:
# every event is handled by one that lived to say so.
. "$(dirname "$0")/lib.sh"

start_server
new_inbox one
node "$E2E/groups.mjs"
