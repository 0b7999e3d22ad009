"""students.csv: who is in a class, under which names, with which deadline."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from coursekit.autograder.reader import UnreadableError, read_file

IDS = ("id", "student id", "identifier", "participant", "sis user id", "sis login id", "login", "username",
       "github_username", "email address", "email")  # the first column that is there holds the id
NAMES = ("name", "student", "learner", "full name", "student name")
KEYS = {*IDS, *NAMES}  # what may be the name of a folder or file
TIMES = ("deadline", "submitted")
MODIFIED = "Last modified (submission)"  # of Moodle's worksheet, in its English
HEADER = KEYS | {*TIMES}
MAXIMUM, POINTS_POSSIBLE = "maximum grade", "Points Possible"  # Moodle's column, Canvas's row
TEST_STUDENT = "Student, Test"  # Canvas's own, in the exports of courses in which somebody used "Student View"
PREFIX = "participant "  # Moodle's identifier is "Participant 1234567"; its folders carry the number


@dataclass(frozen=True)
class Student:
    """A row of students.csv. deadline, submitted: as written there, or ""; modified: the same, by Moodle."""

    id: str
    name: str
    deadline: str = ""
    submitted: str = ""
    modified: str = ""


@dataclass
class Roster:
    """The Students by id; `known`: by every name or id that is theirs alone; `shared`: names that several have;
    `maxima`: the largest points by column, as exports of Canvas and Moodle state them."""

    students: dict[str, Student] = field(default_factory=dict)
    known: dict[str, Student] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    maxima: dict[str, float] = field(default_factory=dict)

    def find(self, *keys: str) -> Student | None:
        """The student whom one of these keys belongs to."""
        return next((self.known[k] for key in keys if (k := _folded(key)) in self.known), None)

    def ambiguous(self, *keys: str) -> str | None:
        """The first of these keys that several students share."""
        return next((key for key in keys if _folded(key) in self.shared), None)


def normal(text: str) -> str:
    """A name as everybody writes it: macOS stores ü as two characters in the names of files."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def read_roster(path: Path) -> Roster:
    """The Roster of a file, empty where there is none.

    Headers (IDS, NAMES, TIMES) name the columns; without headers they are name and id, or the name alone.
    Separated by commas, semicolons or tabs; in UTF-8, UTF-16 or Windows' cp1252.
    Raises ValueError that names the file: unreadable, or one id twice.
    """
    roster = Roster()
    if not path.exists() and not path.is_symlink():
        return roster
    text, encoding = _text(path)
    if encoding == "cp1252":
        roster.notes.append(f"{path.name} is not UTF-8: it was read as Windows' cp1252")
    for number, row in _rows(text):
        if POINTS_POSSIBLE in row.values():  # the second row of Canvas's own export
            roster.maxima |= {column: most for column in row if (most := _number(row[column])) is not None}
            continue
        if (most := _number(row.get(MAXIMUM, ""))) is not None:
            roster.maxima[MAXIMUM] = most
        student, keys = _student(row)
        if student.name == TEST_STUDENT and "section" in row:
            roster.notes.append(f"{path.name}: {TEST_STUDENT!r} is Canvas's own and gets no row")
            continue
        if not student.id:
            continue
        if student.id in roster.students:
            raise ValueError(f"{path}: the id {student.id!r} stands there twice, the second time in line {number}; "
                             "an id names one learner")
        roster.students[student.id] = student
        for key in {_folded(key) for key in keys if key}:
            if roster.known.setdefault(key, student) is not student:
                roster.shared.add(key)
    for student in roster.students.values():  # an id is its owner's, whoever else is called so
        roster.known[_folded(student.id)] = student
        roster.shared.discard(_folded(student.id))
    for key in roster.shared:
        del roster.known[key]
    return roster


def _folded(key: str) -> str:
    return normal(key).casefold()


def _text(path: Path) -> tuple[str, str]:
    try:
        data = read_file(path)
    except UnreadableError as error:
        raise ValueError(f"{path} can't be read: {error}") from None
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if utf16 else ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise ValueError(f"{path} is text in neither UTF-8 nor cp1252; save it as CSV in UTF-8")


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(number of its line, row by column) of every row that holds something."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=lambda s: (first.count(s), s == ","))
    reader = csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=separator)
    columns: list[str] | None = None
    try:
        for row in reader:
            cells = [normal(cell) for cell in row]
            if not any(cells):
                continue
            if columns is None:
                heads = [cell.casefold() for cell in cells]
                named = any(head in HEADER for head in heads)
                columns = heads if named else ["name", "id"]
                if named:
                    continue
            yield reader.line_num, dict(zip(columns, cells))
    except csv.Error as error:
        raise ValueError(f"students.csv, line {reader.line_num}: {error}") from None


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def _student(row: dict[str, str]) -> tuple[Student, list[str]]:
    """A Student, and the keys that are theirs. One column serves as both name and id."""
    ids = [row[c] for c in IDS if row.get(c)]
    names = [row[c] for c in NAMES if row.get(c)]
    ids = [i[len(PREFIX):] if i.casefold().startswith(PREFIX) else i for i in ids]
    own = (ids or names or [""])[0]
    student = Student(own, (names or ids or [""])[0], *(row.get(c, "") for c in (*TIMES, MODIFIED.casefold())))
    return student, ids + names
