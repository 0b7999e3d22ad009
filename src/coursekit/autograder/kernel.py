"""Inside the sandbox: a notebook's cells and names, as near to IPython as what they define may depend on.

A cell is Python, or what IPython's own transformer makes of it. Its functions find their source, its classes can be
pickled, `await` works at the top. What only a screen or a shell could show is not done.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
import types
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from coursekit.autograder.outcome import CHECKED, REFUSAL, describe, from_stub, settled

AWAIT = getattr(ast, "PyCF_ALLOW_TOP_LEVEL_AWAIT", 0)
COROUTINE = 0x80  # inspect.CO_COROUTINE
FUTURES = 0x1FE0000  # the flags that `from __future__ import …` sets
DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
ELSEWHERE = frozenset("bash bigquery cmd cython html HTML javascript js julia latex markdown perl pypy python "
                      "python2 python3 R ruby script sh shell sql svg SVG sx system".split())  # no Python of ours


class Notebook:
    """The names of a notebook, and the functions that its checks were given."""

    def __init__(self) -> None:
        module = sys.modules["__main__"] = types.ModuleType("__main__")  # pickle looks for classes there
        self.names = vars(module)
        self.shell = Shell(self)
        self.names |= {"__builtins__": __builtins__, "display": _nothing, "get_ipython": lambda: self.shell,
                       "In": [""], "Out": {}, "_": "", "__": ""}
        self.flags, self.number = 0, 0
        self.lost: set[str] = set()  # names that only the learner's machine could have given
        sys.path.append("")  # what a cell writes beside the notebook can be imported
        self.given: dict[str, Any] = {}
        self.checked: dict[str, Any] = {}

    def run_cell(self, cell: str, name: object, keep: str | None = None) -> dict[str, Any]:
        """Execute a cell; what it prints goes nowhere. keep: "definitions" or "constants", to run only those.
        Returns {"error": text or None, "checked": exercises}."""
        CHECKED.clear()
        failed: str | None = None
        try:
            for statement, file in self._statements(cell, keep):
                try:
                    self._run(statement, file)
                except BaseException as error:
                    failed = failed or describe(error)
                    if not (_ours(error) or isinstance(error, NameError) and error.name in self.lost):
                        break  # the learner's own cell would stop here, too
                    self.lost |= _given_by(statement)
        except SyntaxError as error:
            failed = f"{type(error).__name__}: {error.msg} (line {error.lineno})"
        except BaseException as error:
            failed = describe(error)
        if name == "imports":
            self.given = dict(self.names)
        self.checked |= CHECKED
        return {"error": failed, "checked": list(CHECKED)[:100]}

    def call(self, function: str, inputs: Sequence[Any], exercise: str | None = None) -> dict[str, Any]:
        """Call what the check of an exercise was given, or a function by its name. Returns {"value"} or {"error",
        "not_attempted"} or {"missing"}."""
        found = self.names.get(function) if exercise is None else self.checked.get(exercise)
        if not callable(found) or found is self.given.get(function):  # the library's own, of the same name
            return {"missing": True}
        try:
            return {"value": settled(found(*inputs))}
        except BaseException as error:
            return {"error": describe(error), "not_attempted": from_stub(error, found)}

    def execute(self, source: str) -> Any:
        """Run source here; the value of its last expression."""
        value = None
        for statement, file in self._statements(source, None):
            value = self._run(statement, file)
        return value

    def _statements(self, source: str, keep: str | None) -> Iterator[tuple[ast.stmt, str]]:
        try:
            tree = ast.parse(source)
        except SyntaxError:  # a magic, a shell command, a question mark, an indented cell
            from IPython.core.inputtransformer2 import TransformerManager
            source = TransformerManager().transform_cell(source)
            tree = ast.parse(source)
        self.number += 1
        file = f"<ipython-input-{self.number}-{zlib.crc32(source.encode('utf-8', 'replace')):x}>"
        linecache.cache[file] = len(source), None, source.splitlines(True), file
        return ((s, file) for s in tree.body if keep is None or _constant(s)
                or keep == "definitions" and isinstance(s, DEFINITIONS))

    def _run(self, statement: ast.stmt, file: str) -> Any:
        """Execute one statement; the value, where it is an expression."""
        if isinstance(statement, ast.Expr):
            tree: ast.Expression | ast.Module = ast.Expression(statement.value)
        else:
            tree = ast.Module([statement], [])
        mode = "eval" if isinstance(tree, ast.Expression) else "exec"
        code = compile(tree, file, mode, self.flags | AWAIT, dont_inherit=True)
        self.flags |= code.co_flags & FUTURES
        value = eval(code, self.names)
        if code.co_flags & COROUTINE:
            import asyncio
            value = asyncio.run(value)
        return value


class Shell:
    """What `get_ipython()` gives: magics that run code do, all else does nothing."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook, self.user_ns = notebook, notebook.names

    def run_cell_magic(self, magic: str, line: str, cell: str) -> Any:
        if magic == "timeit":  # its names are its own
            kept = dict(self.user_ns)
            self.notebook.execute(cell)
            self.user_ns.clear()
            self.user_ns.update(kept)
        elif magic in ("writefile", "file"):
            with open(line.split()[-1], "a" if "-a" in line.split() else "w", encoding="utf-8") as file:
                file.write(cell)
        elif magic not in ELSEWHERE:  # time, capture, and those of packages that measure or record
            self.notebook.execute(cell)

    def run_line_magic(self, magic: str, line: str, *_: Any, **__: Any) -> Any:
        if magic in ("time", "prun"):
            return self.notebook.execute(line)
        if magic == "pwd":
            return os.getcwd()
        if magic == "run":
            return self.execute_file(line)
        if magic == "timeit":
            return types.SimpleNamespace(average=0.0, best=0.0, worst=0.0, stdev=0.0, timings=[0.0], all_runs=[0.0])
        return None

    def execute_file(self, line: str) -> Any:
        """Run a script that lies beside the notebook, or that a cell has written."""
        name = next((word for word in line.split() if not word.startswith("-")), "")
        with open(name if name.endswith(".py") else f"{name}.py", encoding="utf-8") as file:
            return self.notebook.execute(file.read())

    def ev(self, source: str) -> Any:
        return self.notebook.execute(source)

    def ex(self, source: str) -> None:
        self.notebook.execute(source)

    def getoutput(self, *_: Any, **__: Any) -> list[str]:
        return []

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _nothing


def _constant(statement: ast.stmt) -> bool:
    """Whether it gives a name to a number, a text, or what is made of them."""
    try:
        ast.literal_eval(statement.value)  # type: ignore[attr-defined]
    except (AttributeError, ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return isinstance(statement, (ast.Assign, ast.AnnAssign))


def _given_by(statement: ast.stmt) -> set[str]:
    """The names that a statement gives."""
    found: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
    return found


def _ours(error: BaseException) -> bool:
    """Whether something failed for want of what the sandbox does not have: then the rest of a cell counts."""
    return isinstance(error, (OSError, ImportError, EOFError)) or REFUSAL.partition("{}")[2] in str(error)


def _nothing(*_: Any, **__: Any) -> None:
    """Stands in for what only a notebook has."""
