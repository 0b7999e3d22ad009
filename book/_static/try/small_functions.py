"""Functions of numbers, repeated over arrays: a part of the page's small numpy, under numpy's names."""

import builtins
import math

import small_operations as _ops
import small_sums as _sums
from small_array import DTYPES, as_kind, asarray, broadcast_to, made, ndarray, nonzero
from small_lacks import lack
from small_making import arange, array, concatenate, ones_like, ravel, stack
from small_shape import broadcast, shape_text, slice_all, slices, stretched
from small_ufunc import ufunc, where

inf, nan, MISSING, LEAST = float("inf"), float("nan"), object(), -1 << 63


def flatnonzero(a):
    return nonzero(ravel(a))[0]


def _function(on_number, kind="f"):
    """A function of every number; floats first, where it gives floats."""
    return ufunc(lambda x: _ops.each(on_number, _floats(asarray(x)) if kind == "f" else x, kind), 1)


def _numbers(x):
    if asarray(x)._kind == "b":
        lack("whole numbers of 8 bits, in which numpy computes this of flags, are not in the page's numpy")
    return asarray(x)


def _floats(x):
    if x._kind == "b":
        lack("half precision, in which numpy computes this of flags, is not in the page's numpy")
    return asarray(x, float)


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
sqrt, square = _function(_ops.root), ufunc(lambda x: _ops.calc("*", _sums.counted(x), _sums.counted(x)), 1)
sin, cos = [_function(lambda x, f=f: f(x) if abs(x) < inf else nan) for f in (math.sin, math.cos)]
tanh, arctan = _function(math.tanh), _function(math.atan)
exp2, cbrt = _function(lambda x: _ops.power(2.0, x)), _function(lambda x: math.copysign(abs(x) ** (1 / 3), x))
sinh, cosh = [_function(lambda x, f=f: f(x) if abs(x) < 710 else (abs(x) if f(0) else x) * inf)
              for f in (math.sinh, math.cosh)]


def _rounder(near):
    """floor and its like: of ints, ints."""
    return ufunc(lambda x: _ops.each(lambda v: type(v)(near(v)) if abs(v) < inf else v, x), 1)


floor, ceil, trunc = _rounder(math.floor), _rounder(math.ceil), _rounder(int)
rint = ufunc(lambda x: _ops.rounded(asarray(x, float))[()], 1)
isnan, isinf = _function(lambda x: x != x, "b"), _function(lambda x: abs(x) == inf, "b")
isfinite = _function(lambda x: abs(x) < inf, "b")
absolute, negative, invert = [ufunc(f, 1) for f in (_ops.absolute, _ops.negative, _ops.invert)]
positive = ufunc(lambda x: _numbers(x)[...] * 1, 1)
logical_not = _function(lambda x: not x, "b")
matmul = _ops.matmul


def dot(a, b):
    a, b = asarray(a), asarray(b)
    if a.ndim and b.ndim and b.shape[-2 if b.ndim > 1 else 0] != a.shape[-1]:
        axis = b.ndim - 2 if b.ndim > 1 else 0
        raise ValueError("shapes " + shape_text(a.shape) + " and " + shape_text(b.shape) + " not aligned: "
                         + str(a.shape[-1]) + " (dim " + str(a.ndim - 1) + ") != " + str(b.shape[axis]) + " (dim "
                         + str(axis) + ")")
    return matmul(a, b) if a.ndim and b.ndim else a * b




sign = ufunc(lambda x: _ops.each(lambda v: v if v != v else type(v)((v > 0) - (v < 0)), _numbers(x)), 1)
reciprocal = ufunc(lambda x: _ops.calc("/", 1, x) if _numbers(x)._kind == "f" else _ops.each(
    lambda v: int(1 / v) if v else LEAST, x), 1)


def _pairwise(function, kind=""):
    """A function of pairs of numbers of one kind."""
    def both(x, y):
        a, b = asarray(x), asarray(y)
        common = "f" if kind == "f" else _ops.common([a, b])
        if kind == "f":
            _floats(ones_like(a, DTYPES[_ops.common([a, b])]))
        shape = broadcast([a.shape, b.shape])
        left, right = _ops.as_kind(a, common).values(), _ops.as_kind(b, common).values()
        pairs = zip(stretched(a.shape, shape), stretched(b.shape, shape))
        return made([function(left[i], right[j]) for i, j in pairs], shape, kind or common)
    return ufunc(both)


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
    return ufunc(function)


add, subtract, multiply, divide = _operator("+"), _operator("-"), _operator("*"), _operator("/")
true_divide, floor_divide, mod, power = divide, _operator("//"), _operator("%"), _operator("**")
remainder = mod
equal, not_equal, less, greater = _operator("=="), _operator("!="), _operator("<"), _operator(">")
less_equal, greater_equal = _operator("<="), _operator(">=")
bitwise_and, bitwise_or, bitwise_xor = _operator("&"), _operator("|"), _operator("^")
for _one, _identity in ((add, 0), (multiply, 1), (logical_and, True), (logical_or, False), (logical_xor, False),
                        (bitwise_and, -1), (bitwise_or, 0), (bitwise_xor, 0), (logaddexp, -inf)):
    _one.identity = _identity
add.sums = multiply.sums = True
for _one, _name in ((maximum, "maximum"), (minimum, "minimum"), (fmax, "fmax"), (fmin, "fmin"), (divide, "divide"),
                    (subtract, "subtract"), (power, "power")):
    _one.name = _name


def clip(a, a_min=MISSING, a_max=MISSING, min=None, max=None):
    if (a_min is MISSING) != (a_max is MISSING):
        raise TypeError("clip() missing 1 required positional argument: 'a_" + (
            "min'" if a_min is MISSING else "max'"))
    if a_min is not MISSING:
        if min is not None or max is not None:
            raise ValueError("Passing `min` or `max` keyword argument when `a_min` and `a_max` are provided is "
                             "forbidden.")
        min, max = a_min, a_max
    a, low, high = asarray(a), min, max
    if low is not None:
        a = asarray(maximum(a, low))
    if high is not None:
        a = asarray(minimum(a, high))
    return a if a.ndim else a[()]


def diff(a, n=1, axis=-1, prepend=None, append=None):
    a = asarray(a)
    if n < 1:
        if n:
            raise ValueError("order must be non-negative but got " + str(n))
        return a
    axis = _ops.axis_of(a, axis)
    ends = [prepend, a, append]
    for k in (0, 2):
        if ends[k] is not None and not asarray(ends[k]).ndim:
            ends[k] = broadcast_to(ends[k], a.shape[:axis] + (1,) + a.shape[axis + 1:])
    a = concatenate([x for x in ends if x is not None], axis)
    front = (slice_all,) * axis
    for _ in range(n):
        late, early = a[front + (slices[1:],)], a[front + (slices[:-1],)]
        a = not_equal(late, early) if a.dtype == bool else late - early
    return a


def bincount(x, weights=None, minlength=0):
    given, x = x, asarray(x)
    if x.ndim != 1:
        raise ValueError("object " + ("too deep" if x.ndim else "of too small depth") + " for desired array")
    if x._kind == "f" and given is x:
        raise TypeError("Cannot cast array data from dtype('float64') to dtype('int64') according to the rule "
                        "'safe'")
    numbers = as_kind(x, "i").values()
    if builtins.any([n < 0 for n in numbers]):
        raise ValueError("'list' argument must have no negative elements")
    if weights is not None and asarray(weights).shape != x.shape:
        raise ValueError("The weights and list don't have the same length.")
    weights = [1] * len(numbers) if weights is None else asarray(weights, float).values()
    counts = [type(weights[0])(0) if len(weights) else 0] * builtins.max([minlength] + [n + 1 for n in numbers])
    for n, weight in zip(numbers, weights):
        counts[n] += weight
    return asarray(counts)


def unique(ar, return_index=False, return_inverse=False, return_counts=False):
    ar = asarray(ar)
    numbers = ar.values()
    values = sorted(set([v for v in numbers if v == v])) + [nan] * builtins.any([v != v for v in numbers])
    inverse = [values.index(v) if v == v else len(values) - 1 for v in numbers]
    found = [asarray(values, ar.dtype)]
    if return_index:
        found.append(asarray([inverse.index(i) for i in range(len(values))], int))
    if return_inverse:
        found.append(asarray(inverse, int).reshape(ar.shape))
    if return_counts:
        found.append(asarray([inverse.count(i) for i in range(len(values))], int))
    return found[0] if len(found) == 1 else tuple(found)


def sort(a, axis=-1):
    return _sums.along(lambda numbers: _sums.in_order(list(numbers), _sums.key_of), a, axis)


def _middle(numbers):
    n, numbers = len(numbers), sorted(numbers)
    if builtins.any([x != x for x in numbers]) or not n:
        return nan
    return (numbers[(n - 1) // 2] + numbers[n // 2]) / 2


def median(a, axis=None, keepdims=False):
    return _sums.reduced(_middle, a, axis, keepdims, "f")


def average(a, axis=None, weights=None, keepdims=False):
    a = asarray(a)
    if weights is None:
        return a.mean(axis=axis, keepdims=keepdims)
    weights = asarray(weights)
    if weights.shape != a.shape:
        if axis is None:
            raise TypeError("Axis must be specified when shapes of a and weights differ.")
        axis = _ops.axis_of(a, axis)
        if weights.shape != (a.shape[axis],):
            raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
        weights = weights.reshape([-1 if k == axis else 1 for k in range(a.ndim)]) * ones_like(a)
    scale = weights.sum(axis=axis, keepdims=keepdims)
    if asarray(scale == 0).any():
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    return (a * weights).sum(axis=axis, keepdims=keepdims) / scale


def outer(a, b):
    return ravel(a).reshape(-1, 1) * ravel(b)


def _grid(a, indices, axis):
    axis = _ops.axis_of(a, axis)
    grid = [arange(n).reshape([-1 if k == j else 1 for j in range(a.ndim)]) for k, n in enumerate(indices.shape)]
    grid[axis] = indices
    return tuple(grid)


def take_along_axis(arr, indices, axis=-1):
    arr, indices = asarray(arr), asarray(indices)
    arr, axis = (arr.ravel(), 0) if axis is None else (arr, axis)
    return arr[_grid(arr, indices, axis)]


def put_along_axis(arr, indices, values, axis):
    arr[_grid(arr, asarray(indices), axis)] = values


def count_nonzero(a, axis=None, keepdims=False):
    return asarray(asarray(a) != 0).sum(axis=axis, keepdims=keepdims)


def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    if asarray(x).dtype != float:
        return array(x)[...]
    high = 1.7976931348623157e308 if posinf is None else posinf
    low = -1.7976931348623157e308 if neginf is None else neginf
    return _ops.each(lambda v: float(nan if v != v else high if v == inf else low if v == -inf else v), x)


def nansum(a, axis=None, keepdims=False):
    return asarray(where(isnan(a), 0, a)).sum(axis=axis, keepdims=keepdims)


def nanmean(a, axis=None, keepdims=False):
    return nansum(a, axis, keepdims) / asarray(~isnan(asarray(a))).sum(axis=axis, keepdims=keepdims)


def isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    def near(x, y):
        return x == y or abs(x - y) <= atol + rtol * abs(y) < inf or equal_nan and x != x and y != y
    return _pairwise(near, "b")(a, b)


def allclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    return bool(asarray(isclose(a, b, rtol, atol, equal_nan)).all())


def array_equal(a1, a2, equal_nan=False):
    a1, a2 = asarray(a1), asarray(a2)
    return a1.shape == a2.shape and builtins.all([
        x == y or equal_nan and x != x and y != y for x, y in zip(a1.values(), a2.values())])


def argwhere(a):
    a = asarray(a)
    return stack(nonzero(a), 1) if a.ndim else ndarray([], (int(bool(a)), 0), "i")


def shape(a):
    return asarray(a).shape


def ndim(a):
    return asarray(a).ndim


def size(a, axis=None):
    return asarray(a).size if axis is None else asarray(a).shape[axis]


def copy(a):
    return array(a)


def astype(x, dtype):
    return asarray(x).astype(dtype)


def _sort_in_place(a, axis=-1):
    a[...] = sort(a, axis)


def _clipped(a, min=None, max=None):
    return clip(a, min, max)


ndarray.clip, ndarray.sort, ndarray.nonzero, ndarray.dot = _clipped, _sort_in_place, nonzero, dot
ndarray.__copy__, ndarray.__deepcopy__ = copy, lambda a, memo: copy(a)
