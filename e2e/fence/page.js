// Serves a page whose script is a client as the others here, for a browser.
// Arguments: the URL with the key, the event to go on after, and the file to
// write the page's address to.
const fs = require("fs");
const http = require("http");

const [url, after, file] = process.argv.slice(2);

function client(url, after) {
  const ws = new WebSocket(url);
  ws.onopen = () => ws.send(JSON.stringify({ type: "subscribe", ...(after && { last_event_id: after }) }));
  ws.onmessage = async ({ data }) => {
    const [what, ms] = (JSON.parse(data).message?.subject ?? "").split(" ");
    const end = performance.now() + Number(ms);
    while (what === "block" && performance.now() < end);
    if (what === "await") await new Promise((resolve) => setTimeout(resolve, Number(ms)));
  };
}

const page = `<!doctype html><title>client</title><script>(${client})(${JSON.stringify(url)}, ${JSON.stringify(after)})</script>`;
const server = http.createServer((_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end(page));
server.listen(0, "127.0.0.1", () => fs.writeFileSync(file, `http://127.0.0.1:${server.address().port}/`));
