"""Making, joining and turning arrays: a part of the page's small numpy, under numpy's names."""

import math

from small_array import DTYPES, asarray, broadcast_to, common, ndarray
from small_lacks import lack
from small_operations import axes_of, axis_of
from small_scalars import integer, number
from small_shape import slice_all, slices


def array(object, dtype=None, ndmin=0):
    made = asarray(object, dtype).copy()
    return made.reshape((1,) * (ndmin - made.ndim) + made.shape) if made.ndim < ndmin else made


def fromiter(iter, dtype, count=-1):
    values = list(iter)
    if any([isinstance(v, (list, tuple, ndarray)) for v in values]):
        raise ValueError("setting an array element with a sequence.")
    return asarray(values if count < 0 else values[:count], dtype)


def full(shape, fill_value, dtype=None):
    shape = tuple(shape) if isinstance(shape, (tuple, list, ndarray)) else (shape,)
    if not all([isinstance(n, (int, integer)) for n in shape]):
        raise TypeError("'float' object cannot be interpreted as an integer")
    if any([n < 0 for n in shape]):
        raise ValueError("negative dimensions are not allowed")
    return broadcast_to(asarray(fill_value, dtype), [int(n) for n in shape])


def zeros(shape, dtype=None):
    return full(shape, 0, dtype or float)


def ones(shape, dtype=None):
    return full(shape, 1, dtype or float)


empty = zeros


def full_like(a, fill_value, dtype=None, shape=None):
    a = asarray(a)
    return full(a.shape if shape is None else shape, fill_value, dtype or a.dtype)


def zeros_like(a, dtype=None, shape=None):
    return full_like(a, 0, dtype, shape)


def ones_like(a, dtype=None, shape=None):
    return full_like(a, 1, dtype, shape)


def empty_like(prototype, dtype=None, shape=None):
    return full_like(prototype, 0, dtype, shape)


def eye(N, M=None, k=0, dtype=float):
    columns = N if M is None else M
    if N < 0 or columns < 0:
        raise ValueError("negative dimensions are not allowed")
    return asarray([[int(j - i == k) for j in range(columns)] for i in range(N)], dtype).reshape(N, columns)


def identity(n, dtype=None):
    return eye(n, dtype=dtype or float)


def arange(start, stop=None, step=1, dtype=None):
    if dtype is bool:
        lack("`np.arange` of flags is not in the page's numpy")
    start, stop = (0, start) if stop is None else (start, stop)
    start, stop, step = [x.value if isinstance(x, number) else x for x in (start, stop, step)]
    if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int):
        numbers = asarray(list(range(start, stop, step)) or ndarray([], (0,), "i"))
    else:
        count = max(math.ceil((stop - start) / step), 0)
        numbers = asarray([float(start + i * step) for i in range(count)])
    return numbers if dtype is None else numbers.astype(dtype)


def linspace(start, stop, num=50, endpoint=True, dtype=None):
    _single("linspace", start, stop)
    start, stop = float(start), float(stop)
    parts = num - 1 if endpoint else num
    numbers = [start + i * ((stop - start) / parts) if parts else float(start) for i in range(num)]
    if endpoint and num > 1:
        numbers[-1] = float(stop)
    return asarray(numbers, float).astype(dtype or float)


def _single(name, *ends):
    if any([isinstance(x, (list, tuple)) or isinstance(x, ndarray) and x.ndim for x in ends]):
        lack("`np." + name + "` between arrays is not in the page's numpy")


def geomspace(start, stop, num=50):
    _single("geomspace", start, stop)
    return start * (stop / start) ** linspace(0, 1, num)


def logspace(start, stop, num=50, base=10.0):
    _single("logspace", start, stop)
    return base ** linspace(start, stop, num)


def concatenate(arrays, axis=0):
    arrays = [asarray(a) for a in arrays]
    if not arrays:
        raise ValueError("need at least one array to concatenate")
    if axis is None:
        arrays, axis = [a.ravel() for a in arrays], 0
    if not all([a.ndim for a in arrays]):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    first, kind = arrays[0], common(arrays)
    axis = axis_of(first, axis)
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


def append(arr, values, axis=None):
    if axis is None:
        return concatenate([asarray(arr).ravel(), asarray(values).ravel()])
    return concatenate([arr, values], axis)


def stack(arrays, axis=0):
    arrays = [asarray(a) for a in arrays]
    if any([a.shape != arrays[0].shape for a in arrays]):
        raise ValueError("all input arrays must have the same shape")
    axis = int(axis) + arrays[0].ndim + 1 if axis < 0 else int(axis)
    return concatenate([expand_dims(a, axis) for a in arrays], axis)


def vstack(tup):
    return concatenate([a.reshape(1, -1) if a.ndim < 2 else a for a in [asarray(a) for a in tup]])


def hstack(tup):
    arrays = [atleast_1d(a) for a in tup]
    return concatenate(arrays, 0 if arrays[0].ndim == 1 else 1)


def column_stack(tup):
    return concatenate([a.reshape(-1, 1) if a.ndim < 2 else a for a in [asarray(a) for a in tup]], 1)


def atleast_1d(a):
    a = asarray(a)
    return a if a.ndim else a.reshape(1)


def atleast_2d(a):
    a = asarray(a)
    return a if a.ndim > 1 else a.reshape(1, -1)


def expand_dims(a, axis):
    a = asarray(a)
    if isinstance(axis, tuple):
        rank = a.ndim + len(axis)
        for k in sorted([k % rank for k in axis]):
            a = expand_dims(a, k)
        return a
    axis = int(axis)
    if not -a.ndim - 1 <= axis <= a.ndim:
        raise ValueError("axis " + str(axis) + " is out of bounds for array of dimension " + str(a.ndim + 1))
    axis = axis + a.ndim + 1 if axis < 0 else axis
    return a.reshape(a.shape[:axis] + (1,) + a.shape[axis:])


def squeeze(a, axis=None):
    a = asarray(a)
    if axis is None:
        return a.reshape([n for n in a.shape if n != 1])
    gone = axes_of(a, axis)
    if any([a.shape[k] != 1 for k in gone]):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return a.reshape([n for k, n in enumerate(a.shape) if k not in gone])


def reshape(a, shape):
    return asarray(a).reshape(shape)


def ravel(a):
    return asarray(a).ravel()


def transpose(a, axes=None):
    return asarray(a).transpose(axes)


def swapaxes(a, axis1, axis2):
    a = asarray(a)
    order, (i, j) = list(range(a.ndim)), axes_of(a, (axis1, axis2))
    order[i], order[j] = j, i
    return a.transpose(order)


def moveaxis(a, source, destination):
    a = asarray(a)
    source, destination = axes_of(a, source), axes_of(a, destination)
    order = [k for k in range(a.ndim) if k not in source]
    for to, k in sorted(zip(destination, source)):
        order.insert(to, k)
    return a.transpose(order)


def tile(A, reps):
    A, reps = asarray(A), tuple(reps) if isinstance(reps, (tuple, list, ndarray)) else (reps,)
    rank = max(A.ndim, len(reps))
    A, reps = A.reshape((1,) * (rank - A.ndim) + A.shape), (1,) * (rank - len(reps)) + reps
    for axis, n in enumerate(reps):
        A = concatenate([A] * n, axis) if n else A[(slice_all,) * axis + (slices[:0],)]
    return A.copy()


def repeat(a, repeats, axis=None):
    a, repeats = asarray(a), asarray(repeats)
    a, axis = (a.ravel(), 0) if axis is None else (a, axis_of(a, axis))
    n = a.shape[axis]
    times = repeats.values() * n if repeats.size == 1 else repeats.values()
    if len(times) != n:
        raise ValueError("operands could not be broadcast together with shape (" + str(n) + ",) ("
                         + str(len(times)) + ",)")
    return picked(a, [i for i in range(n) for _ in range(times[i])], axis)


def picked(a, places, axis):
    """The entries at these places of an axis."""
    return a[(slice_all,) * axis + (asarray(places) if places else ndarray([], (0,), "i"),)]


def flip(m, axis=None):
    m = asarray(m)
    axes = axes_of(m, axis)
    return m[tuple([slices[::-1] if k in axes else slice_all for k in range(m.ndim)])]


def roll(a, shift, axis=None):
    a = asarray(a)
    if isinstance(shift, (tuple, list)) or isinstance(axis, tuple):
        lack("`np.roll` along several axes is not in the page's numpy")
    if axis is None:
        return roll(a.ravel(), shift, 0).reshape(a.shape)
    axis = axis_of(a, axis)
    n = a.shape[axis]
    return picked(a, [(i - int(shift)) % n for i in range(n)], axis)
