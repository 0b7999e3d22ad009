"""From a record of what was right to points: weights, partial credit, lateness, and what was set by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from coursekit.autograder.book import Chapter
from coursekit.autograder.course import Course
from coursekit.autograder.gradebook import Corrections, number
from coursekit.autograder.learners import MARKED_LATE, Learner
from coursekit.autograder.roster import MODIFIED, Student
from coursekit.autograder.submission import FAULT, Record

SPREAD = 120  # seconds: where all files of a class are as old as that, they are the times of copying
NEARLY_ALL = 0.9  # of those who are timed by their files: where so many are late, the files' times are not believed
MOODLE = ("%A, %d %B %Y, %I:%M %p", "%A, %B %d, %Y, %I:%M %p", "%A, %d %B %Y, %H:%M")  # how it writes a time
MOST_SECONDS = 250_000_000_000  # since 1970: in the year 9892, and no date is after 9999


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
        self.unread: list[str] = []  # learners with a time of Moodle's in another language
        self.without_zone = course.late.deadline is not None and course.late.zone is None
        rows = [person.student for person in people if person.student]
        self.dates = {row.id: (self._date(row, "deadline"), self._submitted(row)) for row in rows}
        self.untimed = [p for p in people if p.handed and self.dates.get(p.id, (None, None))[1] is None]
        self.distrust = self._distrust()

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
        """What an instructor should know about points by hand and deadlines."""
        return self._above() + self._deadlines()

    def _above(self) -> list[str]:
        worth = {i: self.course.worth(i) for i in self.ids} | {"total": self.possible}
        return [f"by hand: {learner}, {name}: {number(points)} is more than the maximum, {number(worth[name])}"
                for learner, own in self.corrections.by_learner.items()
                for name, points in own.points.items() if points > worth[name]]

    def _deadlines(self) -> list[str]:
        if self.course.late.deadline is None and not any(deadline for deadline, _ in self.dates.values()):
            return []
        said = [f"{self.distrust}: no points are taken for being late by them; give students.csv a column "
                "submitted"] if self.distrust else []
        for form, column in (("Canvas", "submitted"), ("Moodle", f"{MODIFIED!r} or submitted")):
            if n := sum(person.form == form for person in self.untimed):
                said.append(f"{form} stamps files when it packs a download: nobody is late by them, and "
                            f"students.csv does not say when {n} handed in (column {column})")
        if marked := [person.id for person in self.untimed if MARKED_LATE in person.notes]:
            said.append(f"marked LATE by Canvas, and no points taken since it does not say how late: "
                        f"{', '.join(marked)}")
        if self.unread:
            said.append(f"students.csv: {len(self.unread)} times in {MODIFIED!r} are not in Moodle's English (the "
                        f"first: that of {self.unread[0]}); export it in English, or add a column submitted")
        if self.without_zone:
            said.append(f"deadlines and times without a zone were read in this machine's, {_zone()}; write them as "
                        "2026-11-29T23:59:00+01:00")
        return said

    def _distrust(self) -> str:
        """Why the times of the files do not make anybody late, or "". Those of downloads never do."""
        times = {person.id: max(file.time for file in person.handed) for person in self.untimed if not person.form}
        if not times:
            return ""
        if len(times) > 1 and max(times.values()) - min(times.values()) < SPREAD:
            return "all files are equally old, so their times are those of copying"
        late = sum(self.course.late.lost(self._late(learner, _utc(at)) or 0) > 0 for learner, at in times.items())
        return (f"{late} of {len(times)} learners are late by the times of their files, which may be those of "
                "copying" if late >= NEARLY_ALL * len(times) else "")

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
        submitted = self.dates.get(record.learner, (None, None))[1]
        if submitted is None and record.time and not self.distrust:
            submitted = _utc(record.time)
        days = self._late(record.learner, submitted) if submitted else None
        if days is None:
            return 0.0, None
        lost = self.course.late.lost(days)
        return lost, f"{_span(days)} after the deadline" + (f", minus {lost:.0%}" if lost else ", no points lost")

    def _late(self, learner: str, submitted: datetime) -> float | None:
        """How many days after the learner's deadline, None where it is not after it."""
        deadline = self.dates.get(learner, (None, None))[0] or self.course.late.deadline
        if deadline is None or submitted <= deadline:
            return None
        return (submitted - deadline).total_seconds() / 86400

    def _submitted(self, student: Student) -> datetime | None:
        """When a learner handed in, by students.csv."""
        if student.submitted:
            return self._date(student, "submitted")
        try:
            return self._date(student, "modified")
        except ValueError:  # of Moodle's own, so no mistake of the instructor's
            self.unread += [student.id] if any(map(str.isdigit, student.modified)) else []
            return None

    def _date(self, student: Student, column: str) -> datetime | None:
        """A time of students.csv; without a zone it is in that of course.toml's deadline, or this machine's."""
        text = getattr(student, column)
        if not text:
            return None
        try:
            found = _parsed(text)
            if found.tzinfo is None and self.course.late.zone:
                return found.replace(tzinfo=self.course.late.zone)
            self.without_zone |= found.tzinfo is None
            return found.astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            raise ValueError(f"students.csv: {column} of {student.id!r} must be a date such as "
                             f"2026-11-29T23:59+01:00, got {text!r}") from None


def _span(days: float) -> str:
    minutes = max(1, round(days * 1440))
    return f"{minutes} min" if minutes < 60 else f"{minutes / 60:.1f} h" if minutes < 1440 else f"{days:.1f} days"


def _parsed(text: str) -> datetime:
    """A time in ISO 8601, or as Moodle writes it. Raises ValueError."""
    for form in MOODLE:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return datetime.fromisoformat(text)


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, 0), MOST_SECONDS), UTC)  # files may have any time


def _zone() -> str:
    return f"{datetime.now().astimezone():%Z}"
