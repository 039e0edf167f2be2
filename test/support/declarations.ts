/** What the declarations of the package say: which of its functions and methods take a function or an awaitable. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "./paths.ts";

/** The types of parameters that are functions, or can be awaited. */
const TAKES = /⇒|\b(?:Awaitable|PromiseLike|Promise|Future|Task|ClientConnectedCb|ExceptionHandler)\b/;

/** `name`, or `Class.method`, of everything exported that takes a function, or something to await. */
export function takersOfFunctions(): string[] {
  const exported = new Set(
    readFileSync(join(packageRoot, "test/package/exports.txt"), "utf8")
      .split("\n")
      .map((line) => line.split(" ").at(-1) as string),
  );
  const found = declarations().flatMap((text) =>
    text.split(/^(?=export |declare )/m).flatMap((block) => {
      const [, kind, name = ""] = /^export declare (?:abstract )?(class|function) (\w+)/.exec(block) ?? [];
      if (kind === undefined || !exported.has(name)) {
        return [];
      }
      if (kind === "function") {
        return takesFunction(block.slice(block.indexOf(name))) ? [name] : [];
      }
      return block
        .split("\n")
        .filter((line) => /^ {4}\w+[<(]/.test(line) && takesFunction(line.trim()))
        .map((line) => (/^ {4}constructor/.test(line) ? name : `${name}.${/\w+/.exec(line)?.[0]}`));
    }),
  );
  return [...new Set(found)].sort();
}

function declarations(): string[] {
  const folder = join(packageRoot, "dist");
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".d.ts"))
    .map((file) => readFileSync(join(folder, file), "utf8"));
}

/** @param signature - `name<T>(callable: () => T): Task<T>`, to its end. */
function takesFunction(signature: string): boolean {
  const text = signature.replaceAll("=>", "⇒");
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    depth += Number("(<{[".includes(text[i] as string)) - Number(")>}]".includes(text[i] as string));
    if (depth === 0 && text[i] === ")") {
      return TAKES.test(text.slice(0, i));
    }
  }
  return false;
}
