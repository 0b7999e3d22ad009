"""Python's operator: the functions of small_language.py under their names there."""

from small_language import HELPERS, OPERATE

add, sub, mul, truediv, floordiv, mod, pow = [HELPERS["_" + name + "_"] for name in (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow")]
matmul, and_, or_, xor, lshift, rshift = [OPERATE[op] for op in ("@", "&", "|", "^", "<<", ">>")]
lt, le, gt, ge, eq, ne = [OPERATE[op] for op in ("<", "<=", ">", ">=", "==", "!=")]


def neg(a):
    return -a


def pos(a):
    return +a


def invert(a):
    return ~a


inv = invert


def abs(a):
    return a.__abs__() if hasattr(a, "__abs__") else max(a, -a)


def not_(a):
    return not a


def truth(a):
    return bool(a)


def is_(a, b):
    return a is b


def is_not(a, b):
    return a is not b


def contains(a, b):
    return b in a


def getitem(a, b):
    return a[b]


def setitem(a, b, c):
    a[b] = c


def concat(a, b):
    return a + b


def itemgetter(*items):
    if len(items) == 1:
        return lambda owner: owner[items[0]]
    return lambda owner: tuple([owner[i] for i in items])


def attrgetter(*names):
    if len(names) == 1:
        return lambda owner: getattr(owner, names[0])
    return lambda owner: tuple([getattr(owner, n) for n in names])


def methodcaller(name, *args, **kwargs):
    return lambda owner: getattr(owner, name)(*args, **kwargs)
