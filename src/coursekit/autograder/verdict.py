"""From the outcomes of a function on an exercise's cases to a verdict in a few readable lines."""

from dataclasses import asdict, dataclass

import numpy as np

from coursekit.autograder.wire import Strange

INPUTS = "with"  # starts the line that shows the failing case's arguments
INPUTS_WIDTH = 90  # of each of them


@dataclass(frozen=True)
class Verdict:
    """status: "correct", "wrong" or "not attempted". lines: what the learner reads."""

    exercise: str
    status: str
    passed: int
    cases: int
    points: int
    possible: int
    misconception: str | None
    lines: tuple[str, ...]

    @classmethod
    def absent(cls, exercise, reason=None):
        """The verdict where no case was tried: not attempted, or wrong for the reason given."""
        status, line = ("wrong", reason) if reason else ("not attempted", f"○ {exercise.id}: not attempted")
        return cls(exercise.id, status, 0, 0, 0, exercise.points, None, (line,))

    def payload(self):
        """As plain JSON data."""
        return asdict(self) | {"lines": list(self.lines)}

    @classmethod
    def from_payload(cls, payload):
        """The Verdict that `payload` gave."""
        return cls(**payload | {"lines": tuple(payload["lines"])})


def tally(results):
    """'exercises: 2 correct, 1 wrong, 4 not attempted, 5/14 points'"""
    count = [f"{sum(r['status'] == s for r in results)} {s}" for s in ("correct", "wrong", "not attempted")]
    points = f"{sum(r['points'] for r in results)}/{sum(r['possible'] for r in results)} points"
    return f"exercises: {', '.join(count)}, {points}"


def judge(exercise, cases, outcomes):
    """Compare outcomes with the reference and name the misconception that explains all of them.

    Args: exercise: Exercise; cases: its list of Case; outcomes: one Outcome for each.
    Returns: Verdict, at most six lines.
    """
    expected = [exercise.reference(*inputs_of(case)) for case in cases]
    right = [o.error is None and agree(o.value, e, exercise.tolerance) for o, e in zip(outcomes, expected)]
    passed, misconception = sum(right), None
    if all(o.not_attempted for o in outcomes):
        status, lines = "not attempted", [f"○ {exercise.id}: not attempted"]
    elif passed == len(cases):
        status, lines = "correct", [f"✓ {exercise.id}: {passed} of {passed} cases, {_points(exercise)}"]
    else:
        status, misconception = "wrong", _explain(exercise, cases, outcomes)
        first = right.index(False)
        lines = [f"✗ {exercise.id}: {passed} of {len(cases)} cases; first failing: {cases[first].label}",
                 *_failure(cases[first], outcomes[first], expected[first])]
        if misconception:
            lines.append(f"This is {misconception.name}. {misconception.look_at}")
    return Verdict(exercise.id, status, passed, len(cases), exercise.points * (status == "correct"),
                   exercise.points, misconception and misconception.name, tuple(lines))


def inputs_of(case):
    """A fresh copy of the case's arguments: whoever writes into them harms nobody."""
    return [np.array(x) if isinstance(x, np.ndarray) else list(x) if isinstance(x, list) else x
            for x in case.inputs.values()]


def agree(got, expected, tolerance):
    """Whether got has the structure and the numbers of expected; lists, tensors and float32 are fine."""
    if isinstance(expected, str):
        return isinstance(got, str) and got.strip().lower() == expected.lower()
    if isinstance(expected, tuple):
        if not isinstance(got, (tuple, list)):
            got = numbers(got)
        return (isinstance(got, (tuple, list)) or np.ndim(got) > 0) and len(got) == len(expected) and all(
            agree(g, e, tolerance) for g, e in zip(got, expected))
    got, expected = numbers(got), np.asarray(expected, float)
    if got is None or got.shape != expected.shape:
        return False
    finite = np.isfinite(expected)  # only a misconception expects NaN or ∞
    if not np.array_equal(got[~finite], expected[~finite], equal_nan=True) or not np.isfinite(got[finite]).all():
        return False
    gap = np.abs(got[finite] - expected[finite]).max(initial=0.0)
    return bool(gap <= tolerance * max(1.0, np.abs(expected[finite]).max(initial=0.0)))


def numbers(value):
    """value as a float64 array, or None where it is none."""
    inner, depth = value, 0
    while isinstance(inner, (list, tuple)) and len(inner):  # a list that holds itself has no bottom
        inner, depth = inner[0], depth + 1
        if depth > 8:
            return None
    try:
        if hasattr(value, "detach"):  # a torch tensor, told without importing torch
            value = value.detach().cpu().numpy()
        return np.asarray(value).astype(float) if np.asarray(value).dtype.kind in "biuf" else None
    except Exception:  # whatever a learner's object raises when it is asked to be an array
        return None


def show(value, width=150, digits=4):
    """value on one short line."""
    if isinstance(value, tuple) and not any(isinstance(v, tuple) for v in value):
        text = "(" + ", ".join(show(v, width, digits) for v in value) + ")"
    elif isinstance(value, (str, bool, Strange)) or value is None:
        text = repr(value)
    elif (array := numbers(value)) is None:
        text = f"{type(value).__name__} {_repr(value)}"
    else:
        kept = np.asarray(value) if np.asarray(value).dtype.kind in "bi" else array.round(digits) + 0.0
        text = np.array2string(kept, separator=", ", threshold=20, max_line_width=10_000, precision=digits)
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


def _repr(value):
    try:
        return repr(value)
    except Exception as error:  # a learner's __repr__ may be broken, or run out of stack
        return f"(its repr raises {type(error).__name__})"


def _explain(exercise, cases, outcomes):
    if any(o.error for o in outcomes):
        return None
    for misconception in exercise.misconceptions:
        if all(agree(o.value, misconception.function(*inputs_of(c)), exercise.tolerance)
               for c, o in zip(cases, outcomes)):
            return misconception
    return None


def _failure(case, outcome, expected):
    inputs = ", ".join(f"{name}={show(value, INPUTS_WIDTH)}" for name, value in case.inputs.items())
    got, wanted = outcome.error or show(outcome.value), show(expected)
    if got == wanted:  # they differ further behind the point
        got, wanted = show(outcome.value, digits=8), show(expected, digits=8)
    if outcome.error is None and outcome.value is None:
        got = "nothing: does the function return its result?"
    elif outcome.error is None and isinstance(expected, tuple) and isinstance(outcome.value, list):
        pass  # a list is as good as a tuple: the numbers tell
    elif outcome.error is None and (shape := shape_of(outcome.value)) != shape_of(expected):
        got += f" (shape {shape}, expected {shape_of(expected)})" if shape is not None else " (not a number)"
    return [f"  {INPUTS}     {inputs}", f"  got      {got}", f"  expected {wanted}"]


def shape_of(value):
    """How a verdict names the shape of value; None for what has none."""
    if isinstance(value, str):
        return None
    if isinstance(value, tuple):
        return f"tuple of {len(value)}"
    if isinstance(value, list) and numbers(value) is None:
        return f"list of {len(value)}"
    array = numbers(value)
    return None if array is None else array.shape


def _points(exercise):
    return f"{exercise.points} point" + "s" * (exercise.points != 1)
