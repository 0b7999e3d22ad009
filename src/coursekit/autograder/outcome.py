"""What a call of a learner's function gave. Imported inside the sandbox too: needs the standard library only."""

import itertools
import numbers
from collections import deque
from collections.abc import Iterator, KeysView, ValuesView
from dataclasses import dataclass

from coursekit.autograder.rules import MAX_DEPTH, MAX_ERROR, MAX_ITEMS

CHECKED: dict[str, object] = {}  # in a sandbox: what the checks of a cell were given, by exercise
REFUSAL = "coursekit.{} does not answer here, since it is the answer: write it yourself"


@dataclass(frozen=True)
class Outcome:
    """What one call gave: a value, or an error. not_attempted: it was the stub's own NotImplementedError;
    late: it was stopped at the time limit."""

    value: object = None
    error: str | None = None
    not_attempted: bool = False
    late: bool = False


def settled(value, depth=0):
    """value with what generators give as lists, fractions as floats, words out of their arrays: the form of an
    answer is the learner's choice, its numbers count."""
    if isinstance(value, (Iterator, KeysView, ValuesView, deque)):
        value = list(itertools.islice(value, MAX_ITEMS))
    elif isinstance(value, numbers.Rational | numbers.Real) and not isinstance(value, int | float):
        return value if hasattr(value, "dtype") else float(value)
    elif type(value).__module__ == "decimal":
        return float(value)
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind == "U" and value.ndim == 0:
        return str(value)
    if kind == "O":
        value = value.tolist()
    if type(value) in (list, tuple) and depth < MAX_DEPTH and len(value) < MAX_ITEMS:
        return type(value)(settled(v, depth + 1) for v in value)
    return value


def readable(text):
    """A text of a learner's in one line that no terminal, page or table obeys: without control characters, and
    without those that turn the direction of writing. What is no text keeps its number."""
    return "".join(c if c.isprintable() else " " if c.isspace() else
                   f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else "\ufffd" for c in text)


def describe(error):
    """An exception in one line, with the line of the learner's cell that raised it."""
    where, steps = "", error.__traceback__
    while steps:
        code = steps.tb_frame.f_code
        if "ipykernel_" in code.co_filename or code.co_filename.startswith("<ipython"):
            where = f" (your line {steps.tb_lineno})"
        steps = steps.tb_next
    try:
        text = " ".join(str(error)[:10 * MAX_ERROR].split()).encode("utf-8", "replace").decode()
    except Exception:
        text = "(its text can't be shown)"
    return f"{type(error).__name__}: {text[:MAX_ERROR]}{where}"


def from_stub(error, function):
    """Whether this is exactly the NotImplementedError of the learner's own frame."""
    steps = error.__traceback__
    while steps and steps.tb_next:
        steps = steps.tb_next
    own = getattr(function, "__code__", None)
    return type(error) is NotImplementedError and steps is not None and steps.tb_frame.f_code is own
