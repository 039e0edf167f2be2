/** As `top-level.ts`, from a CommonJS program: its top level is another sort of code to Node. */
const { watchTopLevel } = require("../top-level.js") as typeof import("../top-level.ts");

void watchTopLevel().then((seen) => console.log(JSON.stringify(seen)));
