"""numpy, as far as a short answer needs it: what `import numpy as np` gives in the page's editor.

Same names, numbers, shapes and messages as numpy's; what is missing says so in one line. The tests compare it with
numpy, and every exercise's solution runs on it.
"""

import math

from small_array import DTYPES, asarray, bool_, dtype, ndarray  # noqa: F401
from small_functions import *  # noqa: F403
from small_making import *  # noqa: F403
from small_operations import METHODS, absolute

float64, int64 = DTYPES["f"], DTYPES["i"]
float32, int32 = float64, int64
inf, nan, pi, e, newaxis = float("inf"), float("nan"), math.pi, math.e, None


def __getattr__(name):
    if name[:2] == "__":
        raise AttributeError(name)
    raise AttributeError("np." + name + " is not in the page's small numpy; write a loop, or solve it in the "
                         "notebook")


def set_printoptions(**options):
    """Numbers are printed as by default."""


class errstate:
    def __init__(self, **options):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False


def _method(name):
    def function(a, *args, **named):
        return METHODS[name](asarray(a), *args, **named)
    return function


sum, prod, mean, var, std = [_method(name) for name in ("sum", "prod", "mean", "var", "std")]
any, all, argmax, argmin = [_method(name) for name in ("any", "all", "argmax", "argmin")]
max, min, amax, amin = [_method(name) for name in ("max", "min", "max", "min")]
cumsum, cumprod, argsort = [_method(name) for name in ("cumsum", "cumprod", "argsort")]
round = around = _method("round")
abs = absolute
