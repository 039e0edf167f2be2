"""What the Python side of each conformance case may use."""

import contextvars
import re
from contextvars import Context, ContextVar, Token, copy_context

# The parts of messages that both sides promise.
STEMS = [
    "takes exactly 1",
    "must be a str",
    "not an acceptable base type",
    "any arguments",
    "a ContextVar key was expected",
    "missing 1 required",
    "is already entered",
    "has already been used once",
    "by a different ContextVar",
    "different Context",
    "Tokens can only be created by ContextVars",
    "expected an instance of Token",
]


def told(error):
    """What is compared of an error: its class, and the promised parts of its message."""
    return {"raised": type(error).__name__, "says": [stem for stem in STEMS if stem in str(error)]}


def outcome(function, *args):
    """What is compared of a call."""
    try:
        return {"value": function(*args)}
    except Exception as error:
        return told(error)


def shown(value):
    """A repr() without addresses."""
    return re.sub(r"0x[0-9a-f]+", "0xHEX", repr(value))


def fresh(function, *args):
    """Calls the function in an empty Context."""
    return Context().run(function, *args)
