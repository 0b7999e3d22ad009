"""Who handed in what: one folder or file per learner, downloads of Moodle and Canvas, students.csv."""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from coursekit.autograder.reader import File, UnreadableError, UnreadableFile, read_file

MOODLE = re.compile(r"^(?P<name>.+?)_(?P<id>\d+)_assignsubmission_file_?(?P<rest>.*)$")
CANVAS = re.compile(r"^(?P<name>[^_]+)(?:_LATE)?_(?P<id>\d+)_(?P<file>\d+)_(?P<rest>.+)$")
MOST = 20  # notebooks of one learner, the newest


@dataclass
class Learner:
    """id: names the learner's files in the grades. places: files and folders that they handed in."""

    id: str
    name: str
    places: list[Path] = field(default_factory=list)

    def files(self) -> list[File | UnreadableFile]:
        """The learner's notebooks, the newest last."""
        found = sorted({p for place in self.places for p in _notebooks(place)}, key=_age)
        return [_read(path) for path in found[-MOST:]]


def learners(folder: str | Path) -> list[Learner]:
    """The Learners of a class, by id. Raises ValueError: no folder, nothing in it, or two with one id."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"no folder of submissions at {folder}")
    roster = _roster(folder / "students.csv")
    found: dict[str, Learner] = {}
    for place in sorted(folder.iterdir()):
        if place.name.startswith((".", "__MACOSX")) or (place.suffix != ".ipynb" and not place.is_dir()):
            continue
        key, name = owner(place.name.removesuffix(".ipynb"))
        key, name = next(((roster[k], k) for k in (place.name, place.stem, key, name) if k in roster), (key, name))
        found.setdefault(key, Learner(key, name)).places.append(place)
    for name, key in roster.items():
        found.setdefault(key, Learner(key, name))
    if not found:
        raise ValueError(f"no submissions in {folder}: put a folder or an .ipynb file there for each learner")
    files: dict[str, Learner] = {}
    for learner in found.values():
        if (other := files.setdefault(file_name(learner.id), learner)) is not learner:
            raise ValueError(f"{learner.id!r} and {other.id!r} would share a file of grades; rename one")
    return sorted(found.values(), key=lambda learner: learner.id)


def owner(stem: str) -> tuple[str, str]:
    """(id, name) from the name of a file or folder. Moodle: Ada Lovelace_123_assignsubmission_file;
    Canvas: lovelaceada_123_456_02_gae; else the name itself is both."""
    for pattern in (MOODLE, CANVAS):
        if match := pattern.match(stem):
            return match["id"], match["name"]
    return stem, stem


def file_name(key: str) -> str:
    """A learner's id as the name of a file: one of ours, whatever the id is."""
    return re.sub(r"[^\w.@+-]+", "_", key).lstrip(".")[:120] or "_"


def _roster(path: Path) -> dict[str, str]:
    """{name: id} from students.csv, whose columns are called name and id, or come in this order."""
    if not path.is_file():
        return {}
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file) if len(row) > 1]
    columns = [cell.strip().lower() for cell in rows[0]] if rows else []
    at = [columns.index(c) if c in columns else i for i, c in enumerate(("name", "id"))]
    rows = rows[1:] if "name" in columns or "id" in columns else rows
    return {row[at[0]].strip(): row[at[1]].strip() for row in rows if len(row) > max(at) and row[at[1]].strip()}


def _notebooks(place: Path) -> list[Path]:
    """Notebooks at a place, hidden folders left out; a link to a file is listed, to be refused, not followed."""
    if place.is_symlink() or not place.is_dir():
        return [place]
    found = []
    for folder, inner, names in os.walk(place):
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += [Path(folder, name) for name in names if name.endswith(".ipynb") and not name.startswith(".")]
    return found


def _age(path: Path) -> tuple[float, str]:
    return path.lstat().st_mtime, str(path)


def _read(path: Path) -> File | UnreadableFile:
    try:
        return File(path.name, read_file(path))
    except UnreadableError as error:
        return UnreadableFile(path.name, str(error))
