"""The same as growth.mjs, on asyncio: `growth.py OPERATION [N] [SAMPLES]`. Some have no counterpart in each version."""

import asyncio
import gc
import json
import math
import random
import sys
import time


async def waiting(n, wait):
    tasks = [asyncio.create_task(wait()) for _ in range(n)]
    await asyncio.sleep(0)
    return tasks


async def ended(futures):
    await asyncio.wait(futures)
    for future in futures:
        future.cancelled() or future.exception()


async def cancelled(futures):
    for future in futures:
        future.cancel()
    await ended(futures)


async def contended(lock, n):
    async def hold():
        async with lock:
            await asyncio.sleep(0)

    await ended([asyncio.create_task(hold()) for _ in range(n)])


async def through(queue, n):
    for _ in range(n):
        queue.put_nowait(random.random())
    for _ in range(n):
        queue.get_nowait()


async def lock_contended(n):
    await contended(asyncio.Lock(), n)


async def lock_cancelled(n):
    lock = asyncio.Lock()
    await lock.acquire()
    await cancelled(await waiting(n, lock.acquire))


async def lock_beside(n):
    lock = asyncio.Lock()
    await lock.acquire()
    tasks = await waiting(n, lock.acquire)
    for task in tasks:
        task.cancel()
    for _ in range(n):
        lock.release()
        await lock.acquire()
    await ended(tasks)


async def event_set(n):
    event = asyncio.Event()
    tasks = await waiting(n, event.wait)
    event.set()
    await ended(tasks)


async def event_cleared(n):
    event = asyncio.Event()
    tasks = await waiting(n, event.wait)
    for _ in range(n):
        event.set()
        event.clear()
    await ended(tasks)


async def event_cancelled(n):
    await cancelled(await waiting(n, asyncio.Event().wait))


def in_condition(condition):
    async def wait():
        async with condition:
            await condition.wait()

    return wait


async def condition_notify(n):
    condition = asyncio.Condition()
    tasks = await waiting(n, in_condition(condition))
    async with condition:
        for _ in range(n):
            condition.notify()
    await ended(tasks)


async def condition_notify_all(n):
    condition = asyncio.Condition()
    tasks = await waiting(n, in_condition(condition))
    async with condition:
        condition.notify_all()
    await ended(tasks)


async def condition_cancelled(n):
    await cancelled(await waiting(n, in_condition(asyncio.Condition())))


async def semaphore_contended(n):
    await contended(asyncio.Semaphore(2), n)


async def semaphore_released(n):
    semaphore = asyncio.Semaphore(0)
    tasks = await waiting(n, semaphore.acquire)
    for _ in range(n):
        semaphore.release()
    await ended(tasks)


async def semaphore_cancelled(n):
    await cancelled(await waiting(n, asyncio.Semaphore(0).acquire))


async def barrier(n):
    meeting = asyncio.Barrier(n)
    await ended([asyncio.create_task(meeting.wait()) for _ in range(n)])


async def queue_getters(n):
    queue = asyncio.Queue()
    tasks = await waiting(n, queue.get)
    for i in range(n):
        queue.put_nowait(i)
    await ended(tasks)


async def queue_putters(n):
    queue = asyncio.Queue(1)
    tasks = await waiting(n, lambda: queue.put(1))
    for _ in range(n):
        await queue.get()
    await ended(tasks)


async def queue_cancelled(n):
    await cancelled(await waiting(n, asyncio.Queue().get))


async def gather(n):
    await asyncio.gather(*[asyncio.sleep(0) for _ in range(n)])


async def gather_one(n):
    # asyncio observes a future once, however often it is named.
    future = asyncio.get_running_loop().create_future()
    everything = asyncio.gather(*[future for _ in range(n)])
    future.set_result(1)
    await everything


async def gather_cancelled(n):
    everything = asyncio.gather(*[asyncio.sleep(3600) for _ in range(n)])
    await asyncio.sleep(0)
    await cancelled([everything])


async def wait(n):
    await asyncio.wait([asyncio.create_task(asyncio.sleep(0)) for _ in range(n)])


async def wait_cancelled(n):
    future = asyncio.get_running_loop().create_future()
    await cancelled(await waiting(n, lambda: asyncio.wait([future])))


async def as_completed(n):
    for done in asyncio.as_completed([asyncio.sleep(0) for _ in range(n)]):
        await done


async def shield(n):
    future = asyncio.get_running_loop().create_future()
    shields = [asyncio.shield(future) for _ in range(n)]
    future.set_result(1)
    await ended(shields)


async def shield_cancelled(n):
    future = asyncio.get_running_loop().create_future()
    await cancelled([asyncio.shield(future) for _ in range(n)])


async def future_waiting(n):
    future = asyncio.get_running_loop().create_future()

    async def wait_for_it():
        await future

    tasks = await waiting(n, wait_for_it)
    future.set_result(1)
    await ended(tasks)


async def future_callbacks(n):
    future = asyncio.get_running_loop().create_future()
    for i in range(n):
        future.add_done_callback(lambda _, i=i: i)
    future.set_result(1)
    await asyncio.sleep(0)


async def future_taken_back(n):
    future = asyncio.get_running_loop().create_future()
    callbacks = [lambda _, i=i: i for i in range(n)]
    for callback in callbacks:
        future.add_done_callback(callback)
    for callback in callbacks:
        future.remove_done_callback(callback)


async def future_errors(n):
    futures = [asyncio.get_running_loop().create_future() for _ in range(n)]
    for future in futures:
        future.set_exception(ValueError("expected"))
    for future in futures:
        future.exception()


async def group(n):
    async with asyncio.TaskGroup() as tasks:
        for _ in range(n):
            tasks.create_task(asyncio.sleep(0))


async def group_fails(n):
    async def fail():
        raise ValueError("expected")

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(n):
                tasks.create_task(fail())
    except* ValueError:
        pass


async def all_tasks(n):
    tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in range(n)]
    asyncio.all_tasks()
    await ended(tasks)


async def sleep(n):
    await ended([asyncio.create_task(asyncio.sleep(0.001 + i / 1e7)) for i in range(n)])


async def sleep_cancelled(n):
    await cancelled(await waiting(n, lambda: asyncio.sleep(3600)))


async def timeout(n):
    async def limited():
        async with asyncio.timeout(3600):
            await asyncio.sleep(0)

    await ended([asyncio.create_task(limited()) for _ in range(n)])


async def wait_for(n):
    await ended([asyncio.create_task(asyncio.wait_for(asyncio.sleep(0), 3600)) for _ in range(n)])


async def call_soon(n):
    loop = asyncio.get_running_loop()
    for _ in range(n):
        loop.call_soon(lambda: None)
    await asyncio.sleep(0)


async def call_later(n):
    loop = asyncio.get_running_loop()
    for timer in [loop.call_later(3600 + i * 7919 % n, lambda: None) for i in range(n)]:
        timer.cancel()


async def line(n):
    reader = asyncio.StreamReader(limit=2**30)
    task = asyncio.create_task(reader.readline())
    for _ in range(n):
        await asyncio.sleep(0)
        reader.feed_data(b"x" * 100)
    reader.feed_data(b"\n")
    await task


async def writes(n):
    async def handle(reader, writer):
        while await reader.read(65536):
            pass
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for _ in range(n):
        writer.write(bytes(1024))
    writer.write_eof()
    await reader.read()
    writer.close()
    server.close()
    await server.wait_closed()


OPERATIONS = {
    "Lock, contended": lock_contended,
    "Lock, waiters cancelled": lock_cancelled,
    "Lock, taken beside cancelled waiters": lock_beside,
    "Event, set": event_set,
    "Event, set and cleared n times": event_cleared,
    "Event, waiters cancelled": event_cancelled,
    "Condition, notify() n times": condition_notify,
    "Condition, notifyAll()": condition_notify_all,
    "Condition, waiters cancelled": condition_cancelled,
    "Semaphore, contended": semaphore_contended,
    "Semaphore(0), released n times": semaphore_released,
    "Semaphore, waiters cancelled": semaphore_cancelled,
    "Barrier(n)": barrier,
    "Queue, waiting getters": queue_getters,
    "Queue, waiting putters": queue_putters,
    "Queue, getters cancelled": queue_cancelled,
    "Queue, n items": lambda n: through(asyncio.Queue(), n),
    "LifoQueue, n items": lambda n: through(asyncio.LifoQueue(), n),
    "PriorityQueue, n items": lambda n: through(asyncio.PriorityQueue(), n),
    "gather": gather,
    "gather, of one future": gather_one,
    "gather, cancelled": gather_cancelled,
    "wait": wait,
    "wait, n times for one future, cancelled": wait_cancelled,
    "asCompleted": as_completed,
    "shield, of one future": shield,
    "shield, of one future, cancelled": shield_cancelled,
    "Future, n waiting tasks": future_waiting,
    "Future, n callbacks": future_callbacks,
    "Future, n callbacks taken back": future_taken_back,
    "Future, n errors": future_errors,
    "TaskGroup": group,
    "TaskGroup, all fail": group_fails,
    "createTask, and allTasks()": all_tasks,
    "sleep, n at once": sleep,
    "sleep, cancelled": sleep_cancelled,
    "timeout": timeout,
    "waitFor": wait_for,
    "callSoon": call_soon,
    "callLater, cancelled": call_later,
    "StreamReader, a line of n chunks": line,
    "StreamWriter, n writes without drain()": writes,
}


async def milliseconds(operation, n):
    start = time.process_time()
    await operation(n)
    return (time.process_time() - start) * 1000


async def main():
    operation = OPERATIONS[sys.argv[1]]
    n = int(sys.argv[2])
    await milliseconds(operation, n)
    # Its collector looks at all that is alive, more often the more there is.
    gc.disable()
    few = many = float("inf")
    for _ in range(int(sys.argv[3])):
        gc.collect()
        few = min(few, await milliseconds(operation, n))
        many = min(many, await milliseconds(operation, 4 * n))
    print(json.dumps({"cost": math.log(many / few, 4), "more": {"n": n, "ms": few}}))


asyncio.run(main())
