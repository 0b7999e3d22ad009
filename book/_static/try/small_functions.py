"""Functions of numbers, repeated over arrays: a part of the page's small numpy, under numpy's names."""

import builtins
import math

import small_operations as _ops
from small_array import asarray, made, ndarray, nonzero
from small_making import arange, array, ravel, stack
from small_shape import broadcast, stretched

inf, nan = float("inf"), float("nan")


def where(condition, x=None, y=None):
    condition = asarray(condition)
    if x is None and y is None:
        return nonzero(condition)
    x, y = asarray(x), asarray(y)
    shape, kind = broadcast([condition.shape, x.shape, y.shape]), _ops.common([x, y])
    chosen, x, y = condition.values(), _ops.as_kind(x, kind), _ops.as_kind(y, kind)
    left, right = x.values(), y.values()
    places = zip(stretched(condition.shape, shape), stretched(x.shape, shape), stretched(y.shape, shape))
    values = [left[j] if chosen[i] else right[k] for i, j, k in places]
    return ndarray(values, shape, kind)


def flatnonzero(a):
    return nonzero(ravel(a))[0]


def _function(on_number, kind="f"):
    """A function of every number; floats first, where it gives floats."""
    def function(x):
        return _ops.each(on_number, asarray(x, float) if kind == "f" else x, kind)
    return function


def _exp(x):
    if x != x:
        return x
    return inf if x > 709.782712893384 else math.exp(x) if x > -746 else 0.0


def _log(x):
    return math.log(x) if 0 < x < inf else -inf if x == 0 else inf if x > 0 else nan


def _log1p(x):
    if not abs(x) < 0.5:
        return _log(1.0 + x)
    up = 1.0 + x  # what rounding lost of x is put back
    return x if up == 1.0 else math.log(up) * x / (up - 1.0)


def _logaddexp(x, y):
    if x == y:
        return x + math.log(2)
    return max(x, y) + _log1p(_exp(-abs(x - y))) if x == x and y == y else nan


exp, log, log1p = _function(_exp), _function(_log), _function(_log1p)
log2, log10 = _function(lambda x: _log(x) / math.log(2)), _function(lambda x: _log(x) / math.log(10))
expm1 = _function(lambda x: math.expm1(x) if x < 709 else _exp(x))
sqrt, square = _function(_ops.root), lambda x: asarray(x) ** 2
sin, cos = [_function(lambda x, f=f: f(x) if abs(x) < inf else nan) for f in (math.sin, math.cos)]
tanh = _function(math.tanh)
floor = _function(lambda x: float(math.floor(x)) if abs(x) < inf else x)
ceil = _function(lambda x: float(math.ceil(x)) if abs(x) < inf else x)
isnan, isinf = _function(lambda x: x != x, "b"), _function(lambda x: abs(x) == inf, "b")
isfinite = _function(lambda x: abs(x) < inf, "b")
absolute, negative, invert = _ops.absolute, _ops.negative, _ops.invert
logical_not = _function(lambda x: not x, "b")
dot = matmul = _ops.matmul


def sign(x):
    return _ops.each(lambda v: v if v != v else type(v)((v > 0) - (v < 0)), x)


def reciprocal(x):
    return 1 / asarray(x, float)


def _pairwise(function, kind=""):
    """A function of pairs of numbers of one kind."""
    def both(x, y):
        a, b = asarray(x), asarray(y)
        common = "f" if kind == "f" else _ops.common([a, b])
        shape = broadcast([a.shape, b.shape])
        left, right = _ops.as_kind(a, common).values(), _ops.as_kind(b, common).values()
        pairs = zip(stretched(a.shape, shape), stretched(b.shape, shape))
        return made([function(left[i], right[j]) for i, j in pairs], shape, kind or common)
    return both


minimum = _pairwise(lambda x, y: x if x != x or x < y else y)
maximum = _pairwise(lambda x, y: x if x != x or x > y else y)
fmin = _pairwise(lambda x, y: x if y != y or x < y else y)
fmax = _pairwise(lambda x, y: x if y != y or x > y else y)
logaddexp = _pairwise(_logaddexp, "f")
logical_and = _pairwise(lambda x, y: bool(x) and bool(y), "b")
logical_or = _pairwise(lambda x, y: bool(x) or bool(y), "b")
logical_xor = _pairwise(lambda x, y: bool(x) != bool(y), "b")


def _operator(op):
    def function(x, y):
        result = _ops.calc(op, x, y)
        if result is NotImplemented:
            raise TypeError("numbers and arrays only, got " + type(x).__name__ + " and " + type(y).__name__)
        return result
    return function


add, subtract, multiply, divide = _operator("+"), _operator("-"), _operator("*"), _operator("/")
true_divide, floor_divide, mod, power = divide, _operator("//"), _operator("%"), _operator("**")
remainder = mod
equal, not_equal, less, greater = _operator("=="), _operator("!="), _operator("<"), _operator(">")
less_equal, greater_equal = _operator("<="), _operator(">=")
bitwise_and, bitwise_or = _operator("&"), _operator("|")


def clip(a, low=None, high=None):
    a = asarray(a)
    if low is not None:
        a = asarray(maximum(a, low))
    if high is not None:
        a = asarray(minimum(a, high))
    return a if a.ndim else a[()]


def diff(a):
    a = asarray(a)
    return not_equal(a[..., 1:], a[..., :-1]) if a.dtype == bool else a[..., 1:] - a[..., :-1]


def bincount(x, weights=None, minlength=0):
    numbers = asarray(x).values()
    weights = [1] * len(numbers) if weights is None else asarray(weights, float).values()
    counts = [type(weights[0])(0) if len(weights) else 0] * builtins.max([minlength] + [n + 1 for n in numbers])
    for n, weight in zip(numbers, weights):
        counts[n] += weight
    return asarray(counts)


def unique(a):
    values = sorted(set(asarray(a).values()))
    return asarray(values, asarray(a).dtype)


def sort(a, axis=-1):
    return _ops.along(lambda numbers: sorted(numbers, key=_ops.key_of), a, axis)


def median(a, axis=None):
    def middle(numbers):
        n, numbers = len(numbers), sorted(numbers)
        return (numbers[(n - 1) // 2] + numbers[n // 2]) / 2 if n else nan
    return _ops.reduced(middle, a, axis, kind="f")


def average(a, weights=None):
    return asarray(a).mean() if weights is None else (asarray(a) * weights).sum() / asarray(weights).sum()


def outer(a, b):
    return ravel(a).reshape(-1, 1) * ravel(b)


def take_along_axis(a, indices, axis):
    a, indices = asarray(a), asarray(indices)
    axis = _ops.axes_of(a, axis)[0]
    grid = [arange(n).reshape([-1 if k == j else 1 for j in range(a.ndim)]) for k, n in enumerate(indices.shape)]
    grid[axis] = indices
    return a[tuple(grid)]


def count_nonzero(a, axis=None):
    return (asarray(a) != 0).sum(axis)


def nan_to_num(a, nan=0.0):
    return _ops.each(lambda x: nan if x != x else max(min(x, 1.7976931348623157e308), -1.7976931348623157e308), a)


def nansum(a, axis=None):
    return where(isnan(a), 0, a).sum(axis)


def nanmean(a, axis=None):
    return nansum(a, axis) / (~isnan(asarray(a))).sum(axis)


def isclose(a, b, rtol=1e-5, atol=1e-8):
    return _pairwise(lambda x, y: x == y or abs(x - y) <= atol + rtol * abs(y), "b")(a, b)


def allclose(a, b, rtol=1e-5, atol=1e-8):
    return bool(asarray(isclose(a, b, rtol, atol)).all())


def array_equal(a, b):
    a, b = asarray(a), asarray(b)
    return a.shape == b.shape and a.values() == b.values()


def argwhere(a):
    return stack(nonzero(asarray(a)), 1)


def shape(a):
    return asarray(a).shape


def ndim(a):
    return asarray(a).ndim


def size(a):
    return asarray(a).size


def copy(a):
    return array(a)


def astype(a, dtype):
    return asarray(a).astype(dtype)


def _sort_in_place(a, axis=-1):
    a[...] = sort(a, axis)


ndarray.clip, ndarray.sort, ndarray.nonzero, ndarray.dot = clip, _sort_in_place, nonzero, dot
ndarray.__copy__, ndarray.__deepcopy__ = copy, lambda a, memo: copy(a)
