"""Times full, non-incremental captures by other VNC clients: peers.py CLIENT HOST PORT COUNT prints one number a line, in ms."""

import asyncio
import sys
import time


async def with_asyncvnc(host, port, count):
    import asyncvnc
    async with asyncvnc.connect(host, port) as client:
        for _ in range(count):
            begun = time.perf_counter()
            await client.screenshot()
            print((time.perf_counter() - begun) * 1000, flush=True)


def with_vncdotool(host, port, count):
    from vncdotool import api
    with api.connect('%s::%d' % (host, port), password=None) as client:
        for _ in range(count):
            begun = time.perf_counter()
            client.refreshScreen(incremental=False)
            print((time.perf_counter() - begun) * 1000, flush=True)


client, host, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
if client == 'asyncvnc':
    asyncio.run(with_asyncvnc(host, port, count))
else:
    with_vncdotool(host, port, count)
