import assert from "node:assert/strict";
import { env, mail, rest, Stream, until } from "./stream.mjs";

const mails = 120;
const acked = new Map(); // how often, by event
let deaths = 0;
let over = false;

// work acks what it gets, but for the last of so many events, which it dies with.
async function work(most) {
  const stream = new Stream();
  await stream.subscribe({ group: "workers", ack: true });
  for (let n = 1; !over; n++) {
    const next = await Promise.race([stream.next().catch(() => null), stream.closed.then(() => null), done]);
    if (!next) break;
    if (n === most) {
      deaths++;
      stream.ws.terminate();
      return;
    }
    acked.set(next.event_id, (acked.get(next.event_id) ?? 0) + 1);
    stream.send({ type: "ack", event_id: next.event_id });
  }
  await stream.close();
}

let finish;
const done = new Promise((resolve) => (finish = resolve));
const workers = [work(Infinity)]; // one stays, so that the group does not end
for (let i = 0; i < 4; i++)
  workers.push(
    (async () => {
      for (let life = 0; !over; life++) await work(1 + ((life + i) % 5));
    })(),
  );
await until("the group", async () => (await rest("GET", "/v1/sockets")).body.data.some((s) => s.group === "workers"));

const senders = Array.from({ length: 6 }, async (_, i) => {
  for (let n = i; n < mails; n += 6) await mail(env.ADDRESS, `task ${n}`);
});
await Promise.all(senders);
const events = async (state) => {
  const { status, body } = await rest("GET", `/v1/events?state=${state}&limit=100`);
  assert.equal(status, 200);
  return body.data.length;
};
await until("every event to be handled", async () => acked.size === mails && (await events("armed")) === 0);
over = true;
finish(null);
await Promise.all(workers);

assert.equal(await events("failed"), 0);
assert.ok(deaths > 0, "nobody died");
const twice = [...acked.values()].filter((n) => n > 1).length;
console.log(`${mails} events, ${deaths} deaths with one in hand, ${twice} handled twice`);
// An ack that is cut off on its way is the one way to that.
assert.ok(twice <= deaths, `${twice} events were handled twice in ${deaths} deaths`);
process.exit(0); // what nobody waits for any more would keep it
