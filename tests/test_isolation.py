"""What stands between a submission and the rest, piece by piece."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coursekit.autograder import (
    cgroup,
    confine,
    isolation,
    memory_watch,
    package,
    sandbox,
    session,
    submission,
    wire,
)
from coursekit.autograder.book import answers, cells, chapter, chapters, role
from coursekit.autograder.isolation import Isolation
from coursekit.autograder.reader import File
from coursekit.exercises import get

pytestmark = pytest.mark.slow

CHAPTER = chapters()["02_gae"]
ANSWERS = answers(CHAPTER)
needs_landlock = pytest.mark.skipif(confine.landlock() < 6, reason="Landlock here can't keep signals inside")
needs_seccomp = pytest.mark.skipif(confine.platform.machine() not in confine.MACHINES, reason="unknown machine")


def confined(program, places=None, calls=False):
    """What a program prints that has given up all places but these, and most system calls."""
    see = confine.READ | confine.LIST | confine.EXECUTE
    places = dict.fromkeys(("/usr", sys.prefix, sys.base_prefix), see) | (places or {})
    text = (f"import sys; sys.path.insert(0, {str(package.SOURCE.parent)!r})\n"
            "import ctypes, mmap, os, signal, socket, subprocess\nfrom coursekit.autograder import confine\n"
            f"confine.call('prctl', 38, 1, 0, 0, 0)\nassert confine.keep_to({places!r})\n"
            f"assert not {calls} or confine.keep_to_calls()\n"
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


OTHER_CALLS = {  # what makes memory that no limit counts, leads outside, or reaches into another process
    "a socket": "socket.socket(); print('MADE')",
    "memory of no process": "os.memfd_create('x'); print('MADE')",
    "shared memory": "mmap.mmap(-1, 4096); print('MADE')",
    "a segment": "confine.call('shmget', 0, 4096, 0o1600); print('MADE')",
    "semaphores": "confine.call('semget', 0, 9, 0o1600); print('MADE')",
    "messages": "confine.call('msgget', 0, 0o1600); print('MADE')",
    "a queue": "confine.call('mq_open', b'/coursekit', os.O_CREAT | os.O_RDWR, 0o600, None); print('MADE')",
    "pages in a pipe": "confine.call('vmsplice', os.pipe()[1], None, 0, 0); print('MADE')",
    "descriptors": "socket.send_fds(socket.socketpair()[0], [b'x'], [0]); print('MADE')",
    "large buffers": "socket.socketpair()[0].setsockopt(1, 7, 1 << 20); print('MADE')",
    "large pipes": "import fcntl; fcntl.fcntl(os.pipe()[1], 1031, 1 << 20); print('MADE')",
    "namespaces": "confine.call('unshare', 0x10000000); print('MADE')",
    "others' namespaces": "confine.call('setns', os.open('/usr', 0), 0); print('MADE')",
    "a child in namespaces": "confine.call('syscall', {'x86_64': 56, 'aarch64': 220}[confine.platform.machine()], "
                             "0x10000011, 0, 0, 0, 0) or os._exit(0); print('MADE')",
    "a mount": "confine.call('mount', b'x', b'/mnt', b'tmpfs', 0, None); print('MADE')",
    "a trace": "confine.call('ptrace', 0, 0, 0, 0); print('MADE')",
    "memory of others": "confine.call('process_vm_readv', os.getpid(), None, 0, None, 0, 0); print('MADE')",
    "limits of others": "import resource; resource.prlimit(os.getppid(), resource.RLIMIT_CORE); print('MADE')",
    "an attribute": "os.setxattr('/usr', 'user.x', b'x'); print('MADE')",
    "no attribute": "os.removexattr('/usr', 'user.x'); print('MADE')",
    "a mode": "os.chmod('{outside}', 0o600); print('MADE')",
    "a mode by descriptor": "os.fchmod(0, 0o666); print('MADE')",
    "a mode in a folder": "confine.call('fchmodat', -100, b'{outside}', 0o600, 0); print('MADE')",
    "an owner": "os.chown('{outside}', -1, -1); print('MADE')",
    "an owner by descriptor": "os.fchown(0, -1, -1); print('MADE')",
    "an owner of a link": "os.lchown('{outside}', -1, -1); print('MADE')",
    "times": "os.utime('{outside}'); print('MADE')",
    "times that are given": "os.utime('{outside}', (1, 1)); print('MADE')",
    "times by descriptor": "os.utime(0); print('MADE')",
    "times by an old call": "confine.call('utimes', b'{outside}', None); print('MADE')",
    "flags of a file": "import fcntl; fcntl.ioctl(os.open('/usr', 0), 0x80086601, bytes(8)); print('MADE')",
    "priority of others": "os.getpriority(os.PRIO_PROCESS, os.getppid()); print('MADE')",
    "watches": "confine.call('inotify_init1', 0); print('MADE')",
}


@needs_landlock
@needs_seccomp
@pytest.mark.parametrize("name", OTHER_CALLS)
def test_a_call_that_is_not_on_the_list_fails(name, tmp_path):
    (outside := tmp_path / "outside").write_text("text")
    assert confined(OTHER_CALLS[name].replace("{outside}", str(outside)), calls=True) == "PermissionError"


@pytest.mark.parametrize("call", [
    "425, 1, 0",  # io_uring_setup
    "434, os.getppid(), 0",  # pidfd_open
    "452, -100, b'/usr', 0o755, 0"])  # fchmodat2
def test_a_call_younger_than_the_list_is_unknown_so_that_libraries_do_without(call):
    assert confined(f"confine.call('syscall', {call}); print('MADE')", calls=True) == "OSError"


@needs_landlock
@needs_seccomp
@pytest.mark.parametrize("program, said", [
    ("a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))", "b'x'"),
    ("mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS); print('MADE')", "MADE"),
    ("os.setsid(); print(os.getpgrp() != os.getpid())", "True"),  # nothing happened
    ("import threading as t; x = t.Thread(target=print, args=('THREAD',)); x.start(); x.join()", "THREAD"),
    ("import asyncio; print(asyncio.run(asyncio.sleep(0, 'SLEPT')))", "SLEPT"),
    ("print(subprocess.run(['/usr/bin/env', 'echo', 'RUN'], text=True, stdout=-1).stdout)", "RUN"),
    ("import multiprocessing as m; print(m.get_context('fork').Pool(2).map(abs, [-1, -2]))", "[1, 2]"),
    ("import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); print(resource.getrlimit(4))", "(0, 0)"),
    ("import fcntl, tempfile; print(fcntl.lockf(tempfile.TemporaryFile(), fcntl.LOCK_EX))", "None"),
    ("import shutil; print(shutil.copy('/usr/bin/env', '{inside}/env'))", "{inside}/env"),
    ("import shutil; print(shutil.copy2('/usr/bin/env', '{inside}/env'))", "{inside}/env"),
    ("import shutil; os.mkdir('{inside}/a'); print(shutil.copytree('{inside}/a', '{inside}/b'))", "{inside}/b"),
    ("import pathlib; p = pathlib.Path('{inside}/a'); p.touch(); p.touch(); print(p.exists())", "True"),
    ("import tempfile; d = tempfile.TemporaryDirectory(); d.cleanup(); print(os.path.exists(d.name))", "False"),
    ("print(os.getpriority(os.PRIO_PROCESS, 0) == os.nice(0))", "True"),
    ("print(os.isatty(1), os.set_inheritable(1, False), os.set_blocking(1, True))", "False None None"),
    ("import uuid, getpass, platform, numpy; print(numpy.ones(3).sum())", "3.0")])
def test_honest_code_does_not_miss_the_others(program, said, tmp_path):
    shown, inside = confined(program.format(inside=tmp_path), {str(tmp_path): confine.ALL, "/dev/shm": confine.ALL,
                             "/tmp": confine.ALL}, calls=True), str(tmp_path)
    assert shown == said.format(inside=inside)


@needs_landlock
@needs_seccomp
@pytest.mark.parametrize("program, said", [
    ("os.mkdir('{inside}/a', 0o300); print('MADE')", "PermissionError"),
    ("os.mkdir('a', 0, dir_fd=os.open('{inside}', 0)); print('MADE')", "PermissionError"),
    ("os.umask(0o777); os.mkdir('{inside}/a'); print(oct(os.stat('{inside}/a').st_mode & 0o700))", "0o700")])
def test_a_folder_is_always_open_to_its_owner_so_that_what_it_holds_can_be_counted(program, said, tmp_path):
    """In a container that is the grader's own user, who measures a private home and removes it."""
    assert confined(program.format(inside=tmp_path), {str(tmp_path): confine.ALL}, calls=True) == said


def test_the_memory_of_a_sandbox_is_that_of_its_group_and_of_all_that_they_started():
    table = {pid: memory_watch.Process(parent, 0, group, 1, held) for pid, parent, group, held in (
        (1, 0, 1, 1), (10, 1, 10, 2), (11, 10, 10, 4), (12, 11, 12, 8), (13, 1, 10, 16), (14, 13, 14, 32),
        (20, 1, 20, 64))}
    assert memory_watch.together(table, 10) == (2 + 4 + 8 + 16 + 32, 5)
    assert memory_watch.together(table, 99) == (0, 0)


def test_what_forks_share_counts_once():
    """Twelve processes that only read 200 MB of their parent hold 200 MB together, not 2.6 GB."""
    program = ("import os, sys, time\nblock = b'x' * (200 << 20)\n"
               "for _ in range(12):\n    if os.fork() == 0: time.sleep(60)\n"
               "print('READY', flush=True)\ntime.sleep(60)")
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert parent.stdout.readline()
        table = memory_watch.processes()
        held, number = memory_watch.together(table, parent.pid)
        assert number == 13 and 200 << 20 < held < 600 << 20
        assert sum(p.bytes for p in table.values() if p.group == parent.pid) > 2 << 30
    finally:
        os.killpg(parent.pid, 9)
        parent.communicate()


def cgroups(tmp_path, controllers="cpu io memory pids"):
    (tmp_path / "cgroup.controllers").write_text(controllers)
    (tmp_path / "cgroup.subtree_control").write_text("")
    return tmp_path


def test_a_control_group_holds_the_limits(tmp_path):
    """Its files are plain ones here: no test may change the groups of a machine. What they must hold is in the
    kernel's Documentation/admin-guide/cgroup-v2.rst."""
    root = cgroups(tmp_path)
    found = cgroup.new("one", 3 << 30, 72, root)
    assert found.path == root / "one" and (root / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"
    texts = {path.name: path.read_text() for path in found.path.iterdir()}
    assert texts == {"memory.max": str(3 << 30), "memory.oom.group": "1", "pids.max": "72", "cpu.weight": "100"}
    done = subprocess.run(found.command(["/bin/sh", "-c", "echo $$"]), capture_output=True, text=True)
    assert (found.path / "cgroup.procs").read_text() == done.stdout and found.holds()  # it enters, then it runs
    assert not found.ran_out()
    (found.path / "memory.events").write_text("low 0\noom 1\noom_kill 2\n")
    assert found.ran_out()


def test_where_no_control_group_can_be_made_the_record_says_what_is_not_limited(tmp_path, monkeypatch):
    assert cgroup.new("one", 1, 1, cgroups(tmp_path, "hugetlb")) is None
    assert cgroup.new("one", 1, 1, tmp_path / "none") is None
    monkeypatch.setattr(cgroup, "new", lambda *_: None)
    try:
        found = sandbox.choose("bwrap", package.copy(frozenset()))
    except sandbox.GraderError as error:
        pytest.skip(str(error))
    assert "not limited here, for want of a control group" in found.description


def test_memory_that_a_process_holds_is_seen():
    before = memory_watch.processes()[os.getpid()].bytes
    block = b"x" * (64 << 20)
    assert 60 << 20 < memory_watch.processes()[os.getpid()].bytes - before < 90 << 20
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


HONEST = """
import os, shutil, subprocess, tempfile
import matplotlib.pyplot as plt
import numpy as np
with tempfile.TemporaryDirectory() as folder:
    np.save(f"{folder}/a.npy", np.ones(3))
    plt.plot(np.load(shutil.copy(f"{folder}/a.npy", f"{folder}/b.npy")))
    plt.savefig(f"{folder}/a.png")
    shutil.copytree(folder, f"{folder}/copy")
    shutil.move(f"{folder}/copy", f"{folder}/moved")
    shutil.make_archive(f"{folder}/all", "gztar", f"{folder}/moved")
    shutil.unpack_archive(f"{folder}/all.tar.gz", f"{folder}/again")
    found = sorted(os.listdir(f"{folder}/again"))
    if shutil.which("cp"): subprocess.run(["cp", f"{folder}/a.png", f"{folder}/c.png"], check=True)
    import torch
    torch.save(torch.ones(2), f"{folder}/a.pt")
    found.append(torch.load(f"{folder}/a.pt").sum().item())
def gae_recursion(*a): raise ValueError(str(found))
"""


def test_an_honest_notebook_may_draw_save_and_copy(kind):
    lines = grade(*kind, notebook({}, HONEST)).exercises["gae.recursion"].lines
    assert "['a.npy', 'a.png', 'b.npy', 2.0]" in str(lines), lines


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
    monkeypatch.setattr(isolation, "readable", lambda: [str(closed / "bin")])
    with pytest.raises(sandbox.GraderError, match="can't enter .*, where Python is: chmod o\\+x"):
        sandbox.choose("container", package.copy(frozenset()))


def test_a_worker_that_keeps_the_grading_thread_waiting_is_ended_from_outside(kind, monkeypatch):
    """Were the limit of the grading thread itself lost, another thread would end the sandbox at its deadline."""
    monkeypatch.setattr(wire, "_await", lambda *_: None)
    read = wire.Channel.read

    def blocking(channel, count, deadline):
        os.set_blocking(channel.source, True)
        return read(channel, count, deadline)
    monkeypatch.setattr(wire.Channel, "read", blocking)
    monkeypatch.setattr(session, "GRACE", 0.5)
    found = grade(*kind, notebook({}, "def gae_recursion(*a):\n    while True: pass"), call=1, submission=8)
    assert found.seconds < 30 and "ended the process it ran in" in found.exercises["gae.recursion"].lines[2]


def test_a_grader_that_inherits_processes_leaves_no_zombies(kind):
    """As process 1 of a container it does. They would count as its user's until nothing can start any more."""
    grader = "import ctypes, os\nctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"  # PR_SET_CHILD_SUBREAPER
    grader += "os.getuid = lambda: 1000\n" * (os.getuid() == 1000)
    grader += (f"import test_isolation as t\nt.grade({kind[0]!r}, {kind[1]}, t.notebook(t.ANSWERS))\n"
               "try: print('ZOMBIE', os.waitpid(-1, os.WNOHANG))\nexcept ChildProcessError: print('none')")
    environment = os.environ | {"PYTHONPATH": ":".join(filter(None, [str(Path(__file__).parent), *sys.path]))}
    done = subprocess.run([sys.executable, "-c", grader], env=environment, capture_output=True, text=True)
    assert done.stdout == "none\n", done.stderr


def test_files_without_end_in_a_container_end_the_submission(monkeypatch):
    if not isolation.holds_in_container():
        pytest.skip("that isolation does not work here")
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    many = "for k in range(30_000): open(f'{home}/{k}', 'w').close()"
    large = "for k in range(20): open(f'{home}/{k}', 'wb').write(bytes(9 << 20))"
    for line in (many, large):
        cell = f"import os, time\nhome = os.environ['HOME']\n{line}\ntime.sleep(3)"
        found = grade("container", False, notebook({"gae.targets": ANSWERS["gae.targets"]}, cell))
        assert (found.status, found.points) == ("crashed", 2), found


def test_without_the_copy_of_the_package_no_sandbox_starts(tmp_path):
    """It must not come from the grader's own library, which knows the answers."""
    (tmp_path / "coursekit").mkdir()
    for folder in (tmp_path, tmp_path / "coursekit"):
        box = sandbox.Sandbox("container", False, folder)
        with pytest.raises(sandbox.GraderError, match="the copy of the package .* can't be read"):
            box.open()


def test_in_a_sandbox_the_package_is_the_copy_whatever_the_paths_say(kind):
    cell = ("import importlib, sys\nfor name in [n for n in sys.modules if n.startswith('coursekit')]:\n"
            f"    del sys.modules[name]\nsys.path.insert(0, {str(package.SOURCE.parent)!r})\n"
            "from coursekit import advantages\nplace = advantages.__file__\n"
            "def gae_recursion(*a): raise ValueError(place)")
    lines = grade(*kind, notebook({}, cell)).exercises["gae.recursion"].lines
    assert "coursekit/advantages.py" in str(lines) and str(package.SOURCE) not in str(lines), lines


def test_folders_that_nobody_may_read_are_removed_too():
    program = ("import os, sys; from coursekit.autograder import package\nos.getuid() or os.setuid(65534)\n"
               "folder = package.copy(frozenset()); print(folder)\n"
               "for place in ('coursekit/autograder', 'coursekit', '.'): (folder / place).chmod(0)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout, done.stderr
    assert not os.path.exists(done.stdout.strip())


def test_a_user_of_a_sandbox_is_nobody_elses(monkeypatch):
    monkeypatch.setattr(memory_watch, "users", lambda: set(range(60_000, 64_990)))
    assert {sandbox._free_uid() for _ in range(5)} <= set(range(64_990, 65_000))


def children(pid):
    table = memory_watch.processes()
    found, grown = set(), {pid}
    while grown != found:
        found, grown = grown, grown | {p for p, process in table.items() if process.parent in grown}
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
