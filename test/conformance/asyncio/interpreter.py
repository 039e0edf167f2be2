"""Scripts of tasks, as language.ts describes them: the Python side of their interpreter; interpreter.ts is the other."""

import asyncio
import itertools
import re
import sys
import warnings
from asyncio import base_events, events, taskgroups, tasks as asyncio_tasks
from contextvars import Context, ContextVar

CancelledError = asyncio.CancelledError

# Coroutines that a script leaves behind are closed when they are garbage, and complain about it.
warnings.simplefilter("ignore")
sys.unraisablehook = lambda _: None


class OrderedSet(dict):
    """A set that keeps the order in which things came, so that a trace is the same in every run."""

    def __init__(self, items=()):
        super().__init__(dict.fromkeys(items))

    def add(self, item):
        self[item] = None

    def discard(self, item):
        self.pop(item, None)

    remove = discard


# wait() and as_completed() make sets of what they are given.
asyncio_tasks.set = OrderedSet


class TaskGroup(taskgroups.TaskGroup):
    """A group that cancels its tasks in the order in which they were made."""

    def __init__(self):
        super().__init__()
        self._tasks = OrderedSet()


class Clock:
    """A selector without files: when nothing is ready, the clock jumps to the next timer."""

    def __init__(self, loop):
        self.loop = loop

    def select(self, timeout):
        if timeout is None:
            self.loop.when_stuck()
        elif timeout > 0:
            self.loop.now += timeout
        return ()


class Loop(base_events.BaseEventLoop):
    """asyncio's own loop, without sockets and with a clock of its own."""

    def __init__(self, when_stuck):
        super().__init__()
        self.now = 0
        self.when_stuck = when_stuck
        self._selector = Clock(self)
        # In whole seconds. The real one would be lost among the digits of a large time, and timers would never be due.
        self._clock_resolution = 0.5

    def time(self):
        return self.now

    def _process_events(self, events):
        pass


class TimerHandle(events.TimerHandle):
    """Timers for the same moment are called in the order in which they were set: a heap has no order among equals."""

    numbers = itertools.count()

    def __init__(self, *args):
        super().__init__(*args)
        self.number = next(self.numbers)

    def __lt__(self, other):
        return (self._when, self.number) < (other._when, other.number)


events.TimerHandle = TimerHandle


class Boom(Exception):
    """What a script raises itself."""


def error_told(error):
    """What is compared of an error."""
    told = {"error": type(error).__name__, "message": shown(str(error))}
    if isinstance(error, BaseExceptionGroup):
        told["of"] = [error_told(each) for each in error.exceptions]
    return told


def shown(text):
    """Text without addresses, and without what is said of functions and where they are."""
    text = re.sub(r"0x[0-9a-f]+", "0xHEX", text)
    text = re.sub(r" coro=<\S+\(\)[^<>]*(<exec>[^<>]*)?>", "", text)
    return re.sub(r"Exception in callback .*", "Exception in callback", text)


# Reported when garbage is collected, and who knows when that is.
UNTIMELY = ("was never retrieved", "was destroyed but it is pending")

WAITING = {
    "await", "turns", "delay", "acquire", "wait", "conditionWait", "conditionWaitFor", "put", "get", "join",
    "barrier", "barrierReset", "barrierAbort", "waitMany", "asCompleted", "asCompletedPlain",
}
STRUCTURES = {"timeout", "timeoutAt", "group", "with", "call", "repeat"}
# What these speak of may be there when the body is run.
HAVE_BODIES = STRUCTURES | {"spawn", "groupSpawn", "onDone", "callSoon", "callLater"}
# When a script is stuck, the newest task is cancelled; after some rounds, all tasks; at last the run ends.
ROUNDS_OF_ONE = 16
MOST_ROUNDS = 20


class Script:
    """One run of one script."""

    def __init__(self, script):
        self.main = script["main"]
        self.trace = []
        self.over = False
        self.named = {}
        self.callbacks = {}
        self.flags = {}
        self.tasks = OrderedSet()
        self.rounds = 0
        self.variables = {name: ContextVar(name, default="unset") for name in script.get("variables", [])}
        for name, spec in script.get("objects", {}).items():
            self.named[name] = self.made(*spec)

    def made(self, kind, *args):
        match kind:
            case "Condition":
                return asyncio.Condition(*map(self.named.get, args))
            case "TaskGroup":
                return TaskGroup()
            case "Context":
                return Context()
            case _:
                return getattr(asyncio, kind)(*args)

    def run(self):
        """Runs it until nothing happens any more, and gives all that was seen."""
        self.loop = Loop(self.when_stuck)
        self.loop.set_exception_handler(self.report)
        try:
            asyncio._set_running_loop(None)
            main = self.loop.create_task(self.body("main", self.main), name="main", context=Context())
            self.named["main"] = main
            self.tasks.add(main)
            self.loop.run_forever()
        finally:
            self.over = True
            self.loop.close()
        return self.trace

    def when_stuck(self):
        """Nothing is ready, and no timer runs."""
        pending = [task for task in self.tasks if not task.done()]
        if not pending or self.rounds == MOST_ROUNDS:
            for name in sorted(self.named):
                self.log("end", name, self.state(self.named[name]))
            self.over = True
            self.loop.stop()
            return
        self.rounds += 1
        self.log("end", "stuck", len(pending))
        for task in pending[-1:] if self.rounds <= ROUNDS_OF_ONE else pending:
            task.cancel()

    def report(self, loop, context):
        message = shown(context["message"])
        if not any(part in message for part in UNTIMELY):
            self.log("handler", message, self.told(context.get("exception")))

    def log(self, who, what, outcome):
        if not self.over:
            self.trace.append([who, what, outcome])

    def told(self, value):
        """A value as it stands in the trace."""
        match value:
            case OrderedSet():
                return sorted(self.told(each) for each in value)
            case None | bool() | int() | str() | dict():
                return value
            case BaseException():
                return error_told(value)
            case list() | tuple():
                return [self.told(each) for each in value]
        for name, each in self.named.items():
            if each is value:
                return name
        return "unnamed"

    def state(self, value):
        match value:
            case asyncio.Future() if not value.done():
                cancelling = value.cancelling() if isinstance(value, asyncio.Task) else 0
                return ["pending", cancelling]
            case asyncio.Future():
                cancelling = value.cancelling() if isinstance(value, asyncio.Task) else 0
                if value.cancelled():
                    return ["cancelled", cancelling]
                return [self.told(value.exception() or value.result()), cancelling]
            case asyncio.Handle():
                return value.cancelled()
            case Context():
                return sorted([variable.name, item] for variable, item in value.items() if variable.name in self.variables)
            case _:
                return shown(repr(value))

    def missing(self, op):
        """Whether it speaks of something that is not there yet."""
        if not isinstance(op, list) or op[:1] == ["coro"]:
            return False
        return (len(op) == 2 and op[0] == "ref" and op[1] not in self.named) or any(map(self.missing, op))

    async def body(self, who, ops):
        """What a task runs, or awaits."""
        self.tasks.add(asyncio.current_task())
        self.log(who, "start", None)
        try:
            returned = await self.block(who, ops)
        except (Exception, CancelledError) as error:
            self.log(who, "raised", error_told(error))
            raise
        value = who if returned is None else returned[0]
        self.log(who, "returned", value)
        return value

    async def block(self, who, ops):
        for op in ops:
            returned = await self.statement(who, op)
            if returned is not None:
                return returned
        return None

    async def statement(self, who, op):
        """Gives a tuple of the value where it returns from the body."""
        name, *args = op
        match name:
            case "return":
                return (args[0],)
            case "raise":
                raise Boom(args[0])
            case "raiseCancelled":
                raise CancelledError(*filter(None, args))
            case "try":
                return await self.guarded(who, *args)
        if name not in HAVE_BODIES and self.missing(args) or self.unknown(name, args):
            self.log(who, name, "missing")
            return None
        try:
            if name in STRUCTURES:
                returned = await self.structure(who, name, *args)
                self.log(who, name, "left")
                return returned
            value = await self.wait(who, name, *args) if name in WAITING else self.step(who, name, *args)
        except (Exception, CancelledError) as error:
            self.log(who, name, error_told(error))
            raise
        self.log(who, name, self.told(value))
        return None

    def unknown(self, name, args):
        return name in NEEDS_NAME and args[0] not in self.named

    async def guarded(self, who, body, guard):
        try:
            try:
                return await self.block(who, body)
            except (Exception, CancelledError) as error:
                kind = "cancel" if isinstance(error, CancelledError) else "error"
                if guard.get("on") not in ("all", kind):
                    raise
                self.log(who, "caught", error_told(error))
                returned = await self.block(who, guard.get("do", []))
                if guard.get("rethrow"):
                    raise
                return returned
        finally:
            if "finally" in guard and not self.over:
                self.log(who, "finally", None)
                await self.block(who, guard["finally"])

    async def structure(self, who, name, *args):
        match name:
            case "timeout" | "timeoutAt":
                key, delay, body = args
                if name == "timeout":
                    timeout = asyncio.timeout(delay)
                else:
                    timeout = asyncio.timeout_at(None if delay is None else self.loop.time() + delay)
                self.named[key] = timeout
                async with timeout:
                    return await self.block(who, body)
            case "group":
                key, body = args
                if key not in self.named:
                    self.named[key] = TaskGroup()
                async with self.named[key]:
                    return await self.block(who, body)
            case "with":
                key, body = args
                async with self.named[key]:
                    return await self.block(who, body)
            case "call":
                return await self.block(*args)
            case "repeat":
                for _ in range(args[0]):
                    returned = await self.block(who, args[1])
                    if returned is not None:
                        return returned
                return None

    def awaitable(self, expression):
        """A Future or Task, or a coroutine that has not started."""
        name, *args = expression
        match name:
            case "ref":
                return self.named[args[0]]
            case "coro":
                return self.body(*args)
            case "shield":
                return asyncio.shield(self.awaitable(args[0]))
            case "gather":
                return asyncio.gather(*map(self.awaitable, args[0]), return_exceptions=args[1])
            case "waitFor":
                return asyncio.wait_for(self.awaitable(args[0]), args[1])
            case "sleep":
                return asyncio.sleep(*args)
            case "acquire":
                return self.named[args[0]].acquire()
            case "wait":
                return self.named[args[0]].wait()
            case "put":
                return self.named[args[0]].put(args[1])
            case "get":
                return self.named[args[0]].get()
            case "join":
                return self.named[args[0]].join()
        raise AssertionError(name)

    async def wait(self, who, name, *args):
        match name:
            case "await":
                return await self.awaitable(args[0])
            case "turns":
                for _ in range(args[0]):
                    await asyncio.sleep(0)
                return None
            case "delay":
                return await asyncio.sleep(*args)
            case "conditionWait":
                return await self.named[args[0]].wait()
            case "conditionWaitFor":
                return await self.named[args[0]].wait_for(lambda: self.flags.get(args[1], False))
            case "barrier":
                return await self.named[args[0]].wait()
            case "barrierReset":
                return await self.named[args[0]].reset()
            case "barrierAbort":
                return await self.named[args[0]].abort()
            case "waitMany":
                futures, timeout, return_when = args
                aws = [self.awaitable(each) for each in futures]
                return await asyncio.wait(aws, timeout=timeout, return_when=return_when)
            case "asCompleted":
                async for future in asyncio.as_completed([self.awaitable(each) for each in args[0]], timeout=args[1]):
                    self.log(who, "completed", self.state(future))
                return None
            case "asCompletedPlain":
                for coroutine in asyncio.as_completed([self.awaitable(each) for each in args[0]], timeout=args[1]):
                    self.log(who, "completed", self.told(await coroutine))
                return None
        return await self.awaitable([name, *args])

    def callback(self, label, ops):
        def call(*_):
            self.log(label, "called", asyncio.current_task() and "in a task")
            for name, *args in ops:
                if name == "raise":
                    raise Boom(args[0])
                if name not in HAVE_BODIES and self.missing(args) or self.unknown(name, args):
                    self.log(label, name, "missing")
                    continue
                try:
                    value = self.told(self.step(label, name, *args))
                except (Exception, CancelledError) as error:
                    value = error_told(error)
                self.log(label, name, value)

        return call

    def spawn_options(self, options={}):
        kwargs = {"context": self.named[options["context"]]} if "context" in options else {}
        if options.get("eager"):
            kwargs["eager_start"] = True
        return kwargs

    def step(self, who, name, *args):
        """What needs no waiting."""
        match name:
            case "log":
                return args[0]
            case "spawn":
                key, ops, *rest = args
                self.named[key] = task = self.loop.create_task(self.body(key, ops), name=key, **self.spawn_options(*rest))
                self.tasks.add(task)
                return None
            case "groupSpawn":
                group, key, ops, *rest = args
                create_task = self.named[group].create_task
                self.named[key] = task = create_task(self.body(key, ops), name=key, **self.spawn_options(*rest))
                self.tasks.add(task)
                return None
            case "groupCancel":
                return self.named[args[0]].cancel()
            case "future":
                self.named[args[0]] = self.loop.create_future()
                return None
            case "let":
                self.named[args[0]] = asyncio.ensure_future(self.awaitable(args[1]))
                return None
            case "setResult":
                return self.named[args[0]].set_result(args[1])
            case "setException":
                return self.named[args[0]].set_exception(Boom(args[1]))
            case "result":
                return self.named[args[0]].result()
            case "exception":
                return self.named[args[0]].exception()
            case "cancel":
                return self.named[args[0]].cancel(*args[1:])
            case "uncancel":
                return self.named[args[0]].uncancel()
            case "cancelMe":
                return asyncio.current_task().cancel(*args)
            case "uncancelMe":
                return asyncio.current_task().uncancel()
            case "cancellingMe":
                return asyncio.current_task().cancelling()
            case "current":
                # Tasks without their own names are numbered across all scripts.
                return asyncio.current_task() and asyncio.current_task().get_name().split("-")[0]
            case "allTasks":
                return sorted(task.get_name() for task in asyncio.all_tasks(self.loop) if task in self.tasks)
            case "state":
                return self.state(self.named[args[0]])
            case "onDone":
                key, label, ops = args
                callback = self.callbacks.setdefault(label, self.callback(label, ops))
                return self.named[key].add_done_callback(callback)
            case "offDone":
                key, label = args
                return self.named[key].remove_done_callback(self.callbacks.get(label))
            case "callSoon":
                self.named[args[0]] = self.loop.call_soon(self.callback(*args))
                return None
            case "callLater":
                key, delay, ops = args
                self.named[key] = self.loop.call_later(delay, self.callback(key, ops))
                return None
            case "cancelHandle":
                return self.named[args[0]].cancel()
            case "set":
                self.variables[args[0]].set(args[1])
                return None
            case "getVariable":
                return self.variables[args[0]].get()
            case "flag":
                self.flags[args[0]] = args[1]
                return None
            case "putNowait":
                return self.named[args[0]].put_nowait(args[1])
            case "getNowait":
                return self.named[args[0]].get_nowait()
            case "taskDone":
                return self.named[args[0]].task_done()
            case "shutdown":
                return self.named[args[0]].shutdown(args[1])
            case "release":
                return self.named[args[0]].release()
            case "setEvent":
                return self.named[args[0]].set()
            case "clear":
                return self.named[args[0]].clear()
            case "notify":
                return self.named[args[0]].notify(args[1])
            case "notifyAll":
                return self.named[args[0]].notify_all()
            case "reschedule":
                key, delay = args
                return self.named[key].reschedule(None if delay is None else self.loop.time() + delay)
            case "when":
                return self.named[args[0]].when()
            case "expired":
                return self.named[args[0]].expired()
            case "time":
                return self.loop.time()
        raise AssertionError(name)


# Their first argument names something that has to be there.
NEEDS_NAME = {
    "groupSpawn", "groupCancel", "setResult", "setException", "result", "exception", "cancel", "uncancel", "state",
    "onDone", "offDone", "cancelHandle", "reschedule", "when", "expired",
}


def run_scripts(scripts):
    return [Script(script).run() for script in scripts]
