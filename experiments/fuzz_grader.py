"""10,000 notebooks gone wrong at random, graded for real: results/fuzz_grader.json tells how many ended how.

    python experiments/fuzz_grader.py [--count 10000]
    python experiments/fuzz_grader.py --folders 1000    folders of submissions: every file is graded or set aside
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "benchmarks")]

import coursekit  # noqa: E402
from coursekit.autograder import package, sandbox, submission  # noqa: E402
from coursekit.autograder.book import chapter  # noqa: E402
from coursekit.autograder.reader import File  # noqa: E402
from coursekit.saved import write_text  # noqa: E402
from fuzz import make_folder, mutants  # noqa: E402
from grading import CHAPTER, IDS, notebook  # noqa: E402


def main(count, seed=1):
    known = chapter(CHAPTER)
    isolation = sandbox.choose("bwrap", package.copy(package.refused(known)))
    limits = sandbox.Limits(call=2, submission=20)
    settings = submission.Settings((known,), 7, isolation, limits, package.version())
    whole = json.dumps(notebook("import numpy as np", IDS)).encode()
    begin, statuses, points = time.monotonic(), Counter(), Counter()
    with ThreadPoolExecutor(2) as threads, settings.pool() as pool:
        for record in threads.map(lambda data: submission.grade_submission([File("x.ipynb", data)], settings, pool),
                                  mutants(whole, count, seed)):
            statuses[record.status] += 1
            points[str(record.points)] += 1
            if record.status == submission.FAULT:
                print(record.reason)
    found = dict(count=count, seed=seed, statuses=dict(statuses), points=dict(sorted(points.items())),
                 seconds=round(time.monotonic() - begin))
    print(json.dumps(found))
    return found


def folders(count):
    """Look for learners in folders gone wrong at random, and account for every file. Nothing is run."""
    from test_submissions import ANSWERED, OTHER, UNTOUCHED, accounted

    learners = files = 0
    for seed in range(count):
        with tempfile.TemporaryDirectory() as place:
            expected = make_folder(Path(place, "class"), seed, [ANSWERED, UNTOUCHED, OTHER])
            learners += accounted(Path(place, "class"), expected)
            files += expected
    print(f"{count} folders, {files} files, {learners} learners: every file graded or set aside")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--folders", type=int)
    options = parser.parse_args()
    if options.folders:
        sys.exit(folders(options.folders))
    found = main(options.count)
    write_text(HERE / "results" / "fuzz_grader.json",
               json.dumps({"version": coursekit.__version__} | found, indent=1) + "\n")
