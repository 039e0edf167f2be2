"""The same as tasks.mjs, on asyncio, but for memory and timeout: `tasks.py KIND [eager] [uvloop]`."""

import asyncio
import json
import random
import sys
import time

kind = sys.argv[1]
SLEEPING = 100_000  # tasks
LEVELS, BRANCHES, MEMOIZABLE, PAUSE = 6, 6, 90, 0.05  # as in tree.mjs


async def leaf():
    return 1


async def create(count):
    for _ in range(count):
        await asyncio.create_task(leaf())


async def gather(count):
    for _ in range(0, count, 100):
        await asyncio.gather(*[leaf() for _ in range(100)])


async def sleeping():
    before = time.process_time()
    await asyncio.gather(*[asyncio.create_task(asyncio.sleep(0.1)) for _ in range(SLEEPING)])
    return (time.process_time() - before) / SLEEPING * 1e9


async def nanoseconds(loop):
    count = 100
    while await seconds(loop, count) < 0.015:
        count *= 2
    return min([await seconds(loop, count) for _ in range(40)]) / count * 1e9


async def seconds(loop, count):
    start = time.perf_counter()
    await loop(count)
    return time.perf_counter() - start


async def tree_time():
    cache = {}
    choose = random.Random(1).randrange

    async def at_leaf():
        key = choose(100)
        if kind != "memoization" or (key < MEMOIZABLE and key in cache):
            return
        cache[key] = True
        await asyncio.sleep(PAUSE)

    async def recurse(level):
        if level == 0:
            return await at_leaf()
        await asyncio.gather(*[recurse(level - 1) for _ in range(BRANCHES)])

    least = float("inf")
    for _ in range(3):
        cache.clear()
        start = time.perf_counter()
        await recurse(LEVELS)
        least = min(least, time.perf_counter() - start)
    return least * 1e9


async def main():
    if "eager" in sys.argv:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    loops = {"create": create, "gather": gather}
    if kind == "sleeping":
        cost = await sleeping()
    else:
        cost = await (nanoseconds(loops[kind]) if kind in loops else tree_time())
    print(json.dumps({"cost": cost}))


if "uvloop" in sys.argv:
    import uvloop

    uvloop.install()
asyncio.run(main())
