"""Sums and other reductions along axes, of the page's small numpy: the functions that are methods of arrays too."""

from small_array import CASTS, as_kind, asarray, broadcast_to, kind_of, made, ndarray
from small_lacks import lack
from small_operations import axes_of, axis_of, divide, each, nan, root, rounded
from small_shape import broadcast, stretched, strides


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
    """function of each list of numbers along axis. A single number has the axes 0 and -1 too, as in numpy."""
    array = asarray(value)
    whole = array if array.ndim or axis is None or keepdims else array.reshape(1)
    lists, shape = groups(whole, axis)
    if keepdims:
        shape = [1 if k in axes_of(array, axis) else n for k, n in enumerate(array.shape)]
    kind = kind or array._kind
    return made([CASTS[kind](function(numbers)) for numbers in lists], shape, kind)


def along(function, value, axis=None, kind=""):
    """function, from a list to a list, along axis; None: of all numbers, row by row."""
    array = asarray(value)
    kind = kind or array._kind
    if axis is None or array.ndim < 2 and axis_of(array.reshape(-1), axis) == 0:
        numbers = [CASTS[kind](v) for v in function(array.values())]
        return ndarray(numbers, (len(numbers),), kind)
    axis = axis_of(array, axis)
    lists, shape = groups(array, axis)
    n, shape = array.shape[axis], tuple(shape)
    flat = ndarray([CASTS[kind](v) for numbers in lists for v in function(numbers)], shape + (n,), kind)
    if axis == len(shape):
        return flat
    return move_last(flat, axis) if flat.size else flat.reshape(shape[:axis] + (n,) + shape[axis:])


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


def started(function, initial, array):
    """A reduction that begins with `initial`, as a number of the array's kind."""
    if initial is None:
        return function
    first = as_kind(asarray(initial), array._kind).values()
    return lambda numbers: function(first + list(numbers))


def chosen(a, where, empty):
    """a with `empty` where a mask is False: what stands there is not read."""
    if where is True:
        return a
    a, flags = asarray(a), isinstance(where, ndarray) and where._kind != "b"
    where = asarray(where)
    if flags:
        raise TypeError("Cannot cast array data from dtype('" + where.dtype.name + "') to dtype('bool') according "
                        "to the rule 'safe'")
    if broadcast([a.shape, where.shape]) != a.shape:
        raise ValueError("input operand has more dimensions than allowed by the axis remapping")
    flags, empty = where.values(), as_kind(asarray(empty), a._kind).values()[0]
    pairs = zip(a.values(), stretched(where.shape, a.shape))
    return ndarray([v if flags[j] else empty for v, j in pairs], a.shape, a._kind)


def number_left(a, axis, keepdims, where):
    """How many numbers a mask leaves along axis."""
    return total(broadcast_to(as_kind(asarray(where), "i"), a.shape), axis, keepdims=keepdims)


def mean(a, axis=None, dtype=None, keepdims=False, where=True):
    if dtype is not None and kind_of(dtype) != "f":
        lack("`dtype=` of `np.mean`, but for floats, is not in the page's numpy")
    axes_of(asarray(a), axis)
    a = typed(a, dtype)
    if where is not True:
        return total(a, axis, keepdims=keepdims, where=where) / number_left(a, axis, keepdims, where)
    return reduced(mean_of, a, axis, keepdims, "f")


def var(a, axis=None, ddof=0, keepdims=False, where=True):
    a = counted(a)
    axes_of(a, axis)
    if where is not True:
        away = a - mean(a, axis, keepdims=True, where=where)
        count = each(lambda n: max(n - ddof, 0), number_left(a, axis, keepdims, where))
        return total(away * away, axis, keepdims=keepdims, where=where) / count
    return reduced(lambda n: variance_of(n, ddof), a, axis, keepdims, "f")


def std(a, axis=None, ddof=0, keepdims=False, where=True):
    return each(root, asarray(var(a, axis, ddof, keepdims, where)))


def total(a, axis=None, dtype=None, keepdims=False, initial=None, where=True):
    a = chosen(typed(a, dtype), where, 0)
    return reduced(started(sum, initial, a), a, axis, keepdims)


def prod(a, axis=None, dtype=None, keepdims=False, initial=None, where=True):
    a = chosen(typed(a, dtype), where, 1)
    return reduced(started(product_of, initial, a), a, axis, keepdims)


def extremum(place, name):
    def found(a, axis=None, keepdims=False, initial=None, where=True):
        a = asarray(a)
        if where is not True and initial is None:
            raise ValueError("reduction operation '" + name + "' does not have an identity, so to use a where mask "
                             "one has to specify 'initial'")
        a = chosen(a, where, initial)
        return reduced(started(extreme(place, name), initial, a), a, axis, keepdims)
    return found


def placed(place):
    def found(a, axis=None, keepdims=False):
        a = asarray(a)
        return reduced(place, a, None if axis is None else axis_of(a.reshape(a.shape or (1,)), axis), keepdims, "i")
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
    "argsort": lambda a, axis=-1: along(order_of, a, axis, "i"),
    "round": lambda a, decimals=0: rounded(a, decimals)}


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
