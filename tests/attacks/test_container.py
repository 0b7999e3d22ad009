"""Attacks where each notebook gets a fresh sandbox, and where a container without a network is the wall around the
grader: there a submission has a user of its own (where the grader is root), and Landlock.
"""

import glob
import json
import os
import re

import pytest
from files import code
from table import KERNEL, OUTSIDE, STOLEN
from test_attacks import (
    ATTACKS,
    CHAPTER,
    POINTS,
    REPORT,
    bystanders,
    grade,
    hand_in,
    listening,
    notebook,
    processes_left,
    result_of,
)

from coursekit.autograder import isolation, package, sandbox, submission
from coursekit.autograder.book import chapter
from coursekit.autograder.isolation import Isolation
from coursekit.autograder.reader import File

pytestmark = pytest.mark.slow

# What would harm this machine if no wall stood, never run where the submission is really root behind Landlock alone
HARM = ["removes everything", "kills everybody", "kills every number", "fills /tmp", "a file of 200 MB",
        "writes to /tmp", "writes to /dev/shm", "writes to the root and to /dev", "leaves namespaces",
        "makes namespaces of its own", "a fork bomb", "a thread bomb", "raises its limits",
        "memory that no process maps"]
TRIED = [*(attack for attack in (*STOLEN, *OUTSIDE, *KERNEL) if attack not in HARM), "kills its parent",
         "kills its group", "a process left behind", "a daemon left behind", "10 GB of numbers",
         "30 processes of 500 MB each", "a loop that ignores signals", "os._exit in a function",
         "100 MB to the descriptor", "floods the channel", "patches the channel"]
HARMLESS = """
import os
reached = []
try: open({outside!r} + "/written", "w"); reached.append("file")
except OSError: pass
try: os.kill(os.getppid(), 0); reached.append("signal")
except OSError: pass
def best_lambda(*a): return f"reached {{reached}}"
"""
HOMES = "/tmp/coursekit-home-*"
ENDS_SOONER = {"writes to /tmp", "writes to /dev/shm",  # what a private folder allowed is an error here
               "files without end", "a dozen that take the processor"}  # ended before they can tell


def assert_isolated(folder):
    """A harmless try first: a wall that is missing must not be found out by an attack that needs it."""
    nb = notebook({})
    nb["cells"].append(code(HARMLESS.format(outside=str(folder))))
    settings = submission.Settings((chapter(CHAPTER),), 7, Isolation("container", False, ""), sandbox.Limits(),
                                   package.version())
    with settings.pool() as pool:
        found = submission.grade_submission([File("a.ipynb", json.dumps(nb).encode())], settings, pool)
    assert "reached []" in str(found.exercises["gae.best_lambda"].lines), found


FRESH = [*KERNEL, "traces the server", "reads other processes", "kills everybody", "changes modes", "changes times",
         "changes owners", "changes flags of files"]


@pytest.fixture(scope="module", params=["a user of its own", "the grader's own user", "a fresh sandbox each"])
def contained(request, tmp_path_factory):
    """(records by attack, by bystander, by bystander alone, who connected, the outside, homes before)"""
    tmp_path_factory.getbasetemp()  # pytest wants it owned by whom we are then
    with pytest.MonkeyPatch.context() as patch:
        fresh = request.param == "a fresh sandbox each"
        if fresh:
            try:
                sandbox.choose("bwrap", package.copy(frozenset()), fresh=True)
            except sandbox.GraderError as error:
                pytest.skip(str(error))
        elif request.param == "the grader's own user":
            patch.setattr(os, "getuid", lambda: 1000)
        elif os.getuid() != 0:
            pytest.skip("only root can give a submission another user")
        elif closed := isolation.unreadable(package.copy(frozenset())):
            pytest.skip(f"no other user can enter {closed}")
        if not fresh and not isolation.holds_in_container():
            pytest.skip("Landlock here can't keep a submission from the grader")
        homes = set(glob.glob(HOMES))
        folder, outside = tmp_path_factory.mktemp("class"), tmp_path_factory.mktemp("outside")
        for place in ("home", "shared", "course"):
            (outside / place).mkdir(mode=0o777)
        if not fresh:
            assert_isolated(outside / "home")
        names = dict.fromkeys(FRESH if fresh else
                              TRIED + HARM * (request.param == "a user of its own"))
        with listening() as (port, name, guests):
            where = {"{port}": str(port), "{socket}": name, "{package}": str(package.SOURCE)}
            where |= {f"{{{p}}}": str(outside / p) for p in ("home", "shared", "course")}
            for k, attack in enumerate(names):
                names[attack], source = f"attack{k:02}", ATTACKS[attack]
                for word, value in where.items():
                    source = source.replace(word, value)
                nb = notebook({"gae.targets": 1})
                nb["cells"] += [code(source), code(REPORT)]
                hand_in(folder, names[attack], nb)
            bystanders(folder)
            bystanders(alone := tmp_path_factory.mktemp("alone"))
            how = ("--fresh",) if fresh else ("--sandbox", "container")
            found = grade(folder, tmp_path_factory.mktemp("grades"), *how)
            calm = grade(alone, tmp_path_factory.mktemp("calm"), *how)
        yield {attack: found[slug] for attack, slug in names.items()}, found, calm, guests, outside, homes


def test_every_attack_keeps_its_honest_points_and_gets_no_more(contained):
    points = {attack: (record["points"], record["exercises"]["gae.targets"]["points"])
              for attack, record in contained[0].items()}
    assert {attack: p for attack, p in points.items() if p != (2, 2)} == {}


def test_every_attack_was_tried_and_got_nothing(contained):
    said = {attack: result_of(record) for attack, record in contained[0].items() if attack not in ENDS_SOONER}
    words = ("STOLEN", "WRITTEN", "CONNECTED", "ESCAPED", "TRACED", "FILLED", "ALLOCATED", "UNLIMITED", "RAISED",
             "MEMFD", "SEGMENT", "SHARED", "ZERO", "SEMAPHORES", "MESSAGES", "NOTED", "QUEUE", "SPLICED", "BUFFERS",
             "NESTED", "LOCKED", "INODES", "MOUNTED", "OPEN", "LIMITS", "RENICED", "CHANGED", "ANSWERED")
    assert {a: s for a, s in said.items() if not s or s == "None" or any(w in s for w in words)} == {}


def test_nobody_elses_grade_changes_here_either(contained):
    _, found, calm, *_ = contained
    for name, points in (("other", POINTS), ("another", 3), ("zzz_last", POINTS)):
        assert found[name] | {"seconds": 0, "time": 0} == calm[name] | {"seconds": 0, "time": 0}
        assert calm[name]["points"] == points
        assert re.search("the container around the grader|a fresh one each", calm[name]["isolation"])


def test_nothing_is_left_outside(contained):
    assert sorted(p.name for p in contained[4].rglob("*")) == ["course", "home", "shared"]
    assert contained[3] == []
    assert not glob.glob("/tmp/written-98765") and not glob.glob("/dev/shm/written-98765")
    assert set(glob.glob(HOMES)) <= contained[5]
    assert processes_left() == []
