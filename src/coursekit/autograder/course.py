"""course.toml: what an instructor decides about a homework. All of it is optional."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from coursekit.autograder.roster import MAXIMUM
from coursekit.exercises import EXERCISES

FILE = "course.toml"
RESERVED = ("Current Score", "Current Points", "Current Grade", "Final Score", "Final Points", "Final Grade",
            "Override Score", "Override Grade", "Override Status", "Points Possible")  # Canvas drops such columns
LATE = {"deadline": datetime, "grace_minutes": (int, float), "percent_per_day": (int, float),
        "most_days": (int, float)}
FORMS = {"title": 'a text in quotes', "canvas": "a whole number", "partial": "true or false",
         "points": 'a section [points] with lines such as "gae.recursion" = 5', "late": "a section [late]",
         "deadline": "deadline = 2026-11-29T23:59:00+01:00, without quotes and with the time",
         "grace_minutes": "a number", "percent_per_day": "a number", "most_days": "a number"}
COURSE = {"title": str, "canvas": int, "partial": bool, "points": dict, "late": dict}


@dataclass(frozen=True)
class Late:
    """Points lost after a deadline: so many percent for each day that has begun, all of them after `most_days`.
    zone: in which the deadline was written, None for this machine's."""

    deadline: datetime | None = None
    zone: tzinfo | None = None
    grace_minutes: float = 0
    percent_per_day: float = 0
    most_days: float | None = None

    def lost(self, days: float) -> float:
        """The share of the points that is lost so many days after the deadline."""
        if days <= self.grace_minutes / 1440:
            return 0.0
        if self.most_days is not None and days > self.most_days:
            return 1.0
        return min(1.0, self.percent_per_day / 100 * -(-days // 1))


@dataclass(frozen=True)
class Course:
    """title: of the homework, as other systems show it. canvas: Canvas's number of the assignment. points: by
    exercise, where they are not the book's. partial: whether a wrong answer earns its share of the cases."""

    title: str
    canvas: int | None = None
    partial: bool = False
    points: dict[str, float] = field(default_factory=dict)
    late: Late = Late()

    def worth(self, exercise: str) -> float:
        return self.points.get(exercise, EXERCISES[exercise].points)


def read_course(places: Iterable[Path], chapters: Iterable[str], set_all: bool) -> Course:
    """The Course from the first of these folders that has a course.toml, or the one without.

    chapters: what is graded, which is the default title; set_all: whether that is every chapter.
    Raises ValueError that names the file and the entry.
    """
    title = "coursekit" if set_all else "coursekit " + " ".join(chapters)
    path = next((place / FILE for place in places if (place / FILE).is_file()), None)
    if path is None:
        return Course(title)
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    _check(path, "", found, COURSE)
    late = found.pop("late", {})
    _check(path, "late.", late, LATE)
    for exercise, points in found.get("points", {}).items():
        if isinstance(points, dict) and points:  # TOML reads a.b as b of a table a
            whole = f'"{exercise}.{next(iter(points))}" = {next(iter(points.values()))}'
            raise ValueError(f"{path}: points: quote the exercise, {whole}")
        if exercise not in EXERCISES:
            raise ValueError(f"{path}: points: no exercise is called {exercise!r}")
        if type(points) not in (int, float) or not 0 <= points < 1e6:
            raise ValueError(f"{path}: points: {exercise} must be a number from 0, got {points!r}")
    for name, number in late.items():
        if name != "deadline" and not 0 <= number < 1e6:
            raise ValueError(f"{path}: late.{name} must be a number from 0, got {number!r}")
    if late and "deadline" not in late:
        raise ValueError(f"{path}: late needs a deadline, such as deadline = 2026-11-29T23:59:00+01:00")
    if "deadline" in late:
        late["zone"] = late["deadline"].tzinfo
        late["deadline"] = late["deadline"].astimezone(late["zone"])
    course = Course(**{"title": title} | found, late=Late(**late))
    if dropped := next((word for word in RESERVED if word in course.title), None):
        raise ValueError(f"{path}: title must not contain {dropped!r}: Canvas drops columns that are called so")
    return course


def _check(path: Path, where: str, found: dict[str, Any], known: dict[str, Any]) -> None:
    for name, value in found.items():
        if name not in known:
            there = ", ".join(where + other for other in known)
            raise ValueError(f"{path}: nothing is called {where}{name}; there are: {there}")
        if not isinstance(value, known[name]) or (isinstance(value, bool) and known[name] is not bool):
            raise ValueError(f"{path}: {where}{name} can't be {value!r}; write {FORMS[name]}")


def overlooked(places: Iterable[Path]) -> list[str]:
    """A line where a course.toml lies in the current folder, and none where it is looked for."""
    looked = list(places)
    if not Path(FILE).is_file() or any((place / FILE).is_file() for place in looked):
        return []
    return [f"{FILE} in the current folder was not read: move it into {looked[0]}"]


def other_maxima(course: Course, maxima: dict[str, float], possible: float) -> list[str]:
    """Lines where an export of Canvas or Moodle states another largest number of points for this homework."""
    def is_this(column: str) -> bool:
        title, number = column.rpartition(" (")[::2]
        return (column == MAXIMUM or len(maxima) == 1 or course.title.casefold() in (column, title)
                or number == f"{course.canvas})")
    return [f"students.csv has {most:g} as the maximum of {column!r}, and {possible:g} points are graded: change "
            f"it there, or the points in {FILE}" for column, most in maxima.items() if is_this(column)
            and most != possible]
