"""Sums and other reductions along axes, of the page's small numpy: the functions that are methods of arrays too."""

from small_array import CASTS, as_kind, asarray, common, kind_of, made, ndarray
from small_operations import axes_of, divide, each, nan, root, rounded
from small_shape import broadcast, size_of, stretched, strides


def groups(array, axis):
    """(lists of numbers that go together along axis, shape of what is left)."""
    gone, steps = axes_of(array, axis), strides(array.shape)
    kept = [k for k in range(array.ndim) if k not in gone]

    def places(axes):
        found = [0]
        for k in axes:
            found = [p + i * steps[k] for p in found for i in range(array.shape[k])]
        return found
    values, inner = array.values(), places([k for k in range(array.ndim) if k in gone])
    return [[values[p + q] for q in inner] for p in places(kept)], [array.shape[k] for k in kept]


def reduced(function, value, axis=None, keepdims=False, kind=""):
    """function of each list of numbers along axis."""
    array = asarray(value)
    lists, shape = groups(array, axis)
    if keepdims:
        shape = [1 if k in axes_of(array, axis) else n for k, n in enumerate(array.shape)]
    kind = kind or array._kind
    return made([CASTS[kind](function(numbers)) for numbers in lists], shape, kind)


def along(function, value, axis=None):
    """function, from a list to a list, along axis; None: of all numbers, row by row."""
    array = asarray(value)
    if axis is None or array.ndim == 1 and axes_of(array, axis):
        results = [function(array.values())]
        return stacked_lists(results, (), 0)
    lists, shape = groups(array, axis)
    return stacked_lists([function(numbers) for numbers in lists], tuple(shape), axes_of(array, axis)[0])


def stacked_lists(lists, shape, axis):
    """An array whose entries along axis are the lists; shape: that of the other axes."""
    n = len(lists[0]) if lists else 0
    flat = asarray([v for numbers in lists for v in numbers]).reshape(shape + (n,))
    if axis == len(shape):
        return flat
    whole = shape[:axis] + (n,) + shape[axis:]
    return move_last(flat, axis) if size_of(whole) else flat.reshape(whole)


def move_last(array, axis):
    """The last axis moved to stand at `axis`."""
    order = list(range(array.ndim - 1))
    order.insert(axis, array.ndim - 1)
    steps, places = strides(array.shape), [0]
    for k in order:
        places = [p + i * steps[k] for p in places for i in range(array.shape[k])]
    values = array.values()
    return ndarray([values[p] for p in places], [array.shape[k] for k in order], array._kind)


def mean_of(numbers):
    return divide(float(sum(numbers)), len(numbers))


def variance_of(numbers, ddof):
    mean = mean_of(numbers)
    return divide(sum([(x - mean) * (x - mean) for x in numbers]), max(len(numbers) - ddof, 0)) if numbers else nan


def best_place(better, name=""):
    def place(numbers):
        if not numbers:
            raise ValueError("attempt to get " + name + " of an empty sequence")
        best = 0
        for i, x in enumerate(numbers):
            if numbers[best] != numbers[best]:
                break
            if better(x, numbers[best]) or x != x:
                best = i
        return best
    return place


lowest, highest = best_place(lambda x, y: x < y, "argmin"), best_place(lambda x, y: x > y, "argmax")


def extreme(place, name):
    def found(numbers):
        if not numbers:
            raise ValueError("zero-size array to reduction operation " + name + " which has no identity")
        return numbers[place(numbers)]
    return found


def product_of(numbers):
    result = 1
    for x in numbers:
        result = result * x
    return result


def running(function):
    def sums(numbers):
        out = []
        for x in numbers:
            out.append(function(out[-1], x) if out else x)
        return out
    return sums


def key_of(x):
    return (x != x, x)  # nan last


def counted(array):
    """Flags as 0 and 1."""
    array = asarray(array)
    return as_kind(array, "i") if array._kind == "b" else array


def typed(value, dtype):
    return counted(value) if dtype is None else as_kind(asarray(value), kind_of(dtype))


def started(function, initial):
    """A reduction that begins with `initial`."""
    return function if initial is None else lambda numbers: function([initial] + list(numbers))


def chosen(a, where, empty):
    """a with `empty` where a mask is False."""
    if where is None or where is True:
        return a
    a, where = asarray(a), asarray(where)
    kind = common([a, asarray(empty)]) if a._kind != "b" else "b"
    shape, left = broadcast([a.shape, where.shape]), as_kind(a, kind).values()
    flags, cast = where.values(), CASTS[kind]
    pairs = zip(stretched(a.shape, shape), stretched(where.shape, shape))
    return ndarray([left[i] if flags[j] else cast(empty) for i, j in pairs], shape, kind)


def mean(a, axis=None, dtype=None, keepdims=False, where=True):
    a = typed(a, dtype)
    if where is not True:
        ones = asarray(where) | (a != a)
        count = chosen(a * 0 + 1, ones, 0).sum(axis=axis, keepdims=keepdims)
        return chosen(a, where, 0).sum(axis=axis, keepdims=keepdims) / count
    return reduced(mean_of, a, axis, keepdims, "f")


def var(a, axis=None, ddof=0, keepdims=False, where=True):
    if where is not True:
        away = asarray(a) - mean(a, axis, keepdims=True, where=where)
        count = chosen(away * 0 + 1, where, 0).sum(axis=axis, keepdims=keepdims) - ddof
        return chosen(away * away, where, 0).sum(axis=axis, keepdims=keepdims) / count
    return reduced(lambda n: variance_of(n, ddof), counted(a), axis, keepdims, "f")


def std(a, axis=None, ddof=0, keepdims=False, where=True):
    return each(root, asarray(var(a, axis, ddof, keepdims, where)))


def total(a, axis=None, dtype=None, keepdims=False, initial=None, where=True):
    return reduced(started(sum, initial), chosen(typed(a, dtype), where, 0), axis, keepdims,
                   "f" if isinstance(initial, float) else "")


def prod(a, axis=None, dtype=None, keepdims=False, initial=None, where=True):
    return reduced(started(product_of, initial), chosen(typed(a, dtype), where, 1), axis, keepdims)


def extremum(place, name):
    def found(a, axis=None, keepdims=False, initial=None, where=True):
        a = asarray(a)
        if where is not True and initial is None:
            raise ValueError("reduction operation '" + name + "' does not have an identity, so to use a where mask "
                             "one has to specify 'initial'")
        kind = common([a, asarray(initial)]) if initial is not None else ""
        return reduced(started(extreme(place, name), initial), chosen(a, where, initial), axis, keepdims, kind)
    return found


def placed(place):
    def found(a, axis=None, keepdims=False):
        if axis is None:
            return reduced(place, asarray(a), None, keepdims, "i")
        return reduced(place, a, axis, keepdims, "i")
    return found


def counts(function, empty):
    def found(a, axis=None, keepdims=False, where=True):
        return reduced(function, chosen(as_kind(asarray(a), "b"), where, empty), axis, keepdims, "b")
    return found


def accumulated(function):
    return lambda a, axis=None, dtype=None: along(running(function), typed(a, dtype), axis)


METHODS = {
    "sum": total, "prod": prod, "mean": mean, "var": var, "std": std,
    "max": extremum(highest, "maximum"), "min": extremum(lowest, "minimum"),
    "argmax": placed(highest), "argmin": placed(lowest), "any": counts(any, False), "all": counts(all, True),
    "cumsum": accumulated(lambda x, y: x + y), "cumprod": accumulated(lambda x, y: x * y),
    "argsort": lambda a, axis=-1: along(order_of, a, axis), "round": lambda a, decimals=0: rounded(a, decimals)}


def order_of(numbers):
    """The places of the numbers in ascending order, NaN last; stable."""
    return in_order(list(range(len(numbers))), lambda i: key_of(numbers[i]))


def in_order(values, key):
    """sorted(values, key=key), stable, which MicroPython's is not."""
    if len(values) < 2:
        return values
    half = len(values) // 2
    left, right, out, i, j = in_order(values[:half], key), in_order(values[half:], key), [], 0, 0
    while i < len(left) and j < len(right):
        later = key(right[j]) < key(left[i])
        out.append(right[j] if later else left[i])
        j, i = j + later, i + (not later)
    return out + left[i:] + right[j:]


for _name in METHODS:
    setattr(ndarray, _name, METHODS[_name])
