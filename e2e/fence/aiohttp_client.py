"""Python's aiohttp."""

import asyncio
import sys

import aiohttp

from handler import handle, subscription


async def main(url, after):
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
        await ws.send_str(subscription(after))
        async for message in ws:
            await handle(message.data)


asyncio.run(main(*sys.argv[1:3]))
