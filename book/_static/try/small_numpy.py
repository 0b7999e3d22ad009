"""numpy, as far as a short answer needs it: what `import numpy as np` gives in the page's editor.

Same names, parameters, numbers, shapes and messages as numpy's. An answer gets it through small_lacks.py, which
names what is missing here. The tests compare it with numpy in the page's MicroPython.
"""

import math

import small_linalg as linalg  # noqa: F401
import small_more
from small_array import asarray, ndarray  # noqa: F401
from small_data import *  # noqa: F403
from small_functions import *  # noqa: F403
from small_lacks import lack
from small_making import *  # noqa: F403
from small_more import *  # noqa: F403
from small_print import options
from small_scalars import bool_, float64, floating, generic, int64, integer, number  # noqa: F401
from small_sums import METHODS

float32, int32, intp, double, int_ = float64, int64, int64, float64, int64
bool = bool_
inf, nan, pi, e, newaxis = float("inf"), float("nan"), math.pi, math.e, None
r_, c_ = small_more.r_, small_more.c_


def finfo(dtype=float):
    return _Limits(2.220446049250313e-16, -1.7976931348623157e308, 1.7976931348623157e308)


def iinfo(dtype=int):
    return _Limits(None, -2 ** 63, 2 ** 63 - 1)


class _Limits:
    def __init__(self, eps, min, max):
        self.eps, self.min, self.max, self.tiny = eps, min, max, 2.2250738585072014e-308


def set_printoptions(precision=None, threshold=None, linewidth=None, suppress=None):
    given = {"precision": precision, "threshold": threshold, "width": linewidth, "suppress": suppress}
    options.update({name: value for name, value in given.items() if value is not None})


class errstate:
    def __init__(self, **ways):
        if set(ways.values()) - set(["ignore", "warn"]):
            lack("an error in the place of a warning (`np.errstate`) is not in the page's numpy")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False


def seterr(**ways):
    errstate(**ways)
    return {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


def _method(name):
    method = METHODS[name]
    return lambda a, *args, **named: method(asarray(a), *args, **named)


sum, prod, mean, var, std = [_method(name) for name in ("sum", "prod", "mean", "var", "std")]
all, argmax, argmin = [_method(name) for name in ("all", "argmax", "argmin")]
max, min, amax, amin = [_method(name) for name in ("max", "min", "max", "min")]
cumsum, cumprod, argsort = [_method(name) for name in ("cumsum", "cumprod", "argsort")]
round = around = _method("round")
abs, any = absolute, _method("any")  # noqa: F405
asanyarray = ascontiguousarray = asarray
for _method in (take, repeat, squeeze, swapaxes, diagonal, trace, searchsorted):  # noqa: F405
    setattr(ndarray, _method.__name__, _method)
