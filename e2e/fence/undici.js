// The WebSocket that is built into Node (undici). Run with
// --experimental-websocket on Node 20.
const [url, after] = process.argv.slice(2);
const ws = new WebSocket(url);
ws.onopen = () => ws.send(JSON.stringify({ type: "subscribe", ...(after && { last_event_id: after }) }));
ws.onmessage = async ({ data }) => {
  const [what, ms] = (JSON.parse(data).message?.subject ?? "").split(" ");
  if (what === "block") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(ms));
  if (what === "await") await new Promise((resolve) => setTimeout(resolve, Number(ms)));
};
