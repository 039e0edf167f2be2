/** Ports: a number, a numeral, or the name of a service. */
import { ValueError } from "../../errors.ts";
import { repr } from "../../repr.ts";

/** Ports by service name: Node cannot query the system's table. */
const PORTS: Readonly<Record<string, number>> = {
  echo: 7,
  discard: 9,
  daytime: 13,
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  time: 37,
  whois: 43,
  domain: 53,
  finger: 79,
  http: 80,
  pop3: 110,
  nntp: 119,
  imap2: 143,
  imap: 143,
  irc: 194,
  ldap: 389,
  https: 443,
  submissions: 465,
  smtps: 465,
  submission: 587,
  ldaps: 636,
  imaps: 993,
  pop3s: 995,
  mqtt: 1883,
  nfs: 2049,
  mysql: 3306,
  postgresql: 5432,
  amqp: 5672,
  redis: 6379,
  "http-alt": 8080,
  "secure-mqtt": 8883,
};

/** Returns the port as a number; accepts a number, a numeral or a service name. */
export function checkedPort(caller: string, port: unknown): number {
  const isNumeral = typeof port === "string" && /^\d+$/.test(port);
  const number = isNumeral ? Number(port) : typeof port === "string" ? PORTS[port.toLowerCase()] : port;
  if (number === undefined) {
    throw new ValueError(
      `${caller}: port must be a number or a known service, got ${repr(port)}; known: ${Object.keys(PORTS).join(", ")}`,
    );
  }
  if (typeof number !== "number") {
    throw new TypeError(`${caller}: port must be a number or the name of a service, got ${repr(port)}`);
  }
  if (!Number.isInteger(number) || number < 0 || number > 65535) {
    throw new ValueError(`${caller}: port must be an integer from 0 to 65535, got ${repr(port)}`);
  }
  return number;
}
