/** Waiting for each other without a clock. */

/** Lets all callers through once `count` have arrived, so that everything before it has happened for all of them. */
export function latch(count: number): () => Promise<void> {
  let missing = count;
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return async () => {
    missing -= 1;
    if (missing === 0) {
      open();
    }
    await opened;
  };
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
