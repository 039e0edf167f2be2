/**
 * Connecting: tries addresses until one socket is connected.
 *
 * Theory of operation. The addresses are tried in order; with a delay, the next attempt begins when the previous one
 * has failed or has taken that long, and all attempts continue until one succeeds (RFC 8305, "Happy Eyeballs"). Node's
 * own implementation abandons an attempt when its time is over, so it can never reach a distant address; this one can.
 */
import { isIP, type Socket } from "node:net";
import { OSError, TimeoutError } from "../../io-errors.ts";
import { fromCallback } from "../async-stacks.ts";
import { callLater, type TimerHandle } from "../events.ts";
import { ExceptionGroup } from "../exceptions.ts";
import { Wait } from "../waits.ts";
import { newSocket } from "./node-sockets.ts";
import { addressTuple, bindError, connectError } from "./os-errors.ts";

/** The addresses to connect to and from. */
export interface ConnectRequest {
  readonly addresses: readonly string[];
  readonly port: number;
  /** The first one of the same family is used; `undefined` to let the system choose. */
  readonly localAddresses: readonly string[] | undefined;
  readonly localPort: number | undefined;
  /** In seconds; `null` to begin an attempt only when the previous one has failed. */
  readonly delay: number | null;
  /** Whether to throw all errors as a group. */
  readonly allErrors: boolean;
  /** The call and the address it connects to, for messages. */
  readonly what: () => string;
}

/** Alternates addresses of both families, beginning with `first` addresses of the family that comes first. */
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
 * Returns a socket connected to the address that answers first. A cancellation closes all sockets.
 *
 * @throws {OSError} If all attempts fail: one error for all, or the error itself if they do not differ.
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
          : connectError(error, addressTuple(address, port)),
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
    if (first === undefined) {
      return new TimeoutError(`${this.#request.what()} failed`);
    }
    if (this.#request.allErrors) {
      return new ExceptionGroup(`${this.#request.what()} failed`, this.#errors);
    }
    if (this.#errors.every(({ message }) => message === first.message)) {
      return first;
    }
    return new OSError(`Multiple exceptions: ${this.#errors.map(({ message }) => message).join(", ")}`, {
      code: first.code,
      cause: new AggregateError(this.#errors),
    });
  }

  /** Ends all attempts that are in progress. */
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
