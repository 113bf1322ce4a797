// Node's ws. Arguments of every client here: the URL with the key, and the
// event to go on after, or "". The subject of a mail tells what its handler
// does: "block MS" keeps the thread busy, "await MS" waits without.
const WebSocket = require("ws");

const [url, after] = process.argv.slice(2);
const ws = new WebSocket(url);
ws.on("open", () => ws.send(JSON.stringify({ type: "subscribe", ...(after && { last_event_id: after }) })));
ws.on("message", async (data) => {
  const [what, ms] = (JSON.parse(data).message?.subject ?? "").split(" ");
  if (what === "block") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(ms));
  if (what === "await") await new Promise((resolve) => setTimeout(resolve, Number(ms)));
});
