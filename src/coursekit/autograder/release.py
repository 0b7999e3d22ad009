"""The chapters as learners get them.

The public book shows every solution behind a fold, so secrecy is no goal; a released notebook only keeps
the answer out of sight until the learner has one.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from coursekit.autograder.book import role
from coursekit.exercises import EXERCISES
from coursekit.saved import write_text


def released(path: Path) -> str:
    """A chapter's text without solution cells; checks lose their stored verdict, which speaks of the solution."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["cells"] = [cell for cell in notebook["cells"] if role(cell) != "solution"]
    for cell in notebook["cells"]:
        if role(cell) == "check":
            cell["outputs"] = []
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def keep_what_differs(texts: Mapping[Path, str]) -> None:
    """Raise ValueError where a file is there and is not what would be written: somebody may have edited it."""
    differs = [path for path, text in texts.items() if path.exists() and (
        not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text)]
    if differs:
        more = f" and {len(differs) - 1} more" if len(differs) > 1 else ""
        raise ValueError(f"{differs[0]}{more} would be replaced, and differ from what is released (edited, or of "
                         "another version); nothing was written. --force replaces them, or name another folder")


def points_table(names: Collection[str]) -> str:
    """CSV: chapter, exercise, title, points."""
    table = io.StringIO()
    rows = [(e.notebook, e.id, e.title, e.points) for e in EXERCISES.values() if e.notebook in names]
    csv.writer(table, lineterminator="\n").writerows([("chapter", "exercise", "title", "points"), *rows])
    return table.getvalue()


def bring_files(text: str, path: Path, folder: Path) -> None:
    """Copy the measured results that the chapter reads and the diagrams that it shows to their places beside it."""
    source = path.parent.parent / "experiments" / "results"
    if "../experiments/results" in text:
        for result in source.glob("*.json"):
            write_text(folder / "experiments" / "results" / result.name, result.read_text(encoding="utf-8"))
    for name in re.findall(r"\]\(figures/([\w-]+\.svg)\)", text):
        write_text(folder / "book" / "figures" / name, (path.parent / "figures" / name).read_text(encoding="utf-8"))
