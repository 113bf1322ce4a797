// What the tests in JavaScript share: a WebSocket client over Node's ws that
// can be asked what came next, the REST interface, and mail.
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { promisify } from "node:util";
import WebSocket from "ws";

export const env = process.env;

// Stream is one connection. Messages wait in order until they are asked for.
export class Stream {
  messages = [];
  wake = () => {};

  constructor({ key = env.KEY, url = env.STREAM, headers = key ? { Authorization: `Bearer ${key}` } : {}, ...options } = {}) {
    this.ws = new WebSocket(url, { headers, ...options });
    this.opened = new Promise((resolve, reject) => this.ws.on("open", resolve).on("error", reject));
    this.opened.catch(() => {}); // it is reported to whoever waits for it
    this.closed = new Promise((resolve) => this.ws.on("close", (code, reason) => resolve({ code, reason: reason.toString() })));
    this.ws.on("message", (data) => {
      this.messages.push(JSON.parse(data));
      this.wake();
    });
  }

  send(message) {
    this.ws.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  // next is the next message.
  async next() {
    await within("a message", () => this.messages.length > 0 || new Promise((resolve) => (this.wake = resolve)));
    return this.messages.shift();
  }

  // quiet shows that nothing waits: what was sent before it is answered first.
  async quiet() {
    this.send({ type: "ping" });
    const next = await this.next();
    if (next.type !== "pong") throw new Error(`not quiet: ${JSON.stringify(next)}`);
  }

  async subscribe(more = {}) {
    await this.opened;
    this.send({ type: "subscribe", ...more });
    return this.next();
  }

  async close() {
    this.ws.close();
    return this.closed;
  }
}

// How long is not what is tested: it only ends a test that has failed.
const patience = 60_000; // milliseconds

// within gives up when work has taken too long.
export async function within(what, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), patience);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

// until asks again and again until the answer is true.
export async function until(what, question) {
  const deadline = Date.now() + patience;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// rest asks the server: the status, and the body read as JSON.
export async function rest(method, path, body, key = env.KEY) {
  const response = await fetch(env.BASE + path, {
    method,
    headers: { Authorization: `Bearer ${key}`, ...(body && { "Content-Type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text && JSON.parse(text) };
}

// mail sends a mail, with curl.
export async function mail(to, subject) {
  const text = `From: sender@example.com\r\nTo: <${to}>\r\nSubject: ${subject}\r\nMessage-ID: <${randomUUID()}@example.com>\r\n\r\nA line.\r\n`;
  const curl = promisify(execFile)("curl", ["-sS", `smtp://${env.SMTP}/client`, "--mail-from", "sender@example.com", "--mail-rcpt", to, "-T", "-"]);
  curl.child.stdin.end(text);
  await curl;
}

// cases runs them one after the other and says which one failed.
export async function cases(list) {
  for (const [name, run] of Object.entries(list)) {
    try {
      await run();
    } catch (err) {
      console.error(`${name}: ${err.stack}`);
      process.exit(1);
    }
  }
  process.exit(0);
}
