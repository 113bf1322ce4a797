// Subscribes with Node's ws and prints every message as a line, until it is
// killed. Arguments: the URL, the key, what to put into the subscribe message.
const WebSocket = require("ws");

const [url, key, more = "{}"] = process.argv.slice(2);
const ws = new WebSocket(url, { headers: { Authorization: `Bearer ${key}` } });
ws.on("open", () => ws.send(JSON.stringify({ type: "subscribe", ...JSON.parse(more) })));
ws.on("message", (data) => console.log(data.toString()));
ws.on("close", (code, reason) => {
  console.log(JSON.stringify({ type: "closed", code, reason: reason.toString() }));
  process.exit();
});
ws.on("error", (err) => console.log(JSON.stringify({ type: "failed", message: err.message })));
