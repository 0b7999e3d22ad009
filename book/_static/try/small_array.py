"""The array of the page's small numpy: one flat list, seen through positions and a shape.

Kinds are "b", "i" and "f": bool, int64, float64. What is taken out of an array: see small_scalars.py.
"""

import small_scalars
from small_print import array2string
from small_scalars import SCALARS, generic, int64
from small_shape import broadcast, checked, combined, shape_text, size_of, slice_all, sliced, stretched, strides

WRONG_INDEX = ("only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean "
               "arrays are valid indices")


class dtype:
    """The type of an array's numbers; equal to its Python type and to its name."""

    def __init__(self, kind, name, python):
        self.kind, self.name, self.python = kind, name, python

    def __call__(self, value=0):
        return as_kind(asarray(value), self.kind)[()]

    def __eq__(self, other):
        return other is self or other is self.python or other is SCALARS[self.kind] or other == self.name

    def __hash__(self):
        return hash(self.name)

    def __repr__(self):
        return "dtype('" + self.name + "')"

    def __str__(self):
        return self.name

    type = property(lambda self: SCALARS[self.kind])


DTYPES = {"b": dtype("b", "bool", bool), "i": dtype("i", "int64", int), "f": dtype("f", "float64", float)}
NAMES = {"bool": "b", "bool_": "b", "int": "i", "int64": "i", "int32": "i", "float": "f", "float64": "f",
         "float32": "f"}
KINDS = "bif"
LARGEST = 1 << 63


class NotNumbersError(TypeError):
    """What numpy makes arrays of, and the small numpy does not."""


def whole(x):
    """x as an int64: beyond 63 bits it wraps around, and NaN is the least one."""
    if isinstance(x, float) and not abs(x) < LARGEST:
        return -LARGEST
    x = int(x)
    return x if -LARGEST <= x < LARGEST else (x + LARGEST) % (2 * LARGEST) - LARGEST


CASTS = {"b": bool, "i": whole, "f": float}


def kind_of(wanted):
    """"b", "i" or "f" of a dtype, a Python type or a name."""
    for kind, known in DTYPES.items():
        if wanted is known or wanted is known.python or wanted is SCALARS[kind]:
            return kind
    if isinstance(wanted, str) and wanted in NAMES:
        return NAMES[wanted]
    raise NotNumbersError("the dtype `" + str(getattr(wanted, "__name__", wanted)) + "`")


class ndarray:
    """data: a flat list, shared with views. where: which of its places, row by row. shape: a tuple."""

    def __init__(self, data, shape, kind, where=None):
        self._data, self.shape, self._kind = data, tuple(shape), kind
        self._where = range(len(data)) if where is None else where

    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: len(self._where))
    dtype = property(lambda self: DTYPES[self._kind])
    T = property(lambda self: self.transpose())
    flat = property(lambda self: self.ravel())

    def values(self):
        """All numbers, row by row, as a new list."""
        return [self._data[i] for i in self._where]

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self):
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        return iter([self[i] for i in range(self.shape[0])])

    def __bool__(self):
        if self.size != 1:
            raise ValueError("The truth value of an array with more than one element is ambiguous. "
                             "Use a.any() or a.all()" if self.size else
                             "The truth value of an empty array is ambiguous. Use `array.size > 0` to check that "
                             "an array is not empty.")
        return bool(self.values()[0])

    def __contains__(self, value):
        return bool((self == value).any())

    def __hash__(self):
        raise TypeError("unhashable type: 'numpy.ndarray'")

    def __getitem__(self, key):
        places, shape, view = locate(self.shape, key)
        where = [self._where[i] for i in places]
        if shape == () and (self.shape != () or type(key) is tuple and not len(key)):
            return scalar(self._data[where[0]], self._kind)
        if view:
            return ndarray(self._data, shape, self._kind, where)
        return ndarray([self._data[i] for i in where], shape, self._kind)

    def __setitem__(self, key, value):
        places, shape, _ = locate(self.shape, key)
        if self._kind == "i" and isinstance(value, float) and not abs(value) < LARGEST:
            value = int(value)  # raises an error as numpy does
        value = asarray(value)
        if shape == () and value.size != 1:
            raise ValueError("setting an array element with a sequence.")
        try:
            source = stretched(value.shape, shape)
        except ValueError:
            raise ValueError("could not broadcast input array from shape " + shape_text(value.shape)
                             + " into shape " + shape_text(shape)) from None
        new, cast = value.values(), CASTS[self._kind]
        for i, j in zip(places, source):
            self._data[self._where[i]] = cast(new[j])

    def tolist(self):
        if not self.shape:
            return self.values()[0]
        if len(self.shape) == 1:
            return self.values()
        return [row.tolist() for row in self]

    def item(self, *index):
        if index:
            return self.ravel()[index[0]].value if len(index) == 1 else self[index].value
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self.values()[0]

    def copy(self):
        return ndarray(self.values(), self.shape, self._kind)

    def astype(self, dtype, copy=True):
        cast = as_kind(self, kind_of(dtype))
        return cast.copy() if copy else cast

    def reshape(self, *shape):
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        shape = [int(n) for n in shape]
        if -1 in shape:
            rest = size_of([n for n in shape if n != -1])
            shape[shape.index(-1)] = self.size // rest if rest else 0
        if size_of(shape) != self.size:
            raise ValueError("cannot reshape array of size " + str(self.size) + " into shape "
                             + shape_text(tuple(shape)))
        return ndarray(self._data, shape, self._kind, self._where)

    def ravel(self):
        return self.reshape(-1)

    def flatten(self):
        return self.ravel().copy()

    def transpose(self, *axes):
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        order = [k % (self.ndim or 1) for k in order] if order else list(range(self.ndim))[::-1]
        if sorted(order) != list(range(self.ndim)):
            raise ValueError("axes don't match array")
        steps, places = strides(self.shape), [0]
        for k in order:
            places = [p + i * steps[k] for p in places for i in range(self.shape[k])]
        return ndarray(self._data, [self.shape[k] for k in order], self._kind, [self._where[p] for p in places])

    def fill(self, value):
        self[...] = value

    def __str__(self):
        if not self.shape:
            return str(scalar(self.values()[0], self._kind))
        return array2string(self.values(), self.shape, self._kind)

    def __repr__(self):
        text = array2string(self.values(), self.shape, self._kind, separator=", ", prefix=6)
        empty = not self.size and self._kind != "f"
        return "array(" + text + (", dtype=" + str(self.dtype) if empty else "") + ")"


def scalar(value, kind):
    made = object.__new__(SCALARS[kind])
    made.value = value
    return made


def made(values, shape, kind):
    """An array, or the number where the shape is ()."""
    return ndarray(values, shape, kind) if tuple(shape) else scalar(values[0], kind)


def as_kind(array, kind):
    if array._kind == kind:
        return array
    return ndarray([CASTS[kind](v) for v in array.values()], array.shape, kind)


def asarray(a, dtype=None):
    """a as an array: a number, or (nested) lists, tuples, ranges and arrays of one shape."""
    array = a if isinstance(a, ndarray) else _gathered(a, 0)
    return array if dtype is None else as_kind(array, kind_of(dtype))


def _gathered(value, depth):
    if isinstance(value, ndarray):
        return value
    if isinstance(value, generic):
        return ndarray([value.value], (), value._kind)
    if isinstance(value, bool):
        return ndarray([value], (), "b")
    if isinstance(value, int) and -LARGEST <= value < 2 * LARGEST:
        return ndarray([value], (), "i")
    if isinstance(value, float):
        return ndarray([value], (), "f")
    if isinstance(value, (list, tuple, range)) and depth < 32:
        rows = [_gathered(v, depth + 1) for v in value]
        kind = common(rows) if rows else "f"
        shape = rows[0].shape if rows else ()
        for row in rows:
            if row.shape != shape:
                raise ValueError("setting an array element with a sequence. The requested array has an "
                                 "inhomogeneous shape after " + str(depth + 1) + " dimensions.")
        return ndarray([CASTS[kind](v) for row in rows for v in row.values()], (len(rows),) + shape, kind)
    raise NotNumbersError("an array of `" + (type(value).__name__ or "object") + "`")


def common(arrays):
    """The kind that holds the numbers of all."""
    return max([a._kind for a in arrays], key=KINDS.index)


def broadcast_to(array, shape):
    """array repeated over shape, as a new array."""
    array, shape = asarray(array), (shape,) if isinstance(shape, int) else shape
    values = array.values()
    return ndarray([values[i] for i in stretched(array.shape, tuple(shape))], shape, array._kind)


def locate(shape, key):
    """Which places (numbered row by row) `key` means in an array of that shape; the new shape; whether a view."""
    parts = expanded(shape, key)
    steps, axis, dims, fancy = strides(shape), 0, [], []
    for part in parts:
        if part is None:
            dims.append([0])
            continue
        n, step = shape[axis], steps[axis]
        if isinstance(part, slice):
            dims.append([i * step for i in sliced(part, n)])
        else:
            fancy.append((len(dims), part, n, step, axis))
            dims.append(None)
        axis += 1
    arrays = [part for _, part, _, _, _ in fancy if isinstance(part, ndarray)]
    if not fancy:
        return combined([0], dims), tuple([len(d) for d in dims]), True
    try:
        whole = broadcast([a.shape for a in arrays]) if arrays else ()
    except ValueError:
        raise IndexError("shape mismatch: indexing arrays could not be broadcast together with shapes "
                         + " ".join([shape_text(a.shape) for a in arrays]) + " ") from None
    chosen = [0] * size_of(whole)
    for _, part, n, step, axis in fancy:
        index = asarray(part)
        numbers = index.values()
        chosen = [c + checked(numbers[j], n, axis) * step for c, j in zip(chosen, stretched(index.shape, whole))]
    first = fancy[0][0]
    together = fancy[-1][0] - first == len(fancy) - 1
    start = first if together or not arrays else 0
    before = [d for d in dims[:start] if d is not None]
    after = [d for d in dims[start:] if d is not None]
    new = tuple([len(d) for d in before]) + whole + tuple([len(d) for d in after])
    return combined([c + p for p in combined([0], before) for c in chosen], after), new, not arrays


def expanded(shape, key):
    """The key as a list with one entry for each axis (and None for a new one): ints, slices, arrays of ints."""
    key = key if isinstance(key, tuple) else (key,)
    parts, used = [], 0
    for part in key:
        if isinstance(part, (list, range)):
            part = asarray(part) if len(part) else ndarray([], (0,), "i")
        if isinstance(part, ndarray) and part._kind == "b":
            check_mask(part, shape[used:], used)
            parts.extend(nonzero(part))
            used += part.ndim
            continue
        if part is not None and part is not Ellipsis:
            used += 1
            part = int(part) if isinstance(part, int64) else part
            number = isinstance(part, int) and not isinstance(part, bool)
            if not (number or isinstance(part, slice) or isinstance(part, ndarray) and part._kind == "i"):
                raise IndexError(WRONG_INDEX)
        parts.append(part)
    if used > len(shape):
        raise IndexError("too many indices for array: array is " + str(len(shape)) + "-dimensional, but "
                         + str(used) + " were indexed")
    rest = [slice_all] * (len(shape) - used)
    for i, part in enumerate(parts):
        if part is Ellipsis:
            return parts[:i] + rest + parts[i + 1:]
    return parts + rest


def check_mask(mask, shape, axis):
    if mask.ndim > len(shape):
        raise IndexError("too many indices for array: array is " + str(len(shape) + axis)
                         + "-dimensional, but " + str(mask.ndim + axis) + " were indexed")
    for k in range(mask.ndim):
        if mask.shape[k] != shape[k]:
            raise IndexError("boolean index did not match indexed array along axis " + str(axis + k) + "; size of "
                             "axis is " + str(shape[k]) + " but size of corresponding boolean axis is "
                             + str(mask.shape[k]))


def nonzero(a):
    """The indices of what is not 0: one array for each axis."""
    a = asarray(a)
    if not a.ndim:
        raise ValueError("Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero() "
                         "instead.")
    found = [i for i, v in enumerate(a.values()) if v]
    return tuple([ndarray([i // step % n for i in found], (len(found),), "i")
                  for n, step in zip(a.shape, strides(a.shape))])


small_scalars.tools.update({"asarray": asarray, "ndarray": ndarray, "dtypes": DTYPES, "casts": CASTS})
