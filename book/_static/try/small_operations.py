"""What arrays of the page's small numpy can do: arithmetic, comparisons, and sums along an axis.

Every operator of `ndarray` and of `bool_` is set here; each works on plain numbers and is repeated over the places
of the broadcast shape. Like numpy, and unlike Python, dividing by zero gives inf or nan.
"""

import math

from small_array import CASTS, DTYPES, as_kind, asarray, bool_, common, kind_of, made, ndarray
from small_shape import broadcast, size_of, stretched, strides

inf, nan = float("inf"), float("nan")


def divide(x, y):
    if y:
        return x / y
    if x != x or not x:
        return nan
    return inf if (x > 0) == (math.copysign(1.0, y) > 0) else -inf


def floor_divide(x, y):
    if isinstance(x, float) or isinstance(y, float):
        return float(x // y) if y and abs(x) != inf else nan if y else divide(x, y)
    return x // y if y else 0


def remainder(x, y):
    if isinstance(x, float) or isinstance(y, float):
        return x % y if y and abs(x) != inf else nan
    return x % y if y else 0


def power(x, y):
    if isinstance(x, int) and isinstance(y, int):
        return x ** y
    if not x and y < 0:
        return inf
    if -inf < x < 0 and y == y and abs(y) < inf and y % 1:
        return nan
    try:
        return float(x) ** y
    except OverflowError:
        return -inf if x < 0 and y % 2 else inf


# {operator: (method, on numbers, kinds it takes, kind of the result or "" for that of the operands)}
OPERATORS = {
    "+": ("add", lambda x, y: x + y, "bif", ""), "-": ("sub", lambda x, y: x - y, "if", ""),
    "*": ("mul", lambda x, y: x * y, "bif", ""), "/": ("truediv", divide, "bif", "f"),
    "//": ("floordiv", floor_divide, "bif", ""), "%": ("mod", remainder, "bif", ""),
    "**": ("pow", power, "bif", ""),
    "&": ("and", lambda x, y: x & y, "bi", ""), "|": ("or", lambda x, y: x | y, "bi", ""),
    "^": ("xor", lambda x, y: x ^ y, "bi", ""),
    "<": ("lt", lambda x, y: x < y, "bif", "b"), "<=": ("le", lambda x, y: x <= y, "bif", "b"),
    ">": ("gt", lambda x, y: x > y, "bif", "b"), ">=": ("ge", lambda x, y: x >= y, "bif", "b"),
    "==": ("eq", lambda x, y: x == y, "bif", "b"), "!=": ("ne", lambda x, y: x != y, "bif", "b")}
REFUSED = {"-": "numpy boolean subtract, the `-` operator, is not supported, use the bitwise_xor, the `^` "
                "operator, or the logical_xor function instead."}


def calc(op, first, second):
    """first op second over their broadcast shape; NotImplemented where one is no number."""
    try:
        a, b = asarray(first), asarray(second)
    except TypeError:
        if op in ("==", "!="):
            return asarray(first if isinstance(first, ndarray) else second).astype(bool) & False | (op == "!=")
        return NotImplemented
    _, function, takes, gives = OPERATORS[op]
    kind = common([a, b])
    if kind not in takes:
        raise TypeError(REFUSED.get(op, "ufunc '" + op + "' not supported for the input types: floats have no "
                                        "bits"))
    if op == "**" and kind == "i" and not all([y >= 0 for y in b.values()]):
        raise ValueError("Integers to negative integer powers are not allowed.")
    gives = gives or ("i" if kind == "b" and op in ("//", "%", "**") else kind)
    shape = broadcast([a.shape, b.shape])
    x, y, cast = as_kind(a, kind).values(), as_kind(b, kind).values(), CASTS[gives]
    pairs = zip(stretched(a.shape, shape), stretched(b.shape, shape))
    return made([cast(function(x[i], y[j])) for i, j in pairs], shape, gives)


def in_place(op, array, other):
    """array op= other: the same array, its kind kept."""
    result = asarray(calc(op, array, other))
    if "bif".index(result._kind) > "bif".index(array._kind):
        names = DTYPES[result._kind].name, DTYPES[array._kind].name
        raise TypeError("Cannot cast ufunc '" + op + "' output from dtype('" + names[0] + "') to dtype('" + names[1]
                        + "') with casting rule 'same_kind'")
    if result.shape != array.shape:
        raise ValueError("non-broadcastable output operand with shape " + str(array.shape)
                         + " doesn't match the broadcast shape " + str(result.shape))
    array[...] = result
    return array


def _set_operators(op):
    name = OPERATORS[op][0]
    for kind in (ndarray, bool_):
        setattr(kind, "__" + name + "__", lambda self, other: calc(op, self, other))
        if OPERATORS[op][3] != "b":
            setattr(kind, "__r" + name + "__", lambda self, other: calc(op, other, self))
    if OPERATORS[op][3] != "b":
        setattr(ndarray, "__i" + name + "__", lambda self, other: in_place(op, self, other))


for _op in OPERATORS:
    _set_operators(_op)


def each(function, value, kind=""):
    """function of every number of value. kind: that of the result; default: that of value."""
    array = asarray(value)
    return made([function(v) for v in array.values()], array.shape, kind or array._kind)


def negative(x):
    array = asarray(x)
    if array._kind == "b":
        return -bool_()  # refuses
    return each(lambda v: -v, array)


def invert(x):
    array = asarray(x)
    if array._kind == "f":
        raise TypeError("ufunc 'invert' not supported for the input types: floats have no bits")
    return each((lambda v: not v) if array._kind == "b" else (lambda v: ~v), array)


def absolute(x):
    return each(abs, x)


def rounded(x, decimals=0):
    """To the nearest, halves to even; as numpy does it: scaled, rounded, scaled back."""
    scale = 10.0 ** abs(decimals)

    def near(v):
        if v != v or abs(v) == inf:
            return v
        up = v * scale if decimals >= 0 else v / scale
        up = float(round(up)) if abs(up) < 1e16 else up
        up = math.copysign(up, v)
        return up / scale if decimals >= 0 else up * scale
    return asarray(x) if asarray(x)._kind != "f" and decimals >= 0 else each(near, x)


def matmul(a, b):
    a, b = asarray(a), asarray(b)
    if not a.ndim or not b.ndim:
        raise ValueError("matmul: Input operand does not have enough dimensions (use * for numbers)")
    rows, columns = (a.reshape(1, -1) if a.ndim == 1 else a), (b.reshape(-1, 1) if b.ndim == 1 else b)
    if rows.shape[-1] != columns.shape[0] or a.ndim > 2 or b.ndim > 2:
        raise ValueError("matmul: Input operand 1 has a mismatch in its core dimension 0 (size "
                         + str(columns.shape[0]) + " is different from " + str(rows.shape[-1]) + ")")
    pairs = [[sum([x * y for x, y in zip(r, c)]) for c in columns.T.tolist()] for r in rows.tolist()]
    return asarray(pairs).reshape(a.shape[:-1] + b.shape[1:]) if a.ndim + b.ndim > 2 else pairs[0][0]


ndarray.__matmul__ = matmul
ndarray.__neg__ = negative
ndarray.__pos__ = lambda self: self.copy()
ndarray.__invert__ = invert
ndarray.__abs__ = absolute


def axes_of(array, axis):
    """The axes meant, as numbers from 0. axis: None for all, an int, or a tuple of ints."""
    if axis is None:
        return list(range(array.ndim))
    found = []
    for a in (axis if isinstance(axis, tuple) else (axis,)):
        if not -array.ndim <= a < array.ndim:
            raise ValueError("axis " + str(a) + " is out of bounds for array of dimension " + str(array.ndim))
        found.append(a % array.ndim)
    return found


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


def best_place(better):
    def place(numbers):
        if not numbers:
            raise ValueError("attempt to get an extremum of an empty sequence")
        best = 0
        for i, x in enumerate(numbers):
            if numbers[best] != numbers[best]:
                break
            if better(x, numbers[best]) or x != x:
                best = i
        return best
    return place


lowest, highest = best_place(lambda x, y: x < y), best_place(lambda x, y: x > y)


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


METHODS = {
    "sum": lambda a, axis=None, dtype=None, keepdims=False: reduced(sum, typed(a, dtype), axis, keepdims),
    "prod": lambda a, axis=None, keepdims=False: reduced(product_of, counted(a), axis, keepdims),
    "mean": lambda a, axis=None, keepdims=False: reduced(mean_of, a, axis, keepdims, "f"),
    "var": lambda a, axis=None, ddof=0, keepdims=False: reduced(lambda n: variance_of(n, ddof), counted(a), axis,
                                                                keepdims, "f"),
    "std": lambda a, axis=None, ddof=0, keepdims=False: reduced(lambda n: root(variance_of(n, ddof)), counted(a),
                                                                axis, keepdims, "f"),
    "max": lambda a, axis=None, keepdims=False: reduced(extreme(highest, "maximum"), a, axis, keepdims),
    "min": lambda a, axis=None, keepdims=False: reduced(extreme(lowest, "minimum"), a, axis, keepdims),
    "argmax": lambda a, axis=None: reduced(highest, a, axis, kind="i"),
    "argmin": lambda a, axis=None: reduced(lowest, a, axis, kind="i"),
    "any": lambda a, axis=None, keepdims=False: reduced(any, a, axis, keepdims, "b"),
    "all": lambda a, axis=None, keepdims=False: reduced(all, a, axis, keepdims, "b"),
    "cumsum": lambda a, axis=None: along(running(lambda x, y: x + y), counted(a), axis),
    "cumprod": lambda a, axis=None: along(running(lambda x, y: x * y), counted(a), axis),
    "argsort": lambda a, axis=-1: along(lambda n: sorted(range(len(n)), key=lambda i: key_of(n[i])), a, axis),
    "round": rounded}


def root(x):
    return math.sqrt(x) if 0 <= x < inf else inf if x == inf else nan


for _name in METHODS:
    setattr(ndarray, _name, METHODS[_name])
