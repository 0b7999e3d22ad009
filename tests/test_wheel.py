"""The wheel alone, in an environment outside the repository. What it holds is shown in test_distribution.py."""

import csv
import re
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

import nbformat
import pytest

from environments import LEFT_OUT, OURS, ROOT, only, ran
from notebooks import exercises_of, exercises_only, solution

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the source distribution and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, folder / "source", ignore=LEFT_OUT)
    ran(sys.executable, "-m", "build", "--outdir", folder, folder / "source")
    return folder


@pytest.fixture(scope="module")
def installed(built):
    """A function: run a program of a new environment that has the wheel with these extras, and nothing else.

    What the extras ask for is not installed once more: it is lent by the environment of the tests, and the rest of
    that is hidden. It does not lie below /tmp, which a sandbox covers.
    """
    folder = Path(tempfile.mkdtemp(prefix="coursekit-alone-", dir="/var/tmp"))
    ran(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv/bin/python"
    ran(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index",
        *built.glob("*.whl"))
    site = Path(ran(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "lent.pth").write_text(sysconfig.get_path("purelib"))

    def run(program, *arguments, extras=(), place):
        variables = only(folder / "hidden", [f"{OURS}[{','.join(extras)}]"]) | {"HOME": str(folder)}
        return ran(folder / "venv/bin" / program, *arguments, cwd=place, env=variables)

    yield run
    shutil.rmtree(folder)


def test_the_teacher_s_page_knows_the_size_of_the_wheel(built):
    (wheel,) = built.glob("*.whl")
    said = re.search(r"in a clone makes it, ([\d.]+) MB", (ROOT / "book/autograder.md").read_text())[1]
    assert float(said) == pytest.approx(wheel.stat().st_size / 1e6, abs=0.5)


def test_the_library_and_the_list_of_commands_need_no_extra(installed, tmp_path):
    where = "import coursekit.advantages; print(coursekit.advantages.__file__)"
    assert str(ROOT) not in installed("python", "-c", where, place=tmp_path)
    assert "release" in installed("coursekit", "--help", place=tmp_path)


def test_the_chapters_come_with_the_wheel_and_are_checked_there(installed, tmp_path):
    installed("coursekit", "release", "class", place=tmp_path)
    assert (tmp_path / "class/book/02_gae.ipynb").is_file()
    assert list((tmp_path / "class/experiments/results").glob("*.json"))  # which chapters read
    told = installed("coursekit", "check", "class/book/02_gae.ipynb", extras=["check"], place=tmp_path)
    assert f"0 correct, 0 wrong, {len(exercises_of('02_gae'))} not attempted" in told


@pytest.mark.parametrize("command, extra", [("train cartpole --updates 1", "gym"), ("rlhf --updates 2", "torch")])
def test_what_trains_needs_its_extra_and_no_more(command, extra, installed, tmp_path):
    assert "saved" in installed("coursekit", *command.split(), extras=[extra], place=tmp_path)


def test_a_submission_does_not_see_the_solutions_that_came_with_the_wheel(installed, tmp_path):
    """Its answer is right, unless it finds the chapter. Outside of the sandbox the same search finds it."""
    if not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")
    search = "import sys, pathlib\nfound = list(pathlib.Path(sys.prefix).rglob('course/book/02_gae.ipynb'))\n"
    assert installed("python", "-c", f"{search}print(len(found))", place=tmp_path) == "1\n"
    answer = f"{search}if found:\n    raise SystemExit\n" + solution("02_gae", "gae.weights")
    (tmp_path / "class").mkdir()
    nbformat.write(exercises_only("02_gae", {"gae.weights": answer}), tmp_path / "class/ada.ipynb")
    installed("coursekit", "grade", "class", "--out", "grades", "--chapters", "02_gae", "--sandbox", "bwrap",
              extras=["grade"], place=tmp_path)
    (row,) = csv.DictReader((tmp_path / "grades/grades.csv").read_text("utf-8-sig").splitlines())
    assert row["gae.weights"] == "1", row
