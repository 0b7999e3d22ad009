"""The functions that numpy repeats over arrays, with their methods: a part of the page's small numpy."""

import small_operations as _ops
import small_sums as _sums
from small_array import as_kind, asarray, broadcast_to, ndarray, nonzero
from small_making import arange, stack
from small_shape import broadcast, size_of, slice_all, stretched


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


_chosen = where


class ufunc:
    """A function of every number, or of every pair of numbers, with numpy's methods of such functions."""

    identity, name, sums = None, "", False  # what a reduction of nothing gives; whether flags count as numbers

    def __init__(self, function, nin=2):
        self.function, self.nin = function, nin

    def __call__(self, *args, out=None, where=True):
        result = self.function(*args)
        if out is None:
            return result
        out = out[0] if isinstance(out, tuple) else out
        _ops.check_kind(self.name, asarray(result), out)
        out[...] = result if where is True else _chosen(where, result, out)
        return out

    def reduce(self, array, axis=0, keepdims=False, initial=None, where=True):
        array = self.counted(array)
        axes = _ops.axes_of(array, axis)
        start = self.identity if initial is None else initial
        if start is not None and (initial is not None or self.sums):
            start = _ops.as_kind(asarray(start), array._kind)[()]
        if where is not True:
            if start is None:
                raise ValueError("reduction operation '" + self.name + "' does not have an identity, so to use a "
                                 "where mask one has to specify 'initial'")
            array = _sums.chosen(array, where, start if self.identity is None else self.identity)
        kept = [k for k in range(array.ndim) if k not in axes]
        shape, gone = [array.shape[k] for k in kept], size_of([array.shape[k] for k in axes])
        lines, result = array.transpose(kept + axes).reshape(shape + [gone]), start
        for i in range(gone):
            result = lines[..., i] if result is None else self.function(result, lines[..., i])
        if result is None:
            raise ValueError("zero-size array to reduction operation " + self.name + " which has no identity")
        result = asarray(result) if gone else broadcast_to(result, shape)
        shape = [1 if k in axes else n for k, n in enumerate(array.shape)] if keepdims else shape
        return result.reshape(shape) if shape else result.reshape(())[()]

    def counted(self, array):
        """Flags as numbers where they are added or multiplied; numbers as flags for logic."""
        if isinstance(self.identity, bool):
            return as_kind(asarray(array), "b")
        return _sums.counted(array) if self.sums else asarray(array)

    def accumulate(self, array, axis=0):
        found, axes = [], _ops.axes_of(asarray(array), axis)
        if len(axes) != 1:
            raise ValueError("accumulate does not allow multiple axes")
        axis = axes[0]
        for part in _parts(self.counted(array), axis):
            found.append(self.function(found[-1], part) if found else part)
        return stack(found, axis) if found else asarray(array)

    def outer(self, A, B):
        A, B = asarray(A), asarray(B)
        return self.function(A.reshape(A.shape + (1,) * B.ndim), B)

    def at(self, a, indices, b=None):
        """In place, at every index as often as it is there. indices: what a[...] takes, a tuple of arrays too."""
        places = asarray(arange(a.size).reshape(a.shape)[indices])
        if (b is None) != (self.nin == 1):
            raise ValueError("second operand needed for ufunc" if b is None else
                             "second operand provided when ufunc is unary")
        try:
            by = [] if b is None else [_ops.broadcast_values(asarray(b), places.shape)]
        except ValueError:
            raise ValueError("array is not broadcastable to correct shape") from None
        flat = a.reshape(-1)
        for k, i in enumerate(places.values()):
            flat[i] = self.function(flat[i], *[values[k] for values in by])


def _parts(a, axis):
    axis = _ops.axis_of(a, axis)
    return [a[(slice_all,) * axis + (i,)] for i in range(a.shape[axis])]
