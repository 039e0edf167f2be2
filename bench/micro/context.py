"""The same operations as context.mjs, on CPython's contextvars: `context.py OPERATION SIZE`."""

import contextvars
import json
import sys
import timeit

operation, size = sys.argv[1], int(sys.argv[2])
variables = [contextvars.ContextVar(f"variable {i}", default=0) for i in range(size)]
variable = variables[size >> 1]
inner = contextvars.Context()
# Bound methods in local names: the quickest way that Python has.
SETUP = "get, set, reset, copy, run = names; work = lambda: 1"
# Each set() is of another value than the one before, as in context.mjs: of the same value it would copy nothing.
STATEMENTS = {
    "get": "get()",
    "set": "set(1); set(2)",
    "set+reset": "reset(set(2))",
    "copy": "copy()",
    "run": "run(work)",
}
OPERATIONS = {"set": 2}  # in the statement, where it is not one


def main():
    for each in variables:
        each.set(1)
    names = variable.get, variable.set, variable.reset, contextvars.copy_context, inner.run
    timer = timeit.Timer(STATEMENTS[operation], SETUP, globals={"names": names})
    count = 1000
    while timer.timeit(count) < 0.015:
        count *= 2
    operations = count * OPERATIONS.get(operation, 1)
    print(json.dumps({"cost": min(timer.repeat(40, count)) / operations * 1e9}))


contextvars.Context().run(main)
