/** The named cases as tests: each by what it has to see, on every runtime. CPython is asked in `test/conformance`. */
import { describe, it } from "node:test";
import { runCase } from "./case.ts";
import { casesOf } from "./index.ts";

/** Declares a test for each case that is about the file. */
export function declareCases(file: keyof typeof casesOf): void {
  for (const [topic, cases] of Object.entries(casesOf[file])) {
    describe(topic, () => {
      for (const taskCase of cases) {
        const { about, id, since } = taskCase;
        it(`${about} (${id}${since === undefined ? "" : `, ${since}`})`, async () => {
          await runCase(taskCase);
        });
      }
    });
  }
}
