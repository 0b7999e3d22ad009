"""Numbers and collections as texts: what print, str, repr, format and % give in CPython; and round."""

from collections import OrderedDict

from small_array import asarray, ndarray
from small_lacks import lack
from small_operations import rounded
from small_print import exact, float_text
from small_scalars import generic

inf = float("inf")


def nearest(number, ndigits=None):
    """round: a float by its exact value, halves to even."""
    if isinstance(number, ndarray):
        raise TypeError("type numpy.ndarray doesn't define __round__ method")
    if isinstance(number, (str, list, tuple, dict)) or number is None:
        raise TypeError("type " + type(number).__name__ + " doesn't define __round__ method")
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


def plain(value):
    return value.value if isinstance(value, generic) else value


def text(value=""):
    """str(value)"""
    if type(value) is float:
        return float_text(value)
    if type(value) is KeyError and len(value.args) == 1:
        return shown(value.args[0])
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
    if isinstance(value, BaseException) and len(value.args) == 1:
        return type(value).__name__ + "(" + shown(value.args[0]) + ")"
    return repr(value)


def shortened(value, spec, more=0):
    """A float to the digits that a format shows, halves to even, which MicroPython's format does not look at."""
    digits = spec.partition(".")[2]
    if type(value) is not float or abs(value) > 1e15 or value != value or digits and not digits.isdigit():
        return value
    return nearest(value, (int(digits) if digits else 6) + more)


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
    if spec[-1] == "%" and type(value) is float and spec.split(".")[0] in ("%", "", "+"):
        how = spec[:-1] if "." in spec else spec[:-1] + ".6"
        return ("{:" + how + "f}").format(shortened(value * 100, how)) + "%"  # 100 times the float, as CPython
    if "," in spec and isinstance(value, float):
        if spec[0] != ",":
            lack("`,` beside a width in a format is not in the page's Python")
        whole, _, rest = form(abs(value), "", spec[1:]).partition(".")
        parts = [whole[max(k - 3, 0):k] for k in range(len(whole), 0, -3)]
        return ("-" if value < 0 else "") + ",".join(parts[::-1]) + ("." + rest if rest else "")
    if spec[-1] in "f%":
        value = shortened(value, spec[:-1], 2 * (spec[-1] == "%"))
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
