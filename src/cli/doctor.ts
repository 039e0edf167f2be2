/** `doctor`: reports the runtime, the installed copies of the library, and whether Contexts propagate here. */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as timers from "node:timers";
import { fileURLToPath } from "node:url";
import * as asyncio from "../asyncio/index.ts";
import { ContextVar, copyContext } from "../contextvars/index.ts";

/** One check: its subject, the result, and whether the result is good. */
export interface Finding {
  readonly about: string;
  readonly found: string;
  readonly isWell: boolean;
}

/** The folder and the version of the package that a file belongs to. */
function packageOf(file: string): { folder: string; version: string } {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    const path = join(folder, "package.json");
    if (existsSync(path)) {
      const { name, version } = JSON.parse(readFileSync(path, "utf8")) as { name?: string; version?: string };
      if (name === "contextvars") {
        return { folder, version: version ?? "?" };
      }
    }
  }
  return { folder: dirname(file), version: "?" };
}

/** The copy that a program in this folder would load; `null` if there is none. */
function installedHere(): string | null {
  try {
    return createRequire(join(process.cwd(), "noop.js")).resolve("contextvars");
  } catch {
    return null;
  }
}

/** A variable whose value has to reach all code that runs later. */
const probe = new ContextVar<string>("doctor");

const seen = (): string => probe.get("lost");

/** The ways in which code continues later. */
const modes: readonly (readonly [name: string, follow: () => PromiseLike<string>])[] = [
  ["then", () => Promise.resolve().then(seen)],
  ["setTimeout", () => new Promise((resolve) => setTimeout(() => resolve(seen()), 0))],
  ["setImmediate", () => new Promise((resolve) => setImmediate(() => resolve(seen())))],
  ["nextTick", () => new Promise((resolve) => process.nextTick(() => resolve(seen())))],
  ["queueMicrotask", () => new Promise((resolve) => queueMicrotask(() => resolve(seen())))],
  ["a task", () => asyncio.createTask(seen)],
  ["sleep()", () => asyncio.sleep(0).then(seen)],
  ["loop.callSoon()", () => new Promise((resolve) => asyncio.getRunningLoop().callSoon(() => resolve(seen())))],
];

/** Functions of the runtime that other code has replaced, as far as that can be detected. */
function replaced(): string[] {
  const isNative = /\{ \[native code\] \}$/.test(
    String(Object.getOwnPropertyDescriptor(Promise.prototype, "then")?.value),
  );
  return [
    ...(isNative ? [] : ["Promise.prototype.then"]),
    ...(setTimeout === timers.setTimeout ? [] : ["setTimeout"]),
    ...(setImmediate === timers.setImmediate ? [] : ["setImmediate"]),
  ];
}

/** Runs all checks. */
export async function examine(): Promise<Finding[]> {
  const patched = replaced();
  return [
    ...versions(),
    await contextsFollow("outside tasks", (body) => copyContext().run(body)),
    await contextsFollow("in a task", (body) => asyncio.createTask(body)),
    {
      about: "replaced functions",
      found: patched.length === 0 ? "none that could be seen" : patched.join(", "),
      isWell: patched.length === 0,
    },
  ];
}

function versions(): Finding[] {
  const { bun, deno, node, v8 } = process.versions as Record<string, string | undefined>;
  const runtime = bun !== undefined ? `Bun ${bun}` : deno !== undefined ? `Deno ${deno}` : `Node.js ${node}`;
  const own = packageOf(fileURLToPath(import.meta.url));
  const here = installedHere();
  const installed = here === null ? null : packageOf(here);
  return [
    { about: "runtime", found: `${runtime}${v8 === undefined ? "" : `, V8 ${v8}`}, ${process.platform}`, isWell: true },
    { about: "this copy", found: `contextvars ${own.version} in ${own.folder}`, isWell: true },
    installed === null
      ? { about: "in this folder", found: "contextvars is not installed", isWell: true }
      : {
          about: "in this folder",
          found: `contextvars ${installed.version} in ${installed.folder}`,
          isWell: installed.version === own.version,
        },
  ];
}

/** Whether a value set before each kind of wait is seen after it. */
async function contextsFollow(
  place: string,
  run: (body: () => Promise<string>) => PromiseLike<string>,
): Promise<Finding> {
  const lost: string[] = [];
  for (const [name, follow] of modes) {
    const value = await run(async () => {
      probe.set(name);
      return await follow();
    });
    if (value !== name) {
      lost.push(name);
    }
  }
  return {
    about: `Contexts ${place}`,
    found: lost.length === 0 ? `follow through all of ${modes.length} ways` : `lost in ${lost.join(", ")}`,
    isWell: lost.length === 0,
  };
}

/** Returns one line for each finding. */
export function findingsText(findings: readonly Finding[]): string {
  return findings
    .map(({ about, found, isWell }) => `${isWell ? "ok " : "!! "} ${about.padEnd(22)} ${found}`)
    .join("\n");
}
