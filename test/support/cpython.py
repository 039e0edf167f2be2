"""What the Python side of each conformance case may use."""

import contextvars
import re
from contextvars import Context, ContextVar, Token, copy_context


def told(error):
    """What is compared of an error: its class, and the promised parts of its message.

    STEMS are those of outcomes.ts.
    """
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
