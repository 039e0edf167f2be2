/** Random scripts of tasks, the same for the same seed. */
import { randomFrom } from "../../support/random.ts";
import {
  acquire,
  asCompleted,
  asCompletedPlain,
  await_,
  barrier,
  barrierAbort,
  barrierReset,
  call,
  callLater,
  callSoon,
  cancel,
  cancelHandle,
  cancellingMe,
  cancelMe,
  clear,
  conditionWait,
  conditionWaitFor,
  coro,
  current,
  delay,
  exception,
  expired,
  flag,
  future,
  gather,
  get,
  getNowait,
  getVariable,
  group,
  groupCancel,
  groupSpawn,
  join,
  let_,
  notify,
  notifyAll,
  offDone,
  onDone,
  put,
  putNowait,
  raise,
  raiseCancelled,
  ref,
  release,
  repeat,
  reschedule,
  result,
  return_,
  set,
  setEvent,
  setException,
  setResult,
  shield,
  shutdown,
  sleep,
  spawn,
  state,
  taskDone,
  time,
  timeout,
  timeoutAt,
  try_,
  turns,
  uncancel,
  uncancelMe,
  wait,
  waitFor,
  waitMany,
  when,
  with_,
} from "./builders.ts";
import type { Block, Expression, Guard, Script, Statement, Step } from "./language.ts";

const mostTasks = 16;
const futures = ["f0", "f1", "f2"];
const awaited = ["g0", "g1"];
const locks = ["lock", "semaphore", "bounded", "condition"];
const depthOfAll = 4;

/** What random scripts may use besides what they always do. */
export interface RandomOptions {
  /** `TaskGroup.cancel()`, which CPython has since 3.15. @default false */
  readonly groupCancel?: boolean;
}

/** A random script. Big ones have some hundred statements. */
export function randomScript(seed: number, options: RandomOptions = {}): Script {
  return new Maker(randomFrom(seed), options).script();
}

/** Where a statement stands. */
interface Place {
  /** A task waits only for tasks of a higher rank, so that no task ever waits for itself through others. */
  readonly rank: number;
  readonly depth: number;
  /** Names of groups and timeouts around it. */
  readonly groups: readonly string[];
  readonly timeouts: readonly string[];
  /** Whether it holds the condition. */
  readonly holdsCondition: boolean;
}

/** A way to make a part of a script, and how often it is taken, compared with the others. */
type Choice<T> = readonly [weight: number, make: () => T | null];

function weightOf(choice: Choice<unknown> | undefined): number {
  return choice?.[0] ?? 1;
}

class Maker {
  readonly #below: (limit: number) => number;
  readonly #ranks = new Map<string, number>();
  #statementsLeft: number;
  #tasks = 0;
  #names = 0;
  #timers = 0;
  readonly #cancels: boolean;
  readonly #options: RandomOptions;

  constructor(below: (limit: number) => number, options: RandomOptions) {
    this.#below = below;
    this.#options = options;
    this.#statementsLeft = 20 + below(130);
    this.#cancels = below(8) > 0;
  }

  script(): Script {
    for (let i = 0; i < mostTasks; i++) {
      this.#ranks.set(`t${i}`, this.#below(100));
    }
    for (const name of awaited) {
      this.#ranks.set(name, this.#below(100));
    }
    const place = { rank: -1, depth: 0, groups: [], timeouts: [], holdsCondition: false };
    const tasks = this.#list(this.#below(5), () => this.#spawn(place)).filter((step) => step !== null);
    const main = [...tasks, ...this.#block(place, 6 + this.#below(20))];
    return {
      objects: {
        lock: ["Lock"],
        semaphore: ["Semaphore", this.#below(3)],
        bounded: ["BoundedSemaphore", 1 + this.#below(2)],
        event: ["Event"],
        condition: ["Condition"],
        queue: [this.#one(["Queue", "LifoQueue", "PriorityQueue"]), this.#below(3)],
        barrier: ["Barrier", 1 + this.#below(3)],
        context: ["Context"],
      },
      variables: ["v", "w"],
      main,
    };
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T;
  }

  #choose<T>(choices: readonly Choice<T>[]): T {
    const total = choices.reduce((sum, [weight]) => sum + weight, 0);
    for (;;) {
      let at = this.#below(total);
      let index = 0;
      for (let weight = weightOf(choices[0]); at >= weight; weight = weightOf(choices[index])) {
        at -= weight;
        index += 1;
      }
      const made = choices[index]?.[1]() ?? null;
      if (made !== null) {
        return made;
      }
    }
  }

  #list<T>(length: number, make: () => T): T[] {
    return Array.from({ length }, make);
  }

  #name(kind: string): string {
    this.#names += 1;
    return `${kind}${this.#names}`;
  }

  /** The name of a task, which may not exist yet. */
  #task(): string {
    return this.#below(12) === 0 ? "main" : `t${this.#below(Math.min(mostTasks, this.#tasks + 1))}`;
  }

  #future(): string {
    return this.#below(3) === 0 ? this.#one([...futures, ...awaited]) : this.#task();
  }

  /**
   * Seconds that no other timer of the script has, and that no others add up to; or few, so that several are due at
   * once.
   */
  #delay(): number {
    if (this.#below(3) === 0 || this.#timers > 20) {
      return 1 + this.#below(4);
    }
    this.#timers += 1;
    return 2 ** (this.#timers - 1);
  }

  /** A limit of time, or none. */
  #limit(): number | null {
    return this.#choose<{ limit: number | null }>([
      [6, () => ({ limit: this.#delay() })],
      [1, () => ({ limit: null })],
      [2, () => ({ limit: 0 })],
    ]).limit;
  }

  #block(place: Place, length: number): Block {
    if (place.depth > depthOfAll) {
      return this.#list(1 + this.#below(2), () => turns(1));
    }
    const statements: Statement[] = [];
    for (let i = 0; i < length && this.#statementsLeft > 0; i++) {
      this.#statementsLeft -= 1;
      const statement = this.#statement(place);
      // Most errors are caught there, so that the script continues.
      statements.push(this.#below(3) > 0 ? try_([statement], { on: "error" }) : statement);
    }
    return statements;
  }

  #inner(place: Place, changes: Partial<Place> = {}): Block {
    return this.#block({ ...place, depth: place.depth + 1, ...changes }, 1 + this.#below(5));
  }

  /** The body of another task. */
  #other(place: Place, rank: number): Block {
    return this.#inner(place, { rank, groups: place.groups, timeouts: [], holdsCondition: false });
  }

  #newTask(): string | null {
    if (this.#tasks === mostTasks) {
      return null;
    }
    this.#tasks += 1;
    return `t${this.#tasks - 1}`;
  }

  #rank(name: string): number {
    return this.#ranks.get(name) ?? Number.MAX_SAFE_INTEGER;
  }

  /** A named object that a task of this rank may wait for. */
  #ref(rank: number): Expression | null {
    const name = this.#future();
    return name !== "main" && this.#rank(name) > rank ? ref(name) : null;
  }

  #expression(place: Place, depth = 0): Expression {
    const nested = (): Expression => this.#expression(place, depth + 1);
    const deep = depth > 1 ? 0 : 1;
    return this.#choose<Expression>([
      [8, () => this.#ref(place.rank)],
      [5, () => coro(this.#name("c"), this.#other(place, place.rank))],
      [4 * deep, () => shield(nested())],
      [3 * deep, () => gather(this.#list(this.#below(4), nested), this.#below(2) === 0)],
      [3 * deep, () => waitFor(nested(), this.#limit())],
      [3, () => sleep(0, this.#below(9))],
      [1, () => sleep(this.#delay(), this.#below(9))],
      [1, () => acquire(this.#one(locks))],
      [1, () => wait("event")],
      [1, () => put("queue", this.#below(9))],
      [2, () => get("queue")],
      [1, () => join("queue")],
    ]);
  }

  #statement(place: Place): Statement {
    const cancels = this.#cancels ? 1 : 0;
    return this.#choose<Statement>([
      [18, () => turns(1 + this.#below(4))],
      [26, () => this.#step(place, false)],
      [14, () => await_(this.#expression(place))],
      [4, () => delay(this.#delay(), this.#below(9))],
      [cancels, () => cancelMe(this.#message())],
      [2, () => this.#one([uncancelMe, cancellingMe, cancellingMe, current, time])()],
      [9, () => try_(this.#inner(place), { ...this.#handler(place), ...this.#cleanup(place) })],
      [4, () => this.#timeout(place)],
      [4, () => this.#group(place)],
      [5, () => this.#with(place)],
      [2, () => acquire(this.#one(locks))],
      [2, () => wait("event")],
      [3, () => get("queue")],
      [3, () => put("queue", this.#below(9))],
      [1, () => join("queue")],
      [
        place.holdsCondition ? 8 : 1,
        () => (this.#below(3) > 0 ? conditionWait("condition") : conditionWaitFor("condition", "flag")),
      ],
      [2, () => barrier("barrier")],
      [1, () => (this.#below(3) > 0 ? null : this.#one([barrierReset, barrierAbort])("barrier"))],
      [3, () => this.#waitMany(place)],
      [1, () => this.#asCompleted(place)],
      [2, () => call(this.#name("a"), this.#inner(place))],
      [1, () => repeat(2 + this.#below(2), this.#inner(place))],
      [1, () => raise(this.#one(["x", "y"]))],
      [1, () => (this.#below(4) > 0 ? null : raiseCancelled(this.#message()))],
      [1, () => (place.depth === 0 || this.#below(2) > 0 ? null : return_(this.#below(9)))],
    ]);
  }

  #message(): string | null {
    return this.#below(3) === 0 ? this.#one(["m", "n"]) : null;
  }

  #handler(place: Place): Guard {
    if (this.#below(4) === 0) {
      return {};
    }
    return {
      on: this.#one(["cancel", "cancel", "error", "all"]),
      do: this.#inner(place),
      rethrow: this.#below(3) > 0,
    };
  }

  #cleanup(place: Place): Guard {
    // A `return` in there would be an error of Python's compiler from 3.14 on.
    const isReturn = (statement: Statement): boolean => statement[0] === "return";
    return this.#below(3) > 0 ? {} : { finally: this.#inner(place).filter((statement) => !isReturn(statement)) };
  }

  #timeout(place: Place): Statement {
    const name = this.#name("timeout");
    const timeouts = [...place.timeouts, name];
    return this.#one([timeout, timeout, timeoutAt])(name, this.#limit(), this.#inner(place, { timeouts }));
  }

  #group(place: Place): Statement {
    const name = this.#name("group");
    const inside = { ...place, depth: place.depth + 1, groups: [...place.groups, name] };
    const tasks = this.#list(this.#below(4), () => this.#groupSpawn(inside)).filter((step) => step !== null);
    return group(name, [...tasks, ...this.#block(inside, 1 + this.#below(4))]);
  }

  #with(place: Place): Statement {
    const name = this.#one([...locks, "condition"]);
    return with_(name, this.#inner(place, { holdsCondition: place.holdsCondition || name === "condition" }));
  }

  #waitMany(place: Place): Statement | null {
    const refs = this.#list(1 + this.#below(3), () => this.#ref(place.rank)).filter((ref) => ref !== null);
    if (refs.length === 0) {
      return null;
    }
    const returnWhen = this.#one(["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"] as const);
    return waitMany(refs, this.#limit(), returnWhen);
  }

  #asCompleted(place: Place): Statement {
    // Coroutines only: Python yields Futures that are done already in the order of their addresses.
    const coroutines = this.#list(
      this.#below(4),
      (): Expression => coro(this.#name("c"), this.#other(place, place.rank)),
    );
    return this.#one([asCompleted, asCompletedPlain])(coroutines, this.#limit());
  }

  #steps(place: Place): Step[] {
    const inner = { ...place, depth: place.depth + 1 };
    return this.#list(this.#below(4), () => this.#step(inner, true));
  }

  #step(place: Place, isCallback: boolean): Step {
    const cancels = this.#cancels ? 1 : 0;
    const deep = place.depth > depthOfAll ? 0 : 1;
    return this.#choose<Step>([
      [10 * deep, () => this.#spawn(place)],
      [10 * deep, () => this.#groupSpawn(place)],
      [8 * cancels, () => cancel(this.#future(), this.#message())],
      [1, () => uncancel(this.#task())],
      [this.#options.groupCancel === true ? 6 : 0, () => this.#groupCancel(place)],
      [5, () => state(this.#future())],
      [3, () => future(this.#one(futures))],
      [2 * deep, () => this.#let(place)],
      [5, () => setResult(this.#one(futures), this.#below(9))],
      [2, () => setException(this.#one(futures), this.#one(["x", "y"]))],
      [1, () => this.#one([result, exception])(this.#one(futures))],
      [4 * deep, () => onDone(this.#future(), this.#name("done"), this.#steps(place))],
      [1, () => offDone(this.#future(), `done${1 + this.#below(this.#names + 1)}`)],
      [3 * deep, () => callSoon(this.#name("soon"), this.#steps(place))],
      [2 * deep, () => this.#callLater(place)],
      [1, () => cancelHandle(`${this.#one(["soon", "later"])}${1 + this.#below(this.#names + 1)}`)],
      [3, () => set(this.#one(["v", "w"]), this.#below(9))],
      [3, () => getVariable(this.#one(["v", "w"]))],
      [1, () => flag("flag", this.#below(3) > 0)],
      [2, () => putNowait("queue", this.#below(9))],
      [2, () => getNowait("queue")],
      [1, () => taskDone("queue")],
      [1, () => (this.#below(4) > 0 ? null : shutdown("queue", this.#below(2) === 0))],
      [3, () => release(this.#one(locks))],
      [3, () => setEvent("event")],
      [1, () => clear("event")],
      [3, () => (this.#below(2) > 0 ? notify("condition", 1 + this.#below(2)) : notifyAll("condition"))],
      [2, () => this.#reschedule(place)],
      [1, () => (place.timeouts.length === 0 ? null : this.#one([when, expired])(this.#one(place.timeouts)))],
      [isCallback ? 2 : 0, () => raise(this.#one(["x", "y"]))],
    ]);
  }

  #spawn(place: Place): Step | null {
    const name = this.#newTask();
    if (name === null) {
      return null;
    }
    const options = this.#below(6) === 0 ? { context: "context" } : {};
    return spawn(name, this.#other(place, this.#rank(name)), options);
  }

  #groupSpawn(place: Place): Step | null {
    const name = place.groups.length === 0 ? null : this.#newTask();
    return name === null ? null : groupSpawn(this.#one(place.groups), name, this.#other(place, this.#rank(name)));
  }

  #groupCancel(place: Place): Step | null {
    return place.groups.length === 0 ? null : groupCancel(this.#one(place.groups));
  }

  #let(place: Place): Step {
    const name = this.#one(awaited);
    return let_(name, this.#expression({ ...place, rank: this.#rank(name) }));
  }

  #callLater(place: Place): Step {
    const delay = this.#limit() ?? 0;
    return callLater(this.#name("later"), delay, this.#steps(place));
  }

  #reschedule(place: Place): Step | null {
    return place.timeouts.length === 0 ? null : reschedule(this.#one(place.timeouts), this.#limit());
  }
}
