import asyncio, os
from websockets import connect

async def main():
    uri = "wss://api.openmail.sh/v1/ws"
    headers = {"Authorization": f"Bearer {os.environ['OPENMAIL_API_KEY']}"}

    async with connect(uri, extra_headers=headers) as ws:
        # connected — send subscribe, receive events
        ...

asyncio.run(main())
