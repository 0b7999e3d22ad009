"""Environments with fewer packages than this one, for a process and all it starts; the code blocks of a page."""

import os
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
# what a copy of the repository does without
LEFT_OUT = shutil.ignore_patterns(".venv", ".git", "_build", "build", "dist", "__pycache__", ".*_cache", "mutants",
                                  ".hypothesis", "*.egg-info")
HIDE = """
import sys
from importlib.machinery import PathFinder

NAMES, DISTRIBUTIONS = {names!r}, {distributions!r}


class Less(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in NAMES else super().find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, *args, **kwargs):
        return (d for d in super().find_distributions(*args, **kwargs) if d.name not in DISTRIBUTIONS)


sys.meta_path[sys.meta_path.index(PathFinder)] = Less
"""


def ran(*command, **options):
    """The output of a program that must succeed. Skips the test if pip reaches no index to build a package with."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, **options)
    if "No matching distribution found for setuptools" in done.stdout + done.stderr:
        pytest.skip("pip reaches no index to build with")
    assert done.returncode == 0, f"{command}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
    return done.stdout


def blocks(path):
    """(language, lines) of every fenced block of a page."""
    found = re.findall(r"^( *)```([^\n]*)\n(.*?)^ *```$", path.read_text(encoding="utf-8"), re.M | re.S)
    return [(language.strip(), [line.removeprefix(indent) for line in text.splitlines()])
            for indent, language, text in found]


def requirements(name):
    """The lines of one of the repository's requirement files that name a package; `-e .` is ours."""
    lines = [line.strip() for line in (ROOT / name).read_text().splitlines()]
    return [OURS if line == "-e ." else line for line in lines if line and not line.startswith("#")]


def installed_by(wanted):
    """Canonical names of the distributions that pip would install for these requirements."""
    found, todo = {}, [Requirement(line) for line in wanted]
    while todo:
        requirement = todo.pop()
        name, new = canonicalize_name(requirement.name), requirement.extras | {""}
        if new <= found.setdefault(name, set()):
            continue
        found[name] |= new
        try:
            needs = metadata.distribution(name).requires or []
        except metadata.PackageNotFoundError:  # one that is for another system or Python
            continue
        for line in needs:
            inner = Requirement(line)
            if not inner.marker or any(inner.marker.evaluate({"extra": extra}) for extra in new):
                todo.append(inner)
    return set(found)


def missing(wanted):
    """Those of them that are not installed here."""
    return installed_by(wanted) - {canonicalize_name(d.name) for d in metadata.distributions()}


def only(folder, wanted):
    """Variables for a process that finds, of all that is installed here, what `wanted` installs, and pip."""
    kept = installed_by([*wanted, "pip", "setuptools"])
    gone = {d.name for d in metadata.distributions() if canonicalize_name(d.name) not in kept}
    return _hiding(folder, {name for name, owners in metadata.packages_distributions().items()
                            if gone.issuperset(owners)}, gone)


def without(folder, *names):
    """Variables for a process that finds everything but the packages that are imported as `names`."""
    owners = metadata.packages_distributions()
    return _hiding(folder, set(names), {owner for name in names for owner in owners.get(name, [])})


def _hiding(folder, names, distributions):
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(HIDE.format(names=names, distributions=distributions))
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COURSEKIT", "PYTHON", "VIRTUAL"))}
    return clean | {"PYTHONPATH": str(folder)}


def _our_name():
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]


OURS = _our_name()
