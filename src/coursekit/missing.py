"""Why an import of an optional package fails, in one line with the command that installs it."""

import sys

# the name that is imported: the extra of this package that installs it, "" for the package itself
EXTRAS = {"IPython": "", "tqdm": "", "torch": "torch", "safetensors": "torch", "numba": "fast", "gymnasium": "gym",
          "Box2D": "gym", "sklearn": "train", "scipy": "train", "pyarrow": "parquet", "transformers": "hf",
          "jupyter_client": "check", "ipykernel": "check", "nbval": "grade", "pytest": "grade",
          "distributed": "cluster"}


class Explanation:
    """A finder of modules that Python asks last. It finds none, and explains what a module of ours does not find.

    What other packages try to import is no affair of ours: they get Python's own answer.
    """

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in EXTRAS and _importer().partition(".")[0] == "coursekit":
            from coursekit.distribution import install

            words = f"No module named {name!r}; install it with: {install(EXTRAS[name])}"
            raise ModuleNotFoundError(words, name=name)


def _importer():
    """The name of the module whose import runs; "" where somebody only asks whether there is a module."""
    frame = sys._getframe(2)
    while frame and (name := frame.f_globals.get("__name__", "")).partition(".")[0] == "importlib":
        if name == "importlib.util":
            return ""
        frame = frame.f_back
    return name if frame else ""


def explain():
    """From now on explain missing packages; once is enough."""
    if Explanation not in sys.meta_path:
        sys.meta_path.append(Explanation)
