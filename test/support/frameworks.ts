/** Programs that use packages of others, on every runtime, and the servers that those talk to. */
import { chmodSync, chownSync, copyFileSync, existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { External, findProgram, runExternal } from "./external.ts";
import { packageRoot } from "./paths.ts";
import { freePort } from "./peers.ts";
import { TemporaryFolder } from "./temporary-folder.ts";

const HOST = "127.0.0.1";
const FOLDER = join(packageRoot, ".cache/frameworks");

/** Why the programs cannot run; `false` where they can. */
export const missingFrameworks: string | false = existsSync(join(FOLDER, "installed.json"))
  ? false
  : "npm run test:peers installs what they need";

/** The runtimes that scripts/peers.mjs has obtained, by name; that of this process where it has not been asked. */
export const runtimes: readonly { readonly name: string; readonly path: string }[] = Object.entries(
  JSON.parse(process.env["RUNTIMES"] ?? JSON.stringify({ node: process.execPath })) as Record<string, string>,
).map(([name, path]) => ({ name, path }));

/** Starts one of the programs. */
export function startProgram(path: string, name: string, ...args: readonly string[]): External {
  const options = /deno$/.test(path) ? ["run", "-A", "--no-check", "--no-lock"] : [];
  return new External(path, [...options, join(FOLDER, `${name}.mjs`), ...args], { cwd: FOLDER });
}

/** Runs one of the programs to its end, and returns its last line, which is JSON. */
export async function resultOf(path: string, name: string, ...args: readonly string[]): Promise<unknown> {
  await using program = startProgram(path, name, ...args);
  const status = await program.ended();
  if (status !== 0) {
    throw new Error(`${name} ended with status ${status}\n${program.stdout}${program.stderr}`);
  }
  return JSON.parse(program.stdout.trim().split("\n").at(-1) ?? "") as unknown;
}

/** How a PostgreSQL knows its clients. */
export interface PostgresOptions {
  /** That of the user "tester", by SCRAM. @default none is asked for */
  readonly password?: string;
  /** The files of a key and a certificate. @default no TLS */
  readonly tls?: { readonly key: string; readonly cert: string };
}

/** A PostgreSQL of a test's own, with the user "tester". */
export async function startPostgres({
  password,
  tls,
}: PostgresOptions = {}): Promise<{ readonly port: number } & AsyncDisposable> {
  const folder = new TemporaryFolder();
  const data = folder.file("data");
  // It refuses to run as root.
  const asNobody = process.getuid?.() === 0 ? ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] : [];
  chmodSync(folder.path, 0o777);
  const command = (program: string, ...args: string[]): [string, string[]] => {
    const [first = "", ...rest] = [...asNobody, findProgram(program) ?? program, ...args];
    return [first, rest];
  };
  const authentication = ["-A", "trust"];
  if (password !== undefined) {
    writeFileSync(folder.file("password"), password, { mode: 0o644 });
    authentication.splice(0, 2, "-A", "scram-sha-256", `--pwfile=${folder.file("password")}`);
  }
  const made = await runExternal(...command("initdb", "-D", data, "-U", "tester", "-N", ...authentication));
  if (made.status !== 0) {
    folder[Symbol.dispose]();
    throw new Error(`initdb: ${made.stderr}`);
  }
  const port = await freePort();
  const options = ["-h", HOST, "-p", String(port), "-k", "", "-F", "-c", "max_connections=50"];
  if (tls !== undefined) {
    copyTls(data, tls);
    options.push("-c", "ssl=on");
  }
  const server = new External(...command("postgres", "-D", data, ...options));
  await server.listening(port);
  await server.printed(/ready to accept connections/);
  return {
    port,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

/** A test's own MariaDB, which accepts every user. */
export async function startMariadb(): Promise<{ readonly port: number } & AsyncDisposable> {
  const folder = new TemporaryFolder();
  const port = await freePort();
  // It refuses to run as root without this option.
  const asNobody = process.getuid?.() === 0 ? ["--user=nobody"] : [];
  chmodSync(folder.path, 0o777);
  const server = new External("mariadbd", [
    "--no-defaults",
    ...asNobody,
    `--datadir=${folder.path}`,
    `--socket=${folder.file("socket")}`,
    `--bind-address=${HOST}`,
    `--port=${port}`,
    // So it needs no tables of users.
    "--skip-grant-tables",
  ]);
  await server.printed(/ready for connections/);
  return {
    port,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

/** Copies the key and the certificate to the data, for the user whose the data is, as PostgreSQL demands. */
function copyTls(data: string, tls: NonNullable<PostgresOptions["tls"]>): void {
  const { uid, gid } = statSync(data);
  for (const [file, name] of [
    [tls.key, "server.key"],
    [tls.cert, "server.crt"],
  ] as const) {
    const copy = join(data, name);
    copyFileSync(file, copy);
    chmodSync(copy, 0o600);
    chownSync(copy, uid, gid);
  }
}
