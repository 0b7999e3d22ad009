"""What stands between a submission and the rest, piece by piece."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coursekit.autograder import confine, isolation, memory_watch, package, sandbox, submission
from coursekit.autograder.book import answers, cells, chapter, chapters, role
from coursekit.autograder.isolation import Isolation
from coursekit.autograder.reader import File
from coursekit.exercises import get

pytestmark = pytest.mark.slow

CHAPTER = chapters()["02_gae"]
ANSWERS = answers(CHAPTER)
needs_landlock = pytest.mark.skipif(confine.landlock() < 6, reason="Landlock here can't keep signals inside")
needs_seccomp = pytest.mark.skipif(confine.platform.machine() not in confine.CALLS, reason="unknown machine")


def confined(program, places=None, forbid=()):
    """What a program prints that has given up all places but these, and these system calls."""
    see = confine.READ | confine.LIST | confine.EXECUTE
    places = dict.fromkeys(("/usr", sys.prefix, sys.base_prefix), see) | (places or {})
    text = (f"import sys; sys.path.insert(0, {str(package.SOURCE.parent)!r})\n"
            "import ctypes, mmap, os, signal, socket, subprocess\nfrom coursekit.autograder import confine\n"
            f"confine.call('prctl', 38, 1, 0, 0, 0)\nassert confine.keep_to({places!r})\n"
            f"assert not {forbid!r} or confine.forbid({forbid!r})\n"
            f"try:\n    {program}\nexcept OSError as error:\n    print(type(error).__name__)")
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@needs_landlock
@pytest.mark.parametrize("program", [
    "open({inside!r} + '/new', 'w'); print('DONE')", "print('DONE', len(os.listdir('/usr')))",
    "os.kill(os.getpid(), 0); print('DONE')",
    "print(subprocess.run(['/usr/bin/env', 'echo', 'DONE'], text=True, stdout=-1).stdout)"])
def test_what_is_allowed_still_works(program, tmp_path):
    assert confined(program.format(inside=str(tmp_path)), {str(tmp_path): confine.ALL}).startswith("DONE")


@needs_landlock
@pytest.mark.parametrize("program", [
    "open({outside!r}).read(); print('READ')", "open({outside!r}, 'w'); print('WRITTEN')",
    "os.truncate({outside!r}, 0); print('CUT')", "os.remove({outside!r}); print('GONE')",
    "os.listdir({folder!r}); print('LISTED')", "os.kill(os.getppid(), 0); print('SIGNALLED')",
    "open(f'/proc/{{os.getppid()}}/mem', 'rb'); print('OPENED')"])
def test_other_paths_and_processes_are_out_of_reach(program, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("text")
    assert confined(program.format(outside=str(outside), folder=str(tmp_path))) == "PermissionError"
    assert outside.read_text() == "text"


@needs_landlock
@needs_seccomp
@pytest.mark.parametrize("program, names", [
    ("socket.socket(); print('MADE')", ["socket"]), ("os.memfd_create('x'); print('MADE')", ["memfd_create"]),
    ("mmap.mmap(-1, 4096); print('MADE')", ["mmap"])])
def test_a_forbidden_system_call_fails_and_only_that(program, names):
    assert confined(program, forbid=names) == "PermissionError"
    others = [name for name in (*confine.HIDDEN_MEMORY, *confine.WAYS_OUT) if name not in names]
    assert confined(program, forbid=others) == "MADE"


@needs_landlock
@needs_seccomp
def test_what_is_no_danger_is_not_forbidden():
    every = [*confine.HIDDEN_MEMORY, *confine.WAYS_OUT]
    assert confined("a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))", forbid=every) == "b'x'"
    private = "mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS); print('MADE')"
    assert confined(private, forbid=every) == "MADE"
    assert confined("os.setsid(); print(os.getpgrp() != os.getpid())", forbid=every) == "True"  # nothing happened


def test_the_memory_of_a_sandbox_is_that_of_its_group_and_of_all_that_they_started():
    table = {1: (0, 1, 1), 10: (1, 10, 2), 11: (10, 10, 4), 12: (11, 12, 8), 13: (1, 10, 16), 14: (13, 14, 32),
             20: (1, 20, 64)}
    assert memory_watch.together(table, 10) == 2 + 4 + 8 + 16 + 32 and memory_watch.together(table, 99) == 0


def test_memory_that_a_process_holds_is_seen():
    before = memory_watch.processes()[os.getpid()][2]
    block = b"x" * (64 << 20)
    assert 60 << 20 < memory_watch.processes()[os.getpid()][2] - before < 90 << 20
    del block


def notebook(solved, *extra):
    found = [c for c in cells(CHAPTER) if role(c) != "solution"]
    for cell in found:
        if role(cell) == "stub" and (i := cell["metadata"]["coursekit"]["exercise"]) in solved:
            cell["source"] = solved[i]
    found += [{"cell_type": "code", "metadata": {}, "source": source} for source in extra]
    return json.dumps({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def grade(kind, forks, data, **limits):
    settings = submission.Settings((chapter(CHAPTER),), 7, Isolation(kind, forks, ""), sandbox.Limits(**limits),
                                   package.version())
    with settings.pool() as pool:
        return submission.grade_submission([File("a.ipynb", data)], settings, pool)


KINDS = [("bwrap", True), ("bwrap", False), ("container", False)]


@pytest.fixture(params=KINDS, ids=lambda k: f"{k[0]}-{'forks' if k[1] else 'fresh'}")
def kind(request, monkeypatch):
    try:
        sandbox.choose(request.param[0], package.copy(frozenset()))
    except sandbox.GraderError:
        if request.param[0] == "bwrap" or not isolation.holds_in_container():
            pytest.skip("that isolation does not work here")
        monkeypatch.setattr(os, "getuid", lambda: 1000)  # our own user can read Python
    return request.param


HOGS = """
import os, time
def gae_recursion(*a):
    for k in range(10):
        if os.fork() == 0:
            block = b"x" * (150 << 20)
            open(f"{os.environ['HOME']}/{k}", "w").close()
            time.sleep(60)
    while len([n for n in os.listdir(os.environ["HOME"]) if n.isdigit()]) < 10: time.sleep(0.05)
    time.sleep(1)
    return "ALL OF IT"
"""


def test_processes_that_hold_too_much_together_are_ended_and_the_rest_keeps_its_points(kind):
    found = grade(*kind, notebook({"gae.targets": ANSWERS["gae.targets"]}, HOGS), memory=1 << 30, call=60)
    lines = "\n".join(found.exercises["gae.recursion"].lines)
    assert "its processes held more than 1 GB of memory together" in lines, lines
    assert found.points == 2 and found.status == "crashed"


def test_full_marks_fit_within_every_limit(kind):
    assert grade(*kind, notebook(ANSWERS)).points == sum(get(i).points for i in ANSWERS)


def test_starting_again_counts_as_the_learners_time():
    """Forty cells that end their process, each of which costs a new sandbox."""
    try:
        sandbox.choose("bwrap", package.copy(frozenset()))
    except sandbox.GraderError as error:
        pytest.skip(str(error))
    found = grade("bwrap", False, notebook({}, *["import os; os._exit(0)"] * 40), submission=1.5)
    assert found.status == "timeout" and found.seconds < 1.5 + 4


def test_in_a_container_the_record_says_what_holds_and_why_not_more(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(isolation, "in_container", lambda: True)
    monkeypatch.setattr(isolation, "holds_in_container", lambda: True)
    monkeypatch.setattr(isolation, "unreadable", lambda folder: None)
    found = sandbox.choose("auto", package.copy(frozenset()))
    assert (found.kind, found.forks) == ("container", False)
    assert "the container around the grader" in found.description
    assert "bubblewrap is not installed" in found.description


@pytest.mark.parametrize("user, version, holds, words", [
    (0, 7, True, "as a user of its own, Landlock for files and signals, no sockets"),
    (0, 3, True, "as a user of its own, Landlock for files, no sockets"),
    (0, 0, False, "a submission can read the answers"),
    (1000, 7, True, "as the grader's own user, Landlock for files and signals"),
    (1000, 5, False, "as the grader's own user, Landlock for files, no sockets")])
def test_auto_takes_a_container_only_if_answers_and_grader_are_safe(user, version, holds, words, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: user)
    monkeypatch.setattr(confine, "landlock", lambda: version)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(isolation, "in_container", lambda: True)
    monkeypatch.setattr(isolation, "unreadable", lambda folder: None)
    assert words in isolation.describe("container")
    if holds:
        assert sandbox.choose("auto", package.copy(frozenset())).kind == "container"
    else:
        with pytest.raises(sandbox.GraderError, match="no sandbox: bubblewrap is not installed"):
            sandbox.choose("auto", package.copy(frozenset()))
    assert sandbox.choose("container", package.copy(frozenset())).kind == "container"  # who asks gets it


def test_a_python_that_no_other_user_can_reach_is_told_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "getuid", lambda: 0)
    closed = tmp_path / "closed"
    (closed / "bin").mkdir(parents=True)
    closed.chmod(0o700)
    monkeypatch.setattr(isolation, "_readable", lambda: [str(closed / "bin")])
    with pytest.raises(sandbox.GraderError, match="can't enter .*, where Python is: chmod o\\+x"):
        sandbox.choose("container", package.copy(frozenset()))


def children(pid):
    table = memory_watch.processes()
    found, grown = set(), {pid}
    while grown != found:
        found, grown = grown, grown | {p for p, (parent, *_) in table.items() if parent in grown}
    return found - {pid}


def alive(pids):
    """Those of pids that still run; a zombie does not."""
    paths = {p: Path(f"/proc/{p}/stat") for p in pids}
    return {p for p, path in paths.items() if path.exists() and path.read_text().rpartition(") ")[2][0] != "Z"}


def test_a_grader_killed_at_once_leaves_no_process(kind):
    """Neither the sandbox nor what a submission started in it, in a session of its own where it can."""
    leaves = "import os, time\nif os.fork() == 0:\n    os.setsid()\nwhile True: time.sleep(1)"
    program = ("import sys, test_isolation as t; "
               f"t.grade({kind[0]!r}, {kind[1]}, t.notebook({{}}, {leaves!r}), call=60)")
    environment = os.environ | {"PYTHONPATH": ":".join(filter(None, [str(Path(__file__).parent), *sys.path]))}
    if os.getuid() == 1000:
        program = f"import os; os.getuid = lambda: 1000; {program}"
    grader = subprocess.Popen([sys.executable, "-c", program], env=environment)
    deadline, seen = time.monotonic() + 60, set()
    while time.monotonic() < deadline and len(seen) < 3:
        time.sleep(0.2)
        seen = children(grader.pid)
    time.sleep(1.5)  # for the cell to begin
    seen = children(grader.pid)
    assert len(seen) >= 3 and grader.poll() is None
    grader.kill()
    grader.wait()
    deadline = time.monotonic() + 10
    while alive(seen) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(seen)


def test_a_sandbox_that_nobody_asks_any_more_ends_by_itself(kind, monkeypatch):
    box = sandbox.Sandbox(*kind, package.copy(frozenset()))
    try:
        box.open()
        process = box.process
        box.check({})
        assert process.poll() is None  # it serves
        box.close()
        if kind[1]:
            box.check({})
            assert process.poll() is None  # it waits
            monkeypatch.setattr(sandbox, "IDLE", 0)
            box.check({})
        assert process.poll() is not None
    finally:
        box.kill()


def test_a_pool_that_is_closed_ends_its_sandboxes_and_starts_no_more(kind):
    folder = package.copy(frozenset())
    mine, other = sandbox.SandboxPool(*kind, sandbox.Limits()), sandbox.SandboxPool(*kind, sandbox.Limits())
    with mine, other, mine.lend(folder, ()) as box, other.lend(folder, ()) as theirs:
        box.open(), theirs.open()
        mine.close()
        assert box.process is None and theirs.process.poll() is None
        with pytest.raises(sandbox.GraderError, match="the grader was stopped"):
            box.open()
        with pytest.raises(sandbox.GraderError, match="the grader was stopped"), mine.lend(folder, ()) as another:
            another.open()


def test_a_pool_lends_to_one_at_a_time_and_what_waits_first(kind):
    folder = package.copy(frozenset())
    with sandbox.SandboxPool(*kind, sandbox.Limits()) as pool:
        with pool.lend(folder, ()) as one, pool.lend(folder, ()) as two, pool.lend(folder, ("numpy",)) as third:
            assert len({one, two, third}) == 3
        with pool.lend(folder, ()) as again:
            assert again in (one, two)
        with pytest.raises(ZeroDivisionError), pool.lend(folder, ()) as broken:
            broken.open()
            raise ZeroDivisionError
        assert broken.process is None  # nobody knows what state it is in
