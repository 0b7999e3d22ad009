"""More functions of the page's small numpy, under numpy's names: what answers use now and then."""

import math

import small_functions as _f
import small_operations as _ops
from small_array import asarray, broadcast_to, ndarray
from small_lacks import lack
from small_making import arange, atleast_1d, concatenate, full, moveaxis, picked, ravel, stack, zeros
from small_shape import broadcast, slice_all, slices, strides

inf, nan = float("inf"), float("nan")
def _hypot(x, y):
    size = max(abs(x), abs(y))
    if not 1e150 < size < inf:
        return inf if abs(x) == inf or abs(y) == inf else _ops.root(x * x + y * y)
    return _ops.root((x / size) ** 2 + (y / size) ** 2) * size


hypot = _f._pairwise(_hypot, "f")
heaviside = _f._pairwise(lambda x, y: x if x != x else y if x == 0 else float(x > 0), "f")
arctan2 = _f._pairwise(math.atan2, "f")
concat = concatenate


def diag(v, k=0):
    v = asarray(v)
    if v.ndim == 1:
        n = len(v) + abs(k)
        whole = zeros((n, n), v.dtype)
        for i, x in enumerate(v.values()):
            whole[i + max(-k, 0), i + max(k, 0)] = x
        return whole
    return diagonal(v, k).copy()


def fill_diagonal(a, val):
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d")
    if a.ndim > 2:
        lack("`np.fill_diagonal` of more than two axes is not in the page's numpy")
    values = ravel(val).values()
    for i in range(min(a.shape)):
        a[i, i] = values[i % len(values)]


def diagonal(a, offset=0):
    a = asarray(a)
    if a.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    if a.ndim > 2:
        lack("`np.diagonal` of more than two axes is not in the page's numpy")
    rows = [i for i in range(a.shape[0]) if 0 <= i + offset < a.shape[1]]
    if not rows:
        return zeros(0, a.dtype)
    return a[asarray(rows), asarray([i + offset for i in rows])]


def trace(a, offset=0):
    return diagonal(a, offset).sum()


def _triangle(m, keep):
    m = asarray(m)
    rows, columns = arange(m.shape[-2 if m.ndim > 1 else -1]).reshape(-1, 1), arange(m.shape[-1])
    return _f.where(keep(columns - rows), m, zeros((), m.dtype))


def tril(m, k=0):
    return _triangle(m, lambda away: away <= k)


def triu(m, k=0):
    return _triangle(m, lambda away: away >= k)


def meshgrid(*xi, indexing="xy", sparse=False, copy=True):
    if sparse:
        lack("`sparse=` of `np.meshgrid` is not in the page's numpy")
    grids = [asarray(x) for x in xi]
    shape = [len(g) for g in grids]
    whole = [broadcast_to(g.reshape([-1 if k == i else 1 for k in range(len(grids))]), shape)
             for i, g in enumerate(grids)]
    return tuple([moveaxis(g, 0, 1) if indexing == "xy" and len(grids) > 1 else g for g in whole])


def pad(array, pad_width, mode="constant", constant_values=0):
    array = asarray(array)
    if mode not in ("constant", "edge") or isinstance(pad_width, dict) or asarray(constant_values).ndim:
        lack("this way to pad is not in the page's numpy")
    if mode == "edge" and not array.size:
        raise ValueError("can't extend empty axis 0 using modes other than 'constant' or 'empty'")
    widths = asarray(pad_width)
    widths = broadcast_to(widths.reshape(-1, 1) if widths.shape == (1,) else widths, (array.ndim, 2)).tolist()
    for axis, (before, after) in enumerate(widths):
        n = array.shape[axis]
        if mode == "edge":
            places = [0] * before + list(range(n)) + [n - 1] * after
            array = picked(array, places, axis)
        else:
            shape = [list(array.shape[:axis]), list(array.shape[axis + 1:])]
            ends = [full(shape[0] + [k] + shape[1], constant_values, array.dtype) for k in (before, after)]
            array = concatenate([ends[0], array, ends[1]], axis)
    return array


def insert(arr, obj, values, axis=None):
    arr = asarray(arr)
    arr, axis = (arr.ravel(), 0) if axis is None else (arr, _ops.axis_of(arr, axis))
    n = arr.shape[axis]
    if asarray(obj).ndim:
        lack("`np.insert` at several places is not in the page's numpy")
    if not -n <= int(obj) <= n:
        raise IndexError("index " + str(obj) + " is out of bounds for axis " + str(axis) + " with size " + str(n))
    front, at = (slice_all,) * axis, int(obj) % (n + 1) if obj >= 0 else int(obj) + n
    values = asarray(values, arr.dtype)
    shape = arr.shape[:axis] + (values.size if arr.ndim == 1 else 1,) + arr.shape[axis + 1:]
    middle = broadcast_to(values, shape)
    return concatenate([arr[front + (slices[:at],)], middle, arr[front + (slices[at:],)]], axis)


def delete(arr, obj, axis=None):
    arr = asarray(arr)
    arr, axis = (arr.ravel(), 0) if axis is None else (arr, _ops.axis_of(arr, axis))
    n = arr.shape[axis]
    gone = arange(n)[obj]
    gone = set(gone.values() if isinstance(gone, ndarray) else [int(gone)])
    return picked(arr, [i for i in range(n) if i not in gone], axis)


def split(ary, indices_or_sections, axis=0):
    ary = asarray(ary)
    n, parts = ary.shape[axis], indices_or_sections
    if isinstance(parts, int):
        if n % parts:
            raise ValueError("array split does not result in an equal division")
        parts = [n // parts * k for k in range(1, parts)]
    cuts = [0] + [int(k) for k in asarray(parts).values()] + [n]
    front = (slice_all,) * axis
    return [ary[front + (slices[a:b],)] for a, b in zip(cuts, cuts[1:])]


def take(a, indices, axis=None):
    a = asarray(a)
    a, axis = (a.ravel(), 0) if axis is None else (a, _ops.axis_of(a, axis))
    return a[(slice_all,) * axis + (indices,)]


def select(condlist, choicelist, default=0):
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if not len(condlist):
        raise ValueError("select with an empty condition list is not possible")
    for i, condition in enumerate(condlist):
        if asarray(condition)._kind != "b":
            raise TypeError("invalid entry " + str(i) + " in condlist: should be boolean ndarray")
    whole = asarray(default)
    for condition, choice in reversed(list(zip(condlist, choicelist))):
        whole = _f.where(condition, choice, whole)
    return whole


def copyto(dst, src, where=True):
    dst[...] = _f.where(where, src, dst) if where is not True else src


def putmask(a, mask, values):
    values, mask = ravel(values), ravel(mask).values()
    for i, flag in enumerate(mask):
        if flag:
            a[_place(i, a.shape)] = values[i % values.size]


def _place(i, shape):
    """The index of the i-th entry."""
    return tuple([i // step % n for n, step in zip(shape, strides(shape))])


class vectorize:
    def __init__(self, pyfunc, otypes=None, doc=None, excluded=None, cache=False, signature=None):
        if excluded or signature:
            lack("this keyword of `np.vectorize` is not in the page's numpy")
        self.pyfunc, self.otypes = pyfunc, otypes

    def __call__(self, *args, **named):
        if named:
            lack("keyword arguments of what `np.vectorize` gives are not in the page's numpy")
        arrays = [asarray(a) for a in args]
        shape = broadcast([a.shape for a in arrays])
        rows = [list(broadcast_to(a, shape).ravel()) for a in arrays]
        results = [self.pyfunc(*row) for row in zip(*rows)]
        if not results:
            raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
        kind = asarray(results[0]).dtype if self.otypes is None else self.otypes[0]
        if isinstance(results[0], tuple):
            return tuple([asarray([r[k] for r in results]).reshape(shape) for k in range(len(results[0]))])
        return asarray(results).astype(kind).reshape(shape)[...]


def apply_along_axis(func1d, axis, arr, *args, **kwargs):
    arr = asarray(arr)
    axis = _ops.axis_of(arr, axis)
    moved = moveaxis(arr, axis, -1)
    rows = [asarray(func1d(row, *args, **kwargs)) for row in moved.reshape(-1, arr.shape[axis])]
    whole = stack(rows).reshape(moved.shape[:-1] + rows[0].shape)
    return moveaxis(whole, -1, axis) if rows[0].ndim else whole


class _Joined:
    """np.r_[a, b] and np.c_[a, b]."""

    def __init__(self, join):
        self.join = join

    def __getitem__(self, key):
        parts = []
        for part in key if isinstance(key, tuple) else (key,):
            if isinstance(part, type(slice_all)):
                part = arange(part.start or 0, part.stop, part.step or 1)
            parts.append(atleast_1d(part))
        return self.join(parts)


r_ = _Joined(concatenate)
c_ = _Joined(lambda parts: concatenate([p.reshape(-1, 1) if p.ndim < 2 else p for p in parts], 1))
