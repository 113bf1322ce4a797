# The bridge is killed again and again while mail comes in: every mail is posted,
# in order, and only the one that was on its way comes again.
. "$(dirname "$0")/lib.sh"

MAILS=60
start_server
new_inbox jane
start_receiver 200
export OPENMAIL_BASE_URL=$BASE OPENMAIL_API_KEY=$KEY OPENCLAW_HOOK_URL=$HOOK/hooks/openmail
cd "$WORK"

start_bridge() {
  background "$OPENMAIL" ws bridge 2>>"$WORK/bridge.err"
  BRIDGE=$!
}

start_bridge
wait_for "the bridge" test -s "$HOME/.openmail-cli/bridge.json"
send_all() { for ((i = 1; i <= MAILS; i++)); do mail "$ADDRESS" "$i"; done; }
background send_all
sending=$!
kills=0
for ((seen = 2; seen < MAILS; seen += 4)); do
  wait_for "post $seen" posted "$seen"
  kill -KILL "$BRIDGE"
  wait "$BRIDGE" 2>/dev/null || true
  kills=$((kills + 1))
  start_bridge
done
wait "$sending"

# subjects FILTER: the numbers of the mails that were posted, through a filter.
subjects() { jq -r .body.email.subject "$WORK/posts" | "$@"; }
all_posted() { [ "$(subjects sort -nu | wc -l)" = "$MAILS" ]; }
wait_for "every mail" all_posted
cmp <(subjects uniq) <(seq "$MAILS") || fail "the order is $(subjects paste -sd' ')"
[ "$(subjects wc -l)" -le $((MAILS + kills)) ] || fail "$kills kills, and $(subjects wc -l) posts"
[ "$kills" -ge 10 ]
