"""Functions of numbers, repeated over arrays: a part of the page's small numpy, under numpy's names."""

import builtins
import math

import small_operations as _ops
import small_sums as _sums
from small_array import asarray, broadcast_to, made, ndarray, nonzero
from small_making import arange, array, concatenate, expand_dims, ones_like, ravel, stack
from small_scalars import generic
from small_shape import broadcast, shape_text, slice_all, slices, stretched

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


_where = where


def flatnonzero(a):
    return nonzero(ravel(a))[0]


class ufunc:
    """A function of every number, or of every pair of numbers, with numpy's methods of such functions."""

    def __init__(self, function, nin=2):
        self.function, self.nin = function, nin

    def __call__(self, *args, out=None, where=True):
        result = self.function(*args)
        if out is None:
            return result
        out = out[0] if isinstance(out, tuple) else out
        out[...] = result if where is True else _where(where, result, out)
        return out

    def reduce(self, a, axis=0, keepdims=False, initial=None):
        a = asarray(a)
        if axis is None:
            a, axis = a.ravel(), 0
        result = initial
        for part in _parts(a, axis):
            result = part if result is None else self.function(result, part)
        if result is None:
            raise ValueError("zero-size array to reduction operation which has no identity")
        result = result if isinstance(result, ndarray) or isinstance(result, generic) else asarray(result)[()]
        return expand_dims(result, axis) if keepdims else result

    def accumulate(self, array, axis=0):
        found = []
        for part in _parts(asarray(array), axis):
            found.append(self.function(found[-1], part) if found else part)
        return stack(found, axis)

    def outer(self, A, B):
        A, B = asarray(A), asarray(B)
        return self.function(A.reshape(A.shape + (1,) * B.ndim), B)

    def at(self, a, indices, *b):
        indices = asarray(indices)
        by = [_ops.broadcast_values(asarray(x), indices.shape) for x in b]
        for k, i in enumerate(indices.values()):
            a[i] = self.function(a[i], *[values[k] for values in by])


def _parts(a, axis):
    axis = _ops.axes_of(a, axis)[0]
    return [a[(slice_all,) * axis + (i,)] for i in range(a.shape[axis])]


def _function(on_number, kind="f"):
    """A function of every number; floats first, where it gives floats."""
    return ufunc(lambda x: _ops.each(on_number, asarray(x, float) if kind == "f" else x, kind), 1)


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
sqrt, square = _function(_ops.root), ufunc(lambda x: _ops.calc("*", x, x), 1)
sin, cos = [_function(lambda x, f=f: f(x) if abs(x) < inf else nan) for f in (math.sin, math.cos)]
tanh, arctan = _function(math.tanh), _function(math.atan)
exp2, cbrt = _function(lambda x: _ops.power(2.0, x)), _function(lambda x: math.copysign(abs(x) ** (1 / 3), x))
sinh, cosh = [_function(lambda x, f=f: f(x) if abs(x) < 710 else f(0) * inf if f(0) else x * inf)
              for f in (math.sinh, math.cosh)]


def _rounder(near):
    """floor and its like: of ints, ints."""
    return ufunc(lambda x: _ops.each(lambda v: type(v)(near(v)) if abs(v) < inf else v, x), 1)


floor, ceil, trunc = _rounder(math.floor), _rounder(math.ceil), _rounder(int)
rint = ufunc(lambda x: _ops.rounded(asarray(x, float))[()], 1)
isnan, isinf = _function(lambda x: x != x, "b"), _function(lambda x: abs(x) == inf, "b")
isfinite = _function(lambda x: abs(x) < inf, "b")
absolute, negative, invert = [ufunc(f, 1) for f in (_ops.absolute, _ops.negative, _ops.invert)]
positive = ufunc(lambda x: asarray(x)[...] * 1, 1)
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




sign = ufunc(lambda x: _ops.each(lambda v: v if v != v else type(v)((v > 0) - (v < 0)), x), 1)
reciprocal = ufunc(lambda x: _ops.calc("/", 1, x), 1)


def _pairwise(function, kind=""):
    """A function of pairs of numbers of one kind."""
    def both(x, y):
        a, b = asarray(x), asarray(y)
        common = "f" if kind == "f" else _ops.common([a, b])
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


def clip(a, a_min=None, a_max=None, min=None, max=None):
    a, low, high = asarray(a), min if a_min is None else a_min, max if a_max is None else a_max
    if low is not None:
        a = asarray(maximum(a, low))
    if high is not None:
        a = asarray(minimum(a, high))
    return a if a.ndim else a[()]


def diff(a, n=1, axis=-1, prepend=None, append=None):
    a = asarray(a)
    axis = _ops.axes_of(a, axis)[0]
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
    numbers = asarray(x).values()
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
        axis = _ops.axes_of(a, axis)[0]
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
    axis = _ops.axes_of(a, axis)[0]
    grid = [arange(n).reshape([-1 if k == j else 1 for j in range(a.ndim)]) for k, n in enumerate(indices.shape)]
    grid[axis] = indices
    return tuple(grid)


def take_along_axis(arr, indices, axis=-1):
    arr, indices = asarray(arr), asarray(indices)
    return arr[_grid(arr, indices, axis)]


def put_along_axis(arr, indices, values, axis):
    arr[_grid(arr, asarray(indices), axis)] = values


def count_nonzero(a, axis=None, keepdims=False):
    found = asarray(asarray(a) != 0).sum(axis=axis, keepdims=keepdims)
    return int(found) if axis is None and not keepdims else found


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
    return stack(nonzero(asarray(a)), 1)


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
