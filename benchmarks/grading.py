"""How long grading takes, beside running the same notebooks with `pytest --nbval` and with nbclient.

    python benchmarks/grading.py [--rounds 3]     30 submissions of three exercises, numpy and torch
    python benchmarks/grading.py --class 1000     one class of this size: time, memory, growth

Every figure is the wall time of a whole command, start and reports included. Methods take turns within a round;
trust the ratios, since they share the machine's other work.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from coursekit.autograder.book import answers, cells, chapters, role

IDS = ("gae.weights", "gae.recursion", "gae.targets")
POINTS = {"gae.weights": 1, "gae.recursion": 3, "gae.targets": 2}
CHAPTER = chapters()["02_gae"]
ANSWERS = answers(CHAPTER)
CLIENT = """import sys, nbformat
from nbclient import NotebookClient
for path in sys.argv[1:]:
    NotebookClient(nbformat.read(path, 4), timeout=60, kernel_name="python3", allow_errors=True).execute()
"""


def notebook(imports, solved, solutions=False):
    """The imports and three exercises; those in solved hold the right answer."""
    kept = [c for c in cells(CHAPTER) if c["metadata"].get("coursekit", {}).get("exercise") in IDS
            and (solutions or role(c) != "solution")]
    for cell in kept:
        exercise = cell["metadata"]["coursekit"]["exercise"]
        if role(cell) == "stub" and exercise in solved:
            cell["source"] = ANSWERS[exercise]
        cell.update({"outputs": []} if cell["cell_type"] == "code" else {})
    first = {"cell_type": "code", "id": "imports", "metadata": {"coursekit": {"role": "imports"}}, "outputs": [],
             "execution_count": 1, "source": f"{imports}\nfrom coursekit.autograder import check"}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": [first, *kept], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def make(folder, imports, count):
    """A class of count: a third solved all, a third two of three, a third nothing; and the instructor's book."""
    (folder / "book").mkdir(parents=True)
    (folder / "book" / "02_gae.ipynb").write_text(json.dumps(notebook(imports, (), solutions=True)))
    expected = 0
    for k in range(count):
        solved = (IDS, IDS[:2], ())[k % 3]
        expected += sum(POINTS[i] for i in solved)
        (folder / "class" / f"learner{k:05}").mkdir(parents=True)
        place = folder / "class" / f"learner{k:05}" / "02_gae.ipynb"
        place.write_text(json.dumps(notebook(imports, solved)))
    return expected


def grade(folder, *options):
    out = tempfile.mkdtemp(dir=folder)
    seconds = run("-m", "coursekit.cli", "grade", str(folder / "class"), "--out", out, "--book",
                  str(folder / "book"), "--chapters", "02_gae", *options)
    points = sum(json.loads(p.read_text())["points"] for p in (Path(out) / "learners").iterdir())
    return seconds, points


def run(*command, codes=(0,)):
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=os.environ | {
        "COURSEKIT_GRADE": "1"})
    assert done.returncode in codes, done.stdout[-2000:] + done.stderr[-2000:]
    return time.perf_counter() - begin


def compare(rounds, count, only=""):
    with tempfile.TemporaryDirectory() as place:
        folders = {name: Path(place) / name for name in ("numpy", "torch")}
        expected = [make(folder, imports, count) for folder, imports in
                    zip(folders.values(), ("import numpy as np", "import numpy as np\nimport torch"))]
        found = {n: sorted(map(str, (f / "class").rglob("*.ipynb"))) for n, f in folders.items()}
        methods = {
            "pytest --nbval": lambda: (run("-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", "--rootdir",
                                           place, *found["numpy"], codes=(0, 1)), None),
            "nbclient": lambda: (run("-c", CLIENT, *found["numpy"]), None),
            "grade, a fresh sandbox each, -j 1": lambda: grade(folders["numpy"], "--fresh", "-j", "1"),
            "grade, a fresh sandbox each, -j 2": lambda: grade(folders["numpy"], "--fresh", "-j", "2"),
            "grade, fork server, -j 1": lambda: grade(folders["numpy"], "-j", "1"),
            "grade, fork server, -j 2": lambda: grade(folders["numpy"], "-j", "2"),
            "torch: nbclient": lambda: (run("-c", CLIENT, *found["torch"]), None),
            "torch: grade, fork server, -j 1": lambda: grade(folders["torch"], "-j", "1")}
        methods = {name: m for name, m in methods.items() if only in ("", "torch" if "torch" in name else "numpy")}
        seconds = {name: [] for name in methods}
        for _ in range(rounds):
            for name, method in methods.items():
                took, points = method()
                assert points in (None, expected[0]), (name, points, expected)
                seconds[name].append(took)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    for name, value in median.items():
        against = median["torch: nbclient" if name.startswith("torch") else "pytest --nbval"]
        print(f"{name:36} {value:7.1f} s ({min(seconds[name]):.1f}-{max(seconds[name]):.1f})"
              f"  {value / count:6.3f} s each  {against / value:5.1f}x faster")


def grow(count):
    for size in (count // 4, count // 2, count):
        with tempfile.TemporaryDirectory() as place:
            expected = make(Path(place), "import numpy as np", size)
            seconds, points = grade(Path(place), "-j", "2")
            assert points == expected
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"{size:6} submissions: {seconds:7.1f} s, {seconds / size:.3f} s each, peak {peak:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--only", choices=("numpy", "torch"), default="")
    parser.add_argument("--class", type=int, dest="size")
    options = parser.parse_args()
    grow(options.size) if options.size else compare(options.rounds, options.count, options.only)
