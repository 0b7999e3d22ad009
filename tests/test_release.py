"""What learners get: the chapters, and not their solutions."""

import json
import re

import nbformat
import pytest

from coursekit.cli import main
from coursekit.exercises import EXERCISES
from notebooks import CHAPTERS, exercises_of, mark, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    assert main(["release", str(folder), "--points"]) == 0
    return folder


def lines(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_a_released_chapter_is_the_chapter_without_its_solutions(path, released):
    before, after = nbformat.read(path, 4), nbformat.read(released / "book" / path.name, 4)
    nbformat.validate(after)
    assert after.metadata == before.metadata
    kept = [c for c in before.cells if mark(c).get("role") != "solution"]
    assert len(kept) == len(after.cells) < len(before.cells)
    for a, b in zip(kept, after.cells):
        assert (a.id, a.source, a.metadata) == (b.id, b.source, b.metadata)


def test_what_a_chapter_shows_and_reads_comes_with_it(released):
    for path in released.glob("book/*.ipynb"):
        source = "\n".join(c.source for c in nbformat.read(path, 4).cells)
        for target in re.findall(r"!\[[^\]]*\]\((?!http)([^)]+)\)", source):
            assert (path.parent / target).is_file(), f"{path.name}: {target}"
    assert (released / "book/figures/four_models.svg").is_file()


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_no_three_lines_of_a_solution_are_released(path, released):
    text = lines((released / "book" / path.name).read_text())
    source = [lines(c.source) for c in nbformat.read(released / "book" / path.name, 4).cells]
    for cell in nbformat.read(path, 4).cells:
        if mark(cell).get("role") != "solution":
            continue
        solved = lines(cell.source)
        runs = [solved[i:i + 3] for i in range(max(1, len(solved) - 2))]
        assert not any(run == s[i:i + len(run)] for run in runs for s in source for i in range(len(s)))
        assert not any(json.dumps(run[0])[1:-1] in line for run in runs for line in text if len(run) < 3)
        assert "_solution" not in "\n".join(text)


def test_the_points_are_those_of_the_registry(released):
    rows = (released / "points.csv").read_text().splitlines()[1:]
    there = [e for e in EXERCISES.values() if e.notebook in {p.stem for p in CHAPTERS}]
    assert [int(row.rsplit(",", 1)[1]) for row in rows] == [e.points for e in there]


def test_a_released_notebook_is_graded_like_its_source(released):
    code, output = run(["coursekit.cli", "check", "book/02_gae.ipynb"], folder=released)
    assert code == 0 and f"0 correct, 0 wrong, {len(exercises_of('02_gae'))} not attempted" in output


@pytest.mark.parametrize("arguments, message", [
    (["--chapters", "09_none"], "no chapter is called '09_none'; there are: 00_"),
    (["--book", "nowhere"], "no chapters in nowhere; pass --book FOLDER")])
def test_release_says_what_it_cannot_find(arguments, message, tmp_path, capsys):
    assert main(["release", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_release_never_writes_over_the_book(capsys):
    book = CHAPTERS[0].parent
    assert main(["release", str(book.parent)]) == 2
    assert "is the book itself" in capsys.readouterr().err


def test_a_second_release_replaces_no_edited_notebook(tmp_path, capsys):
    command = ["release", str(tmp_path), "--chapters", "02_gae", "01_td_vs_mc", "--points"]
    assert main(command) == main(command) == 0  # what is as released may be released again
    edited = tmp_path / "book" / "02_gae.ipynb"
    text = edited.read_text()
    edited.write_text(text.replace("Exercise", "Homework"))
    (tmp_path / "book" / "01_td_vs_mc.ipynb").unlink()
    assert main(command) == 2
    assert "02_gae.ipynb would be replaced" in capsys.readouterr().err
    assert "Homework" in edited.read_text() and not (tmp_path / "book" / "01_td_vs_mc.ipynb").exists()
    assert main([*command, "--force"]) == 0 and edited.read_text() == text


def test_one_chapter_alone(tmp_path):
    assert main(["release", str(tmp_path), "--chapters", "02_gae"]) == 0
    assert [p.name for p in (tmp_path / "book").iterdir()] == ["02_gae.ipynb"]
