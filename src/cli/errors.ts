/** A mistake of the user, or what cannot be done here: one line, never a stack. */
export class CommandError extends Error {
  /** 1: it failed. 2: it was called in a wrong way. */
  readonly status: 1 | 2;

  constructor(message: string, status: 1 | 2 = 1) {
    super(message);
    this.status = status;
  }
}
