/**
 * Certificates for tests of TLS: a certificate authority, and what it has signed, good and bad.
 *
 * They are made anew by openssl for each test file. Where openssl is not installed, those in `test/support/certificates/`
 * are used, which are good for a century; `node build/test/support/certificates.js --write` made them.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findProgram } from "./external.ts";
import { packageRoot } from "./paths.ts";
import { TemporaryFolder } from "./temporary-folder.ts";

const KEPT = join(packageRoot, "test/support/certificates");
const LOCAL = "DNS:localhost,DNS:alternative.test,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1";
const VALID = "36500"; // days

/** The owners of certificates. `other` has a valid one for another name, `stranger` one of an unknown authority. */
export const holders = ["server", "client", "expired", "other", "stranger"] as const;

export type Holder = (typeof holders)[number];

/** A key and its certificate, as `node:tls` takes them. */
export interface Identity {
  readonly key: Buffer;
  readonly cert: Buffer;
}

/** The authority's certificate, and the identities. */
export class Certificates {
  readonly folder: string;
  readonly ca: Buffer;
  readonly server: Identity;
  readonly client: Identity;
  readonly expired: Identity;
  readonly other: Identity;
  readonly stranger: Identity;

  /** Reads what is in the folder. */
  constructor(folder: string) {
    this.folder = folder;
    this.ca = readFileSync(join(folder, "ca.pem"));
    this.server = this.#identity("server");
    this.client = this.#identity("client");
    this.expired = this.#identity("expired");
    this.other = this.#identity("other");
    this.stranger = this.#identity("stranger");
  }

  /** The file of a certificate, for programs that want one. */
  certFile(holder: Holder | "ca"): string {
    return join(this.folder, `${holder}.pem`);
  }

  keyFile(holder: Holder): string {
    return join(this.folder, `${holder}.key`);
  }

  #identity(holder: Holder): Identity {
    return { key: readFileSync(this.keyFile(holder)), cert: readFileSync(this.certFile(holder)) };
  }
}

/** The certificates of this process. */
export function certificates(): Certificates {
  made ??= new Certificates(folderOfCertificates());
  return made;
}

let made: Certificates | null = null;

function folderOfCertificates(): string {
  if (findProgram("openssl") === null) {
    return KEPT;
  }
  const folder = new TemporaryFolder();
  process.once("exit", () => folder[Symbol.dispose]());
  makeCertificates(folder.path);
  return folder.path;
}

function makeCertificates(folder: string): void {
  const openssl = (...words: readonly string[]): void => {
    execFileSync(
      "openssl",
      words.flatMap((word) => word.split(" ")),
      { cwd: folder, stdio: "pipe" },
    );
  };
  const newKey = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
  const authority = (name: string): void =>
    openssl(
      `req -x509 ${newKey} -days ${VALID} -subj /CN=${name} -addext keyUsage=critical,keyCertSign,cRLSign`,
      `-keyout ${name}.key -out ${name}.pem`,
    );
  const sign = (holder: Holder, by: string, names: string, days: string): void => {
    // What Python from 3.13 on asks of certificates, beside the names.
    const extensions = [`subjectAltName=${names}`, "subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid"];
    writeFileSync(join(folder, `${holder}.ext`), extensions.join("\n"));
    openssl(`req -new ${newKey} -subj /CN=${holder} -keyout ${holder}.key -out ${holder}.csr`);
    openssl(
      `x509 -req -in ${holder}.csr -CA ${by}.pem -CAkey ${by}.key -CAcreateserial`,
      `-days ${days} -extfile ${holder}.ext -out ${holder}.pem`,
    );
  };
  authority("ca");
  authority("unknown");
  sign("server", "ca", LOCAL, VALID);
  sign("client", "ca", "DNS:client.test", VALID);
  sign("expired", "ca", LOCAL, "-1");
  sign("other", "ca", "DNS:other.test", VALID);
  sign("stranger", "unknown", LOCAL, VALID);
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.argv.includes("--write")) {
  mkdirSync(KEPT, { recursive: true });
  makeCertificates(KEPT);
  // The keys of the authorities, and what was only on the way.
  for (const name of readdirSync(KEPT)) {
    if (/^(ca\.key|unknown\..*|.*\.(csr|ext|srl))$/.test(name)) {
      rmSync(join(KEPT, name));
    }
  }
}
