"""Exercises that are not the course's: modules of an instructor's own, in a folder or in an installed package.

A module holds EXERCISES, as those of this package do. A package names it by an entry point of the group
`coursekit.exercises`; the variable COURSEKIT_EXERCISES, `--exercises` and `add_folder` name folders of modules.
"""

import hashlib
import importlib.util
import os
import re
import sys
import warnings
from importlib import metadata
from pathlib import Path

from coursekit.exercises.base import Exercise

GROUP, VARIABLE = "coursekit.exercises", "COURSEKIT_EXERCISES"
BESIDE = "exercises"  # the folder beside a notebook in which `check` looks for exercises that it does not know
DIFFICULTIES = ("easy", "medium", "hard")


class Own:
    """The exercises that were added to the registry.

    modules: {file: its text}. folders: {notebook: where its file is looked for, beside the module}. files: {id of
    an added exercise: its module's file}.
    """

    def __init__(self, exercises):
        self.exercises, self.modules, self.folders, self.files = exercises, {}, {}, {}
        self.course = {exercise.notebook for exercise in exercises.values()}

    def add_folder(self, folder):
        """Add the exercises of every module in a folder. Raises ValueError: no such folder, none in it, or one that
        can't be added."""
        folder = Path(folder).resolve()
        if not folder.is_dir():
            raise ValueError(f"no folder of exercises at {folder}")
        paths = [path for path in sorted(folder.glob("*.py")) if "EXERCISES" in path.read_text(encoding="utf-8")]
        if not paths:
            raise ValueError(f"{folder} holds no module with a list EXERCISES")
        for path in paths:
            if path not in self.modules:
                self.add(_module(path), path)

    def add(self, module, path):
        """Add a module's exercises to the registry."""
        new = list(getattr(module, "EXERCISES", ()))
        taken = dict(self.exercises)
        for exercise in new:
            if not isinstance(exercise, Exercise):
                raise ValueError(f"{path}: EXERCISES must hold Exercise, got {type(exercise).__name__}")
            if exercise.id in taken:
                raise ValueError(f"{path}: an exercise is called {exercise.id!r} already; rename this one")
            if fault := _fault(exercise, self.course):
                raise ValueError(f"{path}: {exercise.id}: {fault}")
            if same := next((e for e in taken.values() if (e.notebook, e.function) == (
                    exercise.notebook, exercise.function)), None):
                raise ValueError(f"{path}: {exercise.id}: {same.id} of the same notebook has the function "
                                 f"{exercise.function} already; rename this one")
            taken[exercise.id] = exercise
        for exercise in new:
            self.exercises[exercise.id] = exercise
            self.folders[exercise.notebook] = path.parent
            self.files[exercise.id] = path
        self.modules[path] = path.read_text(encoding="utf-8")

    def fingerprint(self):
        """A hash of the modules; "" without any. Grades depend on it."""
        text = "\0".join(self.modules[path] for path in sorted(self.modules))
        return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""

    def add_what_is_named(self):
        """Add what installed packages and the environment name. A package that can't be added warns: the course's
        own exercises work without it."""
        for entry in metadata.entry_points(group=GROUP):
            try:
                module = entry.load()
                self.add(module, Path(module.__file__).resolve())
            except Exception as error:
                warnings.warn(f"the exercises of the installed package {entry.dist.name} ({entry.value}) are "
                              f"missing, mend or uninstall it: {type(error).__name__}: {error}", stacklevel=2)
        for folder in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
            self.add_folder(folder)

    def add_beside(self, folder):
        """Add the exercises in a folder `exercises` there, if it holds any."""
        place = Path(folder) / BESIDE
        if any("EXERCISES" in path.read_text(encoding="utf-8", errors="replace") for path in place.glob("*.py")):
            self.add_folder(place)


def _fault(e, course):
    """What of an exercise's entries can't be used, and what is wanted in its place; None where all can."""
    def text(value):
        return isinstance(value, str) and value.strip() != ""

    def number(value):
        return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e6

    wanted = {
        "id": (text(e.id) and re.fullmatch(r"\w+(\.\w+)*", e.id), 'a name such as "bandit.greedy"'),
        "notebook": (text(e.notebook) and re.fullmatch(r"[\w-]+", e.notebook),
                     'the name of a notebook without its folder and ending, such as "bandits"'),
        "title": (text(e.title), "a text"),
        "function": (text(e.function) and e.function.isidentifier(), "the name of a function"),
        "task": (isinstance(e.task, str), "a text"),
        "points": (number(e.points) and int(e.points) == e.points, "a whole number from 1"),
        "difficulty": (e.difficulty in DIFFICULTIES, f"one of {', '.join(DIFFICULTIES)}"),
        "minutes": (number(e.minutes), "a number above 0"),
        "hints": (isinstance(e.hints, (tuple, list)) and len(e.hints) == 2 and all(
            isinstance(hint, str) for hint in e.hints), 'two texts, as in hints=("first", "second")'),
        "cases": (callable(e.cases), "a function of a seed that returns a list of Case"),
        "reference": (callable(e.reference), "a function of the inputs of a case, in order"),
        "tolerance": (number(e.tolerance), "a number above 0"),
    }
    for name, (good, what) in wanted.items():
        if not good:
            return f"{name} must be {what}; got {str(getattr(e, name))[:60]!r}"
    if e.notebook in course:
        return f"notebook {e.notebook!r} is a chapter of the course; give yours a name that is not taken"
    return None


def _module(path):
    name = f"coursekit_own_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ValueError(f"{path} can't be imported: {type(error).__name__}: {error}") from error
    return module
