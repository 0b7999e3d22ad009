"""The browser that prints the book and tests it; and files of npm packages.

Needs Debian's chromium (`apt-get install chromium`), playwright from requirements-dev.txt, and npm for a
package's first use.

    python tools/browser.py axe-core      say in one line what is missing for it, and exit 1; silent otherwise
"""

import contextlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")
NPM = {"axe-core": ("4.14.1", "axe.min.js"),
       "@micropython/micropython-webassembly-pyscript": ("1.27.0", "micropython.mjs")}
KEPT = Path(__file__).parent.parent / "_build" / "npm"


def program():
    """Where the browser is, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def kept(package, member=None):
    """Where a file of an npm package is kept. member: another one than the script that a page needs."""
    version, script = NPM[package]
    return KEPT / version / Path(member or script).name


def missing(*packages):
    """What is not installed, as one line with the way out; "" where all is there."""
    lacks = []
    if not program():
        lacks.append("chromium (Debian: apt-get install chromium)")
    if not importlib.util.find_spec("playwright"):
        lacks.append("playwright (pip install -r requirements-dev.txt)")
    if not (shutil.which("npm") or all(kept(package).exists() for package in packages)):
        lacks.append("npm (Debian: apt-get install npm)")
    return "missing: " + "; ".join(lacks) if lacks else ""


@contextlib.contextmanager
def chromium(**options):
    """A browser context of its own, in a new empty profile."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as profile, sync_playwright() as play:
        context = play.chromium.launch_persistent_context(
            profile, executable_path=program(), headless=True, args=list(QUIET), **options)
        yield context
        context.close()


def npm_file(package, member=None):
    """The one script of an npm package that a page needs, or another file of it: fetched once, then kept."""
    (version, script), path = NPM[package], kept(package, member)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=folder, check=True,
                           stdout=subprocess.DEVNULL)
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
                path.write_bytes(archive.extractfile(f"package/{member or script}").read())
    return path


if __name__ == "__main__":
    sys.exit(missing(*sys.argv[1:]) or 0)
