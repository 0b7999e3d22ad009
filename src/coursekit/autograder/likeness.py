"""Equal answers in a class, for the instructor alone: the same code but for names, comments and layout."""

from __future__ import annotations

import ast
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from coursekit.autograder.book import Chapter
from coursekit.autograder.reader import Cell
from coursekit.autograder.submission import Record

SHORT = 60  # nodes of a syntax tree: below, many come to the same code by themselves
PARSED = 20_000  # characters of a cell that is looked at


class Equal(NamedTuple):
    """Learners who gave the same answer to an exercise. book: whether it is the hidden solution's."""

    exercise: str
    learners: list[str]
    book: bool


def prints(cells: Sequence[Cell], chapter: Chapter) -> dict[str, str]:
    """{exercise: fingerprint of the answer}, of answers that are not short."""
    found = {}
    for exercise in chapter.exercises:
        for cell in cells:
            if chapter.is_own(cell) and exercise.function in cell.source and (
                    mark := fingerprint(cell.source, exercise.function)):
                found[exercise.id] = mark
    return found


def fingerprint(source: str, function: str) -> str | None:
    """A hash of a function's code: names of its own, comments, docstring, annotations and layout do not count.
    None where there is none, or it is short."""
    if len(source) > PARSED:
        return None
    try:
        tree = ast.parse(source)
        found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
        if not found:
            return None
        node = _Plain().visit(found[-1])
        size = sum(1 for _ in ast.walk(node))
        text = ast.dump(node, annotate_fields=False)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16] if size >= SHORT else None


def equal_answers(records: Iterable[Record], chapters: Iterable[Chapter]) -> list[Equal]:
    """Right answers that two learners or more share."""
    solved = {i: fingerprint(source, next(e.function for e in chapter.exercises if e.id == i))
              for chapter in chapters for i, source in chapter.answers}
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for record in records:
        for exercise, mark in record.prints.items():
            if exercise in record.exercises and record.exercises[exercise].status == "correct":
                groups[exercise, mark].append(record.learner)
    return [Equal(exercise, learners, solved.get(exercise) == mark)
            for (exercise, mark), learners in sorted(groups.items()) if len(learners) > 1]


def alike(equal: Iterable[Equal], records: Iterable[Record]) -> list[tuple[str, str, int, int]]:
    """(learner, learner, equal answers, answers of both that are right and not short) where two or more are equal,
    answers that are the book's left out."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for group in equal:
        if not group.book and len(group.learners) <= 20:
            for pair in combinations(group.learners, 2):
                counts[pair] += 1
    right = {r.learner: {i for i in r.prints if i in r.exercises and r.exercises[i].status == "correct"}
             for r in records}
    return sorted(((a, b, n, len(right[a] & right[b])) for (a, b), n in counts.items() if n > 1),
                  key=lambda row: -row[2])


class _Plain(ast.NodeTransformer):
    """Names in the order of their first use, no docstring, no annotations."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.body and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant):
            node.body = node.body[1:] or [ast.Pass()]
        node.returns, node.decorator_list, node.name = None, [], ""
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg, node.annotation = self._plain(node.arg), None
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._plain(node.id)
        return node

    def _plain(self, name: str) -> str:
        return self.names.setdefault(name, f"v{len(self.names)}")
