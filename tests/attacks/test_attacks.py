"""A class of attackers, of honest mistakes and of three bystanders, graded together.

Every attacker hands in one honest answer (gae.targets, 2 points) and forges the rest.
"""

import contextlib
import glob
import json
import os
import re
import socket
import threading
import time
from pathlib import Path

import pytest
from files import CHANGED, FILES, HONEST, code, mark
from table import CODE, DEAD

from coursekit.autograder import memory_watch, package, sandbox
from coursekit.autograder.book import answers, cells, chapters
from coursekit.cli import main
from coursekit.exercises import get

pytestmark = pytest.mark.slow

CHAPTER = chapters(names=["02_gae"])["02_gae"]
ANSWERS = answers(CHAPTER)
POINTS = sum(get(i).points for i in ANSWERS)
CALL, TOTAL = 1.0, 8.0  # seconds for a call and for a submission
REPORT = "def best_lambda(lams, bias, variance):\n    return 'result: ' + str(globals().get('result'))"
# these leave several processes that answer for one, or answers before the question: their honest one may go
BREAKS_ITSELF = {"answers in advance", "a fork bomb of forks", "two answers from two processes"}


def notebook(solved):
    """Chapter 2 as released, with these exercises solved."""
    found = [c for c in cells(CHAPTER) if not mark(c, "solution")]
    for cell in found:
        if mark(cell, "stub") and (i := cell["metadata"]["coursekit"]["exercise"]) in solved:
            cell["source"] = ANSWERS[i]
    return {"cells": found, "metadata": {"coursekit": {"notebook": "02_gae"}}, "nbformat": 4, "nbformat_minor": 5}


def hard_coded():
    """The public cases and their answers as a table in the code."""
    exercise = get("gae.recursion")
    known = [(case.inputs["rewards"].tolist(), exercise.reference(*case.inputs.values()).tolist())
             for case in exercise.cases(0)]
    return f"KNOWN = {known!r}\ndef gae_recursion(r, *a):\n    for rewards, answer in KNOWN:\n" \
           "        if rewards == list(r): return answer\n    return np.zeros(len(r))\nresult = 'made'"


ATTACKS = CODE | {"the public cases by heart": hard_coded()}


def hand_in(folder, name, nb):
    (folder / name).mkdir()
    (folder / name / "02_gae.ipynb").write_text(json.dumps(nb))


def bystanders(folder):
    hand_in(folder, "other", notebook(ANSWERS))
    hand_in(folder, "another", notebook({"gae.weights": 1, "gae.targets": 1}))
    hand_in(folder, "zzz_last", notebook(ANSWERS))


def grade(folder, out, *options):
    """{id: record} of a class. Nothing is graded again alone: most of these are to be stopped at their limits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_watch, "crowded", lambda: False)
        assert main(["grade", str(folder), "--out", str(out), "--chapters", "02_gae", "--seed", "7", "-j", "3",
                     "--call-seconds", str(CALL), "--seconds", str(TOTAL), *options]) == 0
    return {p.stem: json.loads(p.read_text()) for p in (out / "learners").iterdir()}


@contextlib.contextmanager
def listening():
    """A port, an abstract socket, and the list of those who connected."""
    guests, stop = [], threading.Event()
    tcp, local = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    name = f"grader-{os.getpid()}"
    local.bind(f"\0{name}")
    local.listen()

    def accept(server):
        server.settimeout(0.2)
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                guests.append(server.accept())

    threads = [threading.Thread(target=accept, args=(s,)) for s in (tcp, local)]
    for thread in threads:
        thread.start()
    try:
        yield tcp.getsockname()[1], name, guests
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        tcp.close(), local.close()


@pytest.fixture(scope="module")
def isolated():
    try:
        return sandbox.choose("bwrap", package.copy(frozenset()))
    except sandbox.GraderError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def graded(tmp_path_factory, isolated):
    """(records by attack or mistake, by learner, by bystander alone, who connected, the outside, grades)"""
    folder, outside = tmp_path_factory.mktemp("class"), tmp_path_factory.mktemp("outside")
    slugs = {}
    for place in ("home", "shared", "course"):
        (outside / place).mkdir()
    os.environ["GRADER_SECRET"] = "SECRET-OF-THE-GRADER"
    with listening() as (port, name, guests):
        where = {"{port}": str(port), "{socket}": name, "{package}": str(package.SOURCE)}
        where |= {f"{{{p}}}": str(outside / p) for p in ("home", "shared", "course")}
        for k, (attack, source) in enumerate(ATTACKS.items()):
            for word, value in where.items():
                source = source.replace(word, value)
            nb = notebook({"gae.targets": 1})
            nb["cells"] += [code(source), code(REPORT)]
            hand_in(folder, slugs.setdefault(attack, f"attack{k:03}"), nb)
        for k, change in enumerate(CHANGED):
            hand_in(folder, slugs.setdefault(change.__name__, f"changed{k:02}"), nb := notebook({"gae.targets": 1}))
            change(nb)
            (folder / f"changed{k:02}" / "02_gae.ipynb").write_text(json.dumps(nb))
        for k, change in enumerate(HONEST):
            change(nb := notebook(ANSWERS))
            hand_in(folder, slugs.setdefault(f"honest: {change.__name__}", f"honest{k:02}"), nb)
        for k, (file, (write, _)) in enumerate(FILES.items()):
            (folder / slugs.setdefault(f"file: {file}", f"file{k:02}")).mkdir()
            write(folder / f"file{k:02}" / "02_gae.ipynb", notebook({"gae.targets": 1}))
        bystanders(folder)
        (alone := tmp_path_factory.mktemp("alone"))
        bystanders(alone)
        out = tmp_path_factory.mktemp("grades")
        found = grade(folder, out)
        return ({attack: found[slug] for attack, slug in slugs.items()}, found,
                grade(alone, tmp_path_factory.mktemp("calm")), guests, outside, out)


def result_of(record):
    """What the attack said about itself, from the only thing that leaves the sandbox: an answer."""
    lines = "\n".join(record["exercises"]["gae.best_lambda"]["lines"])
    return (re.search(r"got +['\"]result: (.*)['\"]", lines) or [None, None])[1]


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_earns_its_honest_points_and_no_more(attack, graded):
    record = graded[0][attack]
    honest = record["exercises"]["gae.targets"]["points"]
    assert record["points"] == honest, record
    assert honest == 2 or attack in BREAKS_ITSELF, record
    assert record["seconds"] <= TOTAL + 2


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a not in DEAD])
def test_an_attack_was_really_tried_and_got_nothing(attack, graded):
    said = result_of(graded[0][attack])
    if said == "None" or (said is None and attack in BREAKS_ITSELF):
        pytest.skip("not shown: the attack ended before it could tell")
    assert said and not re.search(r"\b[A-Z]{4,}\b", said), graded[0][attack]


@pytest.mark.parametrize("attack", [change.__name__ for change in CHANGED])
def test_what_a_notebook_says_about_itself_earns_nothing(attack, graded):
    assert graded[0][attack]["points"] == 2, graded[0][attack]


@pytest.mark.parametrize("mistake", [change.__name__ for change in HONEST])
def test_an_honest_mistake_keeps_full_points(mistake, graded):
    assert graded[0][f"honest: {mistake}"]["points"] == POINTS, graded[0][f"honest: {mistake}"]


@pytest.mark.parametrize("file", FILES)
def test_a_strange_file_is_graded_or_refused_with_a_reason(file, graded):
    record = graded[0][f"file: {file}"]
    if FILES[file][1]:
        assert (record["status"], record["points"]) == ("graded", 2), record
    else:
        assert record["status"] == "unreadable" and record["points"] == 0, record
        assert 10 < len(record["reason"]) < 200 and "Traceback" not in record["reason"]


def test_nobody_elses_grade_changes(graded):
    _, found, calm, *_ = graded
    for name in ("other", "another", "zzz_last"):
        assert found[name] | {"seconds": 0, "time": 0} == calm[name] | {"seconds": 0, "time": 0}
    assert [calm[name]["points"] for name in ("other", "another", "zzz_last")] == [POINTS, 3, POINTS]


def test_nothing_is_written_or_removed_outside(graded):
    outside = graded[4]
    assert sorted(p.name for p in outside.rglob("*")) == ["course", "home", "shared"]
    for place in ("/tmp/written-98765", "/dev/shm/written-98765", "/written", "/dev/written",
                  os.path.expanduser("~/written-98765"), "/tmp/results.pkl"):
        assert not os.path.exists(place)


def test_nobody_connects(graded):
    assert graded[3] == []


def processes_left(seconds=10):
    """Those of attacks, some seconds later: on a busy machine the kernel takes a while to end a whole namespace."""
    deadline = time.monotonic() + seconds
    while (left := _processes()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def _processes():
    left = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            text = Path(path).read_bytes()
            if b"98765" in text:
                left.append(text)
    return left


def test_no_process_is_left(graded):
    assert processes_left() == []


def test_pages_show_what_learners_write_as_text(graded):
    out = graded[5]
    pages = [out / "index.html", *(out / "feedback").iterdir()]
    assert len(pages) > 100
    assert not any("<script>" in page.read_text() for page in pages)
    assert any("&lt;script&gt;alert(98765)" in page.read_text() for page in pages)
