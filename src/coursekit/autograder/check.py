"""`check`: the last cell of every exercise."""

import contextlib
import os
import signal
import threading

from IPython import get_ipython
from IPython.display import display

from coursekit.autograder.verdict import Outcome, inputs_of, judge
from coursekit.exercises import get

MIME = "application/vnd.coursekit.check+json"
SECONDS = 20  # for one call of the learner's function


class WrongAnswer(Exception):
    """Raised by `check` under pytest only, so that no stored output can hide a wrong answer."""

    def _render_traceback_(self):
        return str(self).splitlines()


def check(exercise_id, function):
    """Grade a function on the cases of an exercise and say what was found.

    Args: exercise_id: such as "gae.recursion". function: the learner's function.
    Raises: ValueError: no such exercise. In Jupyter an answer never raises; under pytest a wrong one does.
    """
    exercise = get(exercise_id)
    verdict = grade(exercise, function)
    lines = list(verdict.lines)
    if verdict.status == "not attempted" and (solution := _hidden_solution(exercise)):
        hidden = grade(exercise, solution)
        lines[0] += f" (the hidden solution passes {hidden.passed} of {hidden.cases})"
    text = "\n".join(lines)
    under_pytest = "PYTEST_CURRENT_TEST" in os.environ
    data = {"text/plain": text}
    if under_pytest:
        data[MIME] = verdict.payload()
    if get_ipython() is None:
        print(text)
    else:
        display(data, raw=True)
    if under_pytest and verdict.status == "wrong":
        raise WrongAnswer(text)


def grade(exercise, function, seed=0):
    """Call function on every case, until one takes too long, and judge it. Returns a Verdict."""
    cases, outcomes = exercise.cases(seed), []
    for case in cases:
        late = outcomes and outcomes[-1].late
        outcomes.append(outcomes[-1] if late else call(function, case))
    return judge(exercise, cases, outcomes)


def call(function, case, seconds=SECONDS):
    """Call function on a copy of the case's inputs; return an Outcome, whatever the function does."""
    try:
        with _time_limit(seconds):
            return Outcome(value=function(*inputs_of(case)))
    except _Late:
        return Outcome(error=f"no answer within {seconds} s: does the loop end?", late=True)
    except KeyboardInterrupt:  # the learner's own, or the cell's timeout
        raise
    except BaseException as error:
        return Outcome(error=_describe(error), not_attempted=_from_stub(error, function))


class _Late(BaseException):
    """Not an Exception, so that a learner's `except Exception` does not swallow it."""


@contextlib.contextmanager
def _time_limit(seconds):
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield  # no alarm here: the cell's own timeout is the limit
        return

    def late(signum, frame):
        raise _Late

    previous = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)  # again, for a loop that swallows the first
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _describe(error):
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


def _from_stub(error, function):
    """Whether this is exactly the NotImplementedError of the learner's own frame."""
    steps = error.__traceback__
    while steps and steps.tb_next:
        steps = steps.tb_next
    own = getattr(function, "__code__", None)
    return type(error) is NotImplementedError and steps is not None and steps.tb_frame.f_code is own


def _hidden_solution(exercise):
    shell = get_ipython()
    return shell.user_ns.get(f"{exercise.function}_solution") if shell else None
