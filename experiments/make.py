"""Remake every measured result of chapters 3 and 5 to 7, one file after the other.

    python experiments/make.py            run what is missing or stale, and stop at the first failure
    python experiments/make.py --list     say which files are current, and how long each takes
    python experiments/make.py --stamp    record that the files as they are belong to the code as it is: for a
                                          change that cannot alter a number, such as a renaming

A file is current if it was made with the present text of its own script and, where it works on the help desk, of
`models.py`, `helpdesk.py` and `checkpoints/__init__.py`; `made_from.json` remembers that. An interrupted run goes
on with the seed that it was at, and no model is trained twice: both are kept in _build/experiments.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

from coursekit.saved import write_text

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "src" / "coursekit"
REMEMBERED = HERE / "made_from.json"
HELP_DESK = [HERE / "models.py", PACKAGE / "helpdesk.py", PACKAGE / "checkpoints" / "__init__.py"]
MINUTES = {  # on two idle cores
    "make_checkpoints.py": 6, "labelling_cost.py": 4, "annotators.py": 6, "judges.py": 3, "hacking.py": 8,
    "four_models.py": 5, "critic_start.py": 5, "temperature.py": 3, "bugs.py": 9,
    "groups.py": 3, "without_critic.py": 14, "direct.py": 13, "verifier.py": 13, "placement.py": 10,
    "film_ratings.py": 2}


def result(script):
    return HERE / "results" / script.removeprefix("make_").replace(".py", ".json")


def fingerprint(script):
    """A short name for all that decides the numbers of this script."""
    sources = [HERE / script] + HELP_DESK * (script != "film_ratings.py")
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def remembered():
    return json.loads(REMEMBERED.read_text()) if REMEMBERED.exists() else {}


def remember(script):
    write_text(REMEMBERED, json.dumps(remembered() | {script: fingerprint(script)}, indent=1) + "\n")


def is_current(script):
    return result(script).exists() and remembered().get(script) == fingerprint(script)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--stamp", action="store_true")
    options = parser.parse_args()
    for script, minutes in MINUTES.items():
        current = is_current(script)
        if options.stamp:
            remember(script)
        elif options.list or current:
            print(f"{script:20} {'current' if current else 'stale or missing':18} about {minutes} minutes")
        else:
            print(f"{script:20} running, about {minutes} minutes on two idle cores", flush=True)
            began = time.monotonic()
            subprocess.run([sys.executable, str(HERE / script)], check=True)
            remember(script)
            print(f"{script:20} done in {(time.monotonic() - began) / 60:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()
