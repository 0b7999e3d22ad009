"""Grading over Dask: the same records as here, also where a worker dies in the middle."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from coursekit.autograder import memory_watch, package, sandbox
from coursekit.autograder.book import answers, cells, chapters, role
from coursekit.cli import main
from coursekit.exercises import get

pytestmark = pytest.mark.slow

distributed = pytest.importorskip("distributed", reason="pip install -r requirements-dev.txt")
CHAPTER = chapters()["02_gae"]
ANSWERS = answers(CHAPTER)


def notebook(solved):
    found = [c for c in cells(CHAPTER) if role(c) != "solution"]
    for cell in found:
        if role(cell) == "stub" and (i := cell["metadata"]["coursekit"]["exercise"]) in solved:
            cell["source"] = "import time\ntime.sleep(0.1)\n" + solved[i]
    return json.dumps({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def grade(folder, out, *options):
    assert main(["grade", str(folder), "--out", str(out), "--chapters", "02_gae", "--seed", "3", *options]) == 0
    return {p.stem: json.loads(p.read_text()) | {"seconds": 0} for p in (out / "learners").iterdir()}


@pytest.fixture
def folder(tmp_path):
    try:
        sandbox.choose("bwrap", package.copy(frozenset()))
    except sandbox.GraderError as error:
        pytest.skip(str(error))
    (tmp_path / "class").mkdir()
    for k in range(10):
        solved = dict(list(ANSWERS.items())[k % 3:])
        (tmp_path / "class" / f"learner{k}.ipynb").write_text(notebook(solved))
    (tmp_path / "class" / "broken.ipynb").write_text("{")
    return tmp_path / "class"


def test_a_cluster_grades_as_this_machine_does_even_if_a_worker_is_killed(folder, tmp_path):
    here = grade(folder, tmp_path / "here", "-j", "2")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        first = next(iter(cluster.workers.values())).pid
        kept, killed = tmp_path / "there" / "learners", []

        def kill_in_the_middle():
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and not killed:
                done = len(list(kept.glob("*.json"))) if kept.exists() else 0
                if done >= 2:
                    os.kill(first, signal.SIGKILL)
                    killed.append(done)
                time.sleep(0.02)

        thread = threading.Thread(target=kill_in_the_middle)
        thread.start()
        there = grade(folder, tmp_path / "there", "--cluster", cluster.scheduler_address)
        thread.join()
    assert killed and killed[0] < len(here)
    assert there == here
    assert here["learner0"]["points"] == sum(get(i).points for i in ANSWERS)
    assert here["broken"]["status"] == "unreadable"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_interrupted_goes_on_where_it_stopped_and_leaves_no_sandbox(how, folder, tmp_path):
    (folder / "slow.ipynb").write_text(notebook({"gae.weights": "time.sleep(4)\n" + ANSWERS["gae.weights"]}))
    kept = tmp_path / "there" / "learners"
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        command = ["grade", str(folder), "--out", str(tmp_path / "there"), "--chapters", "02_gae", "--seed", "3",
                   "--cluster", cluster.scheduler_address]
        process = subprocess.Popen([sys.executable, "-m", "coursekit.cli", *command], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while len(list(kept.glob("[!.]*.json"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(how)
        process.wait(30)
        done = {path: path.stat().st_mtime_ns for path in kept.glob("[!.]*.json")}
        assert 2 <= len(done) < 12 and all(json.loads(p.read_text())["status"] in ("graded", "unreadable")
                                           for p in done)
        workers = {worker.pid for worker in cluster.workers.values()}
        if how == signal.SIGINT:
            assert not sandboxes_of(workers)
        assert main(command) == 0
        assert len(list(kept.glob("[!.]*.json"))) == 12
        assert all(path.stat().st_mtime_ns == at for path, at in done.items())
        assert not sandboxes_of(workers)


def sandboxes_of(workers):
    """Processes that the workers started and that are there five seconds later; Dask itself has none below them."""
    deadline = time.monotonic() + 5
    while (found := [pid for pid, (parent, *_) in memory_watch.processes().items() if parent in workers]) and \
            time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_no_scheduler_is_said_in_one_line(folder, tmp_path, capsys, monkeypatch):
    client = distributed.Client
    monkeypatch.setattr(distributed, "Client", lambda address, timeout: client(address, timeout=1))
    assert main(["grade", str(folder), "--out", str(tmp_path / "g"), "--cluster", "tcp://127.0.0.1:1"]) == 2
    assert "no Dask scheduler at tcp://127.0.0.1:1" in capsys.readouterr().err
