/**
 * Connecting: from addresses to one connected socket.
 *
 * Theory of operation. The addresses are tried in order; with a delay, the next attempt begins when the one before it
 * has failed or has taken that long, and all go on until one succeeds (RFC 8305, "Happy Eyeballs"). Node's own way of it
 * gives an attempt up when its time is over, so that an address far away can never be reached; this one does not.
 */
import { isIP, type Socket } from "node:net";
import { OSError, TimeoutError } from "../../errors.ts";
import { fromCallback } from "../async-stacks.ts";
import { callLater, type TimerHandle } from "../events.ts";
import { ExceptionGroup } from "../exceptions.ts";
import { Wait } from "../waits.ts";
import { newSocket } from "./node-sockets.ts";
import { addressTuple, bindError, eventError } from "./os-errors.ts";

/** Where to connect to and from. */
export interface ConnectRequest {
  readonly addresses: readonly string[];
  readonly port: number;
  /** The first one of the same family is taken; `undefined`: the system chooses. */
  readonly localAddresses: readonly string[] | undefined;
  readonly localPort: number | undefined;
  /** In seconds; `null`: an attempt begins when the one before has failed. */
  readonly delay: number | null;
  /** Whether to throw all errors as a group. */
  readonly allErrors: boolean;
  /** Who connects to what, for messages. */
  readonly what: () => string;
}

/** Puts addresses of both families in turn, beginning with `first` of the family that comes first. */
export function interleaved(addresses: readonly string[], first: number): string[] {
  const leading = isIP(addresses[0] ?? "");
  const mine = addresses.filter((address) => isIP(address) === leading);
  const others = addresses.filter((address) => isIP(address) !== leading);
  const order = mine.splice(0, Math.max(first - 1, 0));
  while (mine.length > 0 || others.length > 0) {
    order.push(...mine.splice(0, 1), ...others.splice(0, 1));
  }
  return order;
}

/**
 * A connected socket, to the address that answers first. After a cancellation no socket is left.
 *
 * @throws {OSError} If all attempts fail: the error of one, or one for all.
 */
export function connectAny(request: ConnectRequest): Promise<Socket> {
  return new Race(request).run();
}

class Race {
  readonly #request: ConnectRequest;
  readonly #wait: Wait<Socket>;
  readonly #running = new Set<Socket>();
  readonly #errors: OSError[] = [];
  #next = 0;
  #timer: TimerHandle | null = null;

  constructor(request: ConnectRequest) {
    this.#request = request;
    this.#wait = new Wait(request.what, () => this.#stop());
  }

  run(): Promise<Socket> {
    if (this.#request.addresses.length === 0) {
      this.#wait.reject(fromCallback(this.#outcome()));
    }
    this.#begin();
    return this.#wait.begin();
  }

  #begin(): void {
    const { addresses, delay } = this.#request;
    this.#timer?.cancel();
    this.#timer = null;
    const address = addresses[this.#next];
    if (address === undefined) {
      return;
    }
    this.#next += 1;
    if (delay !== null && this.#next < addresses.length) {
      this.#timer = callLater(delay, () => this.#begin());
    }
    this.#attempt(address);
  }

  #attempt(address: string): void {
    const { port, localAddresses, localPort } = this.#request;
    const localAddress = localAddresses?.find((each) => isIP(each) === isIP(address));
    if (localAddresses !== undefined && localAddress === undefined) {
      const family = isIP(address) === 6 ? "AF_INET6" : "AF_INET";
      this.#failed(new OSError(`no matching local address with family=${family} found`, { code: "EADDRNOTAVAIL" }));
      return;
    }
    const socket = newSocket();
    this.#running.add(socket);
    const onError = (error: Error): void => {
      this.#running.delete(socket);
      const { syscall } = error as NodeJS.ErrnoException;
      this.#failed(
        syscall === "bind" && localAddress !== undefined
          ? bindError(error, localAddress, localPort ?? 0)
          : eventError(error, `Connect call failed ${addressTuple(address, port)}`),
      );
    };
    socket.once("error", onError);
    socket.once("connect", () => {
      socket.off("error", onError);
      this.#running.delete(socket);
      this.#stop();
      this.#wait.resolve(socket);
    });
    socket.connect({
      host: address,
      port,
      autoSelectFamily: false,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
      ...(localPort === undefined ? {} : { localPort }),
    });
  }

  #failed(error: unknown): void {
    if (!(error instanceof OSError)) {
      this.#stop();
      this.#wait.reject(error);
      return;
    }
    this.#errors.push(error);
    if (this.#next < this.#request.addresses.length) {
      this.#begin();
    } else if (this.#running.size === 0) {
      this.#wait.reject(fromCallback(this.#outcome()));
    }
  }

  #outcome(): unknown {
    const [first] = this.#errors;
    if (this.#request.allErrors) {
      return new ExceptionGroup("create_connection failed", this.#errors);
    }
    if (first === undefined) {
      return new TimeoutError("create_connection failed");
    }
    if (this.#errors.every(({ message }) => message === first.message)) {
      return first;
    }
    return new OSError(`Multiple exceptions: ${this.#errors.map(({ message }) => message).join(", ")}`, {
      code: first.code,
      cause: new AggregateError(this.#errors),
    });
  }

  /** Gives up all attempts that are under way. */
  #stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const socket of this.#running) {
      socket.removeAllListeners();
      socket.on("error", () => {});
      socket.destroy();
    }
    this.#running.clear();
  }
}
