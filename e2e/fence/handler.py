"""What the handlers of both Python clients do: as the subject of the mail tells."""

import asyncio
import json
import time


def subscription(after):
    return json.dumps({"type": "subscribe", **({"last_event_id": after} if after else {})})


async def handle(data):
    what, _, ms = json.loads(data).get("message", {}).get("subject", "").partition(" ")
    if what == "block":
        time.sleep(int(ms) / 1000)
    if what == "await":
        await asyncio.sleep(int(ms) / 1000)
