"""`coursekit grade` as an instructor meets it, and what the wall lets through."""

import ast
import contextlib
import csv
import importlib
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from coursekit import advantages as library
from coursekit.autograder import isolation, package, report, sandbox, submission, wire
from coursekit.autograder.book import answers, cells, chapter, chapters, role
from coursekit.autograder.check import grade as checked
from coursekit.autograder.isolation import Isolation
from coursekit.autograder.learners import file_names, owner
from coursekit.autograder.reader import File, UnreadableError, parse
from coursekit.autograder.verdict import agree, inputs_of
from coursekit.cli import main
from coursekit.exercises import EXERCISES, get

pytestmark = pytest.mark.slow

BOOK = chapters()
CHAPTER = BOOK["02_gae"]
ANSWERS = answers(CHAPTER)
POINTS = sum(get(i).points for i in ANSWERS)


@pytest.fixture(scope="module", autouse=True)
def bubblewrap():
    try:
        sandbox.choose("bwrap", package.copy(frozenset()))
    except sandbox.GraderError as error:
        pytest.skip(str(error))


def notebook(solved, path=CHAPTER):
    found = [c for c in cells(path) if role(c) != "solution"]
    for cell in found:
        if role(cell) == "stub" and (i := cell["metadata"]["coursekit"]["exercise"]) in solved:
            cell["source"] = solved[i]
    return json.dumps({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


FULL, NOTHING = notebook(ANSWERS), notebook({})
HALF = notebook({i: ANSWERS[i] for i in ("gae.weights", "gae.targets")})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "class").mkdir()
    for name, text in (("ada", FULL), ("bob", HALF), ("cy", NOTHING)):
        (tmp_path / "class" / f"{name}.ipynb").write_text(text)
    return tmp_path / "class"


def grade(folder, *options):
    return main(["grade", str(folder), "--out", str(folder.parent / "grades"), "--chapters", "02_gae", *options])


def rows(folder):
    with open(folder.parent / "grades" / "grades.csv", newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


def record(folder, name):
    return json.loads((folder.parent / "grades" / "learners" / f"{name}.json").read_text())


def test_a_class_becomes_a_table_pages_and_a_report(folder, capsys):
    assert grade(folder) == 0
    assert "3 graded" in capsys.readouterr().out
    head, *body = rows(folder)
    assert head == ["learner", "name", *ANSWERS, "total", "possible", "status", "flags", "comment"]
    assert [(r[0], r[-5]) for r in body] == [("ada", f"{POINTS}"), ("bob", "3"), ("cy", "0")]
    assert {r[-3] for r in body} == {"graded"}
    grades = folder.parent / "grades"
    assert f"3 of {POINTS} points" in (grades / "feedback" / "bob.html").read_text()
    report = (grades / "index.html").read_text()
    assert "3 learners" in report and "bubblewrap" in report and "data:image/png" in report
    assert record(folder, "ada")["isolation"].startswith("bubblewrap")


def test_feedback_names_the_misconception_and_shows_no_hidden_case(folder):
    wrong = ANSWERS["gae.recursion"].replace("terminated[t] or truncated[t]", "terminated[t]")
    by_heart = "def targets(advantages, values):\n    if len(values) == 5 and values[0] == 0.1: return (1, 2)\n" \
               "    return 1, 2"
    (folder / "ada.ipynb").write_text(notebook({"gae.recursion": wrong, "gae.targets": by_heart}))
    grade(folder, "--seed", "77")
    page = (folder.parent / "grades" / "feedback" / "ada.html").read_text()
    assert "a sum that leaks across a time limit" in page and "got" in page and "expected" in page
    public, hidden = ([c.inputs["next_values"].tolist() for c in get("gae.recursion").cases(seed)] for seed in (0,
                                                                                                                77))
    hidden = [values for values in hidden if values not in public and len(values) > 1]
    shown = page.replace(" ", "")
    told = [values for values in public + hidden if ",".join(map(str, values)) in shown]
    assert len(hidden) > 5 and told == public[:1]


def test_an_answer_right_on_public_cases_only_is_told_so_and_earns_nothing(folder):
    exercise = get("gae.targets")
    known = [(c.inputs["values"].tolist(), [x.tolist() for x in exercise.reference(*inputs_of(c))])
             for c in exercise.cases(0)]
    source = f"KNOWN = {known!r}\ndef targets(a, v):\n    return [y for x, y in KNOWN if x == list(v)][0]"
    (folder / "ada.ipynb").write_text(notebook({"gae.targets": source}))
    grade(folder)
    verdict = record(folder, "ada")["exercises"]["gae.targets"]
    assert verdict["points"] == 0 and len(verdict["lines"]) == 1
    assert "right on every case that `check` shows, wrong on others" in verdict["lines"][0]


def test_what_is_graded_is_not_graded_again_unless_it_changes_or_is_asked_for(folder):
    grade(folder)
    before = {n: record(folder, n) for n in ("ada", "bob", "cy")}
    (folder / "bob.ipynb").write_text(FULL)
    grade(folder)
    after = {n: record(folder, n) for n in ("ada", "bob", "cy")}
    assert after["ada"] == before["ada"] and after["cy"] == before["cy"] and after["bob"]["points"] == POINTS
    (folder.parent / "grades" / "learners" / "ada.json").write_text(json.dumps(before["ada"] | {"points": 99}))
    grade(folder)
    assert record(folder, "ada")["points"] == 99  # trusted: the hash is the same
    grade(folder, "--regrade")
    assert record(folder, "ada")["points"] == POINTS


def test_the_seed_of_a_folder_of_grades_stays_unless_another_is_asked_for(folder):
    grade(folder)
    drawn = (folder.parent / "grades" / "seed").read_text()
    grade(folder)
    assert (folder.parent / "grades" / "seed").read_text() == drawn
    hashed = record(folder, "ada")["hash"]
    grade(folder, "--seed", "5")
    assert record(folder, "ada")["hash"] != hashed


def test_killed_in_the_middle_nothing_is_lost_or_graded_twice(folder):
    slow = "import time\ntime.sleep(0.4)\n"
    for k in range(12):
        (folder / f"slow{k:02}.ipynb").write_text(notebook({"gae.weights": slow + ANSWERS["gae.weights"]}))
    command = [sys.executable, "-m", "coursekit.cli", "grade", str(folder), "--out", str(folder.parent / "grades"),
               "--chapters", "02_gae", "-j", "1"]
    kept = folder.parent / "grades" / "learners"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(kept.glob("*.json")) if kept.exists() else []) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {p: p.stat().st_mtime_ns for p in kept.glob("*.json")}
    assert 5 <= len(done) < 15
    assert all(json.loads(p.read_text())["status"] == "graded" for p in done)
    assert grade(folder) == 0
    assert all(p.stat().st_mtime_ns == at for p, at in done.items())
    assert len(rows(folder)) == 16
    assert not _processes_with(str(folder.parent / "grades"))


def _processes_with(text):
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    return [line for line in found.splitlines() if text in line]


def test_an_interrupt_ends_the_run_at_once_and_keeps_what_is_done(folder):
    (folder / "dora.ipynb").write_text(notebook({"gae.weights": "import time\ntime.sleep(19)"}))
    process = subprocess.Popen([sys.executable, "-m", "coursekit.cli", "grade", str(folder), "--out",
                                str(folder.parent / "grades"), "--chapters", "02_gae"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (folder.parent / "grades" / "learners" / "cy.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "the same command goes on" in errors and "Traceback" not in errors
    assert time.monotonic() - begin < 8
    assert not (folder.parent / "grades" / "learners" / "dora.json").exists()


@pytest.mark.parametrize("name, expected", [
    ("Ada Lovelace_1234567_assignsubmission_file", ("1234567", "Ada Lovelace")),
    ("Ada Lovelace_1234567_assignsubmission_file_02_gae", ("1234567", "Ada Lovelace")),
    ("lovelaceada_12345_67890_02_gae", ("12345", "lovelaceada")),
    ("lovelaceada_LATE_12345_67890_02_gae-1", ("12345", "lovelaceada")),
    ("ada", ("ada", "ada")), ("ada_lovelace", ("ada_lovelace", "ada_lovelace"))])
def test_names_of_downloads_are_understood(name, expected):
    assert owner(name)[:2] == expected


def test_several_files_of_one_learner_are_one_submission_and_the_newest_counts(folder):
    for name, text, age in (("kim_1_5_02_gae", HALF, 100), ("kim_1_6_02_gae-1", FULL, 0)):
        (folder / f"{name}.ipynb").write_text(text)
        os.utime(folder / f"{name}.ipynb", (time.time() - age,) * 2)
    grade(folder)
    assert record(folder, "1")["points"] == POINTS
    assert record(folder, "1")["notes"] == ["several notebooks for 02_gae: kim_1_6_02_gae-1.ipynb was graded"]
    assert [name for name, _ in record(folder, "1")["aside"]] == ["kim_1_5_02_gae.ipynb"]


def test_links_of_folders_are_not_followed_and_hidden_folders_not_read(folder):
    (folder / "dan").mkdir()
    (folder / "dan" / "friend").symlink_to(folder)
    (folder / "dan" / ".ipynb_checkpoints").mkdir()
    (folder / "dan" / ".ipynb_checkpoints" / "02_gae-checkpoint.ipynb").write_text(FULL)
    grade(folder)
    assert record(folder, "dan")["points"] == 0 and record(folder, "dan")["flags"] == ["nothing handed in"]


def test_slow_answers_to_one_exercise_cost_no_other_its_points(folder):
    slow = "def gae_recursion(*a):\n    import time\n    time.sleep(0.4)"
    (folder / "ada.ipynb").write_text(notebook(ANSWERS | {"gae.recursion": slow}))
    grade(folder, "--seconds", "12", "--call-seconds", "9")
    assert record(folder, "ada")["points"] == POINTS - 3 and record(folder, "ada")["status"] == "timeout"


def test_points_by_hand_survive_a_regrade_and_a_homework_replaces_no_other(folder, capsys):
    grade(folder, "--format", "moodle", "--gradebook", str(folder.parent / "all.csv"))
    table = folder.parent / "grades" / "grades.csv"
    table.write_text(table.read_text("utf-8").replace("cy,cy,0", "cy,cy,0.5"))
    assert grade(folder, "--regrade") == 0
    assert "by hand: cy, gae.weights: 0 -> 0.5" in capsys.readouterr().out
    assert rows(folder)[3][-5] == "0.5" and "by hand: gae.weights" in rows(folder)[3][-2]
    assert "set by your instructor" in (folder.parent / "grades" / "feedback" / "cy.html").read_text()
    assert "Last modified (grade)" in (folder.parent / "grades" / "moodle.csv").read_text()
    assert (folder.parent / "all.csv").read_text("utf-8-sig").startswith("learner,name,coursekit 02_gae (of")
    other = ["grade", str(folder), "--out", str(folder.parent / "grades"), "--chapters", "00_before_you_start"]
    before = table.read_bytes()
    assert main(other) == 2 and "holds the grades of another homework, 02_gae" in capsys.readouterr().err
    assert table.read_bytes() == before
    assert main([*other, "--force"]) == 0
    assert (folder.parent / "grades.1" / "grades.csv").read_bytes() == before


def test_points_by_hand_and_a_wrong_id_are_accounted_for_in_the_next_run(folder, capsys):
    book, table = folder.parent / "all.csv", folder.parent / "grades" / "grades.csv"
    (folder / "typo.ipynb").write_text(notebook({}))
    grade(folder, "--gradebook", str(book))
    edited = [row[:-5] + ["2"] + row[-4:] if row[0] == "cy" else row for row in rows(folder)]
    table.write_text("\n".join(",".join(row) for row in edited) + "\n")
    capsys.readouterr()
    (folder / "typo.ipynb").unlink()
    (folder.parent / "grades" / "learners" / "typo.json").unlink()
    (folder / "cy.ipynb").write_text(HALF)
    (folder.parent / "grades" / "feedback" / "mine.html").write_text("the instructor's")
    assert grade(folder, "--gradebook", str(book)) == 0
    said = capsys.readouterr().out
    assert "cy has handed in again and keeps the points by hand (total): total 2, and 3 as graded" in said
    assert "typo" not in book.read_text("utf-8-sig") + table.read_text("utf-8-sig")
    pages = folder.parent / "grades" / "feedback"
    assert sorted(path.name for path in pages.iterdir()) == ["ada.html", "bob.html", "cy.html", "mine.html"]


def test_a_download_that_was_packed_after_the_deadline_costs_nobody_a_point(folder, capsys):
    for k, name in enumerate(("ada", "bob", "cy")):
        (folder / f"{name}.ipynb").rename(folder / f"{name}_1{k}_9{k}_gae.ipynb")
        os.utime(folder / f"{name}_1{k}_9{k}_gae.ipynb", (1.9e9 + 3600 * 24 * 9 * (k > 0), ) * 2)
    (folder / "course.toml").write_text("[late]\ndeadline = 2026-11-20T12:00:00Z\npercent_per_day = 100\n")
    assert grade(folder) == 0 and [r[-5] for r in rows(folder)[1:]] == [f"{POINTS}", "3", "0"]
    assert "students.csv does not say when 3 handed in (column submitted)" in capsys.readouterr().out
    (folder / "ada_10_90_gae.ipynb").unlink()
    assert grade(folder) == 0 and rows(folder)[1][-5] == f"{POINTS}"  # kept from the run before


def test_a_new_hand_in_under_points_by_hand_is_named_though_the_run_that_graded_it_was_killed(folder, capsys,
                                                                                             monkeypatch):
    grade(folder)
    edited = [row[:-5] + ["2"] + row[-4:] if row[0] == "cy" else row for row in rows(folder)]
    (folder.parent / "grades" / "grades.csv").write_text("\n".join(",".join(row) for row in edited) + "\n")
    grade(folder)
    (folder / "cy.ipynb").write_text(HALF)
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(report, "class_page", killed)
        grade(folder)
    assert record(folder, "cy")["points"] == 3
    capsys.readouterr()
    grade(folder)
    assert "cy has handed in again and keeps the points by hand (total)" in capsys.readouterr().out
    grade(folder, "--call-seconds", "19")  # graded anew, and the same hand-in
    assert "handed in again" not in capsys.readouterr().out


def killed(*_):
    raise MemoryError


def test_a_module_beside_the_notebook_is_imported_as_it_is_there(folder):
    (folder / "dan").mkdir()
    (folder / "dan" / "x.ipynb").write_text(notebook({
        "gae.weights": "from helpers import weights\nmixture_weights = weights"}))
    (folder / "dan" / "helpers.py").write_text("from deeper import np\n" + ANSWERS["gae.weights"].replace(
        "mixture_weights", "weights"))
    (folder / "dan" / "deeper.py").write_text("import numpy as np\n")
    grade(folder)
    assert record(folder, "dan")["points"] == 1


def test_the_last_lines_account_for_every_file(folder, capsys):
    (folder / "notes.pdf").write_text("%PDF")
    assert grade(folder) == 0
    *_, aside, counts, files = capsys.readouterr().out.splitlines()
    assert aside == "set aside: notes.pdf: no notebook" and counts.startswith("3 graded; see")
    assert files == "4 files found: 3 used, 1 set aside"


def test_two_runs_do_not_write_to_one_folder(folder, capsys):
    import fcntl
    (folder.parent / "grades").mkdir()
    with open(folder.parent / "grades" / ".running", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert grade(folder) == 2 and "another run is writing to --out" in capsys.readouterr().err


def test_who_handed_in_nothing_has_a_row(folder):
    (folder / "students.csv").write_text("name,id\neve,e1\n")
    grade(folder)
    row = next(r for r in rows(folder) if r[0] == "e1")
    assert row[-5:-1] == ["0", f"{POINTS}", "unreadable", "nothing handed in"]


def test_names_are_no_formulas_no_markup_and_no_paths(folder):
    (folder / "students.csv").write_text('name,id\nada,"=1+1"\nbob,../../../tmp/x\ncy,<b>\n')
    grade(folder)
    assert [r[0] for r in rows(folder)[1:]] == ["../../../tmp/x", "<b>", "'=1+1"]
    assert "<b>" not in (folder.parent / "grades" / "index.html").read_text().replace("<b>3", "")
    assert len(list((folder.parent / "grades" / "learners").iterdir())) == 3


def test_a_name_that_is_no_text_stops_nobody(folder):
    (folder / "ada.ipynb").rename(folder / os.fsdecode(b"J\xf6rg.ipynb"))
    assert grade(folder) == 0
    assert {r[0]: r[-5] for r in rows(folder)[1:]} == {"J\\udcf6rg": f"{POINTS}", "bob": "3", "cy": "0"}


def test_the_report_says_what_happened_to_whom(folder):
    for k in range(9):
        (folder / f"odd{k}.ipynb").write_text(notebook({"gae.weights": f"raise ValueError('<b>{k}')"}))
    (folder / "dan.ipynb").write_text("{")
    grade(folder)
    page = (folder.parent / "grades" / "index.html").read_text()
    assert "dan.ipynb: it is not JSON" in page and "a cell raises ValueError: &lt;b&gt;0" in page
    assert "No wrong answer has one that is known" in page and 'name="viewport"' in page


def test_two_learners_never_share_a_file(folder):
    """Whatever their ids are, on a system that tells A from a and on one that does not."""
    long = "語" * 82
    ids = ["a/b", "a b", "eve!", "eve?", "Ann", "ann", long, f"{long}2", "..", "", "bob"]
    names = file_names(ids)
    assert len({name.casefold() for name in names.values()}) == len(ids) and names["bob"] == "bob"
    assert all(0 < len(name.encode()) <= 200 and "/" not in name for name in names.values())


@pytest.mark.parametrize("options, message", [
    (["--chapters", "09"], "no chapter is called '09'"), (["-j", "0"], "-j must be at least 1"),
    (["--seconds", "0"], "--seconds must be a positive number")])
def test_wrong_options_are_named(options, message, folder, capsys):
    assert grade(folder, *options) == 2
    assert message in capsys.readouterr().err


def test_no_submissions_is_said(tmp_path, capsys):
    assert grade(tmp_path / "nowhere") == 2 and "no folder of submissions" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert grade(tmp_path / "empty") == 2 and "no submissions in" in capsys.readouterr().err


def test_an_instructors_answer_that_fails_stops_the_run(folder, tmp_path, capsys):
    (tmp_path / "book").mkdir()
    text = CHAPTER.read_text().replace("return advantages + values", "").replace(
        "returns = advantages + values  # first", "returns = advantages  # first")
    (tmp_path / "book" / "02_gae.ipynb").write_text(text)
    assert grade(folder, "--book", str(tmp_path / "book")) == 2
    assert "the instructor's own answer to gae.targets fails in the sandbox" in capsys.readouterr().err
    assert not (tmp_path / "grades" / "learners").exists()


def settings(**changes):
    isolated = Isolation("bwrap", True, "bubblewrap")
    found = submission.Settings((chapter(CHAPTER),), 7, isolated, sandbox.Limits(), package.version())
    return replace(found, **changes)


def test_a_fault_of_the_grader_is_no_zero(folder, monkeypatch):
    whole = sandbox.Sandbox.open
    calls = []

    def broken(self):
        calls.append(1)
        if len(calls) > 2:  # what can be imported, and the instructor's own answers, pass first
            raise sandbox.GraderError("no memory left")
        return whole(self)
    monkeypatch.setattr(sandbox.Sandbox, "open", broken)
    monkeypatch.setattr(sandbox, "choose", lambda *a: Isolation("bwrap", True, "bubblewrap"))
    assert grade(folder, "-j", "1") == 0
    fault = ["not graded (grader fault)", "no memory left"]
    assert rows(folder)[1] == ["ada", "ada", *[""] * len(ANSWERS), "", f"{POINTS}", *fault, ""]
    monkeypatch.undo()
    assert grade(folder) == 0 and rows(folder)[1][-5] == f"{POINTS}"  # a fault is tried again


def test_another_version_of_the_course_grades_nothing():
    with (old := settings(version="old")).pool() as pool:
        found = submission.grade_submission([File("a.ipynb", FULL.encode())], old, pool)
    assert found.status == submission.FAULT and found.points is None


@pytest.mark.parametrize("name", ["advantages.py", "exercises/histories.json", "film_ratings.tsv.gz"])
def test_a_change_of_any_file_of_the_library_is_another_version(name, tmp_path):
    """`advantages.gae` is the reference of an exercise: with another one old grades must not be kept."""
    copied = Path(shutil.copytree(package.SOURCE, tmp_path / "coursekit"))
    before, data = package.version(copied), (copied / name).read_bytes()
    (copied / name).write_bytes(data.replace(b"gamma", b"2 * gamma", 1) if name.endswith(".py") else data + b" ")
    package.version.cache_clear()
    assert before == package.version() != package.version(copied)


def test_what_python_and_editors_leave_is_no_other_version(tmp_path):
    copied = Path(shutil.copytree(package.SOURCE, tmp_path / "coursekit"))
    for name in ("__pycache__/gae.cpython-311.pyc", ".ipynb_checkpoints/x.py", "exercises/.gae.py.swp", "old.pyc"):
        (copied / name).parent.mkdir(exist_ok=True)
        (copied / name).write_text("x")
    assert package.version(copied) == package.version()


def test_without_bubblewrap_one_line_says_what_to_do(folder, monkeypatch, capsys):
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    monkeypatch.setattr(isolation, "in_container", lambda: False)
    assert grade(folder) == 2
    error = capsys.readouterr().err.strip()
    assert "apt install bubblewrap" in error and "--sandbox container" in error and len(error.splitlines()) == 1


def run_in(kind, forks, uid=None, source=FULL):
    found = settings(isolation=Isolation(kind, forks, ""))
    with found.pool() as pool:
        return submission.grade_submission([File("a.ipynb", source.encode())], found, pool)


def test_a_fresh_sandbox_gives_the_same_record():
    one, other = run_in("bwrap", True), run_in("bwrap", False)
    assert replace(one, seconds=0) == replace(other, seconds=0) and one.points == POINTS


@pytest.mark.parametrize("kind", ["bwrap", "none"])
def test_as_another_user_than_root_it_works_too(kind, monkeypatch):
    """As root the sandbox needs no user namespace; everybody else's does."""
    monkeypatch.setattr(sandbox.os, "getuid", lambda: 1000)
    assert run_in(kind, kind == "bwrap").points == POINTS


def test_without_walls_a_left_process_of_the_group_still_goes(monkeypatch):
    monkeypatch.setattr(sandbox.os, "getuid", lambda: 1000)
    source = "import subprocess\nsubprocess.Popen(['sleep', '87654'])\n" + ANSWERS["gae.weights"]
    assert run_in("none", False, source=notebook({"gae.weights": source})).points == 1
    time.sleep(0.2)
    assert not _processes_with("sleep 87654")


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=lambda e: e.id)
def test_cases_and_answers_of_every_exercise_pass_the_wire_unchanged(exercise):
    here, there = wire.Channel.pair()
    with contextlib.closing(here), contextlib.closing(there):
        for case in exercise.cases(0):
            inputs = inputs_of(case)
            value = exercise.reference(*inputs_of(case))
            wire.send(here, {"inputs": inputs, "value": value})
            came = wire.receive(there, 5)
            assert [type(x) for x in came["inputs"]] == [type(x) for x in inputs]
            for a, b in zip(came["inputs"], inputs):
                np.testing.assert_array_equal(a, b)
            assert agree(came["value"], value, 0.0)


def test_a_channel_may_be_closed_by_two_threads_at_once(monkeypatch):
    """The grading thread's, and the one that stops the run."""
    here, there = wire.Channel.pair()
    close, closed = os.close, []

    def meanwhile(descriptor):
        closed.append(descriptor)
        if len(closed) == 1:
            other = threading.Thread(target=here.close)
            other.start()
            other.join()
        close(descriptor)

    with contextlib.closing(there), monkeypatch.context() as patch:
        patch.setattr(wire.os, "close", meanwhile)
        here.close()
    assert len(set(closed)) == len(closed) == 2


@pytest.mark.parametrize("path", BOOK.values(), ids=lambda p: p.stem)
def test_no_library_function_is_the_answer_to_an_exercise(path):
    """Called with an exercise's inputs, by position or by name, none that answers while grading is right."""
    functions = {}
    for name in package.MODULES:
        module, text = importlib.import_module(f"coursekit.{name}"), (package.SOURCE / f"{name}.py").read_text()
        functions |= {f"{name}.{k}": (f, "import torch" in text) for k, f in inspect.getmembers(
            module, inspect.isfunction) if f.__module__ == module.__name__}
    shut = package.refused(chapter(path))
    assert shut <= set(functions)
    assert all(set(EXERCISES[i].refuses) <= set(functions) for i in answers(path))
    found = [(i, name) for i in answers(path) for name, (f, tensors) in functions.items()
             if _answers(f, EXERCISES[i]) or (tensors and _answers(f, EXERCISES[i], torch.as_tensor))]
    assert [(i, name) for i, name in found if name not in EXERCISES[i].refuses] == []


def test_the_sandbox_gets_every_module_of_the_subject_and_nothing_else():
    """No command, no exercise, no code that grades; and what is copied imports nothing that is left out."""
    names = {path.stem for path in package.SOURCE.glob("*.py")} - {"cli", "__init__"}
    assert set(package.MODULES) == names, "list a new module of the subject in autograder/package.py"
    folder = package.copy(frozenset()) / "coursekit"
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    inside = {f"autograder/{name}.py" for name in ("__init__", *package.INSIDE)}
    assert {name for name in found if "__pycache__" not in name} == {
        "__init__.py", "checkpoints/__init__.py", *(f"{m}.py" for m in package.MODULES), *inside, *package.DATA}
    there = {"coursekit", "coursekit.checkpoints", *(f"coursekit.{m}" for m in package.MODULES),
             "coursekit.autograder", *(f"coursekit.autograder.{m}" for m in package.INSIDE)}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "coursekit":
                assert node.module in there, f"{path.name} imports {node.module}"
                if node.module in ("coursekit", "coursekit.autograder"):
                    wanted = {f"{node.module}.{alias.name}" for alias in node.names}
                    assert wanted <= there | {"coursekit.__version__"}, f"{path.name} imports {wanted - there}"


def _answers(function, exercise, take=np.asarray):
    names = inspect.signature(function).parameters
    only = {n for n, p in names.items() if p.kind == p.KEYWORD_ONLY}
    for case in exercise.cases(0):
        inputs = {n: take(x) if isinstance(x, np.ndarray) else x for n, x in zip(case.inputs, inputs_of(case))}
        by_name = {k: v for k, v in inputs.items() if k in only}
        try:
            value = function(*[v for k, v in inputs.items() if k not in by_name], **by_name)
            right = agree(value, exercise.reference(*inputs_of(case)), exercise.tolerance)
        except Exception:
            return False
        if not right:
            return False
    return True


def test_what_was_stopped_while_others_took_the_processors_is_graded_again_alone(folder, monkeypatch):
    """The better grade counts, and the record says nothing of it."""
    real, runs = submission.grade_submission, []

    def starved(files, settings, pool):
        found = real(files, settings, pool)
        runs.append(found.points)
        if len(runs) == 1:
            found.starved, found.points, found.exercises = True, 0, {}
        elif len(runs) == 2:
            found.starved = True
        elif len(runs) > 4:
            found.points, found.exercises = 0, {}
        return found
    monkeypatch.setattr(submission, "grade_submission", starved)
    grade(folder, "-j", "1")
    assert len(runs) == 5 and record(folder, "ada")["points"] == POINTS and record(folder, "bob")["points"] == 3
    assert not any(record(folder, name)["starved"] for name in ("ada", "bob", "cy"))


def test_a_call_that_is_late_in_a_crowd_is_noted(monkeypatch):
    source = notebook({"gae.recursion": "def gae_recursion(*a):\n    import time\n    time.sleep(9)"})
    for crowd in (False, True):
        monkeypatch.setattr(sandbox.memory_watch, "crowded", lambda crowd=crowd: crowd)
        found = settings(isolation=Isolation("bwrap", True, ""), limits=sandbox.Limits(call=1.5))
        with found.pool() as pool:
            assert submission.grade_submission([File("a.ipynb", source.encode())], found, pool).starved == crowd


def test_a_package_that_a_sandbox_hides_stops_the_run_before_any_submission(monkeypatch, tmp_path):
    """As where Python lies below /tmp: right answers that need it would be wrong in silence."""
    (tmp_path / "a_package_of_this_machine.py").write_text("")
    monkeypatch.setattr(submission, "LIBRARIES", str(tmp_path))
    settings = submission.Settings((chapter(CHAPTER),), 7, Isolation("bwrap", True, ""), sandbox.Limits(),
                                   submission.version())
    with settings.pool() as pool, pytest.raises(sandbox.GraderError, match="a_package_of_this_machine.*elsewhere"):
        submission.check_instructor(settings, pool)


@pytest.mark.parametrize("place", ["/tmp/course/.venv/lib", "/dev/shm/python", "/proc/self/root/usr"])
def test_a_python_that_a_sandbox_covers_is_seen_at_once(place, monkeypatch):
    monkeypatch.setattr(isolation, "readable", lambda: ["/usr/lib", place])
    with pytest.raises(sandbox.GraderError, match=f"Python needs {place}, which a sandbox hides.*elsewhere"):
        sandbox.choose("bwrap", package.copy(frozenset()))


def test_what_every_submission_could_read_is_no_place_for_submissions(folder, monkeypatch, capsys):
    monkeypatch.setattr(isolation, "readable", lambda: [str(folder.parent)])
    monkeypatch.setattr(isolation, "covered", lambda: None)
    monkeypatch.setattr(submission, "choose", lambda *_: Isolation("bwrap", True, ""))
    assert grade(folder) == 2
    assert f"every submission could read {folder}" in capsys.readouterr().err
    monkeypatch.setattr(isolation, "packages", lambda: [str(folder.parent)])
    assert isolation.open_to_all([folder]) is None  # the copy of the course lies over it


def test_every_coursekit_that_a_sandbox_shows_is_hidden(monkeypatch, tmp_path):
    """That of a base Python, and one beside Python's packages: with its answers, and the book of a wheel."""
    places = [tmp_path / "lib/python3.11/site-packages/coursekit", tmp_path / "site-packages/coursekit"]
    for place in places:
        (place / "course/book").mkdir(parents=True)
    (tmp_path / "site-packages/other").mkdir()
    monkeypatch.setattr(isolation, "readable", lambda: [str(tmp_path / "lib"), str(tmp_path / "site-packages")])
    assert isolation.packages() == sorted(map(str, places))
    command = isolation.bwrap(tmp_path, sandbox.Limits(), None)
    for place in places:
        k = command.index(str(place))
        assert command[k - 2:k] == ["--ro-bind", f"{tmp_path}/coursekit"]
    shown = isolation.places(tmp_path / "copy", "/home/x")
    assert str(tmp_path / "site-packages/other") in shown and not any(str(place) in shown for place in places)


def one_cell(source):
    return json.dumps({"cells": [{"cell_type": "code", "metadata": {}, "source": source}]})


@pytest.mark.parametrize("data, reason", [
    (one_cell("\n" * 2_000_000), "its code is 2.0 million"),
    (one_cell(["\n"] * 1_500_000), "its code is 1.5 million"),
    ('{"cells": [' + "{}," * 1_100_000 + "{}]}", "more parts than any notebook"),
    ('{"cells": [], "n": [' + "1," * 10_500_000 + "1]}", "more parts than any notebook")],
    ids=["newlines", "lines", "cells", "numbers"])
def test_what_would_take_the_grader_long_to_read_is_refused_at_once(data, reason):
    begin = time.process_time()
    with pytest.raises(UnreadableError, match=reason):
        parse(data.encode())
    assert time.process_time() - begin < 2


def test_a_notebook_with_22_mb_of_outputs_is_read():
    text = json.loads(FULL)
    text["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * (22 << 20)}]
    assert parse(json.dumps(text).encode())[1] == ["02_gae"]


def test_an_answer_of_millions_of_numbers_is_described_not_shown():
    begin = time.process_time()
    found = checked(get("gae.recursion"), lambda *a: np.zeros(4_000_000))
    assert found.lines[2].strip().startswith("got      an array of shape (4000000,)")
    assert time.process_time() - begin < 2


def test_what_learners_write_drives_no_terminal_page_or_table(folder):
    """Escape sequences, control characters of both kinds, marks that turn the direction; a formula after ";"."""
    bad = "\x1b]0;owned\x07 \x9b31m \u202e\u2066\u200f \x00 end"
    source = f"def gae_recursion(*a):\n    raise ValueError({bad!r})\ndef targets(*a):\n    return {bad!r}"
    for name in ("x;=1+1", "\x1b[31m\u202ebad\x07"):
        (folder / f"{name}.ipynb").write_text(notebook({"gae.recursion": source}))
    grade(folder)
    out = folder.parent / "grades"
    for path in [p for p in out.rglob("*") if p.suffix in (".csv", ".html", ".json")]:
        text = path.read_text(encoding="utf-8-sig")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text), path
    assert ";=" not in (out / "grades.csv").read_text(encoding="utf-8-sig")
    wrong = checked(get("gae.targets"), lambda *a: bad)
    assert all(line.isprintable() for line in wrong.lines)


def test_a_refusing_function_says_why(folder):
    source = "def gae_recursion(r, v, nv, te, tr, g, lam):\n    return gae(r, v, nv, te, tr, gamma=g, lam=lam)"
    (folder / "ada.ipynb").write_text(notebook({"gae.recursion": source}))
    grade(folder)
    told = record(folder, "ada")["exercises"]["gae.recursion"]["lines"][2]
    assert "coursekit.advantages.gae does not answer here, since it is the answer" in told


def test_the_answer_of_one_exercise_may_help_in_another(folder):
    """`check` and the grader agree: `gae` is the answer of another exercise of the chapter."""
    source = ("def targets(advantages, values):\n    flags = np.zeros(len(values), bool)\n"
              "    same = gae(advantages, 0 * values, 0 * values, flags, flags, gamma=1.0, lam=0.0)\n"
              "    return (same - same.mean()) / same.std(ddof=1), same + values")
    (folder / "ada.ipynb").write_text(notebook({"gae.targets": source, "gae.recursion": "gae_recursion = gae"}))
    grade(folder)
    told = {i: v["status"] for i, v in record(folder, "ada")["exercises"].items()}
    assert told["gae.targets"] == "correct" and told["gae.recursion"] == "wrong"
    names = {"np": np, "gae": library.gae}
    exec(source, names)
    assert checked(get("gae.targets"), names["targets"]).status == "correct"


def test_fuzzed_notebooks_are_read_or_refused_never_crash():
    from fuzz import mutants
    seen = {"read": 0, "refused": 0}
    for data in mutants(FULL.encode(), 1500, seed=0):
        try:
            parse(data)
            seen["read"] += 1
        except UnreadableError as error:
            assert str(error)
            seen["refused"] += 1
    assert min(seen.values()) > 100, seen
