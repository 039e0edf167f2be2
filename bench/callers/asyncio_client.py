"""Round trips with CPython's `open_connection`; with --uvloop in front, on uvloop's event loop."""

import asyncio
import json
import os
import sys
import time

args = sys.argv[1:]
if args[0] == "--uvloop":
    import uvloop

    uvloop.install()
    args = args[1:]
port, connections, size = (int(arg) for arg in args[:3])
seconds, warmup = (float(arg) for arg in args[3:])
message = b"x" * size
count = 0


async def round_trips():
    global count
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        writer.write(message)
        await writer.drain()
        await reader.readexactly(size)
        count += 1


async def main():
    tasks = [asyncio.create_task(round_trips()) for _ in range(connections)]
    await asyncio.sleep(warmup)
    before, start, cpu = count, time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    took, spent = time.perf_counter() - start, time.process_time() - cpu
    print(json.dumps({"operations": count - before, "seconds": took, "serverCpu": spent * 1e9}), flush=True)
    os._exit(0)


asyncio.run(main())
