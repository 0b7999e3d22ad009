"""Why an import of an optional package fails, in one line with the command that installs it."""

import sys

# the name that is imported: the extra of this package that installs it, "" for the
# package itself
EXTRAS = {"IPython": "", "tqdm": "", "torch": "torch", "safetensors": "torch",
          "numba": "fast", "gymnasium": "gym", "Box2D": "gym", "sklearn": "train",
          "scipy": "train", "pyarrow": "parquet", "transformers": "hf",
          "jupyter_client": "check", "ipykernel": "check", "nbval": "grade",
          "pytest": "grade", "distributed": "cluster"}


class Explanation:
    """A finder of modules that Python asks last.

    It finds none, and explains what a module of ours does not find. What other packages
    try to import is no affair of ours: they get Python's own answer.
    """

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in EXTRAS and _importer().partition(".")[0] == "coursekit":
            from coursekit.distribution import install

            command = install(EXTRAS[name])
            raise ModuleNotFoundError(
                f"No module named {name!r}; install it with: {command}", name=name)


def _importer():
    """The name of the module whose import runs; "" where somebody only asks whether there is a module."""
    frame = sys._getframe(2)
    while frame:
        name = frame.f_globals.get("__name__", "")
        if name == "importlib.util":
            return ""
        if name.partition(".")[0] != "importlib":
            return name
        frame = frame.f_back
    return ""


def explain():
    """From now on explain missing packages; once is enough."""
    if Explanation not in sys.meta_path:
        sys.meta_path.append(Explanation)
