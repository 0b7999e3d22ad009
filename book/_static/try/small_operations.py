"""What arrays of the page's small numpy can do: arithmetic and comparisons.

Every operator of arrays and of what comes out of them is set here; each works on plain numbers and is repeated over
the places of the broadcast shape. Like numpy, and unlike Python, dividing by zero gives inf or nan.
"""

import math

from small_array import CASTS, DTYPES, as_kind, asarray, common, generic, made, ndarray
from small_lacks import lack
from small_scalars import int64
from small_shape import broadcast, stretched

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
        return -inf if math.copysign(1.0, x) < 0 and y % 2 == 1 else inf
    if x < 0 and y == y and abs(y) < inf and y % 1:  # ** would give a complex number
        return nan if x > -inf else inf if y > 0 else 0.0
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
        if any([is_complex(x) for x in (first, second)]):
            lack("complex numbers are not in the page's numpy")
        if op in ("==", "!="):
            of = asarray(first if isinstance(first, (ndarray, generic)) else second)
            return made([op == "!="] * of.size, of.shape, "b")
        return NotImplemented
    _, function, takes, gives = OPERATORS[op]
    kind = common([a, b])
    if kind not in takes:
        raise TypeError(REFUSED.get(op, "ufunc '" + op + "' not supported for the input types: floats have no "
                                        "bits"))
    if op == "**" and kind == "i" and not all([y >= 0 for y in b.values()]):
        raise ValueError("Integers to negative integer powers are not allowed.")
    gives = gives or ("i" if kind == "b" and op in ("//", "%", "**") else kind)
    x, y, cast = as_kind(a, kind).values(), as_kind(b, kind).values(), CASTS[gives]
    if a.shape == b.shape:
        return made([cast(function(v, w)) for v, w in zip(x, y)], a.shape, gives)
    shape = broadcast([a.shape, b.shape])
    pairs = zip(stretched(a.shape, shape), stretched(b.shape, shape))
    return made([cast(function(x[i], y[j])) for i, j in pairs], shape, gives)


def is_complex(x):
    return isinstance(x, complex) or isinstance(x, (list, tuple)) and any([isinstance(v, complex) for v in x])


def check_kind(name, result, array):
    """An array takes no numbers of a kind beyond its own."""
    if "bif".index(result._kind) > "bif".index(array._kind):
        names = DTYPES[result._kind].name, DTYPES[array._kind].name
        raise TypeError("Cannot cast ufunc '" + name + "' output from dtype('" + names[0] + "') to dtype('"
                        + names[1] + "') with casting rule 'same_kind'")


def in_place(op, array, other):
    """array op= other: the same array, its kind kept."""
    result = asarray(calc(op, array, other))
    check_kind(op, result, array)
    if result.shape != array.shape:
        raise ValueError("non-broadcastable output operand with shape " + str(array.shape)
                         + " doesn't match the broadcast shape " + str(result.shape))
    array[...] = result
    return array


def _set_operators(op):
    name = OPERATORS[op][0]
    for kind in (ndarray, generic):
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
        raise TypeError("The numpy boolean negative, the `-` operator, is not supported, use the `~` operator or "
                        "the logical_not function instead.")
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
    kind = asarray(x)._kind
    if kind == "b":
        lack("half precision, to which numpy rounds flags, is not in the page's numpy")
    return asarray(x)[...] if kind != "f" and decimals >= 0 else each(lambda v: CASTS[kind](near(v)), x)


def matmul(a, b):
    a, b = asarray(a), asarray(b)
    if not a.ndim or not b.ndim:
        raise ValueError("matmul: Input operand " + ("1" if a.ndim else "0") + " does not have enough dimensions")
    if a.ndim > 2 or b.ndim > 2:
        return matmul_stack(a, b)
    rows, columns = (a.reshape(1, -1) if a.ndim == 1 else a), (b.reshape(-1, 1) if b.ndim == 1 else b)
    if rows.shape[-1] != columns.shape[0]:
        raise ValueError("matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature "
                         "(n?,k),(k,m?)->(n?,m?) (size " + str(columns.shape[0]) + " is different from "
                         + str(rows.shape[-1]) + ")")
    kind, columns = common([a, b]), columns.T.tolist()
    pairs = [CASTS[kind](sum([x * y for x, y in zip(r, c)])) for r in rows.tolist() for c in columns]
    return made(pairs, a.shape[:-1] + b.shape[1:], kind)


def matmul_stack(a, b):
    """Matrices along the leading axes, which broadcast."""
    if a.ndim == 1:
        return matmul_stack(a.reshape(1, -1), b)[..., 0, :]
    if b.ndim == 1:
        return matmul_stack(a, b.reshape(-1, 1))[..., 0]
    lead = broadcast([a.shape[:-2], b.shape[:-2]])
    left = ndarray_from(a, stretched_blocks(a, lead))
    right = ndarray_from(b, stretched_blocks(b, lead))
    blocks = [matmul(x, y) for x, y in zip(left, right)]
    values = [v for block in blocks for v in block.values()]
    return ndarray(values, lead + (a.shape[-2], b.shape[-1]), common([a, b]))


def stretched_blocks(array, lead):
    return stretched(array.shape[:-2], lead)


def ndarray_from(array, places):
    size, values = array.shape[-2] * array.shape[-1], array.values()
    return [ndarray(values[p * size:(p + 1) * size], array.shape[-2:], array._kind) for p in places]


for _kind in (ndarray, generic):
    _kind.__neg__, _kind.__invert__, _kind.__abs__ = negative, invert, absolute
    _kind.__matmul__, _kind.__rmatmul__ = matmul, lambda self, other: matmul(other, self)
ndarray.__pos__, generic.__pos__ = lambda self: self.copy(), lambda self: self


def broadcast_values(array, shape):
    """Its numbers over a shape."""
    values = array.values()
    return [values[p] for p in stretched(array.shape, shape)]


def axes_of(array, axis):
    """The axes meant, as numbers from 0. axis: None for all, an int, or a tuple of ints."""
    if axis is None:
        return list(range(array.ndim))
    found = []
    for a in (axis if isinstance(axis, tuple) else (axis,)):
        a = a.value if isinstance(a, int64) else a
        if isinstance(a, bool):
            lack("a flag as `axis=` is not in the page's numpy")
        if not isinstance(a, int):
            raise TypeError("'" + type(a).__name__ + "' object cannot be interpreted as an integer")
        if not -array.ndim <= a < array.ndim:
            raise ValueError("axis " + str(a) + " is out of bounds for array of dimension " + str(array.ndim))
        found.append(a % array.ndim)
    return found


def axis_of(array, axis):
    """The one axis meant."""
    if isinstance(axis, tuple) or axis is None:
        raise TypeError("'" + type(axis).__name__ + "' object cannot be interpreted as an integer")
    return axes_of(array, axis)[0]


def root(x):
    return math.sqrt(x) if 0 <= x < inf else inf if x == inf else nan
