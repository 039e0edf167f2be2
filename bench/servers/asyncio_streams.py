"""CPython's asyncio streams; with --uvloop in front of the mode, on uvloop's event loop.

The same loops as in contextvars.mjs, the same sizes, backlog and options.
"""

import asyncio
import gc
import json
import pathlib
import ssl
import struct
import sys

READ_SIZE = 256 * 1024
BLOCK = b"x" * (64 * 1024)


async def echo(reader, writer):
    while chunk := await reader.read(READ_SIZE):
        writer.write(chunk)
        await writer.drain()


async def exactly(reader, writer):
    while True:
        writer.write(await reader.readexactly(size))
        await writer.drain()


async def lines(reader, writer):
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()


async def lines_iterated(reader, writer):
    async for line in reader:
        writer.write(line)
        await writer.drain()


async def frames(reader, writer):
    while True:
        head = await reader.readexactly(4)
        writer.write(head)
        writer.write(await reader.readexactly(struct.unpack(">I", head)[0]))
        await writer.drain()


async def up(reader, writer):
    total = 0
    while chunk := await reader.read(len(BLOCK)):
        total += len(chunk)
    writer.write(b"%d\n" % total)
    await writer.drain()


async def up_exactly(reader, writer):
    total = 0
    try:
        while True:
            total += len(await reader.readexactly(len(BLOCK)))
    except asyncio.IncompleteReadError as error:
        writer.write(b"%d\n" % (total + len(error.partial)))
        await writer.drain()


async def down(reader, writer):
    while True:
        writer.write(BLOCK)
        await writer.drain()


HANDLERS = {
    "echo": echo,
    "exactly": exactly,
    "lines": lines,
    "lines-iterated": lines_iterated,
    "frames": frames,
    "up": up,
    "up-exactly": up_exactly,
    "down": down,
}


async def main(mode):
    kind = mode.removesuffix("-tls")
    handler = HANDLERS[kind]

    async def connected(reader, writer):
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # Clients end by closing in the middle of it.
        writer.close()

    context = None
    if kind != mode:
        folder = pathlib.Path(__file__).parents[2] / "test/support/certificates"
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await standard_input_ends()


async def standard_input_ends():
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def readable():
        if not sys.stdin.buffer.raw.read(1024):
            loop.remove_reader(sys.stdin)
            ended.set_result(None)
            return
        gc.collect()
        print(json.dumps({}), flush=True)

    loop.add_reader(sys.stdin, readable)
    await ended


args = sys.argv[1:]
if args[0] == "--uvloop":
    import uvloop

    uvloop.install()
    args = args[1:]
size = int(args[1]) if len(args) > 1 else 0
loop = asyncio.new_event_loop()
loop.set_exception_handler(lambda loop, context: None)
loop.run_until_complete(main(args[0]))
# Without asking thousands of handlers to end.
sys.stdout.flush()
import os

os._exit(0)
