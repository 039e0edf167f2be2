/** A program without Node's types, which checks the declarations it imports: none of them may need more than es2022. */
import { Context, ContextVar, copyContext, isolated, LookupError, type Token } from "contextvars";

const user = new ContextVar<string>("user", { default: "nobody" });
const token = user.set("ada");
export const before: string | typeof Token.MISSING = token.oldValue;
// The declaration of what is exported can name its type.
export const inferred = token.oldValue;
user.reset(token);

export const length: number = new Context().run((name: string) => name.length, user.get());
export const later: Promise<string> = copyContext().run(async () => user.get());
export const greet: (name: string) => string = isolated((name: string) => `hello ${name}`);
export const isUnset = (error: unknown): boolean => error instanceof LookupError && error.variable === user;
