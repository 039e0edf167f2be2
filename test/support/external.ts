/** Programs that others wrote, as peers: finding them, running them, and ending them. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import * as net from "node:net";
import { delimiter, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { programPath } from "./paths.ts";
import { runtime } from "./runtime.ts";
import type { TemporaryFolder } from "./temporary-folder.ts";

const HOST = "127.0.0.1";
/** Debian has the programs of PostgreSQL in a folder for each version. */
const POSTGRES = "/usr/lib/postgresql";
const postgresFolders = existsSync(POSTGRES)
  ? readdirSync(POSTGRES).map((version) => join(POSTGRES, version, "bin"))
  : [];
/** Folders of servers, which are often not in PATH. */
const FOLDERS = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin", ...postgresFolders];
const START_LIMIT = 20; // seconds

/** Where a program lies; `null` where it is not installed. */
export function findProgram(name: string): string | null {
  const paths = FOLDERS.filter((folder) => folder !== "").map((folder) => join(folder, name));
  return paths.find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Which programs are not installed, in words, for the `skip` of a test; `false` where all of them are. */
export function missing(...names: readonly string[]): string | false {
  const absent = names.filter((name) => findProgram(name) === null);
  if (absent.length === 0) {
    return false;
  }
  return `${absent.join(" and ")} ${absent.length === 1 ? "is" : "are"} not installed`;
}

/** A compiled example, to be run by node. */
export function examplePath(name: string): string {
  return fileURLToPath(new URL(`../../examples/${name}.js`, import.meta.url));
}

const running = new Set<ChildProcess>();

// A test file that is ended early, as by the time limit of the runner, takes its peers along.
process.on("exit", () => {
  for (const child of running) {
    child.kill("SIGKILL");
  }
});
process.once("SIGTERM", () => process.exit(143));

/** How a program is run. */
export interface ExternalOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A program that runs; disposing of it ends it, if it has not ended. */
export class External implements AsyncDisposable {
  readonly #child;
  readonly #name: string;
  readonly #ended: Promise<number | null>;
  readonly #out: Buffer[] = [];
  readonly #changed: (() => void)[] = [];
  #isRunning = true;
  /** What it has printed as errors. */
  stderr = "";

  constructor(program: string, args: readonly string[], { cwd, env }: ExternalOptions = {}) {
    this.#name = program;
    this.#child = spawn(findProgram(program) ?? program, args, {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    running.add(this.#child);
    // A program that ends before it has read everything is no failure of ours.
    this.#child.stdin.on("error", () => {});
    this.#child.stdout.on("data", (chunk: Buffer) => {
      this.#out.push(chunk);
      this.#wake();
    });
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      this.#wake();
    });
    this.#ended = once(this.#child, "close").then(([status]) => {
      running.delete(this.#child);
      this.#isRunning = false;
      this.#wake();
      return status as number | null;
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** What it has printed. */
  get bytes(): Buffer {
    return Buffer.concat(this.#out);
  }

  get stdout(): string {
    return this.bytes.toString();
  }

  write(data: string | Uint8Array): void {
    this.#child.stdin.write(data);
  }

  /** Ends its input. */
  end(data: string | Uint8Array = ""): void {
    this.#child.stdin.end(data);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Its exit status, when it has ended; `null` if a signal ended it. */
  ended(): Promise<number | null> {
    return this.#ended;
  }

  /** Waits until what it has printed, on either stream, matches. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
      if (found !== null) {
        return found;
      }
      if (!this.#isRunning) {
        throw new Error(`${this.#name} ended without printing ${pattern}\n${this.stdout}${this.stderr}`);
      }
      await new Promise<void>((resolve) => {
        this.#changed.push(resolve);
      });
    }
  }

  /** Waits until it accepts connections at the port, or the path. */
  async listening(at: number | string): Promise<this> {
    for (let left = START_LIMIT * 50; left > 0; left--) {
      if (!this.#isRunning) {
        throw new Error(`${this.#name} ended before it listened at ${at}\n${this.stdout}${this.stderr}`);
      }
      if (await accepts(at)) {
        return this;
      }
      await pause(20);
    }
    throw new Error(`${this.#name} does not listen at ${at}\n${this.stdout}${this.stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isRunning) {
      this.#child.kill("SIGTERM");
      const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
      await this.#ended;
      clearTimeout(timer);
    }
  }

  #wake(): void {
    for (const wake of this.#changed.splice(0)) {
      wake();
    }
  }
}

function accepts(at: number | string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = typeof at === "number" ? net.connect(at, HOST) : net.connect(at);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** A program of `test/support/programs/`, with another limit to its open files, where the system allows that. */
export function startLimited(files: number, name: string, ...args: readonly string[]): External {
  const before = runtime === "deno" ? ["run", "-A", "--no-check"] : [];
  const script = `ulimit -n ${files} 2>/dev/null; exec "$0" "$@"`;
  return new External("sh", ["-c", script, process.execPath, ...before, programPath(name), ...args]);
}

/** How many files a process can have open if it asks for `wanted`. */
export async function openFilesLimit(wanted: number): Promise<number> {
  const { stdout } = await runExternal("sh", ["-c", `ulimit -n ${wanted} 2>/dev/null; ulimit -n`]);
  return stdout.trim() === "unlimited" ? wanted : Number(stdout);
}

/** What is left of a program that has ended. */
export interface EndedExternal {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, with this input. */
export async function runExternal(
  program: string,
  args: readonly string[],
  input: string | Uint8Array = "",
): Promise<EndedExternal> {
  await using peer = new External(program, args);
  peer.end(input);
  const status = await peer.ended();
  return { status, stdout: peer.stdout, stderr: peer.stderr };
}

/** An example that serves. */
export interface ServingExample extends AsyncDisposable {
  readonly port: number;
  readonly process: External;
}

/** Starts an example that is a server, in its own process, on a free port. */
export async function serveExample(name: string, ...args: readonly string[]): Promise<ServingExample> {
  const peer = new External(process.execPath, [examplePath(name), HOST, "0", ...args]);
  const [, port] = await peer.printed(/Serving on 127\.0\.0\.1:(\d+)/);
  return { port: Number(port), process: peer, [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
}

/** The files of a key and a self-signed certificate for localhost and 127.0.0.1. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** Makes a certificate with openssl, which has to be installed. */
export async function makeCertificate(folder: TemporaryFolder): Promise<Certificate> {
  const key = folder.file("key.pem");
  const cert = folder.file("cert.pem");
  const names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
  const options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost";
  const { status, stderr } = await runExternal("openssl", [
    ...options.split(" "),
    ...["-addext", names, "-keyout", key, "-out", cert],
  ]);
  if (status !== 0) {
    throw new Error(`openssl made no certificate: ${stderr}`);
  }
  return { key, cert };
}
