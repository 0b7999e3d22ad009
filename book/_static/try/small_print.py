"""Arrays and numbers as numpy prints them: no more digits than it takes, columns aligned."""

import math

options = {"precision": 8, "threshold": 1000, "width": 75, "suppress": False}  # see np.set_printoptions


def exact(x, places):
    """|x|·10^places as an int, rounded from x's exact value, halves to even."""
    mantissa, exponent = math.frexp(abs(x))
    top, bottom = int(mantissa * 2 ** 53), 1
    exponent -= 53
    if exponent >= 0:
        top *= 2 ** exponent
    else:
        bottom *= 2 ** -exponent
    if places >= 0:
        top *= 10 ** places
    else:
        bottom *= 10 ** -places
    whole, rest = top // bottom, top % bottom
    return whole + (2 * rest > bottom or 2 * rest == bottom and whole % 2 == 1)


def digits_of(x):
    """The fewest digits that say which float |x| is, without trailing zeros, and the exponent of the first."""
    x = abs(float(x))
    if not x:
        return "0", 0
    first = math.floor(math.log10(x))
    first += (x >= float("1e" + str(first + 1))) - (x < float("1e" + str(first)))
    for count in (15, 16, 17):  # MicroPython's repr may take one digit too many, or end in the wrong one
        near = exact(x, count - 1 - first)
        for digits in (str(near), str(near + 1)):  # below a power of two the floats lie closer
            if float(digits + "e" + str(first - count + 1)) == x:
                return digits.rstrip("0"), first + (len(digits) > count)
    return repr(x), first  # never: 17 digits always do


def float_text(x):
    """repr(x), as CPython writes it."""
    if not finite(x):
        return word(x)
    digits, first = digits_of(x)
    if -5 < first < 16:
        whole, fraction = positional(x, 400)
        return whole + "." + (fraction or "0")
    whole, fraction, power = scientific(x, 400)
    return whole + ("." + fraction if fraction else "") + "e" + power


def positional(x, precision):
    """x as (sign and whole part, fraction), at most `precision` digits behind the point."""
    digits, first = digits_of(x)
    if len(digits) - 1 - first > precision:
        digits = str(exact(x, precision))
        digits = "0" * (precision + 1 - len(digits)) + digits
        whole, fraction = digits[:len(digits) - precision], digits[len(digits) - precision:]
    elif first < 0:
        whole, fraction = "0", "0" * (-first - 1) + digits
    else:
        digits += "0" * (first + 1 - len(digits))
        whole, fraction = digits[:first + 1], digits[first + 1:]
    return sign(x) + whole, fraction.rstrip("0")


def scientific(x, precision):
    """x as (sign and first digit, further digits, exponent)."""
    digits, first = digits_of(x)
    if len(digits) > precision + 1:
        digits = str(exact(x, precision - first))
        if len(digits) > precision + 1:
            first += 1
        digits = digits[:precision + 1].rstrip("0")
    power = str(abs(first))
    return sign(x) + digits[0], digits[1:], ("-" if first < 0 else "+") + "0" * (2 - len(power)) + power


def sign(x):
    return "-" if math.copysign(1.0, x) < 0 else ""


def finite(x):
    return x == x and abs(x) != float("inf")


def padded(text, width):
    return " " * (width - len(text)) + text


def float_format(values, precision):
    """A function from a float to text, all of one width, chosen for these values."""
    sound = [v for v in values if finite(v)]
    sizes = [abs(v) for v in sound if v]
    small, large = (min(sizes), max(sizes)) if sizes else (1.0, 1.0)
    far = not options["suppress"] and (large >= 1e8 or small < 1e-4 or large / small > 1000)
    if far:
        parts = [scientific(v, precision) for v in sound]
    else:
        parts = [positional(v, precision) + ("",) for v in sound]
    left, right = (max([len(p[k]) for p in parts]) if parts else 0 for k in (0, 1))
    tail = max([len(p[2]) for p in parts]) + 1 if far else 0
    other = [len(word(v)) for v in values if not finite(v)]
    if other:
        left = max(left, max(other) - (right + tail + 1 if parts else 1))

    def text(v):
        if not finite(v):
            return padded(word(v), left + right + tail + 1)
        whole, fraction, power = scientific(v, right) if far else positional(v, precision) + ("",)
        filled = fraction + ("0" if far else " ") * (right - len(fraction))
        return padded(whole, left) + "." + filled + ("e" + power if far else "")
    return text


def word(x):
    return "nan" if x != x else "inf" if x > 0 else "-inf"


def number_format(values, shape, kind, precision):
    if kind == "f":
        return float_format(values, precision)
    if kind == "b":
        return lambda v: padded(str(bool(v)), 5 if shape else 0)
    width = max([len(str(v)) for v in values]) if values else 0
    return lambda v: padded(str(v), width)


def edges(n, cut):
    """The places of an axis that are shown; None stands for the dots."""
    return list(range(3)) + [None] + list(range(n - 3, n)) if cut and n > 6 else list(range(n))


def array2string(values, shape, kind, separator=" ", prefix=0):
    """values: all numbers, row by row. prefix: how far the first line is indented already."""
    if not values:
        return "[]"
    cut, width = len(values) > options["threshold"], options["width"]
    places = [0]
    for n in shape:
        places = [p * n + i for p in places for i in edges(n, cut) if i is not None]
    text = number_format([values[p] for p in places], shape, kind, options["precision"])

    def rows(start, axis, indent, room):
        if axis == len(shape):
            return text(values[start])
        n, last = shape[axis], axis == len(shape) - 1
        parts = [None if i is None else rows(start * n + i, axis + 1, indent + 1, room - 1)
                 for i in edges(n, cut)]
        parts = ["..." if p is None else p for p in parts]
        if last:
            return "[" + wrapped(parts, separator, indent + 1, room - 1) + "]"
        line = separator.rstrip() + "\n" * (len(shape) - axis - 1) + " " * (indent + 1)
        return "[" + line.join(parts) + "]"
    return rows(0, 0, prefix, width)


def wrapped(parts, separator, indent, room):
    """The numbers of one row, with a new line before the one that would stand too far out."""
    text, line = "", " " * indent
    for i, part in enumerate(parts):
        last = i == len(parts) - 1
        if len(line) + len(part) > (room - 1 if last else room - len(separator)) and line.strip():
            text += line.rstrip() + "\n"
            line = " " * indent
        line += part + ("" if last else separator)
    return (text + line)[indent:]
