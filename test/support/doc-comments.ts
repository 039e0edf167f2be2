/** The doc comments of what is published, as they stand in the declarations. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { entryPoints, packageRoot } from "./paths.ts";

/** An exported name or a member of one. */
export interface Documented {
  /** The exported name. */
  readonly owner: string;
  /** As prose calls it: `sleep()`, `new Barrier()`, `Queue.put()`, `CancelledError.reason`, or the owner itself. */
  readonly name: string;
  /** What the class extends; empty if nothing, or if it is no class. */
  readonly base: string;
  /** The text of the comment, without the asterisks. */
  readonly comment: string;
}

/** The classes that are published as members of a namespace only. */
const NAMESPACED: Readonly<Record<string, string>> = {
  Snapshot: "AsyncContext.Snapshot",
  Variable: "AsyncContext.Variable",
};
const COMMENT = /^( *)\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n(.*)$/gm;
const OWNER =
  /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface|type|const|function|namespace) (\w+)(?:<.*?>)?(?: extends (\w+))?/;
const MEMBER = /^ {4}(?:(?:static|abstract|readonly|override|async) )*(?:get )?(\w+|\[Symbol\.\w+\])\??([(<]?)/;

/** In the order of the files; an overload with its own comment has its own entry. */
export function documented(): Documented[] {
  const exported = new Set(
    readFileSync(join(packageRoot, "test/package/exports.txt"), "utf8")
      .split("\n")
      .map((line) => line.split(" ").at(-1)),
  );
  const folder = dirname(dirname(join(packageRoot, entryPoints[0]?.types as string)));
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".d.ts"))
    .sort()
    .flatMap((file) => commentsIn(readFileSync(join(folder, file), "utf8")))
    .filter(({ owner }) => exported.has(owner) || Object.values(NAMESPACED).includes(owner));
}

function commentsIn(code: string): Documented[] {
  return [...code.matchAll(COMMENT)].flatMap((match) => {
    const [, indent = "", text = "", declaration = ""] = match;
    const comment = text.replaceAll(/^ *\* ?/gm, "").trim();
    if (indent === "") {
      const [, owner = "", base = ""] = OWNER.exec(declaration) ?? [];
      const name = publicName(owner);
      return [{ owner: name, name: declaration.includes(" function ") ? `${name}()` : name, base, comment }];
    }
    const [, member, end] = MEMBER.exec(declaration) ?? [];
    if (member === undefined) {
      return [];
    }
    const owner = publicName(ownerBefore(code.slice(0, match.index)));
    const name = member === "constructor" ? `new ${owner}()` : `${owner}.${member}${end === "" ? "" : "()"}`;
    return [{ owner, name, base: "", comment }];
  });
}

function publicName(name: string): string {
  return NAMESPACED[name] ?? name;
}

/** The last class or interface that begins in the text. */
function ownerBefore(code: string): string {
  const lines = code.split("\n").reverse();
  return OWNER.exec(lines.find((line) => OWNER.test(line)) ?? "")?.[1] ?? "";
}
