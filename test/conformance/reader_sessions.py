"""Sessions with a StreamReader, as reader-sessions.ts makes them: the Python side of their interpreter."""

import asyncio
from asyncio import base_events


class ReaderLoop(base_events.BaseEventLoop):
    """asyncio's own loop without sockets, which does not exist in WebAssembly, run by hand."""

    def __init__(self):
        super().__init__()
        self._selector = self

    def select(self, timeout):
        return ()

    def _process_events(self, events):
        pass

    def settle(self):
        """Runs until nothing is ready any more: every task waits, or is done."""
        asyncio._set_running_loop(self)
        try:
            while self._ready:
                self._run_once()
        finally:
            asyncio._set_running_loop(None)


reader_loop = ReaderLoop()


class FakeTransport:
    def __init__(self):
        self.paused = False

    def pause_reading(self):
        assert not self.paused, "paused twice"
        self.paused = True

    def resume_reading(self):
        assert self.paused, "resumed twice"
        self.paused = False


def latin(data):
    return bytes(data).decode("latin-1")


def told_of_read(task):
    """What is compared of a read that has ended."""
    if task.cancelled():
        return {"error": "CancelledError", "message": ""}
    error = task.exception()
    if error is None:
        return {"stops": True} if task.result() is None else {"gives": latin(task.result())}
    told = {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, asyncio.IncompleteReadError):
        told |= {"partial": latin(error.partial), "expected": error.expected}
    if isinstance(error, asyncio.LimitOverrunError):
        told |= {"consumed": error.consumed}
    return told


class ReaderSession:
    def __init__(self, limit, has_transport):
        self.reader = asyncio.StreamReader(limit=limit, loop=reader_loop)
        self.transport = FakeTransport()
        if has_transport:
            self.reader.set_transport(self.transport)
        self.reads = {}
        # The frame of the read to the end that is under way: it holds what that has collected.
        self.collecting = None

    async def read_all(self):
        """A read to the end that fails loses what it has collected; here it stays, as is decided."""
        reading = self.reader.read(-1)
        outer, self.collecting = self.collecting, reading.cr_frame
        try:
            return await reading
        except BaseException:
            self.reader._buffer[:0] = b"".join(self.collected())
            raise
        finally:
            self.collecting = outer

    def collected(self):
        """What the read to the end that is under way holds."""
        return [] if self.collecting is None else self.collecting.f_locals.get("blocks", [])

    def start(self, name, *args):
        match name:
            case "read":
                return self.read_all() if args[0] < 0 else self.reader.read(args[0])
            case "readline":
                return self.reader.readline()
            case "readexactly":
                return self.reader.readexactly(args[0])
            case "readuntil":
                given = args[0]
                separator = given.encode("latin-1") if isinstance(given, str) else tuple(s.encode("latin-1") for s in given)
                return self.reader.readuntil(separator)

    def step(self, index, name, *args):
        """One operation. Gives what is raised at once."""
        try:
            match name:
                case "feed":
                    self.reader.feed_data(args[0].encode("latin-1"))
                case "eof":
                    self.reader.feed_eof()
                case "setException":
                    self.reader.set_exception(KeyError(args[0]))
                case "cancel":
                    for task in list(self.reads.values()):
                        task.cancel()
                case "next":
                    # A coroutine cannot raise StopAsyncIteration: the trace shows its meaning.
                    self.reads[index] = reader_loop.create_task(self.line_or_stop())
                case _:
                    self.reads[index] = reader_loop.create_task(self.start(name, *args))
        except AssertionError as error:
            return str(error)
        return None

    async def line_or_stop(self):
        try:
            return await self.reader.__anext__()
        except StopAsyncIteration:
            return None

    def size(self):
        """How many bytes have arrived and were not returned."""
        return sum(len(block) for block in self.collected()) + len(self.reader._buffer)

    def search_anew(self):
        """
        Lets searches that wait begin at the beginning.

        CPython's go on where they were, though another read has taken what was before: they miss separators, and count
        bytes that are gone. Here they do not.
        """
        for task in self.reads.values():
            coroutine = task.get_coro()
            while coroutine is not None and hasattr(coroutine, "cr_frame"):
                if coroutine.cr_code is asyncio.StreamReader.readuntil.__code__:
                    coroutine.cr_frame.f_locals["offset"] = 0
                coroutine = coroutine.cr_await

    def state(self):
        reader = self.reader
        # After EOF nothing can come, and CPython forgets to resume in some cases.
        paused = None if reader._eof else reader._paused
        assert self.transport.paused == reader._paused
        return [self.size(), paused, reader.at_eof() and self.size() == 0]


def run_reader_session(limit, has_transport, ops):
    """Gives a step for each operation: what it raised, which reads have ended with what, and the reader's state."""
    session = ReaderSession(limit, has_transport)
    trace = []
    for index, op in enumerate(ops):
        size = session.size()
        raised = session.step(index, *op)
        reader_loop.settle()
        told = []
        for each, task in list(session.reads.items()):
            if task.done():
                del session.reads[each]
                told.append([each, told_of_read(task)])
        if session.size() < size:
            session.search_anew()
        trace.append([raised, told, *session.state()])
    for task in session.reads.values():
        task.cancel()
    reader_loop.settle()
    return {"trace": trace, "left": latin(session.reader._buffer)}


def run_reader_sessions(sessions):
    return [run_reader_session(*session) for session in sessions]
