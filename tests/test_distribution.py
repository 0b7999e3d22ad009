"""The package under the name by which it is distributed: hints that install it, its metadata, its archives."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import coursekit
from coursekit import distribution

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
HINT = re.compile(r"""pip3?[ ]install((?:[ ](?:"[^"\n]*"|'[^'\n]*'|[^\s`"'#;&|)\\]+))+)""", re.X)
WITH_VALUE = {"-r", "-c", "--index-url", "--extra-index-url", "--no-binary", "--only-binary", "--upgrade-strategy"}


def name_of(requirement):
    return re.match(r"[\w.-]*", requirement)[0].lower().replace("_", "-")


def third_parties():
    """Packages that the repository names as what it needs, pre-commit, and two that build PufferLib's kernel."""
    lines = [line for path in ROOT.glob("requirements*.txt") for line in path.read_text().splitlines()]
    lines += [*PROJECT["dependencies"], *(need for needs in EXTRAS.values() for need in needs)]
    return {name_of(line) for line in lines if re.match(r"\w", line)} | {"cython", "setuptools", "pre-commit"}


def hints(text):
    """The arguments of every `pip install` in a text."""
    for found in HINT.finditer(text):
        yield [word.strip("\"'") for word in re.findall(r""""[^"]*"|'[^']*'|\S+""", found[1])]


def texts():
    """(name, text) of every file of the repository that a person may read."""
    kinds = {".py", ".md", ".ipynb", ".txt", ".toml", ".yml", ".yaml", ".js", ".rst", ".cff", ".in", ""}
    made = re.compile(r"(^|/)(\.(?!ci/|github/|pre-commit)|_build/|node_modules/|mutants/|dist/|[^/]*\.egg-info/)")
    for folder, folders, files in os.walk(ROOT):
        inside = Path(folder).relative_to(ROOT)
        folders[:] = sorted(name for name in folders if not made.search((inside / name).as_posix() + "/"))
        for path in (inside / name for name in sorted(files)):
            if path.suffix in kinds and (ROOT / path).is_file() and not made.search(path.as_posix()):
                text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
                yield path.as_posix(), text.replace('\\"', '"') if path.suffix == ".ipynb" else text


def strangers(arguments, known):
    """What a `pip install` with these arguments would fetch from an index without being known to us."""
    found, skip = [], False
    for word in arguments:
        from_a_file = word.startswith((".", "/", "{", "$")) or " @ " in word
        if not (skip or from_a_file or word.startswith("-") or name_of(word) in known):
            found.append(word)
        skip = word in WITH_VALUE
    return found


def test_no_hint_installs_a_package_that_is_not_ours_to_name():
    """`coursekit` on PyPI is somebody else's, and our own name there is nobody's yet: neither may be installed."""
    known, seen = third_parties(), 0
    assert not {"coursekit", distribution.NAME} & known
    for name, text in texts():
        for arguments in hints(text):
            seen += 1
            assert not strangers(arguments, known), f"{name}: pip install {' '.join(arguments)}"
            for extras in re.findall(r"^\.\S*?\[([\w,]+)\]$", " ".join(arguments), re.M):
                assert {*extras.split(",")} <= {*EXTRAS}, name
    assert seen > 15


@pytest.mark.parametrize("line, found", [
    ("PIP coursekit", ["coursekit"]), ("run `PIP 'coursekit[hf]'`", ["coursekit[hf]"]),
    ("!PIP -q -U coursekit==0.1", ["coursekit==0.1"]), (f"PIP {distribution.NAME}", [distribution.NAME]),
    ("PIP -r requirements.txt -e '.[gym]' torch==2.13.0 --index-url https://x  # coursekit", []),
    ("`PIP` of coursekit", []), ('PIP "gymnasium[box2d]" && pytest', [])])
def test_the_reader_of_hints_sees_what_a_person_would(line, found):
    line = line.replace("PIP", "pip install")  # this file is read, too
    assert [word for arguments in hints(line) for word in strangers(arguments, third_parties())] == found


def test_the_name_is_the_one_of_pyproject_and_stands_in_no_other_code():
    assert PROJECT["name"] == distribution.NAME != coursekit.__name__
    places = {name for name, text in texts() if distribution.NAME in text}
    places -= {"PKG-INFO"} | {name for name in places if name.endswith(".md")}
    assert places <= {"pyproject.toml", "src/coursekit/distribution.py", "tests/test_distribution.py"}


# ---- the hint, from wherever the package came

def test_in_a_clone_the_hint_names_the_clone_and_works_from_any_folder():
    assert distribution.install("gym") == f'pip install -e "{ROOT}[gym]"'


class Installed:
    """A distribution as importlib.metadata knows it."""

    requires = ["numpy>=2.1", 'gymnasium[box2d]>=1.4; extra == "gym"', 'torch>=2.6; extra == "gym"',
                'numba; extra == "fast"']

    def __init__(self, address):
        self.address = address

    def read_text(self, name):
        return self.address and json.dumps({"url": self.address, "archive_info": {}})


@pytest.mark.parametrize("there, hint", [
    (True, 'pip install "advantage-course[gym] @ {address}"'),
    (False, 'pip install "gymnasium[box2d]>=1.4" "torch>=2.6"')])
def test_elsewhere_the_hint_names_the_wheel_or_what_the_extra_needs(there, hint, tmp_path, monkeypatch):
    wheel = tmp_path / "a course.whl"
    if there:
        wheel.touch()
    monkeypatch.setattr(distribution, "__file__", str(tmp_path / "lib" / "coursekit" / "distribution.py"))
    monkeypatch.setattr(distribution.metadata, "distribution", lambda name: Installed(wheel.as_uri()))
    assert distribution.install("gym") == hint.format(address=wheel.as_uri())
    monkeypatch.setattr(distribution.metadata, "distribution", lambda name: Installed(None))
    assert distribution.install("gym") == 'pip install "gymnasium[box2d]>=1.4" "torch>=2.6"'


# ---- metadata and archives

def test_extras_pin_no_torch_and_the_course_does():
    assert all(need == "torch>=2.6" for needs in EXTRAS.values() for need in needs if need.startswith("torch"))
    assert re.search(r"^torch==\d", (ROOT / "requirements.txt").read_text(), re.M)


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """{"sdist" and "wheel": names of the files in it}, made from what git tracks where the library has run."""
    if not (ROOT / ".git").exists() or not shutil.which("git") or not importlib.util.find_spec("setuptools"):
        pytest.skip("needs a checkout and setuptools")
    names = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True,
                           capture_output=True, check=True).stdout.splitlines()
    folder = tmp_path_factory.mktemp("archives")
    for name in filter(lambda name: (ROOT / name).is_file(), names):
        (folder / "course" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "course" / name)
    cache = folder / "course/src/coursekit/__pycache__"
    cache.mkdir()
    for name in ("cli.cpython-311.pyc", "_kernels.f-1.py311.nbi", "_kernels.f-1.py311.1.nbc"):  # Python's, numba's
        (cache / name).touch()
    for kind in ("sdist", "wheel"):
        make = f"from setuptools import build_meta; build_meta.build_{kind}({str(folder)!r})"
        done = subprocess.run([sys.executable, "-c", make], cwd=folder / "course", text=True, capture_output=True,
                              timeout=120)
        assert done.returncode == 0, done.stderr
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    with tarfile.open(sdist) as tar:
        inside = {member.name.partition("/")[2] for member in tar.getmembers() if member.isfile()}
    with zipfile.ZipFile(wheel) as file:
        return {"tracked": {*names}, "sdist": inside, "wheel": {*file.namelist()}, "name": sdist.name,
                "metadata": next(file.read(n).decode() for n in file.namelist() if n.endswith("/METADATA"))}


def test_the_sdist_is_the_repository_so_that_its_tests_run(archives):
    made = {"PKG-INFO", "setup.cfg"}
    lacking = {name for name in archives["tracked"] if (ROOT / name).is_file()} - archives["sdist"]
    added = {name for name in archives["sdist"] - archives["tracked"] if "egg-info/" not in name} - made
    assert not lacking and not added


def test_the_wheel_holds_the_library_with_its_data_the_chapters_and_nothing_else(archives):
    library = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src/coursekit").rglob("*")
               if path.is_file() and "__pycache__" not in path.parts}
    course = {f"coursekit/course/{name}" for name in archives["tracked"]
              if re.fullmatch(r"book/(\w+\.ipynb|figures/\w+\.svg)|experiments/results/\w+\.json", name)}
    assert {name for name in archives["wheel"] if ".dist-info/" not in name} == library | course


def test_the_metadata_names_authors_licence_and_no_address_that_nobody_set(archives):
    text, version = archives["metadata"], coursekit.__version__
    assert archives["name"] == f"{distribution.NAME.replace('-', '_')}-{version}.tar.gz"
    for line in ("Author: the coursekit authors", "License-Expression: MIT", "Requires-Python: >=3.11",
                 "Classifier: Intended Audience :: Education", "Description-Content-Type: text/markdown"):
        assert f"\n{line}\n" in text, line
    configured = re.search(r'^  url: "?([^"\n]*)', (ROOT / "_config.yml").read_text(), re.M)[1]
    assert ("\nProject-URL: " in text) == bool(configured)
