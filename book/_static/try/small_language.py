"""Python's own operators and functions where MicroPython's differ: translate.js writes calls of these.

Stable sorts, dictionaries in order, in-place operators that an array hears, rounding and texts as CPython has them.
"""

from collections import OrderedDict

import small_collections
from small_array import ndarray
from small_operations import calc, in_place
from small_scalars import bool_, float64, generic, int64
from small_shape import sliced, slices
from small_text import form, formatted, join, nearest, plain, shortened, shown, text

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
MIRRORED, PLAIN = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}, (int, float, bool, str, list, tuple, type(None))
FLAGS, MISSING = ("&", "|", "^"), object()
SETS, VIEW = FLAGS + ("-", "<", "<=", ">", ">="), type({}.keys())
IN_PLACE = {"|": "update", "&": "intersection_update", "-": "difference_update", "^": "symmetric_difference_update"}


def binary(op):
    native, flags = NATIVE[op], op in FLAGS
    special = {"%": filled, "**": raised, "==": equal, "!=": unequal}.get(op)
    special = (lambda a, b: rows_compared(op, a, b)) if op in ("<", "<=", ">", ">=") else special

    def operate(a, b):
        if type(a) in ARRAYS or type(b) in ARRAYS:
            if op == "*" and (isinstance(a, (list, tuple, str)) or isinstance(b, (list, tuple, str))):
                result = repeated(a, b)
            elif op in CALC and not (op == "%" and isinstance(a, str)):
                result = calc(op, a, b)
            else:
                result = NotImplemented
            if result is not NotImplemented:
                return result
        if op in SETS and (type(a) is VIEW or type(b) is VIEW):
            return native(set(a) if type(a) is VIEW else a, set(b) if type(b) is VIEW else b)
        if special:
            result = special(a, b)
            if result is not MISSING:
                return result
        if op in MIRRORED and type(a) not in PLAIN and not hasattr(a, "__" + WORDS[op] + "__"):
            if hasattr(b, "__" + WORDS[MIRRORED[op]] + "__"):
                return NATIVE[MIRRORED[op]](b, a)
        if flags and isinstance(a, bool) and isinstance(b, bool):
            return bool(native(a, b))
        return native(a, b)
    return operate


CALC = ("+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<", "<=", ">", ">=", "==", "!=")


def repeated(a, b):
    """A sequence times something of numpy's."""
    rows, by = (a, b) if isinstance(a, (list, tuple, str)) else (b, a)
    if type(by) is ndarray:
        return calc("*", a, b)
    if type(by) is not int64:
        raise TypeError("can't multiply sequence by non-int of type 'numpy." + type(by).__name__ + "'")
    return rows * by.value


def raised(a, b):
    """a ** b of Python's numbers: a float beyond its range is an error."""
    result = a ** b
    if type(result) is float and abs(result) == inf and abs(a) != inf and abs(b) != inf:
        raise OverflowError("(34, 'Numerical result out of range')")
    return result


def equal(a, b):
    """Two dictionaries are equal in any order, inside of lists too."""
    if type(a) in (list, tuple) and type(a) is type(b) and len(a) == len(b):
        if not any([isinstance(x, (dict, list, tuple)) for x in a]):
            return MISSING
        return all([x is y or bool(OPERATE["=="](x, y)) for x, y in zip(a, b)])
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return MISSING
    return len(a) == len(b) and all([key in b and bool(OPERATE["=="](a[key], b[key])) for key in a])


def rows_compared(op, a, b):
    """Two lists or tuples: their first entries that differ decide. MicroPython asks for its own True there, and
    what comes out of an array gives a `bool_`."""
    if type(a) is not type(b) or type(a) not in (list, tuple):
        return MISSING
    for x, y in zip(a, b):
        if x is not y and not OPERATE["=="](x, y):
            return OPERATE[op](x, y)
    return NATIVE[op](len(a), len(b))


def unequal(a, b):
    result = equal(a, b)
    return result if result is MISSING else not result


def filled(a, b):
    """text % values"""
    if not isinstance(a, str):
        return MISSING
    values = [plain(v) for v in b] if isinstance(b, tuple) else [plain(b)]
    for i, part in enumerate(a.replace("%%", "").split("%")[1:len(values) + 1]):
        size = 0
        while part[size:size + 1] in ("#", "0", "-", "+", " ", ".") or part[size:size + 1].isdigit():
            size += 1
        if part[size:size + 1] in ("s", "r"):
            values[i] = text(values[i]) if part[size] == "s" else shown(values[i])
        elif part[size:size + 1] == "f":
            values[i] = shortened(values[i], part[:size])
    a = a.replace("%r", "%s")
    if isinstance(b, (dict, list, ndarray, generic)) and "%" not in a.replace("%%", ""):
        return a.replace("%%", "%")  # what has an index may stay unused
    if isinstance(b, dict):
        return a % {key: plain(value) for key, value in b.items()}  # a plain one is wanted
    return a % tuple(values)


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
            found.update(listed(parts[k + 1]))
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
    if name == "center" and isinstance(owner, str):
        return lambda width, fillchar=" ": centered(owner, width, fillchar)
    if name == "fromkeys" and (owner is OrderedDict or isinstance(owner, dict)):
        return lambda iterable, value=None: OrderedDict([(key, value) for key in iterable])
    if name == "update" and isinstance(owner, dict):
        return lambda *pairs: owner.update(*[listed(p) for p in pairs])
    return getattr(owner, name)


def centered(text, width, fill):
    more = max(width - len(text), 0)
    left = more // 2 + (more & width & 1)
    return fill * left + text + fill * (more - left)


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


def is_subclass(kind, kinds):
    return kind is bool and int in (kinds if isinstance(kinds, tuple) else (kinds,)) or issubclass(kind, kinds)


def backwards(values):
    return iter(list(values)[::-1]) if isinstance(values, (dict, VIEW)) else reversed(values)


def slice_of(*ends):
    """slice(...), which MicroPython makes in brackets only."""
    start, stop, step = (None, ends[0], None) if len(ends) == 1 else (ends + (None,))[:3]
    return slices[start:stop] if step is None else slices[start:stop:step]


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


small_collections.ordered = ordered
OPERATE = {op: binary(op) if op in WORDS else NATIVE[op] for op in NATIVE}
HELPERS = {"_" + WORDS[op] + "_": OPERATE[op] for op in WORDS}
HELPERS.update({"_chain_": chain, "_update_": update, "_update_at_": update_at, "_update_name_": update_name,
                "_get_": get, "_stars_": stars, "_dict_of_": dict_of, "_pairs_": OrderedDict, "_method_": method,
                "_join_": join, "_format_": form, "_str_": text, "_float_": number(float), "_int_": number(int),
                "_slice_": slice_of, "_range_": lambda *ends: range(*[whole(x) for x in ends]),
                "_dict_": lambda *pairs: OrderedDict(*[listed(p) for p in pairs])})
BUILTINS = {"sum": total, "max": extreme("max", ">"), "min": extreme("min", "<"), "sorted": ordered,
            "round": nearest, "divmod": divided, "pow": power, "isinstance": is_instance, "issubclass": is_subclass,
            "zip": strict_zip, "reversed": backwards, "repr": shown, "dict": OrderedDict,
            "format": lambda value, spec="": form(value, "", spec)}
