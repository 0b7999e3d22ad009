"""Shapes, strides, broadcasting and slices: the arithmetic under the page's small numpy."""


def shape_text(shape):
    """A shape as numpy's messages write it: no blanks."""
    return str(shape).replace(" ", "")


def strides(shape):
    """How far apart two neighbours along each axis lie, row by row."""
    return [size_of(shape[k + 1:]) for k in range(len(shape))]


def size_of(shape):
    size = 1
    for n in shape:
        size *= n
    return size


def broadcast(shapes):
    """The shape that all of these fit."""
    whole = []
    for k in range(1, max([len(s) for s in shapes]) + 1):
        sizes = set([s[-k] for s in shapes if len(s) >= k]) - set([1])
        if len(sizes) > 1:
            raise ValueError("operands could not be broadcast together with shapes "
                             + " ".join([shape_text(s) for s in shapes]) + " ")
        whole.insert(0, sizes.pop() if sizes else 1)
    return tuple(whole)


def stretched(own, shape):
    """For each place of shape, the place in an array of the shape `own` (row by row) that it repeats."""
    while len(own) > len(shape) and own[0] == 1:
        own = own[1:]
    if own != shape and broadcast([own, shape]) != shape:
        raise ValueError
    own = (1,) * (len(shape) - len(own)) + own
    places = [0]
    for n, size, step in zip(shape, own, strides(own)):
        places = [p + (i * step if size > 1 else 0) for p in places for i in range(n)]
    return places


def combined(places, dims):
    """All sums of a place and one number from each of dims: strides times indices."""
    for d in dims:
        places = [p + q for p in places for q in d]
    return places


class _Slices:
    def __getitem__(self, key):
        return key


slices = _Slices()  # MicroPython makes slices in brackets only
slice_all = slices[:]


def sliced(part, n):
    """The places that a slice means on an axis of n."""
    step = 1 if part.step is None else part.step
    if step == 0:
        raise ValueError("slice step cannot be zero")
    low, high = (0, n) if step > 0 else (-1, n - 1)

    def end(value, default):
        if value is None:
            return default
        return min(max(value + n if value < 0 else value, low), high)
    return range(end(part.start, low if step > 0 else high), end(part.stop, high if step > 0 else low), step)


def checked(i, n, axis):
    """The place from 0 that index i means on an axis of n."""
    if not -n <= i < n:
        raise IndexError("index " + str(i) + " is out of bounds for axis " + str(axis) + " with size " + str(n))
    return i % n
