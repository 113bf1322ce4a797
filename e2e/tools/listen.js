// Subscribes with Node's ws and prints every message as a line, until it is
// killed. Arguments: the URL, the key, what to put into the subscribe message, and
// the address to go to when it is not the one of the URL's name.
const WebSocket = require("ws");

const [url, key, more = "{}", address] = process.argv.slice(2);
const lookup = address && ((name, { all }, done) => (all ? done(null, [{ address, family: 4 }]) : done(null, address, 4)));
const ws = new WebSocket(url, { headers: { Authorization: `Bearer ${key}` }, lookup });
ws.on("open", () => ws.send(JSON.stringify({ type: "subscribe", ...JSON.parse(more) })));
ws.on("message", (data) => console.log(data.toString()));
ws.on("close", (code, reason) => {
  console.log(JSON.stringify({ type: "closed", code, reason: reason.toString() }));
  process.exit();
});
ws.on("error", (err) => console.log(JSON.stringify({ type: "failed", message: err.message })));
