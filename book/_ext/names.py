"""The names and the parameters that Python and numpy have in truth, for the page's small ones: small_names.py.

The page tells with them what it lacks (no verdict) from what is wrong (a verdict). Read from the modules themselves
at build, so that nothing is kept up by hand.
"""

import builtins
import collections
import importlib
import inspect
import sys
from pathlib import Path

import numpy as np

SMALL = Path(__file__).parent.parent / "_static" / "try"
PYTHONS = ("math", "itertools", "functools", "collections", "statistics", "operator", "random", "copy", "heapq",
           "json", "re", "string", "time", "bisect")
NUMPYS = ("numpy", "numpy.linalg", "numpy.random", "numpy.ma", "numpy.fft", "numpy.testing")
OTHERS = ("numpy", "torch", "scipy", "pandas", "matplotlib", "coursekit", "sklearn", "gymnasium", "transformers",
          "jax", "numba", "tqdm", "seaborn", "sympy", "trl", "datasets", "tensorflow", "einops", "attr", "pytest")
TYPES = {"ndarray": np.ndarray, "numpy.float64": np.float64, "numpy.int64": np.int64, "numpy.bool_": np.bool_,
         "ufunc": np.ufunc, "function": type(lambda: 0), "method": type([].sort), "generator": type(x for x in ()),
         "NoneType": type(None), "Counter": collections.Counter, "defaultdict": collections.defaultdict,
         "deque": collections.deque} | {t.__name__: t for t in (
             int, float, bool, complex, str, bytes, list, tuple, dict, set, frozenset, range, slice, zip, map,
             filter, enumerate, reversed, type)}
TYPES["dict"] = collections.OrderedDict  # as the page's dict is one


# What a learner's Python may have and the one that builds the book has not.
NEWER = {"itertools": ["batched"], "math": ["cbrt", "exp2", "fma", "sumprod"], "statistics": ["kde", "kde_random"]}


def public(thing):
    return sorted({name for name in dir(thing) if name[:1] != "_"} | set(NEWER.get(thing.__name__, ())))


def small(name):
    """A module of the page's Python."""
    if str(SMALL) not in sys.path:
        sys.path.insert(0, str(SMALL))
    return importlib.import_module(f"small_{name.split('.')[-1]}")


def signature(thing):
    try:
        return list(inspect.signature(thing).parameters.values())
    except (TypeError, ValueError):
        return None


def told(real, ours):
    """The text that small_lacks.Parameters reads; None where one side takes whatever comes.

    Ours takes what it has by name; what has no name in the real one goes by its place."""
    if real is None or ours is None or any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in ours):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in real):
        return None
    names, words, star = [p.name for p in ours], [], False
    for i, p in enumerate(p for p in real if p.kind is not p.VAR_KEYWORD):
        if p.kind is p.KEYWORD_ONLY and not star:
            star = True
            words.append("*")
        name = ours[i].name if p.kind is p.POSITIONAL_ONLY and i < len(ours) else p.name
        if name in names:
            names.remove(name)
            words.append(name if p.default is p.empty else f"{name}=")
        else:
            plain = p.default in (None, True, False) or isinstance(p.default, str) and " " not in p.default
            words.append(f"{p.name}!{p.default!r}" if plain else f"{p.name}!..." if p.default is not p.empty
                         else f"{p.name}!")
        following = real[i + 1] if i + 1 < len(real) else None
        if p.kind is p.POSITIONAL_ONLY and (not following or following.kind is not p.POSITIONAL_ONLY):
            words.append("/")
    if any(p.kind is p.VAR_KEYWORD for p in real):
        words += [] if star else ["*"]
        words += [f"{name}=" for name in names]
    return " ".join(words)


def of_function(name, real, ours, methods):
    if getattr(ours, "nin", None):  # a ufunc
        made = [f"x{i}" for i in range(ours.nin)] + ["out", "where"]
        return told(signature(real), [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in made])
    return told(signature(real), signature(methods.get(name, ours)))


def of_method(name):
    """A method of arrays: numpy's own text often hides what the function of the same name tells."""
    real, function = signature(getattr(np.ndarray, name)), signature(getattr(np, name, None))
    if real and any(p.kind is p.VAR_KEYWORD for p in real) and function:
        have = [p.name for p in real]
        rest = [p.replace(kind=p.KEYWORD_ONLY) for p in function[1:] if p.name not in have]
        real = [p for p in real if p.kind is not p.VAR_KEYWORD] + rest
        real = [p.replace(kind=p.POSITIONAL_OR_KEYWORD) if p.name == "axis" else p for p in real]
    return told(real, signature(getattr(small("array").ndarray, name)))


def parameters():
    numpy, methods = small("numpy"), small("sums").METHODS
    same = {"amax": "max", "amin": "min", "around": "round"}
    found = {}
    for name in public(np):
        real, ours = getattr(np, name), getattr(numpy, name, None)
        if callable(real) and callable(ours) and not inspect.isclass(real):
            found[f"numpy.{name}"] = of_function(same.get(name, name), real, ours, methods)
    for name in public(np.linalg):
        if callable(getattr(small("linalg"), name, None)) and not inspect.isclass(getattr(np.linalg, name)):
            found[f"numpy.linalg.{name}"] = told(signature(getattr(np.linalg, name)),
                                                 signature(getattr(small("linalg"), name)))
    for name in public(np.ndarray):
        if callable(getattr(np.ndarray, name)) and hasattr(small("array").ndarray, name):
            found[f"ndarray.{name}"] = of_method(name)
    for name in ("reduce", "accumulate", "outer", "at"):
        real, ours = getattr(np.ufunc, name), getattr(small("ufunc").ufunc, name)
        found[f"ufunc.{name}"] = told(signature(real)[1:], signature(ours)[1:])
    for module in ("math", "itertools", "functools", "operator", "statistics", "heapq", "bisect", "re"):
        real, ours = importlib.import_module(module), small(module)
        for name in public(real):
            if inspect.getmodule(getattr(ours, name, None)) is ours:
                found[f"{module}.{name}"] = told(*[signature(getattr(m, name, None)) for m in (real, ours)])
    return {name: text for name, text in found.items() if text}


def source():
    """The text of small_names.py."""
    modules = {name: importlib.import_module(name) for name in PYTHONS + NUMPYS}
    tables = {
        "MODULES": {name: " ".join(public(module)) for name, module in modules.items()},
        "TYPES": {name: " ".join(public(kind)) for name, kind in TYPES.items()}, "PARAMETERS": parameters(),
        "BUILTINS": " ".join(public(builtins)),
        "IMPORTED": " ".join(sorted({n for n in sys.stdlib_module_names if n[:1] != "_"} | set(OTHERS)))}
    return f"TABLES = {tables!r}\n"
