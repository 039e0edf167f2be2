/** The recipes of examples/frameworks under many requests at once over kept connections, on every runtime. */
import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { missingFrameworks, runtimes, startProgram } from "../../support/frameworks.ts";

const REQUESTS = 600;
const CONNECTIONS = 40;
const FRAMEWORKS = ["express", "fastify", "koa", "hono", "nest"];

interface Answer {
  readonly status: number | undefined;
  readonly body: unknown;
}

function post(agent: Agent, port: number, path: string, requestId: string, body: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { "x-request-id": requestId, "content-type": "application/json" };
    const outgoing = request({ agent, port, host: "127.0.0.1", path, method: "POST", headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode, body: JSON.parse(text) as unknown }));
    });
    outgoing.on("error", reject);
    // In two pieces, so that the server has to wait for the second one.
    const text = JSON.stringify(body);
    outgoing.write(text.slice(0, 5));
    setImmediate(() => outgoing.end(text.slice(5)));
  });
}

/** The lines of a program's log. */
function linesOf(text: string): { requestId: string; user: string; msg: string }[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as { requestId: string; user: string; msg: string });
}

for (const framework of FRAMEWORKS) {
  describe(framework, { skip: missingFrameworks }, () => {
    for (const { name, path } of runtimes) {
      it(`${framework} keeps the values of ${REQUESTS} requests apart, and loses none, on ${name}`, async () => {
        await using server = startProgram(path, framework);
        const [, port] = await server.printed(/Serving on 127\.0\.0\.1:(\d+)/);
        const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
        const ids = Array.from({ length: REQUESTS }, (_, i) => i);
        const answers = await Promise.all(
          ids.map((i) => post(agent, Number(port), `/items/${i}`, `r${i}`, { user: `user ${i}` })),
        );
        for (const [i, answer] of answers.entries()) {
          const values = { requestId: `r${i}`, user: `user ${i}` };
          const failed = i % 10 === 9;
          assert.deepEqual(answer, {
            status: failed ? 404 : 200,
            body: failed ? { ...values, error: "no such item" } : values,
          });
        }
        agent.destroy();
        const expected = ids.flatMap((i) => {
          const failed = i % 10 === 9;
          const messages = ["begins", ...(failed ? ["no such item"] : []), `POST /items/${i} ${failed ? 404 : 200}`];
          return messages.map((message) => `r${i} user ${i} ${message}`);
        });
        // The log may be written a moment after the answer.
        for (let left = 250; left > 0 && linesOf(server.stdout).length < expected.length; left--) {
          await pause(20);
        }
        const logged = linesOf(server.stdout).map(({ requestId, user, msg }) => `${requestId} ${user} ${msg}`);
        assert.deepEqual(logged.sort(), expected.sort());
        assert.equal(server.stderr, "");
      });
    }
  });
}
