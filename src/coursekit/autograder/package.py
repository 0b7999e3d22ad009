"""The copy of coursekit that goes into a sandbox: what a notebook may import, and no answers.

What is copied is what stands on a list here. Exercises, with their references, and commands are on none. A library
function that is an exercise's answer is copied, so that imports work, but it refuses: `gae_recursion = gae` earns
nothing.
"""

from __future__ import annotations

import ast
import atexit
import compileall
import contextlib
import functools
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import coursekit
from coursekit.autograder.outcome import REFUSAL

if TYPE_CHECKING:

    from coursekit.autograder.book import Chapter

SOURCE = Path(coursekit.__file__).parent
MODULES = ("_dispatch", "_kernels", "_scans", "actor_critic", "advantages", "arrays", "chains", "classic_ppo",
           "classic_resume", "credit", "credit_learning", "direct", "distributed", "distribution", "env_rollouts",
           "figures", "groups", "helpdesk", "hf", "hf_direct", "hf_roles", "linear_reward", "lm", "memory_budget",
           "missing", "ppo", "preference_data", "preferences", "progress", "resume", "reward_model", "rlhf",
           "rollouts", "saved", "slider", "tokens")
INSIDE = ("wire", "worker", "outcome", "confine", "rules", "system_calls", "kernel")  # these run in it
DATA = ("film_ratings.tsv.gz", "checkpoints/supervised.safetensors", "checkpoints/reward.safetensors")
CHECK = '''"""While grading, a check only notes what it was given; the grader asks for it after the cell."""

from coursekit.autograder.outcome import CHECKED


def check(exercise=None, function=None, *_, **__):
    """Say nothing."""
    if isinstance(exercise, str):
        CHECKED[exercise] = function
'''
LEFT = re.compile(r"(^|/)(\.|__pycache__/)|^course/|\.py[co]$")  # a wheel's chapters; what Python and editors leave


@functools.cache
def version(folder: Path = SOURCE) -> str:
    """A hash of the library, every module and every file of data: a change of any makes old grades stale."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not LEFT.search(name):
            digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def imported_modules(source: str) -> list[str]:
    """Modules that a cell imports, to be loaded before any submission comes."""
    modules = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules.append(node.module or "")
            if node.module == "coursekit":
                modules += [f"coursekit.{alias.name}" for alias in node.names]
    return modules


def needed_imports(source: str, texts: Iterable[str]) -> str:
    """The imports whose names occur in texts: a sandbox that needs no figures loads no matplotlib."""
    everything = "\n".join(texts)
    if any(word in everything for word in ("globals(", "locals(", "eval(", "exec(", "vars(")):
        return source
    kept = []
    for node in ast.parse(source).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            node.names = [a for a in node.names if (a.asname or a.name).split(".")[0] in everything]
        if getattr(node, "names", True):
            kept.append(ast.unparse(node))
    return "\n".join(kept)


def offered(source: str, words: Collection[str]) -> str:
    """What a cell of the chapter gives to others, as far as these words use it: imports, and names for numbers and
    texts."""
    kept = []
    for node in _parsed(source):
        bound: list[str] = []
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            bound = [(alias.asname or alias.name).split(".")[0] for alias in node.names]
        elif isinstance(node, ast.Assign) and _literal(node.value):
            bound = [name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        if any(name in words for name in bound):
            kept.append(ast.unparse(node))
    return "\n".join(kept)


@functools.lru_cache(2000)
def _parsed(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except SyntaxError:  # a magic
        return []


def _literal(node: ast.AST) -> bool:
    try:
        ast.literal_eval(node)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return False
    return True


@functools.cache
def refused(chapter: Chapter) -> frozenset[str]:
    """Names such as "advantages.gae": library functions that are an answer in the chapter, less those that its
    hidden solutions use. One sandbox serves all exercises of a chapter; see `submission.calls` for where that is
    too strict."""
    found = {name for exercise in chapter.exercises for name in exercise.refuses}
    used = set().union(*(_names_used(ast.parse(source)) for _, source in chapter.answers))
    return frozenset(name for name in found if name.rpartition(".")[2] not in used)


def _names_used(tree: ast.AST) -> set[str]:
    """Names that code takes from elsewhere."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return {node.id for node in names} - own | {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}


@functools.cache
def copy(names: frozenset[str], fonts: bool = False) -> Path:
    """A folder that holds the copy, in which the functions `names` refuse; it goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="coursekit-"))
    atexit.register(remove, folder)
    folder.chmod(0o755)
    target = folder / "coursekit"
    for part in ("autograder", "checkpoints"):
        (target / part).mkdir(parents=True)
    for module in MODULES:
        refuse = {n.rpartition(".")[2] for n in names if n.rpartition(".")[0] == module}
        text = (SOURCE / f"{module}.py").read_text(encoding="utf-8")
        (target / f"{module}.py").write_text(_refusing(text, refuse, module) if refuse else text, encoding="utf-8")
    for name in ("__init__.py", "checkpoints/__init__.py", *(f"autograder/{m}.py" for m in INSIDE), *DATA):
        shutil.copyfile(SOURCE / name, target / name)  # without its mode: another user must read it
    (target / "autograder" / "__init__.py").write_text(CHECK)
    if fonts:
        import matplotlib
        (folder / "fonts").mkdir()
        for cache in Path(matplotlib.get_cachedir()).glob("fontlist*.json"):
            shutil.copy(cache, folder / "fonts")
    compileall.compile_dir(target, quiet=2)
    return folder


def remove(folder: str | Path) -> None:
    """Remove a folder with all that it holds, even folders that their owner may not list."""
    with contextlib.suppress(OSError):
        os.chmod(folder, 0o700)
    for parent, inner, _ in os.walk(folder):
        for place in (os.path.join(parent, name) for name in inner):
            if not os.path.islink(place):
                with contextlib.suppress(OSError):
                    os.chmod(place, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _refusing(text: str, functions: Collection[str], module: str) -> str:
    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in functions:
            message = ast.Constant(REFUSAL.format(f"{module}.{node.name}"))
            error = ast.Call(ast.Name("RuntimeError", ast.Load()), [message], [])
            node.body = [ast.Raise(error)]
    return ast.unparse(ast.fix_missing_locations(tree))
