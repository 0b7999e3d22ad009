"""Windows and macOS, as far as Linux can play them: what they lack is taken away before coursekit is imported."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from coursekit.autograder import package, sandbox
from environments import ROOT

pytestmark = pytest.mark.slow
# Other packages and urllib know these systems and load parts of their own there: they are imported before.
PLAY = """
import ctypes, importlib, os, select, signal, socket, sys, urllib.request
for name in sys.argv.pop(1).split():
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        pass
sys.platform, windows = sys.argv.pop(1), sys.argv.pop(1) == "windows"
lacks = {os: "O_PATH pidfd_open", select: "epoll", signal: "pidfd_send_signal"}
if windows:
    for name in ("fcntl", "grp", "pwd", "resource", "termios"):
        sys.modules[name] = None
    lacks[os] += " O_CLOEXEC O_NOFOLLOW O_NONBLOCK chown fork getgid getuid killpg mkfifo setsid"
    lacks[select] += " poll"
    lacks[signal] += " ITIMER_REAL SIGALRM SIGKILL SIGUSR1 alarm setitimer"
    lacks[socket] = "AF_UNIX recv_fds send_fds"
for module, names in lacks.items():
    for name in names.split():
        delattr(module, name)
library = ctypes.CDLL
def only_by_name(name, *arguments, **named):
    if name is None:
        raise TypeError("a library's name must be a string")
    return library(name, *arguments, **named)
ctypes.CDLL = only_by_name
import coursekit
"""
ALL = ("IPython.display distributed gymnasium matplotlib.pyplot nbval.plugin numba pytest safetensors.torch "
       "sklearn.preprocessing torch.distributed.checkpoint.state_dict torch.distributed.fsdp tqdm transformers")
IMPORT_ALL = """
import pkgutil
for module in pkgutil.walk_packages(coursekit.__path__, "coursekit."):
    importlib.import_module(module.name)
    print(module.name)
"""
COMMAND = """
from coursekit.cli import main
sys.exit(main(sys.argv[1:]))
"""
LACKS = {"win32": "windows", "darwin": "mac"}


def on(platform, program, *arguments, lacks=None, before="IPython.display matplotlib.pyplot"):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run([sys.executable, "-c", PLAY + program, before, platform, lacks or LACKS[platform],
                           *map(str, arguments)], cwd=ROOT, env=clean, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_every_module_is_imported_there(platform):
    done = on(platform, IMPORT_ALL, lacks="windows", before=ALL)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.split()) > 50


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_commands_work_there_and_grade_says_what_it_needs(platform, tmp_path):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "ada.ipynb").write_text("{}")
    for command in (["--help"], ["release", tmp_path / "out"]):
        done = on(platform, COMMAND, *command)
        assert done.returncode == 0, done.stderr[-2000:]
    done = on(platform, COMMAND, "grade", tmp_path / "class", "--out", tmp_path / "grades")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert re.search("needs Linux.*Linux container.*--cluster", done.stderr)
    check = "from coursekit.autograder.check import check; check('gae.weights', lambda lam, n: 0)"
    done = on(platform, check)
    assert done.returncode == 0 and done.stdout.startswith("✗ gae.weights"), done.stderr[-2000:]


def test_a_mac_grades_on_linux_workers(tmp_path):
    distributed = pytest.importorskip("distributed")
    try:
        sandbox.choose("bwrap", package.copy(frozenset()))
    except sandbox.GraderError as fault:
        pytest.skip(str(fault))
    (tmp_path / "class").mkdir()
    shutil.copy(ROOT / "book/02_gae.ipynb", tmp_path / "class/ada.ipynb")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        done = on("darwin", COMMAND, "grade", tmp_path / "class", "--out", tmp_path / "grades", "--chapters",
                  "02_gae", "--cluster", cluster.scheduler_address, before="distributed matplotlib.figure")
    assert done.returncode == 0 and done.stdout.startswith("1 graded"), done.stderr
