"""The instructor's own notebooks: where they are, and what their cells hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import coursekit
from coursekit.autograder.reader import Cell, definitions
from coursekit.exercises import EXERCISES, OWN

if TYPE_CHECKING:
    from coursekit.exercises.base import Exercise

DEFINES = re.compile(r"^(async def|def|class|import|from)\b", re.M)


@dataclass(frozen=True)
class Chapter:
    """What the grader knows of a notebook of the course."""

    name: str
    imports: str
    book: tuple[str, ...]  # sources of its code cells
    answers: tuple[tuple[str, str], ...]  # (exercise id, source of the instructor's solution)

    @property
    def exercises(self) -> list[Exercise]:
        return [EXERCISES[i] for i, _ in self.answers]

    def is_own(self, cell: Cell) -> bool:
        """Whether a cell is the learner's own work: not the book's, and no figure with its numbers changed."""
        return cell.source.strip() not in self.book and (
            cell.role != "chapter" or DEFINES.search(cell.source) is not None
            or any(definitions(exercise.function, cell.source) for exercise in self.exercises))


def chapter(path: Path) -> Chapter:
    """The Chapter of one of our own notebooks."""
    found = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    imports = next((cell["source"] for cell in found if role(cell) == "imports"), "")
    return Chapter(path.stem, imports, tuple(c["source"].strip() for c in found), tuple(answers(path).items()))


def chapters(book: str | Path | None = None, names: Iterable[str] | None = None) -> dict[str, Path]:
    """{notebook's name: path} of the chapters with exercises, in order.

    Notebooks of an instructor's own exercises lie in the book's folder too, or beside their module.

    Args: book: their folder; by default `book` beside the sources of coursekit, or those of its wheel, or in the
        current folder.
        names: only these chapters, such as ["02_gae"]. Default: all of the folder.
    Raises: ValueError: no such folder or chapter.
    """
    library = Path(coursekit.__file__).parent
    places = [book] if book else [library.parents[1] / "book", library / "course" / "book", Path("book")]
    folder = next((p for p in places if Path(p).is_dir()), None)
    known = dict.fromkeys(sorted(e.notebook for e in EXERCISES.values()))
    paths = [(n, Path(place) / f"{n}.ipynb") for n in known for place in (folder, OWN.folders.get(n)) if place]
    found = {n: path for n, path in reversed(paths) if path.is_file()}
    found = {n: found[n] for n in known if n in found}
    if not found:
        raise ValueError(f"no chapters in {book or 'a folder book'}; pass --book FOLDER, the folder book of a "
                         "clone of the course")
    if unknown := [n for n in names or () if n not in found]:
        raise ValueError(f"no chapter is called {unknown[0]!r}; there are: "
                         + ", ".join(n for n in known if n in found or n in OWN.folders))
    return {n: path for n, path in found.items() if not names or n in names}


def cells(path: str | Path) -> list[dict[str, Any]]:
    """The cells of one of our own notebooks, as dictionaries with the source in one piece."""
    notebook = json.loads(Path(path).read_text(encoding="utf-8"))
    return [cell | {"source": "".join(cell["source"])} for cell in notebook["cells"]]


def role(cell: dict[str, Any]) -> str | None:
    return cell["metadata"].get("coursekit", {}).get("role")


def answers(path: str | Path) -> dict[str, str]:
    """{exercise id: source of its hidden solution, under the learner's name} of a chapter."""
    found = {c["metadata"]["coursekit"]["exercise"]: c["source"] for c in cells(path) if role(c) == "solution"}
    if unknown := [i for i in found if i not in EXERCISES]:
        raise ValueError(f"{path} holds a solution of {unknown[0]!r}, and no exercise is called so; delete its "
                         "cells, or the notebook to have it made anew of its module")
    return {i: source.replace(f"{EXERCISES[i].function}_solution", EXERCISES[i].function)
            for i, source in found.items()}
