"""From a record of what was right to points: weights, partial credit, lateness, and what was set by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from coursekit.autograder.book import Chapter
from coursekit.autograder.course import Course
from coursekit.autograder.gradebook import Corrections, number
from coursekit.autograder.learners import Learner
from coursekit.autograder.roster import Student
from coursekit.autograder.submission import FAULT, Record

SPREAD = 120  # seconds: where all files of a class are as old as that, they are the times of copying


@dataclass
class Mark:
    """points: by exercise, and their total after lateness; None where the grader failed. late: in words. by_hand:
    what was set by hand, exercises or "total". comment: the instructor's."""

    points: dict[str, float | None]
    total: float | None
    possible: float
    late: str | None = None
    by_hand: list[str] = field(default_factory=list)
    comment: str = ""

    def payload(self) -> dict[str, Any]:
        return asdict(self)


class Marker:
    """Gives the Mark of a Record. Raises ValueError for a date in students.csv that is none."""

    def __init__(self, course: Course, chapters: Iterable[Chapter], corrections: Corrections,
                 people: list[Learner]) -> None:
        self.course, self.corrections, self.chapters, self.people = course, corrections, tuple(chapters), people
        self.ids = [e.id for chapter in self.chapters for e in chapter.exercises]
        self.possible = sum(course.worth(i) for i in self.ids)
        rows = [person.student for person in people if person.student]
        self.dates = {row.id: (_date(row, "deadline"), _date(row, "submitted")) for row in rows}
        times = [max(file.time for file in p.handed) for p in people if p.handed]
        self.times_of_copying = len(times) > 1 and max(times) - min(times) < SPREAD

    def mark(self, record: Record) -> Mark:
        """The Mark of a learner: by the cases, then what was set by hand in place of it, then lateness."""
        own = self.corrections.of(record.learner)
        points = {i: own.points.get(i, self._earned(record, i)) for i in self.ids}
        by_hand = [i for i in (*self.ids, "total") if i in own.points]
        known = [p for p in points.values() if p is not None]
        found = Mark(points, None, self.possible, by_hand=by_hand, comment=own.comment)
        if len(known) == len(points):
            lost, found.late = self._lateness(record)
            found.total = round(sum(known) * (1 - lost), 2)
        found.total = own.points.get("total", found.total)
        return found

    def hidden(self, record: Record, before: str | None) -> list[str]:
        """A line where points by hand stay though the content of the hand-in is another than before."""
        mark = self.mark(record)
        if not (before and record.content and mark.by_hand) or record.content == before:
            return []
        graded = Marker(self.course, self.chapters, Corrections(), self.people).mark(record)
        points = "none" if graded.total is None else number(graded.total)
        return [f"{record.learner} has handed in again and keeps the points by hand ({', '.join(mark.by_hand)}): "
                f"total {number(mark.total or 0)}, and {points} as graded; empty the cell to take these"]

    def notes(self) -> list[str]:
        """What an instructor should know about deadlines."""
        if self.course.late.deadline is None or not self.times_of_copying:
            return []
        return ["the files' times are those of copying, so nobody counts as late; unpack the download with its "
                "times (unzip keeps them), or give students.csv a column submitted"]

    def _earned(self, record: Record, exercise: str) -> float | None:
        if record.status == FAULT:
            return None
        verdict, worth = record.exercises.get(exercise), self.course.worth(exercise)
        if verdict is None or verdict.status == "not attempted":
            return 0.0
        if verdict.status == "correct":
            return worth
        return round(worth * record.shares.get(exercise, 0.0), 2) if self.course.partial else 0.0

    def _lateness(self, record: Record) -> tuple[float, str | None]:
        """(share of the points that is lost, what to say of it)."""
        deadline, submitted = self.dates.get(record.learner, (None, None))
        deadline = deadline or self.course.late.deadline
        if submitted is None and record.time and not self.times_of_copying:
            submitted = datetime.fromtimestamp(record.time, UTC)
        if deadline is None or submitted is None or submitted <= deadline:
            return 0.0, None
        days = (submitted - deadline).total_seconds() / 86400
        lost = self.course.late.lost(days)
        return lost, f"{_span(days)} after the deadline" + (f", minus {lost:.0%}" if lost else ", no points lost")


def _span(days: float) -> str:
    minutes = max(1, round(days * 1440))
    return f"{minutes} min" if minutes < 60 else f"{minutes / 60:.1f} h" if minutes < 1440 else f"{days:.1f} days"


def _date(student: Student, column: str) -> datetime | None:
    text = getattr(student, column)
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"students.csv: {column} of {student.id!r} must be a date such as 2026-11-29 23:59, got "
                         f"{text!r}") from None
