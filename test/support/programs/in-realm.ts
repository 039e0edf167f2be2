/**
 * Loads the package into a realm with its own Error, Uint8Array and Promise, and with Node's modules, as Jest does
 * with jsdom; prints what a program there has read. Needs `--experimental-vm-modules`.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as vm from "node:vm";

const PROGRAM = `
import * as net from "node:net";
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";

const user = new ContextVar("user");
const server = await asyncio.startServer(async (reader, writer) => {
  user.set(String(await reader.readline()));
  await asyncio.sleep(0);
  writer.writelines([user.get(), new Uint8Array([98, 10])]);
  await writer.drain();
  writer.close();
}, "127.0.0.1", 0);
const { port } = server.sockets[0].getsockname();
const target = Buffer.alloc(2);
for (const given of [["127.0.0.1", port], [{ sock: net.connect(port, "127.0.0.1") }]]) {
  const [reader, writer] = await asyncio.openConnection(...given);
  writer.write("a\\n");
  print(String(await reader.readuntil(Buffer.from("\\n"))), await reader.readInto(target, { min: 2 }), String(target));
  writer.close();
  await writer.waitClosed();
}
server.close();
const error = await asyncio.openUnixConnection("/no/such/socket").catch((thrown) => thrown);
print(error.name, error instanceof asyncio.OSError);
`;

const printed: unknown[] = [];
const context = vm.createContext({
  ...{ process, Buffer, performance, queueMicrotask, setTimeout, clearTimeout, setImmediate, clearImmediate },
  ...{ AbortController, AbortSignal, DOMException, ReadableStream, WritableStream },
  print: (...values: unknown[]) => printed.push(values),
});
const loaded = new Map<string, vm.Module>();

async function load(specifier: string, importer: vm.Module): Promise<vm.Module> {
  const isOfNode = specifier.startsWith("node:");
  const url = specifier.startsWith(".") ? new URL(specifier, importer.identifier).href : import.meta.resolve(specifier);
  const module = loaded.get(url) ?? (isOfNode ? await moduleOfNode(url) : moduleOfFile(url));
  loaded.set(url, module);
  return module;
}

async function moduleOfNode(name: string): Promise<vm.Module> {
  const exported = (await import(name)) as Record<string, unknown>;
  const fill = (): void => {
    for (const [each, value] of Object.entries(exported)) {
      module.setExport(each, value);
    }
  };
  const module = new vm.SyntheticModule(Object.keys(exported), fill, { context });
  return module;
}

function moduleOfFile(url: string): vm.Module {
  return new vm.SourceTextModule(readFileSync(fileURLToPath(url), "utf8"), { context, identifier: url });
}

const program = new vm.SourceTextModule(PROGRAM, { context, identifier: import.meta.url });
await program.link(load);
await program.evaluate();
console.log(JSON.stringify(printed));
