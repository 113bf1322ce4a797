# An OpenClaw that has no mail yet is given a mailbox on a server that has had no
# event yet: its bridge is killed while the first mail is on its way, and nothing
# is lost. What the agent is told to do works with what it was given.
. "$(dirname "$0")/lib.sh"

start_server
export OPENMAIL_DATA=$DATA
cd "$WORK"
mkdir bin
ln -s "$OPENMAIL" bin/openmail
printf '#!/bin/sh\nexit 1\n' >bin/systemctl # the machine's own keeps out of this
chmod +x bin/systemctl
PATH=$WORK/bin:$PATH

# setup FLAG…: BODY is what it says. The bridge ends with the test.
setup() {
  BODY=$(openmail setup --json "$@")
  ! grep -Eq 't0ken|om_' <<<"$BODY" || fail "it tells a secret: $BODY"
  BRIDGE=$(field '.next.bridgePid // 0')
  [ "$BRIDGE" = 0 ] || PIDS+=("$BRIDGE")
}

start_receiver 0 404 200 # it hangs, then it has not read its configuration yet
mkdir "$HOME/.openclaw"
jq -n --argjson port "${HOOK##*:}" '{gateway: {port: $port}, hooks: {token: "t0ken"}}' >"$HOME/.openclaw/openclaw.json"
setup --mode notify --mailbox-name jane --display-name 'Jane Doe'
holds '.status == "configured" and .inbox.address == "jane@openmail.localhost" and .next.bridgeStatus == "process"'
INBOX=$(field .inbox.id)
env=$HOME/.openclaw/openmail.env
[ "$(stat -c %a "$env" "$HOME/.openclaw/openclaw.json" "$HOME/.openclaw/skills/openmail/SKILL.md" | sort -u)" = 600 ]

# A server's root key is not given away: the agent's reaches its inbox only.
! grep -q "$KEY" "$env" "$HOME/.openclaw/openclaw.json" || fail "the agent has the root key"
want 201 POST /v1/inboxes '{"mailboxName": "other"}'
other=$(field .id)
# agent COMMAND… runs what the skill says, with nothing but the environment file.
agent() { (cd / && env -i HOME="$WORK/nowhere" PATH="$PATH" sh -c 'set -a; . "$0"; set +a; exec "$@"' "$env" "$@"); }
[ "$(agent openmail inbox list --json | jq -r '.data[].id')" = "$INBOX" ]
! agent openmail messages list --inbox-id "$other" 2>/dev/null || fail "the agent reads another inbox"

wait_for "the bridge" test -s "$HOME/.openmail-cli/bridge.json"
mail jane@openmail.localhost "one"
wait_for "the post" posted 1
kill -KILL "$BRIDGE"
wait_for "the bridge to go" gone "$BRIDGE"
[ "$(openmail status --json | jq -r .bridge.status)" = stopped ]
setup
holds '.status == "already_configured" and .next.usageMode == "notify" and .inbox.id == $inbox' --arg inbox "$INBOX"
mail jane@openmail.localhost "two"
wait_for "the posts" posted 4
[ "$(jq -r '"\(.status) \(.body.email.subject)"' "$WORK/posts" | paste -sd,)" = "0 one,404 one,200 one,200 two" ]
jq -es 'all(.path == "/hooks/openmail" and .headers.authorization == "Bearer t0ken" and .body.email.sender == "sender@example.com")' "$WORK/posts" >/dev/null
running=$BRIDGE
setup
[ "$BRIDGE" = "$running" ] || fail "setup has started another bridge"

thread=$(agent openmail threads list --is-read false --json | jq -r '.data[0].id')
agent openmail threads get --thread-id "$thread" | grep two >/dev/null # all of it: a pipe that is closed early fails
agent openmail send --thread-id "$thread" --to other@openmail.localhost --body 'An answer' --json | jq -e '.messageId' >/dev/null

# What it wrote is gone after a reset, and the agent's key with it.
key=$(sed -n 's/^OPENMAIL_API_KEY=//p' "$env")
setup --reset --force
wait_for "the bridge to go" gone "$running"
[ -z "$(find "$HOME/.openclaw" -type f ! -name 'openclaw.json*')" ]
jq -e '.hooks.token == "t0ken" and (has("skills") or (.hooks | has("mappings")) | not)' "$HOME/.openclaw/openclaw.json" >/dev/null
! openmail inbox list --api-key "$key" 2>/dev/null || fail "the agent's key is still valid"
