/**
 * What is said of Python's names on the page for those who come from Python, besides what the rule of names gives:
 * `python-names.test.ts` asks CPython for its names and this package for its own, and makes the page's tables of both.
 */

/** Names of Python that are not here, and why or what instead. A `*` stands for any letters. */
export const absent: Readonly<Record<string, string>> = {
  AbstractEventLoop: "there is one loop for the process, Node's own: `EventLoop`",
  AbstractServer: "`Server`",
  BaseEventLoop: "`EventLoop`",
  DatagramProtocol: "`node:dgram`",
  DatagramTransport: "`node:dgram`",
  SelectorEventLoop: "`EventLoop`",
  SendfileNotAvailableError: "there is no `sendfile()`",
  SubprocessProtocol: "`createSubprocessExec()` and streams",
  SubprocessTransport: "`createSubprocessExec()` and streams",
  create_eager_task_factory: "`createTask(f, { eagerStart: true })`",
  eager_task_factory: "`createTask(f, { eagerStart: true })`",
  "future_*_awaited_by": "the library keeps track by itself",
  get_event_loop: "`getRunningLoop()`, which always gives the loop",
  "*_event_loop_policy": "there is one loop for the process",
  iscoroutine: "there are no coroutine objects",
  iscoroutinefunction: "there are no coroutine objects",
  new_event_loop: "there is one loop for the process",
  set_event_loop: "there is one loop for the process",
  run_coroutine_threadsafe: "messages to the thread, with `isolated` or `contextvars/propagate`",
  to_thread: "`node:worker_threads`; Node's own functions give promises",
  wrap_future: "`ensureFuture(promise)`",
  "EventLoop.*_reader": "Node waits for sockets, not for descriptors: `openConnection({ sock })`",
  "EventLoop.*_writer": "Node waits for sockets, not for descriptors: `openConnection({ sock })`",
  "EventLoop.call_soon_threadsafe": "threads share nothing: messages",
  "EventLoop.close": "Node's loop is not closed",
  "EventLoop.create_datagram_endpoint": "`node:dgram`",
  "EventLoop.*_task_factory": "`createTask()` makes every task",
  "EventLoop.run_in_executor": "`node:worker_threads`; Node's own functions give promises",
  "EventLoop.run_*": "`run()`; for threads `node:worker_threads`",
  "EventLoop.stop": "`run()` ends when its function does",
  "EventLoop.sendfile": "`relay()` or `pipeline()`",
  "EventLoop.*_default_executor": "`node:worker_threads`",
  "EventLoop.shutdown_asyncgens": "JavaScript ends its generators by itself",
  "EventLoop.sock_*": "`openConnection({ sock })`",
  "EventLoop.subprocess_*": "`createSubprocessExec()`",
  "Task.get_coro": "there are no coroutine objects",
  "TimeoutError.*": "`code` and `message`",
};

/** What a name of Python is here where the rule of names does not say it. */
export const renamed: Readonly<Record<string, string>> = {
  // Interfaces have their members in the types only.
  "BufferedProtocol.buffer_updated": "bufferUpdated",
  "BufferedProtocol.get_buffer": "getBuffer",
  ReadTransport: "Transport",
  WriteTransport: "Transport",
};

/** What one has to know besides the name. */
export const notes: Readonly<Record<string, string>> = {
  "ContextVar.get": "`get(undefined)` has a fallback, `get()` has none",
  "Context.run": "of an async function it keeps the whole function in that Context",
  create_task: "takes a function: `createTask(() => work(1))`",
  gather: "takes an array of functions, tasks, futures or promises",
  wait_for: "`waitFor(() => work(), seconds)`",
  timeout: "`await timeout(5).with(async () => { ... })`",
  TaskGroup: "`await new TaskGroup().with(async (tg) => { ... })`",
  run: "takes the function: `await run(main)`",
  get_running_loop: "works outside of `run()`, too",
};
