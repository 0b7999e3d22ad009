"""From the outcomes of a function on an exercise's cases to a verdict in a few readable lines.

This side knows numpy; the rules are in diagnosis.py and shown.py, which the page runs as well.
"""

import warnings
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np

from coursekit.autograder import diagnosis, facts, shown
from coursekit.autograder.outcome import readable
from coursekit.autograder.rules import MAX_DEPTH, MAX_ITEMS, MAX_TEXT, SIGNS

INPUTS = "call"  # starts the line that shows a failing case


@dataclass(frozen=True)
class Verdict:
    """status: "correct", "wrong" or "not attempted". misconception: a name, if the answer has one. lines: what the
    learner reads."""

    exercise: str
    status: str
    passed: int
    cases: int
    points: int
    possible: int
    misconception: str | None
    lines: tuple[str, ...]

    def __post_init__(self):
        object.__setattr__(self, "lines", tuple(map(readable, self.lines)))

    @classmethod
    def absent(cls, exercise, reason=None):
        """The verdict where no case was tried: not attempted, or wrong for the reason given."""
        status = "wrong" if reason else "not attempted"
        line = reason or f"{SIGNS[status]} {exercise.id}: {status}"
        return cls(exercise.id, status, 0, 0, 0, exercise.points, None, (line,))

    def payload(self):
        """As plain JSON data."""
        return asdict(self) | {"lines": list(self.lines)}

    @classmethod
    def from_payload(cls, payload):
        """The Verdict that `payload` gave."""
        return cls(**payload | {"lines": tuple(payload["lines"])})

    @classmethod
    def believed(cls, exercise, payload):
        """The Verdict of a payload that a learner's own process sent: what it says of points is not believed. None
        where it is no verdict on this exercise."""
        try:
            found = cls.from_payload(payload)
            if found.exercise != exercise.id or found.status not in SIGNS or type(found.passed) is not int:
                return None
        except (TypeError, KeyError, AttributeError):
            return None
        points = exercise.points * (found.status == "correct")
        return replace(found, points=points, possible=exercise.points, lines=found.lines[:6])


def tally(results):
    """'exercises: 2 correct, 1 wrong, 4 not attempted, 5/14 points'"""
    count = [f"{sum(r['status'] == s for r in results)} {s}" for s in ("correct", "wrong", "not attempted")]
    points = f"{sum(r['points'] for r in results)}/{sum(r['possible'] for r in results)} points"
    return f"exercises: {', '.join(count)}, {points}"


def judge(exercise, cases, outcomes, keep=True):
    """Compare outcomes with the reference and say what the difference shows.

    Args: exercise: Exercise; cases: its list of Case; outcomes: one Outcome for each. keep: these cases will come
        again, so what is computed of them is kept.
    Returns: Verdict, at most six lines.
    """
    found = diagnosis.judge(known(exercise, cases) if keep else Known(exercise, cases), [
        dict(value=plain(o.value), error=o.error, stub=o.not_attempted, late=o.late) for o in outcomes])
    points = exercise.points * (found["status"] == "correct")
    return Verdict(exercise.id, possible=exercise.points, points=points, **found | {"lines": tuple(found["lines"])})


def inputs_of(case):
    """A fresh copy of the case's arguments: whoever writes into them harms nobody."""
    return [np.array(x) if isinstance(x, np.ndarray) else list(x) if isinstance(x, list) else x
            for x in case.inputs.values()]


KEPT: dict = {}  # {(id, calls of the cases): Known}


def known(exercise, cases):
    """Known for these cases. It is kept, with the outcomes of mistakes that it has computed: whoever tries again,
    and the next submission of a class, need not wait for them."""
    calls = [call_text(exercise, case) for case in cases]
    key = exercise.id, tuple(calls)
    found = KEPT.get(key)
    if found is None or found.exercise is not exercise:
        if len(KEPT) > 100:
            KEPT.clear()
        found = KEPT[key] = Known(exercise, cases, calls)
    return found


class Known:
    """What diagnosis.py asks of an exercise, computed when it is asked."""

    def __init__(self, exercise, cases, calls=None):
        self.exercise, self.cases, self.outcomes, self.both = exercise, cases, {}, {}
        self.calls = calls or [call_text(exercise, case) for case in cases]
        self.id, self.points, self.tolerance = exercise.id, exercise.points, exercise.tolerance
        self.labels = [case.label for case in cases]
        self.values = [exercise.reference(*inputs_of(case)) for case in cases]
        self.expected = [plain(value) for value in self.values]

    @cached_property
    def mistakes(self):
        return [(m.name, m.look_at) for m in self.exercise.mistakes]

    @cached_property
    def inputs(self):
        return [{name: plain(value) for name, value in case.inputs.items()} for case in self.cases]

    @cached_property
    def facts(self):
        return facts.of_cases(self.cases)

    @cached_property
    def places(self):
        return facts.of_places(self.cases, self.values)

    def outcome(self, mistake, k):
        """What a mistake gives on case k."""
        if (mistake, k) not in self.outcomes:
            self.outcomes[mistake, k] = outcome(self.exercise.mistakes[mistake].function, self.cases[k])
        return self.outcomes[mistake, k]

    def pairs(self, got, cases):
        """Every two mistakes that together give this answer on these cases."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [(i, j) for pair, (i, j, _) in enumerate(self.exercise.pairs)
                    if all(shown.agree(got[k], self.of_pair(pair, k), self.tolerance) for k in cases)]

    def of_pair(self, pair, k):
        if (pair, k) not in self.both:
            self.both[pair, k] = outcome_or_error(self.exercise.pairs[pair][2], self.cases[k])
        return self.both[pair, k]


def outcome(function, case):
    """What a function of ours, a wrong one, gives on a case: a value of shown.py, or the type of its error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a mistake may divide by zero
        return outcome_or_error(function, case)


def outcome_or_error(function, case):
    try:
        return plain(function(*inputs_of(case)))
    except Exception as error:
        return ("e", None, type(error).__name__)


def agree(got, expected, tolerance):
    """Whether an answer has the structure and the numbers of another; lists, tensors and float32 are fine."""
    return shown.agree(plain(got), plain(expected), tolerance)


def call_text(exercise, case):
    """The call of a case, to be pasted and run again."""
    return f"{exercise.function}({', '.join(f'{name}={_argument(value)}' for name, value in case.inputs.items())})"


def _argument(value):
    if not isinstance(value, np.ndarray):
        return repr(value)
    text = repr(value.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
    return f"np.array({text}{f', {value.dtype}' if not value.size else ''})"


def plain(value):
    """A value as shown.py reads it."""
    if isinstance(value, str):
        return ("s", None, str(value)[:MAX_TEXT])
    if isinstance(value, tuple) and depth(value) < MAX_DEPTH:
        return ("t", None, [plain(v) for v in value])
    array = numbers(value)
    if array is not None and array.size > MAX_ITEMS:  # no answer has so many: only its shape is of interest
        return ("x", None, f"an array of shape {array.shape}")
    if array is not None:
        kind = {"f2": "h", "f4": "g"}.get(array.dtype.str[1:], array.dtype.kind.replace("u", "i"))
        return (kind, array.shape, array.astype(float).ravel().tolist())
    if isinstance(value, list) and depth(value) < MAX_DEPTH:
        return ("l", None, [plain(v) for v in value])
    return ("x", None, "None" if value is None else f"{type(value).__name__} {_repr(value)}"[:MAX_TEXT])


def depth(value):
    """How deep lists lie in each other; MAX_DEPTH for a list that holds itself."""
    found = 0
    while isinstance(value, (list, tuple)) and len(value) and found < MAX_DEPTH:
        value, found = value[0], found + 1
    return found


def numbers(value):
    """value as an array of numbers, or None where it is none."""
    if value is None or isinstance(value, str) or depth(value) >= MAX_DEPTH:
        return None
    try:
        if hasattr(value, "detach"):  # a torch tensor, recognised without importing torch
            value = value.detach().cpu().numpy()
        array = np.asarray(value)
        return array if array.dtype.kind in "biuf" else None
    except Exception:  # whatever a learner's object raises when it is asked to be an array
        return None


def _repr(value):
    try:
        return repr(value)
    except Exception as error:  # a learner's __repr__ may be broken, or run out of stack
        return f"(its repr raises {type(error).__name__})"
