"""What a call of a learner's function gave. Imported inside the sandbox too: needs the standard library only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What one call gave: a value, or an error. not_attempted: it was the stub's own NotImplementedError;
    late: it was stopped at the time limit."""

    value: object = None
    error: str | None = None
    not_attempted: bool = False
    late: bool = False


def describe(error):
    """An exception in one line, with the line of the learner's cell that raised it."""
    where, steps = "", error.__traceback__
    while steps:
        code = steps.tb_frame.f_code
        if "ipykernel_" in code.co_filename or code.co_filename.startswith("<ipython"):
            where = f" (your line {steps.tb_lineno})"
        steps = steps.tb_next
    try:
        text = " ".join(str(error).split()).encode("utf-8", "replace").decode()
    except Exception:
        text = "(its text can't be shown)"
    return f"{type(error).__name__}: {text[:150]}{where}"


def from_stub(error, function):
    """Whether this is exactly the NotImplementedError of the learner's own frame."""
    steps = error.__traceback__
    while steps and steps.tb_next:
        steps = steps.tb_next
    own = getattr(function, "__code__", None)
    return type(error) is NotImplementedError and steps is not None and steps.tb_frame.f_code is own
