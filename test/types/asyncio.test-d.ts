/** What the compiler knows about asyncio. */
import * as asyncio from "contextvars/asyncio";
import { expectTypeOf } from "expect-type";

// A task has the type of what its function returns, awaited.
expectTypeOf(asyncio.createTask(async () => 1)).toEqualTypeOf<asyncio.Task<number>>();
expectTypeOf(asyncio.createTask(() => "a")).toEqualTypeOf<asyncio.Task<string>>();
expectTypeOf(await asyncio.createTask(async () => 1)).toEqualTypeOf<number>();
expectTypeOf(asyncio.currentTask()).toEqualTypeOf<asyncio.Task<unknown> | null>();
// @ts-expect-error a promise has started already
asyncio.createTask(Promise.resolve(1));
// @ts-expect-error the result of a call is no function
asyncio.createTask(asyncio.sleep(1));

// Whether a client uses TLS may be decided by an expression.
declare const secure: boolean;
expectTypeOf(asyncio.openConnection).toBeCallableWith("127.0.0.1", 443, { ssl: secure });
expectTypeOf(asyncio.getRunningLoop().createConnection<asyncio.Protocol>).toBeCallableWith(
  () => new asyncio.Protocol(),
  "127.0.0.1",
  443,
  { ssl: secure },
);

// gather() is typed as Promise.all() is.
const gathered = asyncio.gather([async () => 1, () => "a", Promise.resolve(true), new asyncio.Future<Date>()]);
expectTypeOf(await gathered).toEqualTypeOf<[number, string, boolean, Date]>();
// Anything can be thrown.
expectTypeOf(await asyncio.gather([async () => 1], { returnExceptions: true })).toEqualTypeOf<[unknown]>();
declare const maybe: boolean;
expectTypeOf(await asyncio.gather([async () => 1], { returnExceptions: maybe })).toEqualTypeOf<[unknown]>();
expectTypeOf(await asyncio.gather([async () => 1], { returnExceptions: false })).toEqualTypeOf<[number]>();
expectTypeOf(await asyncio.gather([1, 2].map((n) => async () => n))).toEqualTypeOf<number[]>();

// Wherever a promise is asked for, a Task or Future will do.
expectTypeOf<asyncio.Task<number>>().toExtend<Promise<number>>();
expectTypeOf<asyncio.Future<string>>().toExtend<Promise<string>>();
declare const something: unknown;
if (asyncio.isfuture(something)) {
  expectTypeOf(something).toEqualTypeOf<asyncio.Future<unknown>>();
}
// A Future that a function returns is waited for, and the types say so.
expectTypeOf(asyncio.createTask(async () => new asyncio.Future<number>())).toEqualTypeOf<asyncio.Task<number>>();
expectTypeOf(asyncio.createTask(() => new asyncio.Future<number>())).toEqualTypeOf<asyncio.Task<number>>();
expectTypeOf(await asyncio.run(() => new asyncio.Future<number>())).toEqualTypeOf<number>();
// @ts-expect-error a limit of time has to be given
void asyncio.waitFor(async () => 1);

expectTypeOf(asyncio.sleep(1)).toEqualTypeOf<Promise<void>>();
expectTypeOf(asyncio.sleep(1, "a")).toEqualTypeOf<Promise<string>>();
expectTypeOf(await asyncio.waitFor(async () => 1, 5)).toEqualTypeOf<number>();
expectTypeOf(await asyncio.timeout(5).with(async () => 1)).toEqualTypeOf<number>();
expectTypeOf(await new asyncio.TaskGroup().with(async (tg) => tg.createTask(() => 1))).toEqualTypeOf<number>();
expectTypeOf(asyncio.shield(async () => 1)).toEqualTypeOf<asyncio.Future<number>>();
expectTypeOf(await asyncio.run(async () => 1)).toEqualTypeOf<number>();

const task = asyncio.createTask(async () => 1);
expectTypeOf(await asyncio.wait([task])).toEqualTypeOf<
  [done: Set<asyncio.Task<number>>, pending: Set<asyncio.Task<number>>]
>();
expectTypeOf(task.signal).toEqualTypeOf<AbortSignal>();

// The compiler takes what `for await` gives for awaited, so the Future shows in next() only.
expectTypeOf(asyncio.asCompleted([async () => 1]).next()).toEqualTypeOf<
  Promise<IteratorResult<asyncio.Future<number>>>
>();

expectTypeOf(await new asyncio.Lock().with(async () => 1)).toEqualTypeOf<number>();
expectTypeOf(new asyncio.Queue<string>().get()).toEqualTypeOf<Promise<string>>();
// @ts-expect-error a queue of strings takes no number
new asyncio.Queue<string>().putNowait(1);

// Streams give Buffers and take bytes or text.
const [reader, writer] = await asyncio.openConnection("127.0.0.1", 80);
expectTypeOf(reader.readline()).toEqualTypeOf<Promise<Buffer>>();
expectTypeOf(reader.tryReadline()).toEqualTypeOf<Buffer | null>();
expectTypeOf(reader.readInto(new Uint8Array(4))).toEqualTypeOf<Promise<number>>();
expectTypeOf(writer.write).parameter(0).toEqualTypeOf<string | Uint8Array>();
// @ts-expect-error did you mean 'readline'
void reader.readLine();
for await (const line of reader) {
  expectTypeOf(line).toEqualTypeOf<Buffer>();
}
void asyncio.openConnection({ sock: await asyncio.socketpair().then(([one]) => one) });

const server = await asyncio.startServer(
  async (r, w) => {
    expectTypeOf(r).toEqualTypeOf<asyncio.StreamReader>();
    expectTypeOf(w).toEqualTypeOf<asyncio.StreamWriter>();
  },
  "127.0.0.1",
  0,
);
expectTypeOf(server.shutdown({ grace: 1 })).toEqualTypeOf<Promise<asyncio.HandlerOutcome[]>>();

// What getExtraInfo() returns depends on the name.
expectTypeOf(writer.getExtraInfo("peername")).toEqualTypeOf<asyncio.SocketAddress>();
expectTypeOf(writer.getExtraInfo("servername")).toEqualTypeOf<string | null>();
expectTypeOf(writer.getExtraInfo("servername", 1)).toEqualTypeOf<string | number>();
expectTypeOf(writer.transport.getExtraInfo("cipher")?.[1]).toEqualTypeOf<string | null | undefined>();
declare const name: string;
expectTypeOf(writer.getExtraInfo(name)).toEqualTypeOf<unknown>();

// The value that ends the wait has its type; a promise would always end it.
const changed = new asyncio.Condition();
expectTypeOf(await changed.waitFor(() => [1].find((n) => n > 0))).toEqualTypeOf<number | undefined>();
expectTypeOf(await changed.waitFor(() => true as boolean)).toEqualTypeOf<boolean>();
// @ts-expect-error the predicate does not wait
void changed.waitFor(async () => true);
