import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cases, env, rest, Stream, until } from "./stream.mjs";

const mails = Number(env.OPENMAIL_E2E_MAILS);

// sender is Postfix's load generator: a mail every few milliseconds. It ends
// with status 0 when all were accepted.
function sender() {
  const child = spawn("smtp-source", ["-s", "2", "-m", String(mails), "-l", "1000", "-f", "load@example.com", "-t", env.ADDRESS, `inet:${env.SMTP}`]);
  return new Promise((resolve, reject) => child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`smtp-source: ${code}`)))));
}

await cases({
  async "nothing is lost and nothing doubled"() {
    const probe = new Stream();
    await probe.subscribe();
    const sent = sender();
    const got = [(await probe.next()).event_id];
    probe.ws.terminate();
    for (let lives = 1; got.length < mails; lives++) {
      assert.ok(lives < mails, "no progress");
      const stream = new Stream();
      const answer = await stream.subscribe({ last_event_id: got.at(-1) });
      assert.equal(answer.type, "subscribed");
      const most = 1 + (lives * 7) % 13; // as many events as this life lasts
      for (let n = 0; n < most && got.length < mails; n++) got.push((await stream.next()).event_id);
      stream.ws.terminate(); // whatever else has come is gone with it
    }
    await sent;
    assert.equal(new Set(got).size, mails, "an event came twice");

    const log = [];
    for (let cursor = ""; cursor !== null;) {
      const { body } = await rest("GET", `/v1/events?limit=100&cursor=${cursor}`);
      log.unshift(...body.data.map((e) => e.id).reverse());
      cursor = body.next;
    }
    assert.deepEqual(got, log, "not the log, in its order");
  },

  // A client that dies between an event and its receipt has the event, but the
  // server cannot know: such an event counts as not delivered until it is sent
  // again, and nothing else does.
  async "what was left without a receipt is known, and can be sent again"() {
    const { body } = await rest("GET", "/v1/events?limit=100&state=failed");
    for (const event of body.data) {
      assert.equal(event.reason, "no_route");
      assert.ok(event.attempts >= 1, "was never pushed");
    }
    const stream = new Stream();
    await stream.subscribe();
    const again = await rest("POST", "/v1/events/redeliver", { state: "failed" });
    assert.equal(again.status, 202);
    assert.ok(again.body.count <= body.data.length + 1);
    await until("every event to be delivered", async () => {
      const states = await Promise.all(["armed", "due", "posting", "failed"].map((s) => rest("GET", `/v1/events?limit=1&state=${s}`)));
      return states.every(({ body }) => body.data.length === 0);
    });
    await stream.close();
  },
});
