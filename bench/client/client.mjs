/**
 * The load client where there is no C compiler, and for TLS. Takes what client.c takes and does the same, only slower;
 * see there for the modes.
 */
import { readdirSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { connect as connectTls } from "node:tls";

/** @typedef {import("node:net").Socket} Socket */
/** @typedef {{ bytes: Buffer, units: number }} Message */

const [, , mode = "", ...pairs] = process.argv;
/** @type {Record<string, string>} */
const given = Object.fromEntries(pairs.map((pair) => pair.split("=")));
const { kind = "bytes", port = "", pid = "", tls = "" } = given;
const connections = Number(given.connections ?? 1);
const size = Number(given.size ?? 1024); // bytes
const batch = Number(given.batch ?? 1);
const rate = Number(given.rate ?? 1000); // messages a second
const duration = Number(given.seconds ?? 1) * 1000;
const warmup = Number(given.warmup ?? 0.25) * 1000;

const BLOCK_SIZE = 64 * 1024; // bytes

let measuring = false;
let operations = 0;
let flooded = 0;
/** In milliseconds. @type {number[]} */
const latencies = [];

/** @type {Record<string, () => void | Promise<void>>} */
const MODES = {
  echo: () => closedLoop(messageOf(kind, size, batch)),
  flood: () => closedLoop(messageOf("lines", size, 1), messageOf("lines", size, batch)),
  open: openLoop,
  up,
  down,
  churn,
  slow,
  idle,
  serve,
};

await (MODES[mode] ?? (() => die(`no mode ${mode}`)))();

/**
 * Every connection sends again as soon as the whole answer is there.
 *
 * @param {Message} message
 * @param {Message} [torrent] What the first connection sends instead.
 */
async function closedLoop(message, torrent) {
  const sockets = await Promise.all(Array.from({ length: connections }, connected));
  const end = window();
  sockets.forEach((socket, i) => {
    const mine = i === 0 && torrent ? torrent : message;
    let sent = 0;
    const send = () => {
      sent = performance.now();
      socket.write(mine.bytes);
    };
    answers(socket, mine, () => {
      if (measuring && mine === torrent) {
        flooded += mine.units;
      } else if (measuring) {
        operations += mine.units;
        latencies.push(performance.now() - sent);
      }
      send();
    });
    send();
  });
  await end;
}

/** Messages leave by the clock; the delay counts from when each was due. */
async function openLoop() {
  const message = messageOf(kind, size, batch);
  const sockets = await Promise.all(Array.from({ length: connections }, connected));
  const end = window();
  const start = performance.now();
  const lanes = sockets.map((socket) => {
    /** @type {number[]} */
    const due = [];
    answers(socket, message, () => {
      const since = /** @type {number} */ (due.shift());
      if (measuring) {
        operations += message.units;
        latencies.push(performance.now() - since);
      }
    });
    return { socket, due };
  });
  let sent = 0;
  // Not a timer: to be woken a millisecond late would be taken for the server's delay.
  const turn = () => {
    for (let due = start + (sent * 1000) / rate; due <= performance.now(); due = start + (sent * 1000) / rate) {
      const lane = lanes[sent % lanes.length];
      lane.due.push(due);
      lane.socket.write(message.bytes);
      sent += 1;
    }
    setImmediate(turn);
  };
  turn();
  await end;
}

async function up() {
  const socket = await connected();
  const block = messageOf("bytes", BLOCK_SIZE, 1).bytes;
  let total = 0;
  let answer = "";
  let over = false;
  socket.on("data", (chunk) => {
    answer += chunk;
  });
  const fill = () => {
    let hasRoom = !over;
    while (hasRoom) {
      hasRoom = socket.write(block, count) && !over;
      total += block.length;
    }
  };
  const count = () => {
    operations += block.length;
  };
  socket.on("drain", fill);
  fill();
  await window({ ends: false });
  over = true;
  socket.end();
  socket.on("end", () =>
    Number(answer) === total ? process.exit() : die(`sent ${total}, the server counts ${answer}`),
  );
}

async function down() {
  const socket = await connected();
  let total = 0;
  socket.on("data", (chunk) => {
    if (total < BLOCK_SIZE && chunk.subarray(0, BLOCK_SIZE - total).some((byte) => byte !== 0x78)) {
      die("the answer is wrong");
    }
    total += chunk.length;
    operations += chunk.length;
  });
  await window();
}

async function churn() {
  const message = messageOf("lines", size, 1);
  const end = window();
  const loop = async () => {
    for (;;) {
      const socket = await connected();
      socket.write(message.bytes);
      answers(socket, message, () => socket.end());
      await new Promise((resolve) => socket.on("close", resolve));
      operations += 1;
    }
  };
  await Promise.race([end, ...Array.from({ length: connections }, loop)]);
}

async function slow() {
  const socket = await connected();
  socket.once("data", () => socket.pause());
  await window();
}

async function idle() {
  const message = messageOf("lines", size, 1);
  for (let i = 0; i < connections; i++) {
    const socket = await connected();
    socket.write(message.bytes);
    await new Promise((resolve) => answers(socket, message, () => resolve(undefined)));
  }
  process.stdout.write("ready\n");
  process.stdin.resume().on("end", () => process.exit());
}

function serve() {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => socket.write(chunk));
  });
  server.listen(0, "127.0.0.1", () => process.stdout.write(`${/** @type {any} */ (server.address()).port}\n`));
  process.stdin.resume().on("end", () => process.exit());
}

/**
 * The time that counts, after the warm-up; then the result is printed.
 *
 * @param {{ ends?: boolean }} [options] Whether the process ends with it.
 */
async function window({ ends = true } = {}) {
  await sleep(warmup);
  measuring = true;
  operations = 0;
  flooded = 0;
  latencies.length = 0;
  const [start, before, cpu] = [performance.now(), process.cpuUsage(), serverCpu()];
  await sleep(duration);
  const took = performance.now() - start;
  const { user, system } = process.cpuUsage(before);
  latencies.sort((a, b) => a - b);
  /** @param {number} share */
  const percentile = (share) => Math.round(1000 * (latencies[Math.floor(latencies.length * share)] ?? 0));
  const result = {
    operations,
    flooded,
    seconds: took / 1000,
    serverCpu: serverCpu() - cpu,
    clientBusy: (user + system) / 1000 / took,
    ...(latencies.length > 0 && { p50: percentile(0.5), p99: percentile(0.99), p999: percentile(0.999) }),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => ends && process.exit());
}

/**
 * Calls back for each whole answer; the bytes of the first are compared.
 *
 * @param {Socket} socket
 * @param {Message} message
 * @param {() => void} answered
 */
function answers(socket, { bytes }, answered) {
  let received = 0;
  let isFirst = true;
  socket.on("data", (chunk) => {
    if (
      isFirst &&
      chunk.compare(
        bytes,
        received,
        Math.min(received + chunk.length, bytes.length),
        0,
        Math.min(chunk.length, bytes.length - received),
      ) !== 0
    ) {
      die("the answer is wrong");
    }
    received += chunk.length;
    while (received >= bytes.length) {
      received -= bytes.length;
      isFirst = false;
      answered();
    }
  });
}

/** @returns {Promise<Socket>} */
function connected() {
  return new Promise((resolve) => {
    const address = { port: Number(port), host: "127.0.0.1", noDelay: true };
    // Whose certificate it is plays no part here.
    const socket = tls ? connectTls({ ...address, rejectUnauthorized: false }) : connect(address);
    socket.on("error", (error) => die(error.message));
    socket.on(tls ? "secureConnect" : "connect", () => resolve(socket));
  });
}

/**
 * @param {string} what
 * @param {number} unit
 * @param {number} count
 * @returns {Message}
 */
function messageOf(what, unit, count) {
  const bytes = Buffer.from(Array.from({ length: unit * count }, (_, i) => 0x61 + (i % 23)));
  for (let at = 0; at < bytes.length; at += unit) {
    if (what === "lines") {
      bytes[at + unit - 1] = 10;
    } else if (what === "frames") {
      bytes.writeUInt32BE(unit - 4, at);
    }
  }
  return { bytes, units: count };
}

/** The processor time of all threads of the server, in nanoseconds; 0 where the system does not tell. */
function serverCpu() {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .map((thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]))
      .reduce((sum, spent) => sum + spent, 0);
  } catch {
    return 0;
  }
}

/** @param {number} milliseconds */
function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/**
 * @param {string} reason
 * @returns {never}
 */
function die(reason) {
  process.stderr.write(`client: ${reason}\n`);
  process.exit(1);
}
