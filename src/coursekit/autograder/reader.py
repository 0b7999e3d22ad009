"""Read what learners hand in: hostile, broken and odd files end as a reason in words, never as a crash."""

from __future__ import annotations

import itertools
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from coursekit.autograder.outcome import readable
from coursekit.autograder.rules import CHECK
from coursekit.exercises import EXERCISES

MAX_BYTES, MAX_CELLS = 50 << 20, 2000
MAX_CODE = 1 << 20  # characters of code in a notebook
MAX_PARTS, MAX_COMMAS = 1_000_000, 10_000_000  # of its JSON: each is many bytes more once it is read
SAFELY = sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))  # Windows has the last one


class UnreadableError(Exception):
    """The file can't be graded, for the reason given."""


@dataclass(frozen=True)
class File:
    """A file that was handed in, and its bytes. chapters: those that are graded from it, None for all in it.
    modules: (name, text) of the modules beside it that it imports."""

    name: str
    data: bytes
    chapters: tuple[str, ...] | None = None
    modules: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class UnreadableFile:
    """A file that was handed in and can't be read, for the reason given."""

    name: str
    reason: str


@dataclass(frozen=True)
class Cell:
    """A cell: its source, and what its metadata says, where they say anything. kind: "code", or what it is else."""

    source: str
    role: str | None
    exercise: str | None
    kind: str = "code"


class Content(NamedTuple):
    """What a notebook holds. cells: the code. chapters: names of those whose exercises it holds, the one with most
    first. texts: the cells that do not run, as far as they are read."""

    cells: list[Cell]
    chapters: list[str]
    texts: list[Cell]


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a regular file of at most 50 MB. Raises UnreadableError; never follows a link, never blocks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | SAFELY)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise UnreadableError("it is no regular file")
            if found.st_size > MAX_BYTES:
                size = f"{found.st_size / 1e6:.0f} MB"
                raise UnreadableError(f"{size} are more than the {MAX_BYTES >> 20} MB allowed")
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(MAX_BYTES)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnreadableError("it is a link" if os.path.islink(path) else f"{error.strerror}") from None


def parse(data: bytes) -> Content:
    """The Content of a notebook, from the bytes of its file. Raises UnreadableError."""
    if not data.strip():
        raise UnreadableError("the file is empty")
    if data.count(b"{") + data.count(b"[") > MAX_PARTS or data.count(b",") > MAX_COMMAS:
        raise UnreadableError("it holds more parts than any notebook: clear its outputs, and save it again")
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UnreadableError(f"it is not UTF-8 text (byte {error.start})") from None
    except RecursionError:
        raise UnreadableError("its JSON is nested too deep") from None
    except ValueError as error:
        raise UnreadableError(f"it is not JSON: {str(error)[:80]}") from None
    if not isinstance(notebook, dict):
        raise UnreadableError("it is JSON, but no notebook")
    found = notebook.get("cells")
    if found is None and isinstance(sheets := notebook.get("worksheets"), list):  # nbformat 3
        found = [c for s in sheets if isinstance(s, dict) and isinstance(s.get("cells"), list) for c in s["cells"]]
    if not isinstance(found, list) or len(found) > MAX_CELLS:
        raise UnreadableError("it has no list of cells" if not isinstance(found, list) else "it has too many cells")
    every = [cell for number, raw in enumerate(found, 1) for cell in _cells(raw, number)]
    cells = [cell for cell in every if cell.kind == "code"]
    if (code := sum(len(cell.source) for cell in cells)) > MAX_CODE:
        most = f"more than the {MAX_CODE / 1e6:.1f} allowed"
        raise UnreadableError(f"its code is {code / 1e6:.1f} million characters, {most}")
    texts = sorted((cell for cell in every if cell.kind != "code"), key=lambda cell: len(cell.source))
    sizes = itertools.accumulate(len(cell.source) for cell in texts)
    texts = [cell for cell, size in zip(texts, sizes) if size <= MAX_CODE]
    return Content(cells, _chapters(notebook, cells, texts), texts)


def scripted(name: str, data: bytes) -> str | None:
    """The reason not to grade a file that is a notebook saved as a script; None where it is none."""
    script = name.lower().endswith((".py", ".md")) and re.search(CHECK, data[:MAX_CODE].decode("utf-8", "replace"))
    return "a notebook saved as a script, which is not graded: hand in the .ipynb file" if script else None


def _cells(raw: Any, number: int) -> list[Cell]:
    """A cell, and where it has nothing but an output that as well."""
    cell = _cell(raw, number)
    if cell is None or cell.kind != "code" or cell.source.strip() or not isinstance(raw.get("outputs"), list):
        return [cell] if cell else []
    said = [output.get("text") or (output.get("data") or {}).get("text/plain") for output in raw["outputs"]
            if isinstance(output, dict) and isinstance(output.get("data"), dict | type(None))]
    texts = [text if isinstance(text, str) else "".join(line for line in text if isinstance(line, str))
             for text in said if isinstance(text, str | list)]
    return [cell, replace(cell, source="\n".join(texts), kind="output")]


def _cell(raw: Any, number: int) -> Cell | None:
    if not isinstance(raw, dict):
        raise UnreadableError(f"cell {number} is no cell")
    kind = raw.get("cell_type")
    kind = kind if isinstance(kind, str) else "nameless"
    source = raw.get("source", raw.get("input", ""))
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str) and kind != "code":
        return None
    if not isinstance(source, str):
        raise UnreadableError(f"cell {number} has a source that is no text")
    mark = raw.get("metadata")
    mark = mark.get("coursekit") if isinstance(mark, dict) else None
    mark = mark if isinstance(mark, dict) else {}
    role, exercise = (mark.get(key) if isinstance(mark.get(key), str) else None for key in ("role", "exercise"))
    source = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")  # else no cell is the book's
    # A lone surrogate would stop the compiler.
    return Cell(source.encode("utf-8", "replace").decode(), role, exercise, readable(kind)[:20])


def _chapters(notebook: dict[str, Any], cells: list[Cell], texts: list[Cell]) -> list[str]:
    """Which chapters these are, the one with most exercises first: by the marks and checks of exercises, else by
    the functions that are defined, both of cells that run, else of others; else by the notebook's own metadata."""
    for some in (cells, texts):
        text = "\n".join(cell.source for cell in some)
        marks = Counter(EXERCISES[c.exercise].notebook for c in some if c.exercise in EXERCISES)
        marks.update(EXERCISES[i].notebook for i in re.findall(CHECK, text) if i in EXERCISES)
        defined = Counter(e.notebook for e in EXERCISES.values() if definitions(e.function, text))
        if marks or defined:
            votes = marks + defined
            return sorted(marks or defined, key=lambda name: (-votes[name], name))
    own = notebook.get("metadata")
    own = own.get("coursekit") if isinstance(own, dict) else None
    name = own.get("notebook") if isinstance(own, dict) else None
    return [name] if isinstance(name, str) and name in {e.notebook for e in EXERCISES.values()} else []


def definitions(function: str, text: str) -> int:
    """How often text defines or assigns this name at the left margin."""
    return len(re.findall(rf"^(?:(?:async )?def {function}\b|{function} *=[^=])", text, re.M))


def not_run(function: str, texts: Iterable[Cell]) -> str | None:
    """The reason why a function is not there: a cell that does not run defines it. None where there is no such
    cell."""
    begins = re.compile(rf"^[ \t>]*(?:(?:async )?def {function}\b|{function} *= *lambda\b)", re.M)
    kind = next((cell.kind for cell in texts if begins.search(cell.source)), None)
    if kind == "output":
        return "its answer is in the output of a cell, and only code is run: put it into the cell itself"
    return kind and (f"its answer is in a {kind} cell, and only code cells are run: change the type of that cell "
                     "to Code")


def chapters_name(error: str, sources: Iterable[str]) -> str:
    """What to add to an error for want of a name that a cell of the chapter gives; "" for any other.

    sources: of the chapter's cells.
    """
    missing = re.search(r"\bNameError: name '(\w+)' is not defined", error)
    if not missing:
        return ""
    name = rf"\b{missing[1]}\b"
    gives = re.compile(rf"^(?:(?:async )?def|class) {name}|^[^#\n=()]*{name}[^#\n=()]*=[^=]", re.M)
    way_out = "; a cell of the chapter gives it, and these are not run while grading: copy it into your own cell"
    return way_out if any(gives.search(source) for source in sources) else ""


def unknown(cells: Iterable[Cell]) -> list[str]:
    """The exercises that cells name and that nobody knows."""
    named = [i for cell in cells for i in (cell.exercise, *re.findall(CHECK, cell.source)) if i]
    return [readable(i)[:40] for i in dict.fromkeys(named) if i not in EXERCISES]
