"""Programs whose call graphs are compared: the counterpart of `call-graphs.test.ts`, to the word."""

import asyncio
import io
from asyncio.graph import format_call_graph, print_call_graph


async def leaf(event):
    await event.wait()


async def middle(event):
    await leaf(event)


async def waiting(event):
    await middle(event)


async def root(task):
    await task


async def by_gather(task):
    await asyncio.gather(task)


async def by_wait(task):
    await asyncio.wait([task])


async def by_timeout(task):
    async with asyncio.timeout(60):
        await task


async def by_wait_for(task):
    await asyncio.wait_for(task, 60)


async def by_shield(task):
    await asyncio.shield(task)


async def group(event):
    async with asyncio.TaskGroup() as tg:
        tg.create_task(waiting(event), name="member")


async def turns():
    for _ in range(4):
        await asyncio.sleep(0)


async def texts():
    event = asyncio.Event()
    found = {}
    for waiter in (root, by_gather, by_wait, by_timeout, by_wait_for, by_shield):
        task = asyncio.create_task(waiting(event), name="waiting")
        above = asyncio.create_task(waiter(task), name="above")
        await turns()
        found[waiter.__name__] = format_call_graph(task)
        found[waiter.__name__ + " itself"] = format_call_graph(above)
    grouping = asyncio.create_task(group(event), name="grouping")
    await turns()
    [member] = [task for task in asyncio.all_tasks() if task.get_name() == "member"]
    found["group"] = format_call_graph(member)
    task = asyncio.create_task(waiting(event), name="waiting")
    first = asyncio.create_task(root(task), name="first")
    second = asyncio.create_task(root(first), name="second")
    await turns()
    found["chain"] = format_call_graph(task)
    for limit in (0, 1, 2, -1, -2):
        own = asyncio.create_task(middle_of_sleep(), name="own")
        await turns()
        found[f"limit {limit}"] = format_call_graph(own, limit=limit)
        own.cancel()
    future = asyncio.get_running_loop().create_future()
    above = asyncio.create_task(root(future), name="above")
    await turns()
    found["future"] = format_call_graph(future)
    file = io.StringIO()
    print_call_graph(future, file=file)
    found["printed"] = file.getvalue()
    future.set_result(None)
    event.set()
    await asyncio.wait([grouping, second, above])
    return found


async def innermost():
    await asyncio.get_running_loop().create_future()


async def in_between():
    await innermost()


async def middle_of_sleep():
    await in_between()


def call_graph_texts():
    loop = Loop()
    try:
        return loop.run_until_complete(texts())
    finally:
        loop.close()
