"""Python's websockets."""

import asyncio
import sys

from websockets import connect

from handler import handle, subscription


async def main(url, after):
    async with connect(url) as ws:
        await ws.send(subscription(after))
        async for data in ws:
            await handle(data)


asyncio.run(main(*sys.argv[1:3]))
