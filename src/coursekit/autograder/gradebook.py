"""What an instructor sets by hand: points and comments, kept in corrections.csv; a table of several homeworks.

grades.csv is written anew by every run. Before that, what was changed in it since the last run is carried over into
corrections.csv, which no run forgets.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coursekit.autograder.outcome import readable
from coursekit.autograder.reader import UnreadableError, read_file
from coursekit.saved import write_text

CORRECTIONS, GRADES, WRITTEN = "corrections.csv", "grades.csv", ".grades.csv"  # the last: grades.csv as written
HEAD = ["learner", "exercise", "points", "comment"]
HOMEWORK = re.compile(r" \(of [\d.,]+\)$")  # what the head of its column ends with
AFTER_SEMICOLON = re.compile(r";(?=[=+\-@])")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass
class Own:
    """What was set by hand for a learner: points by exercise or "total", and a comment."""

    points: dict[str, float] = field(default_factory=dict)
    comment: str = ""


@dataclass
class Corrections:
    """What was set by hand, by learner."""

    by_learner: dict[str, Own] = field(default_factory=dict)

    def of(self, learner: str) -> Own:
        shown = unsafe(safe(learner))  # as tables show the id
        return self.by_learner.get(learner) or self.by_learner.get(shown, Own())

    def text(self) -> str:
        rows = []
        for learner, own in sorted(self.by_learner.items()):
            rows += [[learner, exercise, number(points), ""] for exercise, points in own.points.items()]
            rows += [[learner, "", "", own.comment]] if own.comment else []
        return table([HEAD, *rows])


def read_corrections(folder: Path, exercises: Iterable[str]) -> Corrections:
    """The Corrections kept in a folder of grades. Raises ValueError that names the file and the line."""
    found, path = Corrections(), folder / CORRECTIONS
    if not path.is_file():
        return found
    known = {*exercises, "total", ""}
    for line, row in enumerate(rows_of(path)[1:], 2):
        learner, exercise, points, comment = map(unsafe, (row + [""] * 4)[:4])
        if not learner:
            continue
        if exercise not in known:
            raise ValueError(f"{path}, line {line}: no exercise of this homework is called {exercise!r}")
        own = found.by_learner.setdefault(learner, Own())
        if points and exercise:
            own.points[exercise] = _points(points, f"{path}, line {line}")
        own.comment = comment or own.comment
    return found


def carry_over(folder: Path, corrections: Corrections, exercises: Sequence[str]) -> list[str]:
    """Take what was changed in grades.csv since it was written into corrections.csv. Returns what it was, in lines.

    Raises ValueError where the changes can't be understood: then writing grades.csv would lose them.
    """
    path, written = folder / GRADES, folder / WRITTEN
    if not path.is_file() or (written.is_file() and path.read_bytes() == written.read_bytes()):
        return []
    way_out = "; move it elsewhere, or start anew with --force, which moves its folder aside"
    if not written.is_file():
        raise ValueError(f"{path} was written by something else: its points may be by hand{way_out}")
    before, after = _by_learner(written), _by_learner(path)
    if len(after) != len(rows_of(path)) - 1:
        raise ValueError(f"{path} was edited, and a learner stands in it twice{way_out}")
    changes, ours = [], {*exercises, "total", "comment"}
    for at, (learner, row) in enumerate(after.items(), 2):
        if learner not in before:
            raise ValueError(f"{path} was edited, and row {at} is for {learner!r}, who is none of this class: "
                             "write the learner's id there as before, with the zeros that a spreadsheet drops, and "
                             f"run this again{way_out}")
        if extra := next((column for column in row if column not in before[learner]), None):
            raise ValueError(f"{path} was edited, and its column {extra!r} is none of this command's{way_out}")
        own = corrections.by_learner.setdefault(learner, Own())
        for column, value in row.items():
            was = before[learner][column]
            if column not in ours or _same(value, was):
                continue
            if column == "comment":
                own.comment = unsafe(value)
            elif value:
                own.points[column] = _points(value, f"{path}, row {at}, {learner}, {column}")
            else:
                own.points.pop(column, None)
            changes.append(f"by hand: {learner}, {column}: {was or 'nothing'} -> {value or 'as graded'}")
    if changes:
        write_text(folder / CORRECTIONS, corrections.text())
    return changes


def write_grades(folder: Path, text: str) -> None:
    """Write grades.csv, with the byte order mark by which Excel knows UTF-8, and the copy that tells edits."""
    for name in (GRADES, WRITTEN):
        write_text(folder / name, "\ufeff" + text)


def add_to_gradebook(path: Path, title: str, possible: float, totals: dict[str, tuple[str, float | None]],
                     before: dict[str, str]) -> list[str]:
    """Write a homework's column into a table of homeworks; every other column but the total is left as it is.

    totals: (name, points) by learner. before: the totals of the last run. A number that is neither of the two was
    set by hand there, and is kept. Whoever was in the last run and is not in this one loses the points of it.
    Returns what was kept and what was not, in lines. Raises ValueError: no such table.
    """
    head, *body = rows_of(path) if path.is_file() else [["learner", "name", "total"]]
    if head[:2] != ["learner", "name"] or head.count("total") != 1:
        raise ValueError(f"--gradebook {path} is no table of coursekit's: its columns must be learner, name, one "
                         "for each homework, and one total; columns of your own may stand among them")
    body = [row + [""] * (len(head) - len(row)) for row in body]
    column = f"{title} (of {number(possible)})"
    rows = {unsafe(row[0]): row for row in body}
    totals = {unsafe(safe(i)): found for i, found in totals.items()}  # as tables show the id
    there = ((learner, row[head.index("total")], _sum(head, row, path)) for learner, row in rows.items())
    said = [f"{path.name}: the total of {learner} was {total}, and its homeworks are {computed} together: it is "
            "always computed of them" for learner, total, computed in there
            if total and not _same(total, computed)]
    same = [k for k, name in enumerate(head) if name.rpartition(" (of ")[0] == title]
    at = same[0] if same else head.index("total")
    if not same:
        for row in [head, *body]:
            row.insert(at, "")
    head[at] = column
    for learner, (name, points) in totals.items():
        row = rows.setdefault(learner, [safe(learner), safe(name)] + [""] * (len(head) - 2))
        new = "" if points is None else number(points)
        if row[at] and not _same(row[at], new) and not _same(row[at], before.get(learner, "")):
            said.append(f"{path.name}: {learner} keeps {row[at]}, set by hand there (graded: {new})")
        else:
            row[at] = new
    for learner in before.keys() - totals.keys() & rows.keys():
        row = rows[learner]
        row[at] = "" if _same(row[at], before[learner]) else row[at]
        if not any(row[k] for k in range(2, len(row)) if k != head.index("total")):
            del rows[learner]
    for row in rows.values():
        row[head.index("total")] = _sum(head, row, path)
    write_text(path, "\ufeff" + table([head, *rows.values()], False))
    return said


def _sum(head: list[str], row: list[str], path: Path) -> str:
    """The total of a row: of its homeworks, which say of how many points they are."""
    return number(sum(_points(cell, str(path)) for name, cell in zip(head, row) if HOMEWORK.search(name) and cell))


def totals_written(folder: Path) -> dict[str, str]:
    """{learner: total} of grades.csv as the last run wrote it."""
    path = folder / WRITTEN
    return {learner: row.get("total", "") for learner, row in _by_learner(path).items()} if path.is_file() else {}


def table(rows: Iterable[Sequence[object]], escape: bool = True) -> str:
    """CSV; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    text = io.StringIO()
    lines = [[safe(cell) if escape else cell for cell in row] for row in rows]
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def safe(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    text = "\n".join(map(readable, cell.split("\n")))
    text = AFTER_SEMICOLON.sub("; ", text)  # where ";" separates cells, one may begin in the middle of a text
    return f"'{text}" if text.startswith(FORMULA) else text


def unsafe(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def number(points: float) -> str:
    return f"{points:.2f}".rstrip("0").rstrip(".")


def rows_of(path: Path) -> list[list[str]]:
    """The rows of a table as spreadsheets save it: commas, semicolons or tabs, a byte order mark or none."""
    try:
        text = read_file(path).decode("utf-8-sig")
    except UnreadableError as error:
        raise ValueError(f"{path} can't be read: {error}") from None
    except UnicodeDecodeError:
        text = read_file(path).decode("cp1252", "replace")
    first = text.partition("\n")[0]
    separator = max(",;\t", key=lambda s: (first.count(s), s == ","))
    return [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator)
            if any(row)]


def _by_learner(path: Path) -> dict[str, dict[str, str]]:
    head, *body = rows_of(path) or [[]]
    return {unsafe(row[0]): dict(zip(head, row + [""] * len(head))) for row in body}


def _same(a: str, b: str) -> bool:
    try:
        return float(a.replace(",", ".")) == float(b.replace(",", "."))
    except ValueError:
        return a == b


def _points(text: str, where: str) -> float:
    try:
        points = float(text.replace(",", "."))
    except ValueError:
        points = -1
    if not 0 <= points < 1e6:
        raise ValueError(f"{where}: points must be a number from 0, got {text!r}; write one there, "
                         "in a spreadsheet in a column of text")
    return points
