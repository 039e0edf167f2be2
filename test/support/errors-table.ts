/**
 * What `docs/errors.md` says of the codes of errors: `test/docs/errors-table.test.ts` holds it against the sources, and makes
 * the page of it, of the exports and of the doc comments.
 */

/** The codes of this package's own: the classes that bear each, and what happened. */
export const codes: Readonly<Record<string, readonly [classes: string, when: string]>> = {
  ERR_BROKEN_BARRIER: ["BrokenBarrierError", "The barrier was aborted or reset."],
  ERR_CANCELLED: ["CancelledError", "The task was cancelled."],
  ERR_CLOCK_ACTIVE: ["RuntimeError", "A `MockClock` was installed while another one was in use."],
  ERR_CLOCK_SLEEPERS: ["RuntimeError", "`MockClock.with()` ended before a `sleep()` that began in it."],
  ERR_CLOCK_TOO_LATE: ["RuntimeError", "A `MockClock` was installed after a `Runner` or a timer had started."],
  ERR_CONTEXTVAR_UNSET: ["LookupError", "A context variable has neither a value nor a default."],
  ERR_CONTEXT_ENTERED: ["RuntimeError", "A Context was entered that is already entered."],
  ERR_CONTEXT_KEY: ["KeyError", "A Context does not hold the variable."],
  ERR_EOF: ["EOFError", "The stream ended; an `EOFError` that was created without a code."],
  ERR_EXCEPTION_GROUP: ["ExceptionGroup", "Tasks of a `TaskGroup` failed."],
  ERR_FRAME_CONTENT: ["ValueError", "A frame is not valid text or JSON."],
  ERR_FRAME_LENGTH: ["ValueError", "No frame can begin with the bytes that arrived."],
  ERR_INCOMPLETE_READ: ["IncompleteReadError", "The stream ended before all requested bytes had arrived."],
  ERR_INVALID_ARGUMENT: ["ValueError", "An argument has a value that cannot be used."],
  ERR_INVALID_STATE: ["InvalidStateError", "A Future is not done yet, or was done already."],
  ERR_KEY_TAKEN: ["ValueError", "Another variable was registered with the key."],
  ERR_LIMIT_OVERRUN: ["LimitOverrunError, ValueError", "A line or a frame is longer than the limit."],
  ERR_LOCK_STATE: ["RuntimeError", "A lock was used that is not acquired."],
  ERR_LOOP_RUNNING: ["RuntimeError", "`run()` or a test was called from a task, or during another `run()`."],
  ERR_NOT_IMPLEMENTED: ["NotImplementedError", "The object does not support the operation."],
  ERR_NO_CURRENT_TASK: ["RuntimeError", "A timeout or a task group was used outside tasks."],
  ERR_OS: ["OSError", "An `OSError` that was created without a code."],
  ERR_QUEUE_EMPTY: ["QueueEmpty", "`getNowait()` was called on an empty queue."],
  ERR_QUEUE_FULL: ["QueueFull", "`putNowait()` was called on a full queue."],
  ERR_QUEUE_SHUT_DOWN: ["QueueShutDown", "The queue was shut down."],
  ERR_READER_BUSY: ["RuntimeError", "Another task is already waiting for the reader."],
  ERR_READER_EOF: ["RuntimeError", "`feedData()` was called after `feedEof()`."],
  ERR_READER_LOCKED: ["RuntimeError", "A web stream or `relay()` uses the reader."],
  ERR_RUNNER_CLOSED: ["RuntimeError", "The `Runner` is closed."],
  ERR_RUNTIME: ["RuntimeError", "A `RuntimeError` without a more exact code."],
  ERR_SEQUENCE_BROKEN: ["RuntimeError", "A block of the `Sequencer` was cancelled before its turn."],
  ERR_SEQUENCE_USED: ["RuntimeError", "The number was passed to the `Sequencer` before."],
  ERR_SERVER_BUSY: ["RuntimeError", "`serveForever()` was called a second time."],
  ERR_SERVER_CLOSED: ["RuntimeError", "The server is closed."],
  ERR_SSL: ["SSLError", "An `SSLError` that was created without a code."],
  ERR_STARTTLS_INJECTION: ["SSLError", "Bytes arrived without TLS after the server had agreed to TLS."],
  ERR_STREAM_BUSY: ["RuntimeError", "Other code already reads or writes the stream."],
  ERR_TASK_AWAITS_ITSELF: ["RuntimeError", "A task awaited itself."],
  ERR_TASK_GROUP_STATE: ["RuntimeError", "The `TaskGroup` was not entered yet, or has ended."],
  ERR_TEST_LEFTOVERS: ["RuntimeError", "A test left tasks, connections, servers or child processes behind."],
  ERR_TEST_RUNNING: ["RuntimeError", "A `testContext()` was used by two tests at the same time."],
  ERR_TIMEOUT_STATE: ["RuntimeError", "The `Timeout` was not entered yet, was entered before, or has ended."],
  ERR_TLS_BUSY: ["RuntimeError", "`startTls()` was called while another call was in progress."],
  ERR_TOKEN_CONSTRUCTED: ["RuntimeError", "A `Token` was constructed by other code than `set()`."],
  ERR_TOKEN_OTHER_CONTEXT: ["ValueError", "The token was created in another Context."],
  ERR_TOKEN_OTHER_VAR: ["ValueError", "The token was created by another variable."],
  ERR_TOKEN_USED: ["RuntimeError", "The token was already used."],
  ERR_WRITE_AFTER_EOF: ["RuntimeError", "`write()` was called after `writeEof()`."],
  SIGINT: ["KeyboardInterrupt", "Ctrl-C was pressed while `run()` was running."],
};

/** The operating system's codes with their own class, and other frequent ones: the number on Linux, and the reason. */
export const systemCodes: Readonly<Record<string, readonly [error: string, errno: number | null, when: string]>> = {
  EACCES: ["PermissionError", -13, "A port below 1024, a socket or a program that the user may not use."],
  EADDRINUSE: ["OSError", -98, "Another socket listens at the address."],
  EADDRNOTAVAIL: ["OSError", -99, "The machine does not have the local address."],
  ECONNABORTED: ["ConnectionAbortedError", -103, "This side aborted the connection; a TLS handshake took too long."],
  ECONNREFUSED: ["ConnectionRefusedError", -111, "No server listens at the address."],
  ECONNRESET: ["ConnectionResetError", -104, "The peer reset the connection, or the connection is lost."],
  EHOSTUNREACH: ["OSError", -113, "There is no route to the host."],
  EMFILE: ["OSError", -24, "The process has too many open files and sockets."],
  ENAMETOOLONG: ["OSError", -36, "The path of a Unix socket is too long."],
  ENETUNREACH: ["OSError", -101, "There is no route to the network."],
  ENOENT: ["FileNotFoundError", -2, "There is no such Unix socket, program or folder."],
  EPERM: ["PermissionError", -1, "The user may not signal the process."],
  EPIPE: ["BrokenPipeError", -32, "The other end no longer reads."],
  EPROTO: ["SSLError", -71, "The TLS handshake failed."],
  ERR_STREAM_DESTROYED: ["BrokenPipeError", null, "The stream under TLS is closed; on Deno."],
  ESHUTDOWN: ["BrokenPipeError", -108, "This side was shut down for writing."],
  ESRCH: ["ProcessLookupError", -3, "There is no such process."],
  ETIMEDOUT: ["TimeoutError", -110, "The peer did not answer; also the code of every time limit of this package."],
};

/** The codes of TLS, which are Node's and OpenSSL's; a `*` stands for any letters. */
export const tlsCodes: Readonly<Record<string, readonly [error: string, when: string]>> = {
  "CERT_*": ["SSLCertVerificationError", "The certificate has expired, is not valid yet or was revoked."],
  "CRL_*": ["SSLCertVerificationError", "The list of revoked certificates cannot be used."],
  "DEPTH_ZERO_*": ["SSLCertVerificationError", "The certificate is signed by itself."],
  "ERROR_IN_CERT*": ["SSLCertVerificationError", "A time in the certificate cannot be read."],
  "ERR_OSSL_*": ["SSLError", "A key or a certificate cannot be used."],
  "ERR_SSL_*": ["SSLError", "There is no common version or cipher, or the peer does not speak TLS."],
  "ERR_TLS_*": ["SSLError", "An option of TLS cannot be used."],
  ERR_TLS_CERT_ALTNAME_INVALID: ["SSLCertVerificationError", "The certificate is for another name."],
  HOSTNAME_MISMATCH: ["SSLCertVerificationError", "The certificate is for another name."],
  INVALID_CA: ["SSLCertVerificationError", "An issuer's certificate does not permit to issue certificates."],
  INVALID_PURPOSE: ["SSLCertVerificationError", "The certificate is for another purpose."],
  "PATH_LENGTH*": ["SSLCertVerificationError", "The chain of certificates is too long."],
  "SELF_SIGNED_*": ["SSLCertVerificationError", "The chain ends at a certificate that is not trusted."],
  "UNABLE_TO_*": ["SSLCertVerificationError", "The issuer is not known, or a signature is wrong."],
};

/** The codes of a `gaierror`, and its `errno`. */
export const lookupCodes: Readonly<Record<string, readonly [errno: number, when: string]>> = {
  ENOTFOUND: [-2, "Name or service not known"],
  EAI_AGAIN: [-3, "Temporary failure in name resolution"],
  EAI_NODATA: [-5, "No address associated with hostname"],
  EAI_FAMILY: [-6, "ai_family not supported"],
  EAI_ADDRFAMILY: [-9, "Address family for hostname not supported"],
  EAI_MEMORY: [-10, "Memory allocation failure"],
};

/** Who throws the classes that no doc comment names as such. */
export const thrownElsewhere: Readonly<Record<string, string>> = {
  BrokenPipeError: "`StreamWriter.drain()`, `StreamWriter.waitClosed()`: a write failed because the peer has closed.",
  ConnectionError: "Thrown as one of its subclasses.",
  EOFError: "Thrown as its subclass `IncompleteReadError`.",
  NotImplementedError:
    "`EventLoop` methods and `startTls()` over a pipe; options of child processes that the runtime does not support.",
};
