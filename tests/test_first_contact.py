"""Every command block of the pages runs as it is printed, with what its page has asked the reader to install.

A block is run line by line, in a copy of the repository. `make` and what takes minutes has a stand-in below; a line
that has none runs as it stands, so that a new line is tested from the day it is written. The environment holds
requirements.txt and nothing else, and no program of it is found before the page has activated it.
"""

import gzip
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib import metadata

import nbformat
import numpy as np
import pytest
from packaging.requirements import Requirement

from environments import LEFT_OUT, OURS, ROOT, blocks, missing, only, requirements
from notebooks import exercises_only, solution
from test_autograder import LEAK

pytestmark = pytest.mark.slow
PAGES = ["README.md", "book/index.md", "book/autograder.md"]
SHELL = ("", "sh", "bash", "console")


class Reader:
    """Somebody who types what a page prints: the folder, the variables, what has been installed so far."""

    def __init__(self, folder):
        self.folder, self.installed, self.background = folder / "course", requirements("requirements.txt"), []
        shutil.copytree(ROOT, self.folder, ignore=LEFT_OUT)
        (self.folder / ".venv").symlink_to(sys.prefix)
        (folder / "home").mkdir()
        self.variables = {"HOME": str(folder / "home"), "PATH": "/usr/bin:/bin"}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.scheduler = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.prepare()

    def prepare(self):
        """What the pages take for granted: submissions of learners, comparisons and exercises of one's own."""
        answers = {"gae.recursion": LEAK, "gae.lambda_return": solution("02_gae", "gae.lambda_return")}
        (self.folder / "submissions").mkdir()
        nbformat.write(exercises_only("02_gae", answers), self.folder / "submissions/ada.ipynb")
        pairs = [json.dumps({"chosen": f"thank you for number {i}", "rejected": f"number {i} is none of mine"})
                 for i in range(40)]
        (self.folder / "mine").mkdir()
        (module,) = (lines for language, lines in blocks(ROOT / "book/autograder.md") if language == "python")
        (self.folder / "mine/bandits.py").write_text("\n".join(module))
        (self.folder / "pairs.jsonl.gz").write_bytes(gzip.compress("\n".join(pairs).encode()))

    def types(self, line):
        """Run one line; returns its output. Fails where the line does."""
        command = self.stand_in(line).replace("tcp://scheduler:8786", self.scheduler)
        environment = only(self.folder.parent / "hidden", self.installed) | self.variables
        environment["PYTHONPATH"] += f":{self.folder}/extra"
        if command.startswith("dask"):
            return self.starts(command, environment)
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, env=environment, capture_output=True,
                              text=True, timeout=300)
        assert done.returncode == 0, f"{line}\nran as: {command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def starts(self, command, environment):
        """A service goes on while the next lines are typed, which is not before it says that it is there."""
        log = self.folder / f"service{len(self.background)}.log"
        with open(log, "w") as file:
            self.background.append(subprocess.Popen(command, shell=True, cwd=self.folder, env=environment,
                                                    stderr=file, start_new_session=True))
        deadline = time.monotonic() + 60
        while not re.search("Scheduler at|Registered to", log.read_text()):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        return log.read_text()

    def stand_in(self, line):
        """What runs in place of a line that makes an environment, takes minutes or never ends."""
        line = line.replace("python3 -m venv .venv && ", "")  # it is there, but nothing in it is found by itself
        words = shlex.split(line)
        if "activate" in line:
            self.variables["PATH"] = f"{self.folder}/.venv/bin:/usr/bin:/bin"
        if words[0] == "make":
            return f"make -n {words[1]}"
        if words[0] == "jupyter-book":
            return f"make -n book | grep -F -- '{line}'"
        if line.startswith("pip install -r"):
            assert all((ROOT / word).exists() for word in words if word.endswith(".txt"))
            return "true"
        if line.startswith("pip install"):
            return self.install(line, words[-1])
        if line.startswith("apt install"):
            return "command -v " + {"bubblewrap": "bwrap"}[words[-1]]
        long = {("coursekit", "train"): " --updates 2", ("coursekit", "rlhf"): " --updates 2",
                ("dask", "scheduler"): f" --port {self.scheduler.rpartition(':')[2]} --dashboard-address :0",
                ("dask", "worker"): " --no-dashboard"}
        return line + long.get(tuple(words[:2]), "")

    def install(self, line, what):
        """An extra of ours: from now on its packages can be found. Those that are not installed here go into a
        folder of their own: the environment that runs the tests is not ours to change."""
        asked = Requirement(what.replace(".[", f"{OURS}["))
        assert asked.extras <= set(metadata.metadata(OURS).get_all("Provides-Extra")), line
        self.installed.append(str(asked))
        if not (absent := missing(self.installed)):
            return "true"
        self.variables["PATH"] = f"{self.folder}/extra/bin:{self.variables['PATH']}"
        return shlex.join(["pip", "install", "-q", "--target", "extra", *sorted(absent)])

    def leave(self):
        for process in self.background:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def reader(tmp_path):
    reader, here = Reader(tmp_path), metadata.distribution(OURS).read_text("direct_url.json")
    yield reader
    reader.leave()
    assert metadata.distribution(OURS).read_text("direct_url.json") == here


def lines(block):
    """Its commands, without comments."""
    return list(filter(None, (re.sub(r"(^|\s)#.*", "", line).strip() for line in block)))


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_runs_as_printed(page, reader):
    typed = []
    for language, block in blocks(ROOT / page):
        if language in SHELL and not block[0].startswith("$ "):
            for line in lines(block):
                reader.types(line)
                typed.append(line)
    assert any(line.startswith("coursekit") for line in typed)


def test_the_verdict_that_the_readme_shows_is_the_commands_own(reader):
    """Shown is a part: `...` stands for lines left out."""
    (block,) = [b for _, b in blocks(ROOT / "README.md") if b[0].startswith("$ ")]
    shutil.copy(reader.folder / "submissions/ada.ipynb", reader.folder / "book/02_gae.ipynb")
    reader.types(". .venv/bin/activate")
    output = reader.types(f"{block[0][2:]} || test $? = 1")
    for shown in block[1:]:
        assert shown.strip() == "..." or shown in output, f"{shown}\nis not in\n{output}"


def test_the_readmes_python_runs_on_numbers_of_its_own():
    rng, names = np.random.default_rng(0), ("rewards", "values", "next_values")
    given = {name: rng.normal(size=(2, 5)) for name in names}
    given |= dict.fromkeys(("terminated", "truncated"), np.zeros((2, 5), bool))
    (block,) = [b for language, b in blocks(ROOT / "README.md") if language == "python"]
    exec("\n".join(block), given)
    assert given["advantages"].shape == (2, 5)
