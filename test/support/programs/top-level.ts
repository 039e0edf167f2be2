/** Prints what the top level of a module, and what it starts, sees of a value that the top level sets. */
import { watchTopLevel } from "../top-level.ts";

console.log(JSON.stringify(await watchTopLevel()));
