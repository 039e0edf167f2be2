/** What the compiler says of the codecs of variables. */
import { ContextVar } from "contextvars";
import { propagated } from "contextvars/propagate";
import { expectTypeOf } from "expect-type";

const text = new ContextVar<string>("text");
const count = new ContextVar<number>("count");

expectTypeOf(propagated(text)).toEqualTypeOf<ContextVar<string>>();
propagated(text, { key: "t", codec: "text" });
propagated(new ContextVar<string | null>("user", { default: null }), { maxLength: 10 });
propagated(new ContextVar<unknown>("anything"));
expectTypeOf(propagated(count, { codec: "json" })).toEqualTypeOf<ContextVar<number>>();
propagated(count, { codec: { encode: (value) => value.toFixed(), decode: Number } });
// @ts-expect-error the default codec is for strings
propagated(count);
// @ts-expect-error the default codec is for strings
propagated(count, { key: "c" });
// @ts-expect-error the codec is for strings
propagated(count, { codec: "text" });
// @ts-expect-error any text may arrive
propagated(new ContextVar<"admin" | "user">("role"));
// @ts-expect-error the codec is for other values
propagated(count, { codec: { encode: (value: string) => value, decode: (value: string) => value } });
