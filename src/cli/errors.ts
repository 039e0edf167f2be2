/**
 * An error in the command line, or an operation that is not possible here. It is printed as one line, never with a
 * stack.
 */
export class CommandError extends Error {
  /** 1 if the command failed, 2 if it was called incorrectly. */
  readonly status: 1 | 2;

  constructor(message: string, status: 1 | 2 = 1) {
    super(message);
    this.status = status;
  }
}
