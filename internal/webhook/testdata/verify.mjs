// The verifiers of the documentation, in JavaScript. Reads a list of posts from
// standard input and prints a list of booleans. With the argument "reparse" it
// hashes the body as JSON.stringify writes it again, as one example does.
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

function verify(secret, headers, body) {
  const timestamp = headers["X-Timestamp"];
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return false;
  const expected = Buffer.from(
    createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest("hex"),
  );
  const given = Buffer.from(headers["X-Signature"]);
  return expected.length === given.length && timingSafeEqual(expected, given);
}

function reparse(secret, headers, body) {
  let text;
  try {
    text = JSON.stringify(JSON.parse(body.toString("utf8")));
  } catch {
    return false;
  }
  return verify(secret, headers, Buffer.from(text));
}

const judge = process.argv[2] === "reparse" ? reparse : verify;
const posts = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(
  JSON.stringify(posts.map((p) => judge(p.secret, p.headers, Buffer.from(p.body, "base64")))),
);
