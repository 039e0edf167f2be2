"""How CPython's asyncio sees a connection end: the counterpart of wire-matrix.ts, cell by cell.

    python3 wire-observer.py FOLDER [CELL...]

FOLDER holds the certificates. A cell is TRANSPORT/EVENT/STATE/ROLE; all of them without any. Prints JSON: what was
seen in each cell. The far side is a thread with plain sockets, which does to the wire what the event's name says.
"""
import asyncio
import concurrent.futures
import contextlib
import itertools
import json
import os
import platform
import socket
import ssl
import struct
import sys
import tempfile

TRANSPORTS = ["tcp", "unix", "tls1.2", "tls1.3", "starttls"]
EVENTS = ["close", "abort", "eof", "reset", "truncation"]
STATES = ["idle", "reading", "paused"]
ROLES = ["client", "server"]

LIMIT = 16
PATIENCE = 2  # seconds
SETTLE = 0.15  # seconds: what an event comes to has come by then
HALF_A_RECORD = b"\x17\x03\x03\x00\x40half"


def contexts(folder, transport):
    client = ssl.create_default_context(cafile=os.path.join(folder, "ca.pem"))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(os.path.join(folder, "server.pem"), os.path.join(folder, "server.key"))
    versions = {"tls1.2": ssl.TLSVersion.TLSv1_2, "tls1.3": ssl.TLSVersion.TLSv1_3}
    if transport in versions:
        for context in (client, server):
            context.minimum_version = context.maximum_version = versions[transport]
    return client, server


class Peer:
    """The far side of a connection; its methods block."""

    def __init__(self, transport, event, state, role, context):
        self.transport = transport
        self.event = event
        self.state = state
        # The far side's role.
        self.role = "server" if role == "client" else "client"
        self.context = context
        self.raw = None
        self.tls = None

    @property
    def secure(self):
        return self.transport not in ("tcp", "unix")

    def begin(self, sock):
        sock.settimeout(PATIENCE)
        self.raw = sock
        if self.transport == "starttls":
            if self.role == "server":
                sock.sendall(b"go\n")
            else:
                assert sock.recv(3) == b"go\n"
        if self.secure:
            self.tls = self.context.wrap_socket(
                sock,
                server_side=self.role == "server",
                server_hostname=None if self.role == "server" else "localhost",
                suppress_ragged_eofs=True,
            )
            if self.role == "client":
                # Takes in the session tickets; closing with unread bytes would be a reset.
                self.tls.settimeout(0.1)
                with contextlib.suppress(TimeoutError, ssl.SSLWantReadError):
                    self.tls.recv(1)
        if self.state == "paused":
            (self.tls or self.raw).sendall(b"x" * 64)

    def act(self):
        if self.event == "truncation":
            (self.tls or self.raw).sendall(b"ab")
        if self.event in ("close", "eof") and self.secure:
            # Sends close_notify; the answer may never come.
            self.tls.settimeout(0.01)
            with contextlib.suppress(TimeoutError, ssl.SSLError, OSError):
                self.tls.unwrap()
        if self.event == "eof":
            if not self.secure:
                self.raw.shutdown(socket.SHUT_WR)
            return
        bare = self.raw
        if self.secure:
            bare = socket.socket(fileno=self.tls.detach())
        if self.event == "truncation" and self.secure:
            bare.sendall(HALF_A_RECORD)
        if self.event == "reset" and self.transport != "unix":
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        bare.close()

    def end(self):
        for sock in (self.tls, self.raw):
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.close()


async def outcome(awaitable):
    try:
        result = await asyncio.wait_for(awaitable, PATIENCE)
    except asyncio.TimeoutError:
        return "pending"
    except asyncio.IncompleteReadError as error:
        return f"IncompleteReadError({shown(error.partial)}, {error.expected})"
    except Exception as error:
        return type(error).__name__
    return "returns" if result is None else shown(result)


def shown(data):
    return f"{len(data)} bytes" if len(data) > 8 else repr(data.decode("latin-1"))


async def observe(folder, transport, event, state, role):
    loop = asyncio.get_running_loop()
    pool = concurrent.futures.ThreadPoolExecutor(1)
    in_thread = lambda *call: loop.run_in_executor(pool, *call)
    client, server = contexts(folder, transport)
    mine, its = (client, server) if role == "client" else (server, client)
    name = "localhost" if role == "client" else None
    peer = Peer(transport, event, state, role, its)
    direct = transport in ("tls1.2", "tls1.3")
    options = {"limit": LIMIT, "ssl": mine if direct else None}
    with contextlib.ExitStack() as stack:
        path = None
        if transport == "unix":
            path = os.path.join(stack.enter_context(tempfile.TemporaryDirectory()), "s")
        if role == "client":
            listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
            stack.callback(listener.close)
            listener.bind(path or ("127.0.0.1", 0))
            listener.listen()

            def accept():
                peer.begin(listener.accept()[0])

            began = in_thread(accept)
            if path:
                reader, writer = await asyncio.open_unix_connection(path, **options)
            else:
                port = listener.getsockname()[1]
                named = {"server_hostname": name} if direct else {}
                reader, writer = await asyncio.open_connection("127.0.0.1", port, **options, **named)
            if transport == "starttls":
                assert await reader.readline() == b"go\n"
                await writer.start_tls(mine, server_hostname=name)
            await began
            listening = None
        else:
            accepted = loop.create_future()

            async def handle(reader, writer):
                if transport == "starttls":
                    writer.write(b"go\n")
                    await writer.start_tls(mine)
                accepted.set_result((reader, writer))
                await asyncio.Event().wait()

            if path:
                listening = await asyncio.start_unix_server(handle, path, **options)
            else:
                listening = await asyncio.start_server(handle, "127.0.0.1", 0, **options)
            where = path or listening.sockets[0].getsockname()

            def connect():
                sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
                sock.connect(where)
                peer.begin(sock)

            began = in_thread(connect)
            reader, writer = await accepted
            await began

        if state == "paused":
            while not reader._paused:
                await asyncio.sleep(0.001)
        if event == "reset" and transport == "unix":
            # What a Unix socket has instead of a reset: an end with unread bytes.
            writer.write(b"unread")
            await asyncio.sleep(0.01)
        blocked = asyncio.ensure_future(outcome(reader.readexactly(4))) if state == "reading" else None
        await asyncio.sleep(0.01)
        await in_thread(peer.act)
        await asyncio.sleep(SETTLE)

        seen = {"drain": await outcome(writer.drain())}
        if blocked is not None:
            seen["blocked"] = await blocked
        seen["later"] = await outcome(reader.read(100))
        seen["rest"] = await outcome(reader.read())
        await asyncio.sleep(0.02)
        seen["closing"] = writer.is_closing()
        seen["drainLater"] = await outcome(writer.drain())
        writer.close()
        # Only now: an answer to the close is not what is asked about.
        ended = in_thread(peer.end)
        seen["closed"] = await outcome(writer.wait_closed())
        await ended
        if listening is not None:
            listening.close()
        pool.shutdown()
        return seen


async def main(folder, cells):
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    cells = cells or ["/".join(cell) for cell in itertools.product(TRANSPORTS, EVENTS, STATES, ROLES)]
    table = {}
    # So many at a time that none has to wait for the processor.
    for start in range(0, len(cells), 10):
        batch = cells[start : start + 10]
        found = await asyncio.gather(*(observe(folder, *cell.split("/")) for cell in batch))
        table.update(zip(batch, found))
    # Not by return: handlers still wait.
    print(json.dumps({"python": platform.python_version(), "cells": table}), flush=True)
    os._exit(0)


asyncio.run(main(sys.argv[1], sys.argv[2:]))
