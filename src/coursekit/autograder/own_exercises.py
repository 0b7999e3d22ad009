"""Whether an instructor's own exercises can be set: their cases, references and hidden solutions are tried."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from coursekit.autograder.check import grade
from coursekit.autograder.outcome import describe
from coursekit.autograder.package import offered
from coursekit.autograder.verdict import agree, call_text, inputs_of
from coursekit.exercises import EXERCISES, OWN
from coursekit.exercises.base import Case, Exercise

COMPARED = "a number, a text, an array, or a tuple or list of these"
TRIED = (0, 1, 2)  # seeds; 0 is the one of the cases that `check` shows


def own_exercises(notebooks: Iterable[str]) -> list[Exercise]:
    """The exercises of these notebooks that are not the course's."""
    names = set(notebooks)
    return [EXERCISES[i] for i in OWN.files if EXERCISES[i].notebook in names]


def try_cases(exercises: Iterable[Exercise]) -> list[str]:
    """Call the reference of own exercises on their cases. Returns warnings. Raises ValueError that names the
    exercise and the way out."""
    warnings = []
    for exercise in exercises:
        where = f"{OWN.files[exercise.id].name}: {exercise.id}"
        calls = {seed: [call_text(exercise, case) for case in _tried(exercise, seed, where)] for seed in TRIED}
        if [call_text(exercise, case) for case in exercise.cases(0)] != calls[0]:
            warnings.append(f"{where}: cases gives others each time it is called: draw them from its argument, "
                            "np.random.default_rng(seed)")
        elif all(set(calls[seed]) <= set(calls[0]) for seed in TRIED):
            warnings.append(f"{where}: the hidden cases are those that `check` shows, so a table of them earns all "
                            "points: have cases draw from its argument, seed")
    return warnings


def _tried(exercise: Exercise, seed: int, where: str) -> list[Case]:
    """The cases of a seed, on which the reference has answered."""
    wanted = "cases takes a seed and returns a list of Case, all with the same names of inputs"
    try:
        cases: Any = exercise.cases(seed)
    except Exception as error:
        raise ValueError(f"{where}: cases({seed}) raises {describe(error)}; {wanted}") from None
    if not isinstance(cases, list) or not cases or not all(
            isinstance(c, Case) and isinstance(c.inputs, dict) for c in cases):
        got = "an empty list" if cases == [] else f"{type(cases).__name__} {str(cases)[:60]}"
        raise ValueError(f"{where}: cases({seed}) gives {got}; {wanted}")
    if odd := next((case for case in cases if list(case.inputs) != list(cases[0].inputs)), None):
        raise ValueError(f"{where}: the case {odd.label!r} has the inputs {', '.join(odd.inputs)}, the first one "
                         f"{', '.join(cases[0].inputs)}; {wanted}")
    for case in cases:
        try:
            value = exercise.reference(*inputs_of(case))
        except Exception as error:
            raise ValueError(f"{where}: reference raises {describe(error)}, on the case {case.label!r} of "
                             f"cases({seed}); it takes the inputs in order: {', '.join(case.inputs)}") from None
        if not agree(value, value, exercise.tolerance):
            raise ValueError(f"{where}: reference returns {_shown(value)}, which can't be compared with an answer, "
                             f"on the case {case.label!r}; return {COMPARED}")
    return cases


def _shown(value: Any) -> str:
    return "None" if value is None else f"{type(value).__name__} {' '.join(str(value).split())[:60]}"


def try_solutions(imports: str, answers: Mapping[str, str], place: Path, made: bool,
                  book: Iterable[str] = ()) -> None:
    """Run the hidden solutions of own exercises on the cases that `check` shows, with what a submission has: the
    notebook's imports.

    Args: answers: sources by exercise, under the learner's names. place: of the notebook. made: whether the sources
        are read off the references. book: sources of the notebook's cells.
    Raises ValueError that names the exercise and the way out.
    """
    words = set(re.findall(r"\w+", "\n".join(answers.values())))
    names: dict[str, Any] = {"__name__": "__main__"}
    with _quiet():
        for source in (imports, *(offered(cell, words) for cell in book if cell != imports.strip())):
            with contextlib.suppress(Exception):  # a solution that needs what fails here says so
                exec(compile(_python(source), str(place), "exec"), names)
    for exercise, source in answers.items():
        if exercise not in OWN.files:
            continue
        known = EXERCISES[exercise]
        try:
            with _quiet():
                exec(compile(_python(source), str(place), "exec"), names)
                verdict = grade(known, names.get(known.function))
        except Exception as error:
            said = describe(error)
        else:
            if verdict.status == "correct":
                continue
            said = " ".join(" ".join(verdict.lines).split())
        way_out = ("the notebook gets the text of `reference` alone, beside `import numpy as np`: import and "
                   "define inside it whatever else it uses" if made else
                   f"mend its cell there (it imports and defines what it uses), or delete {place.name} to have it "
                   "made anew of the module")
        raise ValueError(f"{place}: the hidden solution of {exercise} fails: {said}; {way_out}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _python(source: str) -> str:
    """The source without the lines that only IPython knows."""
    return re.sub(r"(?m)^[ \t]*[%!].*$", "", source)
