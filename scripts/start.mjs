/**
 * Builds, and shows the library at work: a greeting server and two clients talking to it.
 *
 *     npm start                      a demonstration that ends by itself
 *     npm start -- --serve [PORT]    the server alone, until Ctrl-C
 */
import { build, runExample } from "./support.mjs";

build();
await runExample("greeting-echo-server", process.argv.slice(2));
