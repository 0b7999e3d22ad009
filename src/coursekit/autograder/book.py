"""The instructor's own notebooks: where they are, and what their cells hold."""

import json
from pathlib import Path

import coursekit
from coursekit.exercises import EXERCISES


def chapters(book=None, names=None):
    """{notebook's name: path} of the chapters with exercises, in order.

    Args: book: their folder; by default `book` beside the sources of coursekit, or in the current folder.
        names: only these chapters, such as ["02_gae"]. Default: all of the folder.
    Raises: ValueError: no such folder or chapter.
    """
    places = [book] if book else [Path(coursekit.__file__).parents[2] / "book", Path("book")]
    folder = next((p for p in places if Path(p).is_dir()), None)
    known = dict.fromkeys(sorted(e.notebook for e in EXERCISES.values()))
    paths = {n: Path(folder) / f"{n}.ipynb" for n in known} if folder else {}
    found = {n: path for n, path in paths.items() if path.is_file()}
    if not found:
        raise ValueError(f"no chapters in {book or 'a folder book'}; pass --book FOLDER, the folder book of a "
                         "clone of the course")
    if unknown := [n for n in names or () if n not in found]:
        raise ValueError(f"no chapter is called {unknown[0]!r}; there are: {', '.join(found)}")
    return {n: path for n, path in found.items() if not names or n in names}


def cells(path):
    """The cells of one of our own notebooks, as dictionaries with the source in one piece."""
    notebook = json.loads(Path(path).read_text(encoding="utf-8"))
    return [cell | {"source": "".join(cell["source"])} for cell in notebook["cells"]]


def role(cell):
    return cell["metadata"].get("coursekit", {}).get("role")


def answers(path):
    """{exercise id: source of its hidden solution, under the learner's name} of a chapter."""
    found = {c["metadata"]["coursekit"]["exercise"]: c["source"] for c in cells(path) if role(c) == "solution"}
    return {i: source.replace(f"{EXERCISES[i].function}_solution", EXERCISES[i].function)
            for i, source in found.items()}
