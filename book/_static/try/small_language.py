"""Python's own operators and functions where MicroPython's differ: translate.js writes calls of these.

Stable sorts, dictionaries in order, in-place operators that an array hears, rounding and texts as CPython has them.
"""

from collections import OrderedDict

import small_collections
from small_array import asarray, ndarray
from small_lacks import lack
from small_operations import calc, in_place, rounded
from small_print import exact, float_text
from small_scalars import bool_, float64, generic, int64
from small_shape import sliced

inf = float("inf")
ARRAYS = (ndarray, float64, int64, bool_)
NATIVE = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
          "//": lambda a, b: a // b, "%": lambda a, b: a % b, "**": lambda a, b: a ** b, "@": lambda a, b: a @ b,
          "&": lambda a, b: a & b, "|": lambda a, b: a | b, "^": lambda a, b: a ^ b, "<<": lambda a, b: a << b,
          ">>": lambda a, b: a >> b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b,
          ">=": lambda a, b: a >= b, "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
          "in": lambda a, b: a in b, "not in": lambda a, b: a not in b, "is": lambda a, b: a is b,
          "is not": lambda a, b: a is not b}
WORDS = {"+": "add", "-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod", "**": "pow",
         "@": "matmul", "&": "and", "|": "or", "^": "xor", "<<": "lshift", ">>": "rshift", "<": "lt", "<=": "le",
         ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}
FLAGS, MISSING = ("&", "|", "^"), object()
IN_PLACE = {"|": "update", "&": "intersection_update", "-": "difference_update", "^": "symmetric_difference_update"}


def binary(op):
    native, flags = NATIVE[op], op in FLAGS
    special = {"%": filled, "**": raised, "==": equal, "!=": unequal}.get(op)

    def operate(a, b):
        if type(a) in ARRAYS or type(b) in ARRAYS:
            if op != "@" and not (op == "%" and isinstance(a, str)) and not (
                    op == "*" and (type(a) in (list, tuple) or type(b) in (list, tuple))
                    and (type(a) is int64 or type(b) is int64)):
                result = calc(op, a, b) if op in CALC else NotImplemented
                if result is not NotImplemented:
                    return result
        if special:
            result = special(a, b)
            if result is not MISSING:
                return result
        if flags and isinstance(a, bool) and isinstance(b, bool):
            return bool(native(a, b))
        return native(a, b)
    return operate


CALC = ("+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<", "<=", ">", ">=", "==", "!=")


def raised(a, b):
    """a ** b of Python's numbers: a float beyond its range is an error."""
    result = a ** b
    if type(result) is float and abs(result) == inf and abs(a) != inf and abs(b) != inf:
        raise OverflowError("(34, 'Numerical result out of range')")
    return result


def equal(a, b):
    """Two dictionaries are equal in any order."""
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return MISSING
    return len(a) == len(b) and all([key in b and bool(OPERATE["=="](a[key], b[key])) for key in a])


def unequal(a, b):
    result = equal(a, b)
    return result if result is MISSING else not result


def filled(a, b):
    """text % values"""
    if not isinstance(a, str):
        return MISSING
    values = list(b) if isinstance(b, tuple) else [b]
    if "%s" in a or "%r" in a:
        parts = a.replace("%%", "\0").split("%")[1:]
        for i, part in enumerate(parts[:len(values)]):
            if part[:1] in ("s", "r"):
                values[i] = text(values[i]) if part[0] == "s" else shown(values[i])
        a = a.replace("%r", "%s")
    if isinstance(b, dict):
        return a % b
    return a % tuple([plain(v) for v in values])


def chain(left, op, right, *rest):
    """left op right op …: the later operands come as functions, evaluated when they are needed."""
    result = OPERATE[op](left, right)
    for k in range(0, len(rest), 2):
        if not result:
            break
        left, right = right, rest[k + 1]()
        result = OPERATE[rest[k]](left, right)
    return result


def update(value, op, by):
    """What `value op= by` leaves in the name."""
    if type(value) is ndarray:
        return in_place(op, value, by) if op in CALC else NATIVE[op](value, by)
    if op == "+" and isinstance(value, list):
        value.extend(by)
        return value
    if isinstance(value, set) and op in IN_PLACE or isinstance(value, dict) and op == "|":
        getattr(value, IN_PLACE[op])(by)
        return value
    own = getattr(value, "__i" + WORDS[op] + "__", None) if type(value) not in (int, float, str, tuple) else None
    return OPERATE[op](value, by) if own is None else own(by)


def update_at(owner, key, op, by):
    owner[key] = update(owner[key], op, by)


def update_name(owner, name, op, by):
    setattr(owner, name, update(getattr(owner, name), op, by))


def get(owner, key):
    """owner[a:b:step]: MicroPython takes a step of lists only."""
    if not isinstance(owner, (str, tuple)) or isinstance(key, tuple):
        return owner[key]
    parts = [owner[i] for i in sliced(key, len(owner))]
    return "".join(parts) if isinstance(owner, str) else tuple(parts)


def stars(kind, *parts):
    """[*a, b]: parts are 1, a, 0, b."""
    found = []
    for k in range(0, len(parts), 2):
        if parts[k]:
            found.extend(parts[k + 1])
        else:
            found.append(parts[k + 1])
    return found if kind == "list" else tuple(found) if kind == "tuple" else set(found)


def dict_of(*parts):
    """{key: value, **more}: parts are key, value, dict_of, more."""
    found = OrderedDict()
    for k in range(0, len(parts), 2):
        if parts[k] is dict_of:
            found.update(parts[k + 1])
        else:
            found[parts[k]] = parts[k + 1]
    return found


def listed(pairs):
    return pairs.kept if isinstance(pairs, small_collections.Kept) else pairs


def method(owner, name):
    """owner.name where the name is that of a method of lists or texts that differs."""
    if name == "sort" and isinstance(owner, list):
        return lambda **how: sort(owner, how)
    if name == "format" and isinstance(owner, str):
        return lambda *values, **named: formatted(owner, values, named)
    if name == "split" and isinstance(owner, str):
        return lambda sep=None, maxsplit=-1: owner.split(sep, maxsplit)
    return getattr(owner, name)


def sort(values, how):
    values[:] = ordered(values, **how)


def ordered(values, key=None, reverse=False):
    """sorted: stable."""
    values = list(values)
    keys = values if key is None else [key(v) for v in values]
    less = OPERATE["<"]
    if key is None and all([type(k) in (int, float) for k in keys]) and not reverse:
        less = NATIVE["<"]

    def merged(places):
        if len(places) < 2:
            return places
        half = len(places) // 2
        left, right, out, i, j = merged(places[:half]), merged(places[half:]), [], 0, 0
        while i < len(left) and j < len(right):
            late = less(keys[left[i]], keys[right[j]]) if reverse else less(keys[right[j]], keys[left[i]])
            if late:
                out.append(right[j])
                j += 1
            else:
                out.append(left[i])
                i += 1
        return out + left[i:] + right[j:]
    return [values[p] for p in merged(list(range(len(values))))]


def total(iterable, start=0):
    add = OPERATE["+"]
    if isinstance(start, str):
        raise TypeError("sum() can't sum strings [use ''.join(seq) instead]")
    for value in iterable:
        start = add(start, value)
    return start


def extreme(name, op):
    better = binary(op)

    def found(*values, key=None, default=MISSING):
        values = iter(values[0] if len(values) == 1 else values)
        best = next(values, MISSING)
        if best is MISSING:
            if default is MISSING:
                raise ValueError(name + "() arg is an empty sequence")
            return default
        most = best if key is None else key(best)
        for value in values:
            mine = value if key is None else key(value)
            if better(mine, most):
                best, most = value, mine
        return best
    return found


def nearest(number, ndigits=None):
    """round: a float by its exact value, halves to even."""
    if isinstance(number, ndarray):
        raise TypeError("type numpy.ndarray doesn't define __round__ method")
    if isinstance(number, generic):
        if ndigits is None:
            return nearest(number.value)
        return asarray(rounded(number, ndigits))[()]
    if type(number) is not float or ndigits is None or number != number or abs(number) == inf:
        if isinstance(number, int) and ndigits is not None and ndigits < 0:
            unit = 10 ** -ndigits
            half, low = number % unit * 2, number // unit
            return (low + (half > unit or half == unit and low % 2)) * unit
        return round(number) if ndigits is None else number
    if ndigits > 300:
        return number
    size = exact(number, ndigits)
    return float(("-" if number < 0 or str(number)[0] == "-" else "") + str(size) + "e" + str(-ndigits))


def divided(a, b):
    if isinstance(a, generic) or isinstance(b, generic) or isinstance(a, ndarray) or isinstance(b, ndarray):
        return OPERATE["//"](a, b), OPERATE["%"](a, b)
    return divmod(a, b)


def power(base, exp, mod=None):
    return OPERATE["**"](base, exp) if mod is None else pow(base, exp, mod)


def is_instance(value, kinds):
    for kind in kinds if isinstance(kinds, tuple) else (kinds,):
        if (isinstance(value, kind) or kind is int and isinstance(value, bool)
                or kind is float and isinstance(value, float64)
                or kind is OrderedDict and isinstance(value, (dict, small_collections.Kept))):
            return True
    return False


def number(kind):
    """float(x) and int(x), of an array with one entry as well."""
    def made(x=0, *base):
        if isinstance(x, generic):
            x = x.value
        elif isinstance(x, ndarray):
            if x.size != 1:
                raise TypeError("only length-1 arrays can be converted to Python scalars")
            x = x.values()[0]
        return kind(x, *base)
    return made


def whole(x):
    return x.value if type(x) is int64 else x


def strict_zip(*rows, strict=False):
    if strict:
        rows = [list(r) for r in rows]
        for k, row in enumerate(rows):
            if len(row) != len(rows[0]):
                raise ValueError("zip() argument " + str(k + 1) + " is " + (
                    "shorter" if len(row) < len(rows[0]) else "longer") + " than argument" + (
                    " 1" if k == 1 else "s 1-" + str(k)))
    return zip(*rows)


# Texts: what print, str, repr and format give.


def plain(value):
    return value.value if isinstance(value, generic) else value


def text(value=""):
    """str(value)"""
    if type(value) is float:
        return float_text(value)
    return shown(value) if isinstance(value, (list, dict, set, frozenset)) or type(value) is tuple else str(value)


def shown(value):
    """repr(value), with floats as CPython writes them, in lists as well."""
    if type(value) is float:
        return float_text(value)
    if type(value) is list:
        return "[" + ", ".join([shown(v) for v in value]) + "]"
    if type(value) is tuple:
        return "(" + ", ".join([shown(v) for v in value]) + (",)" if len(value) == 1 else ")")
    if type(value) is OrderedDict or type(value) is dict:
        return "{" + ", ".join([shown(k) + ": " + shown(v) for k, v in value.items()]) + "}"
    if type(value) is set and len(value):
        return "{" + ", ".join([shown(v) for v in value]) + "}"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return repr(value)
    return repr(value)


def join(*parts):
    return "".join(parts)


def form(value, how="", spec=""):
    """format(value, spec), after !r or !s."""
    if how:
        value = text(value) if how == "s" else shown(value)
    value = plain(value)
    if not spec:
        return text(value)
    if isinstance(value, float) and spec[-1] in "0123456789<>^ " and "." not in spec:
        told, sign = float_text(value), "+" if "+" in spec and value >= 0 else ""
        spec = spec.replace("+", "")
        return ("{:" + (spec if spec[:2].strip("0123456789") else ">" + spec) + "}").format(sign + told)
    if not isinstance(value, (int, float, str, bool, complex)):
        name = "numpy.ndarray" if isinstance(value, ndarray) else type(value).__name__
        raise TypeError("unsupported format string passed to " + name + ".__format__")
    return ("{:" + spec + "}").format(value)


def formatted(pattern, values, named):
    """pattern.format(*values, **named)"""
    out, at, count = [], 0, 0
    while at < len(pattern):
        c = pattern[at]
        if c in "{}" and pattern[at + 1:at + 2] == c:
            out.append(c)
            at += 2
        elif c == "{":
            end, depth = at + 1, 1
            while depth:
                if end >= len(pattern):
                    raise ValueError("expected '}' before end of string")
                depth += (pattern[end] == "{") - (pattern[end] == "}")
                end += 1
            field = pattern[at + 1:end - 1]
            name, _, spec = field.partition(":")
            name, _, how = name.partition("!")
            if "." in name or "[" in name or "{" in spec:
                lack("this kind of field of `str.format` is not in the page's Python")
            if not name:
                name, count = str(count), count + 1
            if name.isdigit() and int(name) >= len(values):
                raise IndexError("Replacement index " + name + " out of range for positional args tuple")
            out.append(form(values[int(name)] if name.isdigit() else named[name], how, spec))
            at = end
        elif c == "}":
            raise ValueError("Single '}' encountered in format string")
        else:
            out.append(c)
            at += 1
    return "".join(out)


small_collections.ordered = ordered
OPERATE = {op: binary(op) if op in WORDS else NATIVE[op] for op in NATIVE}
HELPERS = {"_" + WORDS[op] + "_": OPERATE[op] for op in WORDS}
HELPERS.update({"_chain_": chain, "_update_": update, "_update_at_": update_at, "_update_name_": update_name,
                "_get_": get, "_stars_": stars, "_dict_of_": dict_of, "_pairs_": OrderedDict, "_method_": method,
                "_join_": join, "_format_": form, "_str_": text, "_float_": number(float), "_int_": number(int),
                "_dict_": lambda *pairs: OrderedDict(*[listed(p) for p in pairs])})
BUILTINS = {"sum": total, "max": extreme("max", ">"), "min": extreme("min", "<"), "sorted": ordered,
            "round": nearest, "divmod": divided, "pow": power, "isinstance": is_instance, "zip": strict_zip,
            "repr": shown, "dict": OrderedDict, "range": lambda *ends: range(*[whole(x) for x in ends]),
            "format": lambda value, spec="": form(value, "", spec)}
