import assert from "node:assert/strict";
import { cases, env, mail, rest, Stream, until, within } from "./stream.mjs";

const one = { id: env.INBOX_ONE, address: env.ADDRESS_ONE };
const two = { id: env.INBOX_TWO, address: env.ADDRESS_TWO };

// ended checks that the last words are an error message and that code.
async function ended(stream, code, words) {
  const { type, message } = await stream.next();
  assert.equal(type, "error");
  assert.match(message, words);
  assert.equal((await within("the close", () => stream.closed)).code, code);
}

await cases({
  async "bad keys are told so after the upgrade, by 4001"() {
    for (const options of [{ key: "om_no_such_key" }, { key: "" }, { headers: {}, url: `${env.STREAM}?token=om_nothing` }]) {
      const stream = new Stream(options);
      await stream.opened;
      await ended(stream, 4001, /unauthorized/);
    }
  },

  async "a key may stand in the query, or a ticket, which works once"() {
    const { status, body } = await rest("POST", "/v1/ws/ticket");
    assert.equal(status, 201);
    for (const query of [`token=${env.KEY}`, `ticket=${body.ticket}`]) {
      const stream = new Stream({ headers: {}, url: `${env.STREAM}?${query}` });
      assert.deepEqual(await stream.subscribe(), { type: "subscribed", inbox_ids: [], event_types: [] });
      await stream.close();
    }
    const again = new Stream({ headers: {}, url: `${env.STREAM}?ticket=${body.ticket}` });
    await again.opened;
    await ended(again, 4001, /unauthorized/);
  },

  async "nothing comes before subscribe, and what the server does not understand it says"() {
    const stream = new Stream();
    await stream.opened;
    await mail(one.address, "before");
    await stream.quiet();
    for (const [message, words] of [
      ["{not json", /invalid JSON/],
      ["[1]", /object/],
      [{ type: "dance" }, /unknown type "dance"/],
      [{}, /unknown type/],
      [{ type: "subscribe", inbox_ids: "all" }, /inbox_ids/],
      [{ type: "subscribe", inbox_ids: [one.id, "inb_of_others"] }, /no such inbox: "inb_of_others"/],
    ]) {
      stream.send(message);
      const answer = await stream.next();
      assert.equal(answer.type, "error");
      assert.match(answer.message, words);
    }
    await mail(one.address, "still not subscribed");
    await stream.quiet();
    await stream.close();
  },

  async "subscriptions add up, and unsubscribe takes away"() {
    const stream = new Stream();
    assert.deepEqual(await stream.subscribe({ inbox_ids: [one.id] }), { type: "subscribed", inbox_ids: [one.id], event_types: [] });
    await mail(two.address, "not subscribed");
    await mail(one.address, "first");
    assert.equal((await stream.next()).message.subject, "first");

    stream.send({ type: "subscribe", inbox_ids: [two.id] });
    const { type, inbox_ids } = await stream.next();
    assert.equal(type, "subscribed");
    assert.deepEqual(inbox_ids.sort(), [one.id, two.id].sort());
    await mail(two.address, "second");
    assert.equal((await stream.next()).message.subject, "second");

    stream.send({ type: "unsubscribe", inbox_ids: [one.id] });
    assert.deepEqual(await stream.next(), { type: "unsubscribed", inbox_ids: [one.id] });
    await mail(one.address, "no more");
    await mail(two.address, "third");
    assert.equal((await stream.next()).message.subject, "third");

    stream.send({ type: "unsubscribe" });
    assert.deepEqual(await stream.next(), { type: "unsubscribed", inbox_ids: [] });
    await mail(two.address, "none at all");
    await stream.quiet();
    await stream.close();
  },

  async "event_types choose"() {
    const stream = new Stream();
    const answer = await stream.subscribe({ event_types: ["message.received"] });
    assert.deepEqual(answer, { type: "subscribed", inbox_ids: [], event_types: ["message.received"] });
    await mail(one.address, "of that type");
    assert.equal((await stream.next()).event, "message.received");
    const other = new Stream();
    await other.subscribe({ event_types: ["inbox.suspended"] });
    await mail(one.address, "of another");
    assert.equal((await stream.next()).message.subject, "of another");
    await other.quiet();
    await Promise.all([stream.close(), other.close()]);
  },

  async "every socket that wants an event gets it"() {
    const streams = [new Stream(), new Stream(), new Stream()];
    for (const stream of streams) await stream.subscribe();
    await mail(one.address, "to all");
    const events = await Promise.all(streams.map((stream) => stream.next()));
    assert.equal(new Set(events.map((e) => e.event_id)).size, 1);
    await Promise.all(streams.map((stream) => stream.close()));
  },

  async "an unknown last_event_id is an error, and the stream goes on live"() {
    const stream = new Stream();
    const answer = await stream.subscribe({ last_event_id: "evt_forgotten" });
    assert.equal(answer.type, "error");
    assert.match(answer.message, /unknown last_event_id "evt_forgotten"/);
    assert.equal((await stream.next()).type, "subscribed");
    await mail(one.address, "live all the same");
    assert.equal((await stream.next()).message.subject, "live all the same");
    await stream.close();
  },

  async "last_event_id replays what came after it, in order, with the attempt counted"() {
    const before = new Stream();
    await before.subscribe();
    await mail(one.address, "seen");
    const seen = await before.next();
    await before.close();
    for (const n of [1, 2, 3]) await mail(one.address, `missed ${n}`);
    const after = new Stream();
    assert.equal((await after.subscribe({ last_event_id: seen.event_id })).type, "subscribed");
    for (const n of [1, 2, 3]) {
      const event = await after.next();
      assert.equal(event.message.subject, `missed ${n}`);
      assert.ok(event.delivered_at >= event.occurred_at);
    }
    after.send({ type: "subscribe" }); // again, as some clients do: nothing comes twice
    assert.equal((await after.next()).type, "subscribed");
    await after.quiet();
    await after.close();
    await until("the receipts to be written", async () => (await rest("GET", "/v1/events?limit=1")).body.data[0].state === "delivered");
    const again = new Stream();
    await again.subscribe({ last_event_id: seen.event_id });
    const first = await again.next();
    assert.equal(first.message.subject, "missed 1");
    assert.equal(first.attempt, 2);
    await again.close();
  },

  async "ping is answered, and so is a ping frame"() {
    const stream = new Stream();
    await stream.opened;
    await stream.quiet();
    const pong = new Promise((resolve) => stream.ws.once("pong", resolve));
    stream.ws.ping("hello");
    assert.equal((await within("the pong", () => pong)).toString(), "hello");
    await stream.close();
  },

  async "the 11th connection ends with 4008"() {
    const ten = Array.from({ length: 10 }, () => new Stream());
    for (const stream of ten) await stream.opened;
    const eleventh = new Stream();
    await eleventh.opened;
    await ended(eleventh, 4008, /too many connections/);
    await ten[3].close();
    await until("the place to be free", async () => (await rest("GET", "/v1/sockets")).body.data.length === 9);
    const next = new Stream();
    assert.equal((await next.subscribe()).type, "subscribed");
    await Promise.all([...ten, next].map((stream) => stream.close()));
  },

  async "30 messages may come in 10 s; the 31st ends with 4029"() {
    const stream = new Stream();
    await stream.opened;
    for (let n = 0; n < 31; n++) stream.send({ type: "ping" });
    for (let n = 0; n < 30; n++) assert.equal((await stream.next()).type, "pong");
    await ended(stream, 4029, /rate limit/);
  },

  async "a key that is revoked ends its open socket with 4001 within 5 s"() {
    const { body: key } = await rest("POST", "/v1/api-keys", { name: "short-lived" });
    const stream = new Stream({ key: key.token });
    await stream.subscribe();
    const start = Date.now();
    assert.equal((await rest("DELETE", `/v1/api-keys/${key.id}`)).status, 204);
    await ended(stream, 4001, /revoked/);
    assert.ok(Date.now() - start < 5000);
    const again = new Stream({ key: key.token });
    await again.opened;
    await ended(again, 4001, /unauthorized/);
  },

  async "an inbox key sees its inbox and no other"() {
    const { body: key } = await rest("POST", `/v1/inboxes/${two.id}/api-keys`, {});
    const stream = new Stream({ key: key.token });
    assert.deepEqual((await stream.subscribe()).inbox_ids, [two.id]);
    stream.send({ type: "subscribe", inbox_ids: [one.id] });
    assert.match((await stream.next()).message, /no such inbox/);
    await mail(one.address, "not for this key");
    await mail(two.address, "for this key");
    assert.equal((await stream.next()).message.subject, "for this key");
    await stream.close();
  },

  async "with acks an event is delivered when the client says so"() {
    const state = async (id) => (await rest("GET", `/v1/events/${id}`)).body.state;
    const stream = new Stream();
    assert.deepEqual(await stream.subscribe({ ack: true }), { type: "subscribed", inbox_ids: [], event_types: [], ack: true });
    await mail(one.address, "first");
    const first = await stream.next();
    await mail(one.address, "second");
    const second = await stream.next();
    await stream.quiet(); // the library has answered pings meanwhile
    assert.equal(await state(first.event_id), "armed");
    stream.send({ type: "ack", event_id: second.event_id });
    for (const { event_id } of [first, second]) await until("the receipt", async () => (await state(event_id)) === "delivered");
    await mail(one.address, "third");
    const third = await stream.next();
    await stream.close();
    const next = new Stream();
    await next.subscribe({ last_event_id: second.event_id });
    assert.equal((await next.next()).event_id, third.event_id); // nobody had it acked
    await next.close();
  },

  async "a group shares its events, and has those of a worker that dies"() {
    const workers = [new Stream(), new Stream()];
    for (const w of workers)
      assert.deepEqual(await w.subscribe({ ack: true, group: "workers" }), { type: "subscribed", inbox_ids: [], event_types: [], ack: true, group: "workers" });
    await mail(one.address, "first");
    const first = await workers[0].next();
    await mail(one.address, "second");
    const second = await workers[1].next();
    assert.notEqual(first.event_id, second.event_id);
    for (const w of workers) await w.quiet();
    assert.deepEqual((await rest("GET", "/v1/sockets")).body.data.flatMap((s) => s.group ?? []), ["workers", "workers"]);
    await workers[0].close();
    const again = await workers[1].next();
    assert.deepEqual([again.event_id, again.attempt], [first.event_id, 2]);
    workers[1].send({ type: "ack", event_id: again.event_id });
    for (const { event_id } of [first, second])
      await until("the receipt", async () => (await rest("GET", `/v1/events/${event_id}`)).body.state === "delivered");
    await workers[1].close();
  },

  async "the owner may close a socket, and it may come back"() {
    const stream = new Stream();
    await stream.subscribe();
    const { body } = await rest("GET", "/v1/sockets");
    assert.equal((await rest("DELETE", `/v1/sockets/${body.data[0].id}`)).status, 204);
    assert.equal((await within("the close", () => stream.closed)).code, 1000);
  },

  async "a server that stops says 1001"() {
    const streams = [new Stream(), new Stream()];
    for (const stream of streams) await stream.subscribe();
    process.kill(Number(env.SERVER_PID), "SIGTERM");
    for (const stream of streams) assert.equal((await within("the close", () => stream.closed)).code, 1001);
  },
});
