/** Ports by the names of their services: Node cannot ask the system's table. */
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

/** The port of the service; `undefined` where the name is not in the table. */
export function servicePort(name: string): number | undefined {
  return PORTS[name.toLowerCase()];
}

/** All names, for an error message. */
export function serviceNames(): string[] {
  return Object.keys(PORTS);
}
