// A webhook endpoint as the documentation of signatures has it. It answers with
// the statuses given, one after the other, the last one for ever, and with 0 not
// at all; it prints a line for every post, and writes its own URL to the file given.
//
//   node receiver.js FILE SECRET-FILE STATUS…
const crypto = require("crypto");
const fs = require("fs");
const http = require("http");

const [file, secretFile, ...statuses] = process.argv.slice(2);

// verify is the documented check: a signature over the time and the raw body,
// compared in constant time, and no older than five minutes.
function verify(secret, timestamp, rawBody, signature) {
  const expected = crypto.createHmac("sha256", secret).update(`${timestamp}.${rawBody}`).digest("hex");
  const fresh = Math.abs(Date.now() / 1000 - Number(timestamp)) <= 300;
  return fresh && expected.length === signature.length && crypto.timingSafeEqual(Buffer.from(expected), Buffer.from(signature));
}

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const raw = Buffer.concat(chunks).toString();
    const status = Number(statuses.length > 1 ? statuses.shift() : statuses[0]);
    const secret = fs.existsSync(secretFile) ? fs.readFileSync(secretFile, "utf8").trim() : "";
    const signature = request.headers["x-signature"] ?? "";
    const timestamp = request.headers["x-timestamp"] ?? "";
    const body = JSON.parse(raw);
    console.log(JSON.stringify({
      at: Date.now(), status, method: request.method, path: request.url, headers: request.headers, raw, body,
      verified: verify(secret, timestamp, raw, signature),
      // One example of the documentation signs the body as JavaScript writes it again.
      verifiedAgain: verify(secret, timestamp, JSON.stringify(body), signature),
    }));
    if (status) response.writeHead(status).end(`answer ${status}`);
  });
});
server.listen(0, "127.0.0.1", () => fs.writeFileSync(file, `http://127.0.0.1:${server.address().port}`));
