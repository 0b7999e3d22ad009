"""grades.csv, in columns of its own or in those that Canvas and Moodle import."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from coursekit.autograder.submission import FAULT, Record, Settings

FORMATS = ("plain", "canvas", "moodle")


def csv_text(records: Sequence[Record], settings: Settings, form: str) -> str:
    """The text of grades.csv. A learner whom the grader failed has no points there, which is not a zero."""
    rows = {"plain": _plain, "canvas": _canvas, "moodle": _moodle}[form](records, settings)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[_safe(cell) for cell in row] for row in rows])
    return text.getvalue()


def _plain(records: Iterable[Record], settings: Settings) -> Iterator[list[Any]]:
    ids = [e.id for chapter in settings.chapters for e in chapter.exercises]
    yield ["learner", "name", *ids, "total", "possible", "status", "flags"]
    for r in records:
        none = "" if r.status == FAULT else 0
        points = [r.exercises[i].points if i in r.exercises else none for i in ids]
        yield [r.learner, r.name, *points, _total(r), r.possible, r.status, _flags(r)]


def _canvas(records: Sequence[Record], settings: Settings) -> Iterator[list[Any]]:
    yield ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "coursekit"]
    yield ["    Points Possible", "", "", "", "", max(r.possible for r in records)]
    for r in records:
        yield [r.name, r.learner, "", "", "", _total(r)]


def _moodle(records: Iterable[Record], settings: Settings) -> Iterator[list[Any]]:
    yield ["Identifier", "Full name", "Grade", "Maximum Grade", "Feedback comments"]
    for r in records:
        yield [f"Participant {r.learner}", r.name, _total(r), r.possible, _flags(r)]


def _total(record: Record) -> int | str:
    return "" if record.points is None else record.points


def _flags(record: Record) -> str:
    return "; ".join(record.notes + record.flags) or record.reason or ""


def _safe(cell: Any) -> Any:
    """A spreadsheet takes text that begins like this for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
