"""Without an optional package the library says in one line what installs it, wherever it is imported."""

import os
import subprocess
import sys
from importlib import metadata

import pytest
from packaging.utils import canonicalize_name

from coursekit.distribution import install
from coursekit.missing import EXTRAS
from environments import OURS, ROOT, installed_by, without

pytestmark = pytest.mark.slow
PACKAGES = ["Box2D", "IPython", "distributed", "gymnasium", "ipykernel", "jupyter_client", "nbval", "numba",
            "pytest", "safetensors", "scipy", "sklearn", "torch", "tqdm", "transformers"]
# One process imports everything, and forks for each package: there it is gone, and coursekit is imported anew.
IMPORT_ALL = """
import importlib, os, pkgutil, sys
from importlib.machinery import PathFinder

class Less(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] == gone else super().find_spec(name, path, target)

def import_all(failed):
    import coursekit
    for module in pkgutil.walk_packages(coursekit.__path__, "coursekit.", onerror=lambda name: None):
        try:
            importlib.import_module(module.name)
        except Exception as error:
            failed(module.name, type(error).__name__, repr(str(error)))

import_all(sys.exit)
for gone in sys.argv[1:]:
    if os.fork():
        os.wait()
        continue
    sys.meta_path[sys.meta_path.index(PathFinder)] = Less
    for name in [name for name in sys.modules if name.partition(".")[0] in (gone, "coursekit")]:
        del sys.modules[name]
    import_all(lambda *facts: print(gone, *facts, sep="\\t", flush=True))
    os._exit(0)
"""


@pytest.fixture(scope="module")
def failures():
    """(package, module, exception, its words) of every import of a module without a package."""
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL, *PACKAGES], cwd=ROOT, capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_an_import_says_what_installs_the_package(failures):
    assert {"torch", "gymnasium", "safetensors", "transformers", "pytest", "nbval", "IPython"} <= {
        package for package, *_ in failures}
    for package, module, exception, words in failures:
        assert exception == "ModuleNotFoundError", (module, words)
        assert words == repr(f"No module named {package!r}; install it with: {install(EXTRAS[package])}"), module


@pytest.mark.parametrize("package", ["scipy", "sklearn", "tqdm", "Box2D"])
def test_what_a_function_alone_needs_stops_no_import(package, failures):
    assert package not in {name for name, *_ in failures}


def test_packages_of_others_are_not_explained(tmp_path):
    """A package that looks for an optional one of its own gets Python's usual answer."""
    (tmp_path / "other.py").write_text("import coursekit\nimport torch\n")
    done = subprocess.run([sys.executable, "-c", "import other"], cwd=tmp_path, capture_output=True, text=True,
                          env=without(tmp_path / "hidden", "torch") | {"PATH": os.environ["PATH"]})
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'torch'"


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_its_extra_installs_it(package):
    """What the line proposes brings the package: its name stands among the extra's requirements."""
    owners = {canonicalize_name(name) for name in metadata.packages_distributions()[package]}
    extra = EXTRAS[package]
    assert owners & installed_by([f"{OURS}[{extra}]" if extra else OURS])


def test_pytest_says_what_its_option_needs(tmp_path):
    """`pytest --nbval` without nbval: by itself pytest would not know the option."""
    for options, status, words in ((["--nbval"], 4, f"--nbval needs nbval; install it with: {install('grade')}"),
                                   (["--version"], 0, "pytest")):
        done = subprocess.run([sys.executable, "-m", "pytest", *options], cwd=tmp_path, capture_output=True,
                              text=True, env=without(tmp_path / "hidden", "nbval"))
        assert done.returncode == status and words in done.stdout + done.stderr, done.stderr
