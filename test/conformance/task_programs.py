"""Programs of tasks and callbacks, as random-tasks.ts makes them: the Python side of their interpreter."""

import asyncio
from asyncio import base_events


class NeverBlocking:
    """A selector without files: the programs wait for nothing but each other."""

    def select(self, timeout):
        return ()


class Loop(base_events.BaseEventLoop):
    """asyncio's own loop without sockets, which does not exist in WebAssembly."""

    def __init__(self):
        super().__init__()
        self._selector = NeverBlocking()

    def _process_events(self, events):
        pass


def on_loop(coroutine):
    """Runs the coroutine to its end, in an empty Context."""
    loop = Loop()
    try:
        return Context().run(loop.run_until_complete, coroutine)
    finally:
        loop.close()


class TaskBoom(Exception):
    """What a program raises itself."""


class Own:
    """The state of one task, and of functions that it awaits."""

    def __init__(self):
        self.contexts = [Context()]
        self.tokens = []


def run_task_program(defaults, ops):
    """Runs the program as a task in an empty Context and returns what it saw, in order."""
    variables = [
        ContextVar(f"v{i}") if default is None else ContextVar(f"v{i}", default=default)
        for i, default in enumerate(defaults)
    ]
    trace = []

    def items(ctx):
        return sorted([variables.index(variable), value] for variable, value in ctx.items())

    def pick(own, index):
        return None if index is None else own.contexts[index % len(own.contexts)]

    # What needs no waiting.
    def step(own, path, name, *args):
        match name:
            case "set":
                own.tokens.append(variables[args[0]].set(args[1]))
                old = own.tokens[-1].old_value
                return "MISSING" if old is Token.MISSING else old
            case "get":
                return variables[args[0]].get()
            case "reset":
                if not own.tokens:
                    return "no token"
                return variables[args[0]].reset(own.tokens[args[1] % len(own.tokens)])
            case "resetOwn":
                if not own.tokens:
                    return "no token"
                token = own.tokens[args[0] % len(own.tokens)]
                return token.var.reset(token)
            case "copyCurrent":
                own.contexts.append(copy_context())
                return items(own.contexts[-1])
            case "ownContext":
                task = asyncio.current_task()
                if task is None:
                    return "no task"
                own.contexts.append(task.get_context())
                return own.contexts[-1] == copy_context()
            case "items":
                return items(pick(own, args[0]))
            case "run":
                return pick(own, args[0]).run(run_sync, own, path, args[1])
        raise AssertionError(name)

    def run_sync(own, path, ops):
        for op in ops:
            trace.append([path, op[0], outcome(step, own, path, *op)])

    async def body(own, path, ops, boom):
        loop = asyncio.get_running_loop()
        children = 0
        spawned = []

        def child():
            nonlocal children
            children += 1
            return f"{path}.{children}"

        def coroutine(block):
            return body(Own(), child(), *block)

        def callback(own, path, ops):
            done = loop.create_future()

            def call(*_):
                run_sync(own, path, ops)
                done.set_result("called")

            return call, done

        async def join():
            results = []
            while spawned:
                results.append(await outcome_of(spawned.pop(0)))
            return results

        async def wait(name, *args):
            match name:
                case "turns":
                    for _ in range(args[0]):
                        await asyncio.sleep(0)
                    return args[0]
                case "callee":
                    return await body(own, child(), *args)
                case "gather":
                    results = await asyncio.gather(*map(coroutine, args[0]), return_exceptions=True)
                    return [told(each) if isinstance(each, Exception) else each for each in results]
                case "wait":
                    tasks = [asyncio.create_task(coroutine(block)) for block in args[0]]
                    done, pending = await asyncio.wait(tasks)
                    return [len(done), len(pending), [type(task.exception()).__name__ for task in tasks]]
                case "taskGroup":
                    async with asyncio.TaskGroup() as group:
                        for ops in args[0]:
                            group.create_task(coroutine([ops, False]))
                    return "left"
                case "taskIn":
                    context = pick(own, args[0])
                    return await asyncio.create_task(body(own, child(), args[1], args[2]), context=context)
                case "eager":
                    return await asyncio.create_task(coroutine(args), eager_start=True)
                case "shield":
                    return await asyncio.shield(coroutine(args))
                case "waitFor":
                    return await asyncio.wait_for(body(own, child(), *args), 1000)
                case "timeout":
                    async with asyncio.timeout(1000):
                        return await body(own, child(), *args)
                case "spawn":
                    spawned.append(asyncio.create_task(coroutine(args)))
                    return "spawned"
                case "spawnWithCallback":
                    task = asyncio.create_task(coroutine(args[:2]))
                    call, done = callback(Own(), child(), args[2])
                    task.add_done_callback(call)
                    spawned.append(task)
                    spawned.append(done)
                    return "spawned"
                case "callSoon":
                    call, done = callback(own, child(), args[1])
                    loop.call_soon(call, context=pick(own, args[0]))
                    return await done
                case "callSoonLater":
                    call, done = callback(Own(), child(), args[0])
                    loop.call_soon(call)
                    spawned.append(done)
                    return "scheduled"
                case "join":
                    return await join()
            return step(own, path, name, *args)

        for op in ops:
            trace.append([path, op[0], await outcome_of(wait(*op))])
        await join()
        if boom:
            raise TaskBoom
        return "returned"

    async def outcome_of(awaitable):
        try:
            return {"value": await awaitable}
        except Exception as error:
            return told(error)

    on_loop(body(Own(), "0", ops, False))
    return trace
