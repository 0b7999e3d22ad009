"""`check`: the last cell of every exercise."""

import contextlib
import os
import signal
import sys
import threading

from coursekit.autograder.outcome import REFUSAL, Outcome, describe, from_stub, settled
from coursekit.autograder.rules import LATE, SECONDS
from coursekit.autograder.verdict import inputs_of, judge
from coursekit.exercises import get

MIME = "application/vnd.coursekit.check+json"
REPLAY = "coursekit"  # as PYTEST_CURRENT_TEST: the verdict is wanted as data, and the rest of its cell as well


class WrongAnswerError(Exception):
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
    from IPython import get_ipython  # a grader of thousands needs no IPython
    from IPython.display import display
    text = "\n".join(lines)
    under_pytest = "PYTEST_CURRENT_TEST" in os.environ
    data = {"text/plain": text}
    if under_pytest:
        data[MIME] = verdict.payload()
    if get_ipython() is None:
        print(text)
    else:
        display(data, raw=True)
    if under_pytest and verdict.status == "wrong" and os.environ["PYTEST_CURRENT_TEST"] != REPLAY:
        raise WrongAnswerError(text)


def grade(exercise, function, seed=0):
    """Call function on every case, until one takes too long, and judge it. Returns a Verdict."""
    cases = exercise.cases(seed)
    outcomes: list[Outcome] = []
    with refusing(exercise.refuses):
        for case in cases:
            late = outcomes and outcomes[-1].late
            outcomes.append(outcomes[-1] if late else call(function, case))
    return judge(exercise, cases, outcomes)


@contextlib.contextmanager
def refusing(names):
    """While it lasts, these functions of the library do not answer, wherever the learner has put them: they are
    what the exercise asks for, and would earn nothing from the grader either."""
    kept = {}
    for module, _, name in (name.rpartition(".") for name in names):
        function = getattr(sys.modules.get(f"coursekit.{module}"), name, None)
        if function is not None and not function.__code__.co_freevars:
            kept[function] = function.__code__
            refuses: dict = {}
            exec(f"def {name}(*_, **__): raise RuntimeError({REFUSAL.format(f'{module}.{name}')!r})", refuses)
            function.__code__ = refuses[name].__code__
    try:
        yield
    finally:
        for function, code in kept.items():
            function.__code__ = code


def call(function, case, seconds=SECONDS):
    """Call function on a copy of the case's inputs; return an Outcome, whatever the function does."""
    try:
        with _time_limit(seconds):
            return Outcome(value=settled(function(*inputs_of(case))))
    except _Late:
        return Outcome(error=LATE.format(seconds), late=True)
    except KeyboardInterrupt:  # the learner's own, or the cell's timeout
        raise
    except BaseException as error:
        return Outcome(error=describe(error), not_attempted=from_stub(error, function))


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


def _hidden_solution(exercise):
    from IPython import get_ipython
    shell = get_ipython()
    return shell.user_ns.get(f"{exercise.function}_solution") if shell else None
