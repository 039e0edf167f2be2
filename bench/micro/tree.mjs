/** The measures of pyperformance's async_tree; tasks.py has the same. */
export const ASYNC_TREE = { levels: 6, branches: 6, memoizable: 90 /* percent */, pause: 0.05 /* seconds */ };
