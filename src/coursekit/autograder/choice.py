"""Which of the files that a learner handed in are graded, chapter by chapter; every other one gets a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from coursekit.autograder.book import Chapter
from coursekit.autograder.learners import Aside, Handed, Learner
from coursekit.autograder.reader import (
    Cell,
    Content,
    File,
    UnreadableError,
    UnreadableFile,
    definitions,
    not_run,
    parse,
)

HELPERS, HELPER_BYTES = 20, 200_000  # modules beside a notebook that it may import
SEEN, SEEN_BYTES = 1000, 500 << 20  # files of one learner that may be notebooks, the newest first


@dataclass
class Chosen:
    """files: what is graded. graded: how many of the files handed in they are, helper modules included. aside: the
    rest. cells: by chapter, of the notebook chosen for it. time: when the newest of them was changed."""

    files: list[File | UnreadableFile] = field(default_factory=list)
    graded: int = 0
    aside: list[Aside] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    cells: dict[str, list[Cell]] = field(default_factory=dict)
    time: float | None = None


class _NoNotebookError(UnreadableError):
    """The file is something else than a notebook."""


@dataclass
class _Budget:
    """What has been read of one learner."""

    files: int = 0
    bytes: int = 0

    def spend(self) -> None:
        self.files += 1
        if self.files > SEEN or self.bytes > SEEN_BYTES:
            raise _NoNotebookError(f"not read after {SEEN} newer files, or {SEEN_BYTES >> 20} MB of them")


@dataclass
class _Candidate:
    """A notebook with exercises of chapters that are graded. ranks: by chapter, the larger the better."""

    handed: Handed
    data: bytes
    cells: list[Cell]
    ranks: dict[str, tuple[bool, bool, tuple[int, float], str]]

    @classmethod
    def of(cls, handed: Handed, data: bytes, content: Content, wanted: dict[str, Chapter]) -> _Candidate:
        names = content.chapters
        return cls(handed, data, content.cells, {
            name: (_answered(content, wanted[name]), names[0] == name, handed.age, handed.name)
            for name in names if name in wanted})


def choose(person: Learner, chapters: Sequence[Chapter]) -> Chosen:
    """For each chapter the notebook with answers before one without any, then the newest."""
    found = Chosen(aside=list(person.aside))
    wanted = {chapter.name: chapter for chapter in chapters}
    candidates: list[_Candidate] = []
    taken: dict[str, _Candidate] = {}
    unreadable: list[UnreadableFile] = []
    other: list[Aside] = []
    modules = {file.name: file for file in person.handed if file.name.endswith(".py")}
    budget = _Budget()
    for file in sorted(sorted(person.handed, key=lambda f: f.name), key=lambda f: f.age, reverse=True):
        if modules.get(file.name) is file:
            continue
        try:
            data, content = _look(file, budget)
        except _NoNotebookError as error:
            found.aside.append(Aside(file.name, str(error)))
        except UnreadableError as error:
            unreadable.append(UnreadableFile(file.name, str(error)))
        else:
            if wanted.keys() & content.chapters:
                candidates.append(_Candidate.of(file, data, content, wanted))
                _keep_the_best(candidates, taken)
            else:
                other.append(Aside(file.name, f"for {content.chapters[0]}, which is not graded here"))
    for name in wanted.keys() - taken.keys():
        found.notes += [f"no notebook for {name}, but {a.name} is {a.reason}" for a in other[:1]]
    found.aside += other
    _account(found, candidates, taken, modules)
    found.aside += [Aside(file.name, file.reason) for file in unreadable]
    if taken:
        found.notes += [f"{file.name}: {file.reason}" for file in unreadable[:3]]
    else:  # the reason why there is nothing to grade
        found.files += [UnreadableFile(*aside) for aside in found.aside[len(person.aside):]][-5:]
    return found


def _look(file: Handed, budget: _Budget) -> tuple[bytes, Content]:
    """(bytes, Content) of a notebook. Raises _NoNotebookError, or UnreadableError for a broken one."""
    if not file.may_be_a_notebook():
        raise _NoNotebookError("no notebook")
    budget.spend()
    data = file.read()
    budget.bytes += len(data)
    if not file.is_called_notebook() and not _looks_like_notebook(data):
        raise _NoNotebookError(file.scripted() or "no notebook")
    content = parse(data)
    if not content.chapters:
        raise UnreadableError("it holds no exercise of this course")
    return data, content


def _keep_the_best(candidates: list[_Candidate], taken: dict[str, _Candidate]) -> None:
    """Take the newest candidate into account, and forget what is in those that are no chapter's best."""
    new = candidates[-1]
    for name, rank in new.ranks.items():
        if name not in taken or rank > taken[name].ranks[name]:
            taken[name] = new
    for candidate in candidates:
        if not any(candidate is best for best in taken.values()):
            candidate.data, candidate.cells = b"", []


def _answered(content: Content, chapter: Chapter) -> bool:
    """Whether a learner has written anything into the cells that define what is asked for, or into a cell that does
    not run."""
    own = "\n".join(cell.source for cell in content.cells if chapter.is_own(cell))
    texts = [cell for cell in content.texts if chapter.is_own(cell)]
    return any(definitions(e.function, own) or not_run(e.function, texts) for e in chapter.exercises)


def _account(found: Chosen, candidates: list[_Candidate], taken: dict[str, _Candidate],
             modules: dict[str, Handed]) -> None:
    """The candidates that were taken become files, with the modules that they import; the others are set aside."""
    used: set[str] = set()
    for candidate in candidates:
        handed, names = candidate.handed, tuple(n for n in taken if taken[n] is candidate)
        if names:
            beside = list(_beside(candidate, modules))
            used.update(name for name, _, _ in beside)
            helpers = tuple((stem, text) for _, stem, text in beside)
            found.files.append(File(handed.name, candidate.data, names, helpers))
            found.cells |= dict.fromkeys(names, candidate.cells)
            found.graded += 1
            found.time = max(found.time or 0.0, handed.time)
        else:
            name = next(iter(candidate.ranks))
            found.aside.append(Aside(handed.name, f"another copy for {name}: {taken[name].handed.name} was graded"))
            found.notes.append(f"several notebooks for {name}: {taken[name].handed.name} was graded")
    found.notes = list(dict.fromkeys(found.notes))
    found.graded += len(used)
    unused = [name for name in modules if name not in used]
    found.aside += [Aside(name, k < HELPERS and modules[name].scripted() or "no notebook")
                    for k, name in enumerate(unused)]


def _beside(candidate: _Candidate, modules: dict[str, Handed]) -> Iterator[tuple[str, str, str]]:
    """(name of the file, of the module, text) of the modules in the folder of a notebook that it names, or that
    these name. Loose files of Canvas lie in one folder for all; of two under one name the newest counts."""
    folder = str(PurePosixPath(candidate.handed.name).parent)
    oldest_first = sorted(modules.items(), key=lambda found: (found[1].age, found[0]))
    near = {file.module or PurePosixPath(n).stem: n for n, file in oldest_first
            if str(PurePosixPath(n).parent) == folder and (folder != "." or file.module)}
    todo = ["\n".join(cell.source for cell in candidate.cells)]
    seen: set[str] = set()
    while todo:
        text = todo.pop()
        imported = re.findall(r"^[ \t]*(?:from|import)[ \t]+(\w+)", text, re.M)
        for stem in dict.fromkeys([*imported, *re.findall(r"\w+", text)]):  # or run, or read: named somewhere
            if stem in near and stem not in seen and len(seen) < HELPERS:
                seen.add(stem)
                try:
                    data = modules[near[stem]].read()
                except UnreadableError:
                    continue
                if len(data) <= HELPER_BYTES:
                    todo.append(data.decode("utf-8", "replace"))
                    yield near[stem], stem, todo[-1]


def _looks_like_notebook(data: bytes) -> bool:
    begins = data[:200].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
    return begins and (b'"cells"' in data or b'"worksheets"' in data)
