/** Programs in Python, to be peers of ours: what is to be spoken is the other side's own implementation. */
import { External } from "./external.ts";

/** Starts a Python program, given as text. */
export function startPython(program: string, ...args: readonly string[]): External {
  return new External("python3", ["-u", "-c", program, ...args]);
}

/** Runs a Python program to its end, and returns its output. */
export async function runPythonProgram(program: string, ...args: readonly string[]): Promise<string> {
  await using python = startPython(program, ...args);
  python.end();
  const status = await python.ended();
  if (status !== 0) {
    throw new Error(`python3 ended with status ${status}\n${python.stdout}${python.stderr}`);
  }
  return python.stdout;
}

/** Echoes one message to each client. Prints its port, then what it got. */
export const ECHO_SERVER = `
import asyncio

async def handle(reader, writer):
    data = await reader.read(100)
    print("got", data.decode())
    writer.write(data)
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1])
    await server.serve_forever()

asyncio.run(main())
`;

/** Sends each of its further arguments and reads what comes back, line by line; then reads to the end. */
export const LINE_CLIENT = `
import asyncio, sys

async def main():
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    print("at", "%s:%d" % writer.get_extra_info("sockname"))
    for line in sys.argv[2:]:
        writer.write(line.encode() + b"\\n")
        await writer.drain()
        print("line", (await reader.readline()).decode().rstrip())
    writer.write(b"\\n")
    print("rest", (await reader.read()).decode().rstrip())
    writer.close()
    await writer.wait_closed()

asyncio.run(main())
`;
