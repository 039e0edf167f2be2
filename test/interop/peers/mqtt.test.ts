/** The MQTT client of examples/ with Mosquitto. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { External, missing } from "../../support/external.ts";
import { freePort } from "../../support/peers.ts";
import { runExample, startExample } from "../../support/peers-examples.ts";
import { TemporaryFolder } from "../../support/temporary-folder.ts";

const HOST = "127.0.0.1";

describe("mosquitto", { skip: missing("mosquitto") }, () => {
  it("mqtt-client gets every message that mqtt-client publishes, from the empty one to a large one", async () => {
    using folder = new TemporaryFolder();
    const port = await freePort();
    const configuration = folder.file("mosquitto.conf");
    writeFileSync(configuration, `listener ${port} ${HOST}\nallow_anonymous true\npersistence false\n`);
    await using _broker = await new External("mosquitto", ["-c", configuration]).listening(port);
    const messages = ["one", "", "grüße", "x".repeat(100_000)];
    await using subscriber = startExample(
      "mqtt-client",
      HOST,
      String(port),
      "subscribe",
      "test/#",
      String(messages.length),
    );
    await subscriber.printed(/^Subscribed to test\/#\n/);
    for (const message of messages) {
      assert.deepEqual(await runExample("mqtt-client", HOST, String(port), "publish", "test/a", message), {
        status: 0,
        lines: [""],
        stderr: "",
      });
    }
    assert.equal(await subscriber.ended(), 0);
    assert.deepEqual(
      subscriber.stdout.trimEnd().split("\n").slice(1),
      messages.map((message) => `test/a: ${message}`),
    );
  });
});
