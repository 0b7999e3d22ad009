"""Who handed in what: one folder, file or zip per learner, downloads of Moodle and Canvas, students.csv.

Every file is accounted for: it belongs to a learner, or it is set aside with a reason in words.
"""

from __future__ import annotations

import hashlib
import os
import re
import statistics
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from coursekit.autograder import archives
from coursekit.autograder.outcome import readable
from coursekit.autograder.reader import SAFELY, UnreadableError, read_file, scripted
from coursekit.autograder.roster import Roster, Student, normal, read_roster

MOODLE = re.compile(r"^(?P<name>[^_]+|.+?)_(?P<id>\d+)_assignsubmission_(file|onlinetext)(_(?P<rest>.*))?$")
CANVAS = re.compile(r"^(?P<name>[^_]+)_((?P<late>LATE)_)?(?P<id>\d+)_(?P<file>\d+)_(?P<rest>.+)$")
LOOSE = re.compile(r"_((?P<late>LATE)_)?(?P<id>[1-9]\d*)(?=_(?P<file>[1-9]\d{2,})_(?P<rest>.+)$)")  # wherever it is
MARK = "_assignsubmission_"
ENDING = re.compile(r"(?i)(\.ipynb|\.zip|(?<=\.ipynb)\.(json|txt|zip))$")
ARCHIVES = (".7z", ".rar", ".tar", ".tgz", ".gz", ".bz2", ".xz")
COPY = re.compile(r"(?i)( ?\(\d+\)| - copy( \(\d+\))?|-copy\d*| copy( \d+)?)$")  # what browsers and systems append
HIDDEN = (".", "__MACOSX", "~$")
TEACHERS = ("students.csv", "course.toml")  # not handed in by anybody
SCRIPT = 300_000  # bytes of a notebook that was saved as a script
DEPTH, ENTRIES = 20, 5000  # folders in folders, and files, that are read of one learner
UNPACK = "it holds the submissions of several learners; unpack them into the folder of submissions"


class Aside(NamedTuple):
    """A file, or a folder that was not read, that nobody's grade comes from, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Handed:
    """A file that was handed in, not read yet.

    name: where it lies below the submissions, with / everywhere. member: its place in the zip at `path`. time: when
    it was changed. reason: why it can't be read, if that is known. module: what a module was called before Canvas
    renamed it. number: Canvas's of the file, the larger the newer.
    """

    name: str
    path: Path
    time: float
    member: int | None = None
    reason: str | None = None
    module: str | None = None
    number: int = 0

    @property
    def age(self) -> tuple[int, float]:
        """The larger, the newer, among a learner's files: Canvas stamps them when it packs them."""
        return self.number, self.time

    def read(self) -> bytes:
        """Its bytes. Raises UnreadableError."""
        if self.reason:
            raise UnreadableError(self.reason)
        return read_file(self.path) if self.member is None else archives.read_member(self.path, self.member)

    def may_be_a_notebook(self) -> bool:
        """Whether it is called one, begins like one, or is one saved as a script."""
        return (self.is_called_notebook() or self.member is not None or self.reason is not None
                or _begins(self.path) or self.scripted() is not None)

    def scripted(self) -> str | None:
        """The reason not to grade it where it is a notebook saved as a script."""
        if not self.name.lower().endswith((".py", ".md")):
            return None
        try:
            large = self.member is None and self.path.lstat().st_size > SCRIPT
            return None if large else scripted(self.name, self.read())
        except (UnreadableError, OSError):
            return None

    def is_called_notebook(self) -> bool:
        return ".ipynb" in PurePosixPath(self.name).name.lower()


@dataclass
class Learner:
    """id: names the learner's files in the grades. handed: what they handed in. aside: what of it can't be a
    notebook. notes: what an instructor should know. student: their row of students.csv. form: "Moodle" or "Canvas",
    whose download the files are from."""

    id: str
    name: str
    handed: list[Handed] = field(default_factory=list)
    aside: list[Aside] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    student: Student | None = None
    form: str | None = None


@dataclass
class Submissions:
    """A class: its Learners by id, what belongs to nobody, and what was decided on the way.
    conflicts: whether an instructor must decide whose a file is. maxima: as in Roster."""

    learners: list[Learner]
    aside: list[Aside]
    notes: list[str]
    conflicts: bool
    maxima: dict[str, float] = field(default_factory=dict)

    @property
    def files(self) -> int:
        return len(self.aside) + sum(len(person.handed) + len(person.aside) for person in self.learners)


class Owner(NamedTuple):
    """Whose a folder or file is, by its name. form: "Moodle", "Canvas" or None. late, number, rest: Canvas's mark,
    its number of the file, and the file's own name."""

    id: str
    name: str
    form: str | None = None
    late: bool = False
    number: int = 0
    rest: str = ""


def owner(stem: str) -> Owner:
    """The Owner from the name of a file or folder. Moodle: Ada Lovelace_123_assignsubmission_file;
    Canvas: lovelaceada_123_456_02_gae; else the name itself is both id and name."""
    if match := MOODLE.match(stem):
        return Owner(match["id"], match["name"], "Moodle")
    if match := CANVAS.match(stem):
        return _canvas(match, match["name"])
    return Owner(stem, stem)


def canvas_owners(stem: str) -> list[Owner]:
    """Every Owner that a name of Canvas's may mean: the names of learners may hold "_" and digits too."""
    return [_canvas(match, stem[:match.start()]) for match in LOOSE.finditer(stem) if match.start()]


def _canvas(match: re.Match[str], name: str) -> Owner:
    return Owner(match["id"], name, "Canvas", match["late"] is not None, int(match["file"]), match["rest"])


def submissions(folder: str | Path) -> Submissions:
    """The Submissions in a folder. Raises ValueError: no folder, nothing to grade in it, or a contradictory
    students.csv."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"no folder of submissions at {folder}")
    places = sorted(folder.iterdir())
    finder = _Finder(read_roster(folder / "students.csv"), places)
    for place in places:
        if place.name not in TEACHERS:
            finder.add(place)
    found = finder.finished()
    if not found.learners:
        why = f" ({found.aside[0].name}: {found.aside[0].reason})" if found.aside else ""
        raise ValueError(f"no submissions in {folder}{why}: put a folder or an .ipynb file there for each learner")
    return found


class _Finder:
    """Collects what lies at the top of a folder of submissions."""

    def __init__(self, roster: Roster, places: Sequence[Path]) -> None:
        self.roster = roster
        self.prefixes = prefixes([place.name for place in places if place.is_dir()])
        numbers = [by.number for place in places if (by := owner(_stem(place.name))).number]
        self.usual = statistics.median_high(numbers) if len(numbers) > 1 else 0  # Canvas's number of a file here
        self.cut: set[str] = set()  # prefixes that were left out to find a learner
        self.people: dict[str, Learner] = {}
        self.aside: list[Aside] = []
        self.notes = list(roster.notes)
        self.conflicts = False
        self.places: dict[str, list[tuple[Owner, list[Handed], list[Aside]]]] = defaultdict(list)
        self.spelled: dict[str, set[str]] = defaultdict(set)

    def add(self, place: Path) -> None:
        """Take a folder or file into account."""
        if place.name.startswith(HIDDEN):
            return self.aside.append(Aside(place.name, "hidden, not read"))
        handed, aside = _contents(place)
        spelled = unicodedata.normalize("NFC", _stem(place.name))
        stem = readable(normal(spelled)) or "_"
        by = self.owner(stem)
        student = self.roster.find(stem, place.name, by.id, by.name) or self.repository(place, stem)
        if stem.count(MARK) > 1:
            return self.refuse(handed, aside, "its name can be read as two of Moodle's; rename it")
        if several := self.several(place, handed):
            return self.refuse(handed, aside, several)
        if not student and (shared := self.roster.ambiguous(stem, by.name)):
            return self.refuse(handed, aside, f"students.csv has several called {shared!r}; name it by the id")
        is_file = not place.is_dir() or place.is_symlink()
        if is_file and by.form == "Canvas":
            module = re.fullmatch(r"(\w+?)(-\d+)?\.py", by.rest)
            handed = [replace(file, number=by.number, module=module and module[1]) for file in handed]
        if is_file and not student and not by.form and not any(file.may_be_a_notebook() for file in handed):
            self.aside += [*aside, *(Aside(file.name, file.reason or "no notebook") for file in handed)]
            return
        key = student.id if student else by.id
        self.places[key].append((by, handed, aside))
        if not student and not by.form:
            self.spelled[key].add(spelled)

    def owner(self, stem: str) -> Owner:
        """The Owner by a name. Of several that Canvas may mean: whom the roster calls so; else the first with a
        number of the file that is near the others'; else the first in the roster."""
        found = canvas_owners(stem)
        known = [(by, student) for by in found if (student := self.roster.find(by.id))]
        own = [by for by, student in known if re.sub(r"\W", "", student.name).casefold() == by.name.casefold()]
        near = [by for by in found if self.usual / 2 <= by.number <= self.usual * 2]
        return next(iter([*own, *near, *(by for by, _ in known)]), owner(stem))

    def repository(self, place: Path, stem: str) -> Student | None:
        """The student whom a repository belongs to: GitHub Classroom calls it by the assignment and the login."""
        for prefix in self.prefixes if place.is_dir() else ():
            if student := self.roster.find(stem.removeprefix(prefix)):
                self.cut.add(prefix)
                return student
        return None

    def refuse(self, handed: list[Handed], aside: list[Aside], reason: str) -> None:
        """Set everything at a place aside, for an instructor to decide."""
        self.conflicts = True
        self.aside += [*aside, *(Aside(file.name, reason) for file in handed)]

    def several(self, place: Path, handed: list[Handed]) -> str | None:
        """The reason where a folder or zip holds those of several: two names of Moodle, Canvas or the roster."""
        owners = set()
        for file in handed:
            parts = PurePosixPath(file.name).parts[1:]
            for part in parts:
                by = owner(normal(_stem(part)))
                student = self.roster.find(by.id, by.name)
                if by.form or student:
                    owners.add(student.id if student else by.id)
                    break
        return UNPACK if len(owners) > 1 else None

    def finished(self) -> Submissions:
        for key, places in sorted(self.places.items()):
            self.assign(key, places)
        for student in self.roster.students.values():
            person = self.people.setdefault(student.id, Learner(student.id, student.name))
            person.student, person.name = student, student.name
        if self.roster.students:
            unknown = [person for person in self.people.values() if not person.student]
            for person in unknown:
                person.notes.append("not in students.csv")
            if unknown:
                self.notes.append("not in students.csv: " + ", ".join(sorted(p.id for p in unknown)))
        forms = [by.form for places in self.places.values() for by, *_ in places]
        for form in ("Moodle", "Canvas"):
            if n := forms.count(form):
                self.notes.append(f"{n} names are {form}'s: the learner's id is the number in them")
        self.notes += [f"every folder begins with {prefix!r}, as GitHub Classroom's do: what follows names the "
                       "learner" for prefix in sorted(self.cut)]
        people = sorted(self.people.values(), key=lambda person: person.id)
        return Submissions(people, sorted(self.aside), self.notes, self.conflicts, self.roster.maxima)

    def assign(self, key: str, places: list[tuple[Owner, list[Handed], list[Aside]]]) -> None:
        """Give what lies at places to the learner of this id, unless two names claim it."""
        names = {by.name.casefold(): by.name for by, *_ in places if by.form}
        if len(self.spelled[key]) > 1 and not names:  # they differ in blanks alone, which no eye sees
            names = {spelled: repr(spelled) for spelled in self.spelled[key]}
        if len(names) > 1:
            for _, handed, aside in places:
                self.refuse(handed, aside, f"two names under one id, {key}: " + " and ".join(sorted(names.values()))
                            + "; rename them, or put names and ids into students.csv")
            return
        base = COPY.sub("", key)
        if base != key and (base in self.places or base in self.people or self.roster.find(base)):
            self.notes.append(f"{key} counts as a copy of {base}")
            student = self.roster.find(base)
            key = student.id if student else base
        person = self.people.setdefault(key, Learner(key, places[0][0].name))
        for by, handed, aside in places:
            person.handed += handed
            person.aside += aside
            person.form = person.form or by.form
            if by.late and MARKED_LATE not in person.notes:
                person.notes.append(MARKED_LATE)


MARKED_LATE = "handed in late, says Canvas"


def prefixes(folders: Sequence[str]) -> list[str]:
    """What all of two or more folders begin with, up to each "-", the shortest first."""
    names = [normal(name) for name in folders if not name.startswith(HIDDEN)]
    common = os.path.commonprefix(names) if len(names) > 1 else ""
    return [common[:at + 1] for at, letter in enumerate(common) if letter == "-"]


def file_names(ids: list[str]) -> dict[str, str]:
    """{learner's id: its name as that of a file}, one of ours, whatever the id is; no two alike on any system."""
    names = {key: _short(re.sub(r"[^\w.@+-]+", "_", key).lstrip(".") or "_") for key in ids}
    taken: dict[str, list[str]] = defaultdict(list)
    for key, name in names.items():
        taken[normal(name).casefold()].append(key)
    for keys in taken.values():
        for key in keys:
            if len(keys) > 1 or names[key] != key:
                names[key] = f"{names[key]}-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return names


def _short(name: str) -> str:
    return name.encode("utf-8", "replace")[:150].decode("utf-8", "ignore")


def _stem(name: str) -> str:
    while match := ENDING.search(name):
        name = name[:match.start()]
    return name or "_"


def _begins(path: Path) -> bool:
    """Whether a file begins like a notebook."""
    try:
        with open(os.open(path, os.O_RDONLY | SAFELY), "rb") as file:
            return file.read(200).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
    except OSError:
        return False


def _contents(place: Path) -> tuple[list[Handed], list[Aside]]:
    """What lies at a place: files that may be read, and what is not."""
    if place.is_symlink() or not place.is_dir():
        return _file(place, place.name)
    handed: list[Handed] = []
    aside: list[Aside] = []
    for path, name, reason in _walk(place):
        if reason:
            aside.append(Aside(name, reason))
        else:
            more, other = _file(path, name)
            handed += more
            aside += other
    return handed, aside


def _walk(place: Path) -> Iterator[tuple[Path, str, str | None]]:
    """(path, name, reason not to read it) of every file below a folder, and of every folder that is not entered."""
    todo, seen = [(place, place.name, 1)], 0
    while todo:
        folder, name, depth = todo.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield folder, f"{name}/", f"a folder that can't be read ({error.strerror})"
            continue
        for entry in entries:
            below, path = f"{name}/{entry.name}", folder / entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            seen += 1
            if entry.name.startswith(HIDDEN):
                yield path, f"{below}/" if is_folder else below, "hidden, not read"
            elif entry.is_symlink() and not entry.name.lower().endswith(".ipynb"):
                yield path, below, "a link, not followed"
            elif is_folder and depth >= DEPTH:
                yield path, f"{below}/", f"more than {DEPTH} folders deep, not read"
            elif is_folder:
                todo.append((path, below, depth + 1))
            elif seen > ENTRIES:
                yield path, below, f"not read after {ENTRIES} files"
            else:
                yield path, below, None


def _file(path: Path, name: str) -> tuple[list[Handed], list[Aside]]:
    """A file as what it is: a zip as its members, anything else as itself."""
    lower = name.lower()
    if lower.endswith(ARCHIVES):
        return [], [Aside(name, "an archive that is not read here; ask for the notebook itself, or a zip")]
    if not lower.endswith(".zip"):
        try:
            return [Handed(name, path, path.lstat().st_mtime)], []
        except OSError as error:
            return [], [Aside(name, f"{error.strerror}")]
    try:
        infos = archives.members(path)
    except UnreadableError as error:
        return [Handed(name, path, path.lstat().st_mtime, reason=str(error))], []
    if not infos:
        return [Handed(name, path, path.lstat().st_mtime, reason="an empty zip")], []
    handed, aside = [], []
    for number, info in enumerate(infos):
        inner = PurePosixPath(info.filename.replace("\\", "/"))
        parts = [part for part in inner.parts if part not in ("/", "..", ".")] or ["_"]
        below = f"{name}/{'/'.join(parts)}"
        if any(part.startswith(HIDDEN) for part in parts):
            aside.append(Aside(below, "hidden, not read"))
        elif below.lower().endswith((*ARCHIVES, ".zip")):
            aside.append(Aside(below, "an archive in an archive, not read"))
        else:
            handed.append(Handed(below, path, archives.changed(info), number))
    return handed, aside
