/**
 * The table in `docs/runtimes.md` of what a runtime cannot do says what `test/support/runtime-limits.ts` says, by which tests are left
 * out. To renew it: `npm run build && node build/test/docs/runtime-limits-table.test.js --update`.
 */
import { testGenerated } from "../support/generated.ts";
import { runtimes } from "../support/runtime.ts";
import { runtimeLimits } from "../support/runtime-limits.ts";

const PAGE = "docs/runtimes.md";
const NAMES: Readonly<Record<(typeof runtimes)[number], string>> = {
  node20: "Node 20",
  node22: "Node 22",
  node24: "Node 24",
  node26: "Node 26",
  bun: "Bun",
  deno: "Deno",
};
const PLACE = /(?<=the runtime itself cannot do:\n\n)(?:\|.*\n)+/;

function table(): string {
  const rows = runtimes.flatMap((runtime) =>
    Object.entries(runtimeLimits[runtime]).map(([what, why]) => `| ${NAMES[runtime]} | ${what} | ${why} |`),
  );
  return ["| runtime | what | why |", "| --- | --- | --- |", ...rows, ""].join("\n");
}

testGenerated("the page tells what each runtime cannot do", PAGE, PLACE, table());
