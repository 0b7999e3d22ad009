"""The tables of a class: grades.csv, and those that Canvas and Moodle import, with Moodle's zip of feedback.

The rules that the importers follow stand beside the tests, tests/test_exports.py.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coursekit.autograder.course import Course
from coursekit.autograder.gradebook import number, table
from coursekit.autograder.learners import file_names
from coursekit.autograder.marks import Mark
from coursekit.autograder.report import remarks
from coursekit.autograder.submission import Record

FORMATS = ("plain", "canvas", "moodle")


def grades_text(records: Sequence[Record], marks: Sequence[Mark]) -> str:
    """The text of grades.csv. A learner whom the grader failed has no points there, which is not a zero."""
    ids = list(dict.fromkeys(i for mark in marks for i in mark.points))
    rows = [[r.learner, r.name, *(_text(mark.points[i]) for i in ids), _text(mark.total), number(mark.possible),
             r.status, remarks(r, mark), mark.comment] for r, mark in zip(records, marks)]
    return table([["learner", "name", *ids, "total", "possible", "status", "flags", "comment"], *rows])


def canvas_text(records: Iterable[Record], marks: Sequence[Mark], course: Course) -> str:
    """What Canvas's gradebook imports. A learner without points has no row, which would delete what is there."""
    column = course.title if course.canvas is None else f"{course.title} ({course.canvas})"
    rows: list[list[Any]] = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", column],
                             ["    Points Possible", "", "", "", "", number(marks[0].possible)]]
    for r, mark in zip(records, marks):
        if mark.total is not None:
            own = [r.learner, "", ""] if r.learner.isdecimal() else ["", r.learner, r.learner]
            rows.append([r.name, *own, "", number(mark.total)])
    return table(rows)


def moodle_text(records: Iterable[Record], marks: Iterable[Mark]) -> str:
    """What "Upload grading worksheet" imports, in Moodle's English. A learner without points has no row."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    rows = [["Identifier", "Full name", "Grade", "Maximum Grade", "Last modified (grade)", "Feedback comments"]]
    for r, mark in zip(records, marks):
        if mark.total is not None:
            said = mark.comment or f"{number(mark.total)} of {number(mark.possible)} points"
            rows.append([f"Participant {r.learner}", r.name, number(mark.total), number(mark.possible), now, said])
    return table(rows)


def moodle_zip(records: Sequence[Record], out: Path, title: str) -> bytes:
    """The pages of feedback, named as "Upload multiple feedback files in a zip" matches them."""
    data, files = io.BytesIO(), file_names([r.learner for r in records])
    page = re.sub(r"[^\w.-]+", "-", title).strip("-.") or "feedback"
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for r in records:
            source = out / "feedback" / f"{files[r.learner]}.html"
            if r.learner.isdecimal() and source.is_file():
                name = re.sub(r"[^\w .-]|_", " ", r.name).strip(" .~") or "Participant"
                archive.writestr(f"{name}_{r.learner}_assignfeedback_file_{page}.html", source.read_bytes())
    return data.getvalue()


def no_numbers(records: Iterable[Record]) -> Iterator[str]:
    """Learners whom Moodle can't match: its identifiers are numbers."""
    return (r.learner for r in records if not r.learner.isdecimal())


def _text(points: float | None) -> str:
    return "" if points is None else number(points)
