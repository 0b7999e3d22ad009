"""Making, joining and turning arrays: a part of the page's small numpy, under numpy's names."""

import math

from small_array import DTYPES, asarray, broadcast_to, common, ndarray
from small_operations import axes_of
from small_shape import slice_all, slices


def array(values, dtype=None):
    return asarray(values, dtype).copy()


def asfarray(values):
    return asarray(values, float)


def full(shape, value, dtype=None):
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if not all([isinstance(n, int) for n in shape]):
        raise TypeError("a shape is an int or a tuple of ints, got " + repr(shape))
    if any([n < 0 for n in shape]):
        raise ValueError("negative dimensions are not allowed")
    one = asarray(value, dtype)
    return broadcast_to(one, shape)


def zeros(shape, dtype=float):
    return full(shape, 0, dtype)


def ones(shape, dtype=float):
    return full(shape, 1, dtype)


empty = zeros


def zeros_like(a, dtype=None):
    a = asarray(a)
    return full(a.shape, 0, dtype or a.dtype)


def ones_like(a, dtype=None):
    a = asarray(a)
    return full(a.shape, 1, dtype or a.dtype)


def full_like(a, value, dtype=None):
    a = asarray(a)
    return full(a.shape, value, dtype or a.dtype)


empty_like = zeros_like


def eye(n, m=None):
    return array([[float(i == j) for j in range(n if m is None else m)] for i in range(n)]).reshape(n, -1)


identity = eye


def arange(start, stop=None, step=1, dtype=None):
    start, stop = (0, start) if stop is None else (start, stop)
    if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int):
        numbers = asarray(list(range(start, stop, step)) or ndarray([], (0,), "i"))
    else:
        count = max(math.ceil((stop - start) / step), 0)
        numbers = asarray([float(start + i * step) for i in range(count)])
    return numbers if dtype is None else numbers.astype(dtype)


def linspace(start, stop, num=50, endpoint=True):
    parts = num - 1 if endpoint else num
    numbers = [start + i * ((stop - start) / parts) if parts else float(start) for i in range(num)]
    if endpoint and num > 1:
        numbers[-1] = float(stop)
    return asarray(numbers, float)


def geomspace(start, stop, num=50):
    return start * (stop / start) ** linspace(0, 1, num)


def concatenate(arrays, axis=0):
    arrays = [asarray(a) for a in arrays]
    if not arrays:
        raise ValueError("need at least one array to concatenate")
    if not all([a.ndim for a in arrays]):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    if axis is None:
        arrays, axis = [a.ravel() for a in arrays], 0
    first, kind = arrays[0], common(arrays)
    axis = axes_of(first, axis)[0]
    for i, a in enumerate(arrays):
        if a.ndim != first.ndim:
            raise ValueError("all the input array dimensions except for the concatenation axis must match exactly, "
                             "but along dimension 0, the array at index 0 has " + str(first.ndim) + " dimension(s) "
                             "and the array at index " + str(i) + " has " + str(a.ndim) + " dimension(s)")
        for k in range(a.ndim):
            if k != axis and a.shape[k] != first.shape[k]:
                raise ValueError(
                    "all the input array dimensions except for the concatenation axis must match exactly, but "
                    "along dimension " + str(k) + ", the array at index 0 has size " + str(first.shape[k])
                    + " and the array at index " + str(i) + " has size " + str(a.shape[k]))
    shape = first.shape[:axis] + (sum([a.shape[axis] for a in arrays]),) + first.shape[axis + 1:]
    whole, start = full(shape, 0, DTYPES[kind]), 0
    for a in arrays:
        whole[(slice_all,) * axis + (slices[start:start + a.shape[axis]],)] = a
        start += a.shape[axis]
    return whole


def append(a, values, axis=None):
    if axis is None:
        return concatenate([asarray(a).ravel(), asarray(values).ravel()])
    return concatenate([a, values], axis)


def stack(arrays, axis=0):
    arrays = [asarray(a) for a in arrays]
    if any([a.shape != arrays[0].shape for a in arrays]):
        raise ValueError("all input arrays must have the same shape")
    axis = axis + arrays[0].ndim + 1 if axis < 0 else axis
    return concatenate([expand_dims(a, axis) for a in arrays], axis)


def vstack(arrays):
    return concatenate([a.reshape(1, -1) if a.ndim < 2 else a for a in [asarray(a) for a in arrays]])


def hstack(arrays):
    arrays = [atleast_1d(a) for a in arrays]
    return concatenate(arrays, 0 if arrays[0].ndim == 1 else 1)


def column_stack(arrays):
    return concatenate([a.reshape(-1, 1) if a.ndim < 2 else a for a in [asarray(a) for a in arrays]], 1)


def atleast_1d(a):
    a = asarray(a)
    return a if a.ndim else a.reshape(1)


def expand_dims(a, axis):
    a = asarray(a)
    axis = axis + a.ndim + 1 if axis < 0 else axis
    return a.reshape(a.shape[:axis] + (1,) + a.shape[axis:])


def squeeze(a):
    a = asarray(a)
    return a.reshape([n for n in a.shape if n != 1])


def reshape(a, shape):
    return asarray(a).reshape(shape)


def ravel(a):
    return asarray(a).ravel()


def transpose(a):
    return asarray(a).transpose()


def tile(a, n):
    return concatenate([atleast_1d(a)] * n)


def repeat(a, n):
    return asarray([v for v in asarray(a).values() for _ in range(n)])


def flip(a, axis=None):
    a = asarray(a)
    axes = axes_of(a, axis)
    return a[tuple([slices[::-1] if k in axes else slice_all for k in range(a.ndim)])]


def roll(a, shift, axis=None):
    a = asarray(a)
    if axis is None:
        return roll(a.ravel(), shift, 0).reshape(a.shape)
    axis = axes_of(a, axis)[0]
    n = a.shape[axis]
    places = asarray([(i - shift) % n for i in range(n)] or ndarray([], (0,), "i"))
    return a[(slice_all,) * axis + (places,)]
