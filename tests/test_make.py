"""What make does on a bare machine, and what .ci/run asks of a clean clone."""

import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

import torch_index
from environments import ROOT


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


# ---- .ci/run


def run_ci(folder, *, browser, ci):
    """(exit status, calls of make and .venv/bin/python in order) of .ci/run, where both only note their calls."""
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", folder / ".ci/run")
    note = f'echo "$(basename $0) $*" >> {folder}/calls'
    script(folder / "bin/make", note)
    for name in ("bwrap", "chromium", "npm"):
        script(folder / "bin" / name, "")
    lacks = "" if browser else 'case "$*" in *axe-core*) exit 1;; esac'
    script(folder / ".venv/bin/python", f"{note}\n{lacks}")
    environment = {"PATH": f"{folder}/bin:/usr/bin:/bin"} | ({"CI": "true"} if ci else {})
    done = subprocess.run(["bash", ".ci/run"], cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, (folder / "calls").read_text().splitlines()


def test_ci_builds_the_book_before_the_developers_packages_arrive(tmp_path):
    """`make test` installs them into the same .venv: after it a missing package can't be seen."""
    status, calls = run_ci(tmp_path, browser=True, ci=True)
    assert status == 0
    assert calls[0] == "make book" and "test_first_contact" in calls[1]
    assert [c for c in calls if c.startswith("make")] == [
        "make book", "make test", "make test-colab", "make slow", "make test-browser", "make pdf"]


@pytest.mark.parametrize("ci, status", [(True, 1), (False, 0)])
def test_ci_fails_where_no_page_was_opened_in_a_browser(ci, status, tmp_path):
    assert run_ci(tmp_path, browser=False, ci=ci)[0] == status


# ---- where torch comes from


@pytest.fixture
def server():
    """Start a server with what it does with a connection; returns its address."""
    listening = []

    def start(answer):
        listener = socket.create_server(("127.0.0.1", 0))
        listening.append(listener)

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listening:
        listener.close()


def lists_torch(connection):
    asked = connection.recv(9999).decode()
    connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % (
        b"200 OK" if asked.startswith("HEAD /torch/ ") else b"404 Not Found"))
    connection.close()


def drips(connection):
    """A byte every tenth of a second: each one ends the wait of a socket's time-out."""
    try:
        while True:
            connection.sendall(b"H")
            time.sleep(0.1)
    except OSError:
        pass


def test_an_index_that_lists_torch_answers(server):
    address = server(lists_torch)
    assert torch_index.answers(address) and not torch_index.answers(f"{address}/elsewhere")


@pytest.mark.parametrize("server_does", [drips, lambda connection: time.sleep(60)], ids=["drips", "says nothing"])
def test_a_server_that_never_ends_its_answer_is_left_in_time(server, server_does):
    start = time.monotonic()
    assert not torch_index.answers(server(server_does), seconds=1)
    assert time.monotonic() - start < 2


def test_a_name_server_that_does_not_answer_holds_up_nothing():
    """A look-up has no time-out: here it takes a minute, and the script's process ends all the same."""
    program = ("import socket, time, sys; sys.path.insert(0, 'tools'); import torch_index; "
               "socket.getaddrinfo = lambda *a, **k: time.sleep(60); torch_index.has_nvidia_driver = bool; "
               "print(torch_index.choose())")
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")
    assert time.monotonic() - start < torch_index.SECONDS + 5


def test_only_linux_without_an_nvidia_driver_takes_the_cpu_builds(server, monkeypatch):
    address = server(lists_torch)
    for driver, system, chosen in ((False, "linux", address), (True, "linux", None), (False, "darwin", None),
                                   (False, "win32", None)):
        monkeypatch.setattr(torch_index, "has_nvidia_driver", lambda driver=driver: driver)
        assert torch_index.choose(address, system) == chosen


@pytest.mark.parametrize("given, found, works, installs, status", [
    ("", "http://cpu", True, ["http://cpu", "requirements.txt"], 0),
    ("", "http://cpu", False, ["http://cpu", "requirements.txt"], 0),  # in silence
    ("", "", True, ["requirements.txt"], 0),
    ("http://mine", "http://cpu", True, ["http://mine", "requirements.txt"], 0),
    ("http://mine", "http://cpu", False, ["http://mine"], 2)])
def test_make_installs_torch_from(given, found, works, installs, status, tmp_path):
    """The real Makefile with a Python that notes what pip was asked for. works: torch can be had from an index."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    script(tmp_path / ".venv/bin/python", f"""case "$*" in
      *torch_index*) printf '{found}';;
      *--index-url*) echo "$*" >> calls; {'exit 0' if works else 'echo no such index >&2; exit 1'};;
      *) echo "$*" >> calls;;
    esac""")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    done = subprocess.run(["make", ".venv/.book", f"TORCH_INDEX={given}"], cwd=tmp_path, env=clean,
                          capture_output=True, text=True)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert done.returncode == status, done.stderr
    assert [call.split()[-1] for call in calls] == installs
    assert all("torch==" in call for call in calls if "--index-url" in call)
    assert given or not done.stderr


def test_make_takes_away_an_environment_that_it_could_not_finish(tmp_path):
    """Debian's Python without python3-venv leaves a .venv without pip behind, which the next make would use."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    script(tmp_path / "python", 'test "$1" = -m || exit 0; mkdir -p .venv/bin; touch .venv/bin/python; exit 1')
    done = subprocess.run(["make", ".venv/bin/python", "PYTHON=./python"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 2 and not (tmp_path / ".venv").exists()
