# The three snippets of the public page on WebSockets, as they stand there but
# for the address: each connects, subscribes and gets a mail's event.
. "$(dirname "$0")/lib.sh"

start_server
new_inbox
export OPENMAIL_API_KEY=$KEY

# snippet NAME is the public text with our address and key.
snippet() { sed "s#wss://api.openmail.sh/v1/ws#$STREAM#; s#YOUR_API_KEY#$KEY#" "$E2E/snippets/$1"; }

# check NAME PID: the client that runs gets the event of a mail.
check() {
  local subject="for $1"
  wait_for "$1 to subscribe" sockets 1
  mail "$ADDRESS" "$subject"
  wait_for "the event at $1" has "$WORK/$1.out" "\"subject\":\"$subject\""
  newest_event
  wait_for "the receipt of $1" event_state "$EVENT" delivered
  holds '.channel == "websocket"'
  kill "$2"
  wait_for "$1 to go" sockets 0
}

cat >"$WORK/node.js" <<END
$(snippet node.js)
ws.on("open", () => ws.send(JSON.stringify({ type: "subscribe" })));
ws.on("message", (data) => console.log(data.toString()));
END
background node "$WORK/node.js" >"$WORK/node.out" 2>&1
check node $!

snippet python.py | sed 's/^        \.\.\.$/        await ws.send("{\\"type\\":\\"subscribe\\"}")\n        async for message in ws: print(message, flush=True)/' >"$WORK/python.py"
background "$PYTHON" "$WORK/python.py" >"$WORK/python.out" 2>&1
check python $!

# Where there is no websocat, wscat takes its place: the same kind of tool, the
# same address.
snippet cli.sh >"$WORK/cli.sh"
if ! command -v websocat >/dev/null; then
  sed -i "s#^websocat#exec '$E2E/node_modules/.bin/wscat' --no-color -c#" "$WORK/cli.sh"
fi
mkfifo "$WORK/cli.in"
exec 3<>"$WORK/cli.in" # held open for writing too, so that opening it waits for nobody
background bash "$WORK/cli.sh" <&3 >"$WORK/cli.out" 2>&1
cli=$!
wait_for "the command line to connect" eval 'call GET /v1/sockets; [ "$(field ".data | length")" = 1 ]'
echo '{"type":"subscribe"}' >&3
check cli "$cli"
