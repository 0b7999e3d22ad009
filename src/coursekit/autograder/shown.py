"""Values of an answer: whether two agree, and how a verdict writes them.

Plain Python, and no numpy: the same file runs in the page's MicroPython. A value is a tuple (kind, shape, data):
"f", "g", "h", "i", "b" are numbers (double, single and half precision, ints, bools) with their shape and a flat
list; "t" and "l" a tuple and a list of values; "s" a text; "e" the type of an error; "x" something else, in words;
"?" a call that was not tried.
"""

NUMBERS, WIDTH = ("f", "g", "h", "i", "b"), 150
LEAST = {"g": 1e-4, "h": 5e-3}  # tolerance of what was computed in single and in half precision
UNTRIED = ("?", None, None)
ORDINALS = ("first", "second", "third", "fourth", "fifth")


def finite(x):
    return x - x == 0


def differing(got, want, tolerance):
    """For each number whether it differs, or None where the shapes do. A number may stand in an array of one entry.
    An entry of want that is None may be anything."""
    found = compared(got, want, tolerance)
    return None if found is None else list(found)


def compared(got, want, tolerance):
    """The same, one number after the other."""
    got = stacked(got)
    if got[0] not in NUMBERS or want[0] not in NUMBERS or not (
            got[1] == want[1] or len(got[2]) == len(want[2]) == 1):
        return None
    scale = max([abs(x) for x in want[2] if x is not None and finite(x)] or [0.0])
    near = max(tolerance, LEAST.get(got[0], 0.0)) * (scale if scale > 1e-9 else 1.0)
    return (not (b is None or (abs(a - b) <= near if finite(a) and finite(b) else a == b or a != a and b != b))
            for a, b in zip(got[2], want[2]))


def stacked(value):
    """A tuple or list of arrays of one shape as one array; anything else as it is."""
    kind, _, data = value
    if kind not in ("t", "l") or not data or any([d[0] not in NUMBERS or d[1] != data[0][1] for d in data]):
        return value
    return data[0][0], (len(data),) + data[0][1], [x for d in data for x in d[2]]


def agree(got, want, tolerance):
    """Whether got has the structure and the numbers of want."""
    kind, _, data = want
    if kind in ("s", "e"):
        return got[0] == kind and got[2].strip().lower() == data.lower()
    if kind in ("t", "l"):
        parts = entries(got)
        return parts is not None and len(parts) == len(data) and all(
            [agree(p, d, tolerance) for p, d in zip(parts, data)])
    wrong = compared(got, want, tolerance)
    return wrong is not None and not any(wrong)


def signature(value):
    """(structure, number, size): two values that agree have the same structure, and numbers that agree."""
    kind, shape, data = value
    if kind in ("s", "e", "x", "?"):
        return kind + str(data).strip().lower(), 0.0, 1.0
    if kind in ("t", "l") and stacked(value) is value:
        parts = [signature(v) for v in data]
        return "(" + " ".join([p[0] for p in parts]) + ")", sum([(i + 1) * p[1] for i, p in enumerate(parts)]), sum(
            [(i + 1) * p[2] for i, p in enumerate(parts)])
    kind, shape, data = stacked(value)
    words, total, largest, weight = "", 0.0, 0.0, 1
    for x in data:
        weight = weight * 75 % 65537  # a fixed sequence: no two numbers can be exchanged
        if finite(x):
            total += x * (0.5 + weight / 65537)
            largest = max(largest, abs(x))
        else:
            words += f"{x}{weight}"
    sizes = "" if len(data) == 1 else ",".join([str(n) for n in shape])
    return sizes + words, total, (largest if largest > 1e-9 else 1.0) * max(1, len(data))


def same_signature(one, other, tolerance):
    """other: as tryit.py writes it, a number, or [structure, number] where the structure is not the usual one."""
    return one[0] == other[0] and abs(one[1] - other[1]) <= 1.5 * tolerance * one[2]


def entries(value):
    """The entries of a tuple, a list or an array; None where there are none."""
    kind, shape, data = value
    if kind in ("t", "l"):
        return data
    if kind not in NUMBERS or not shape:
        return None
    size = len(data) // shape[0] if shape[0] else 0
    return [(kind, shape[1:], data[i * size:(i + 1) * size]) for i in range(shape[0])]


def number(x, kind="f", digits=4):
    """A number as Python writes it, with at most so many digits behind the point."""
    if x != x or not finite(x):
        return "np.nan" if x != x else "np.inf" if x > 0 else "-np.inf"
    if kind == "b":
        return "True" if x else "False"
    if kind == "i":
        return str(int(x))
    if abs(x) >= 1e7 or 0 < abs(x) < 10.0 ** (1 - digits):
        mantissa, power = f"{x:.{digits}e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{power[0]}{int(power[1:]):02d}"
    count = int(abs(x) * 10**digits + 0.500001)  # ties go the same way in every Python
    whole, rest = str(count // 10**digits), str(10**digits + count % 10**digits)[1:].rstrip("0")
    return ("-" if x < 0 and count else "") + whole + "." + (rest or "0")


def text(value, digits=4, marked=None):
    """value in one line. marked: for each number whether it differs from what was wanted."""
    kind, shape, data = value
    if kind in NUMBERS:
        numbers = [number(x, kind, digits) for x in data[:2 * WIDTH]]
        each = flat(marked)
        differ = each if len(each) == len(data) else [False] * len(data)
        return nested([("▸" if differ[i] else "") + numbers[i] for i in range(len(numbers))], shape)
    if kind in ("t", "l"):
        inside = ", ".join([text(v, digits, marked and marked[i]) for i, v in enumerate(data)])
        return "(" + inside + ("," if len(data) == 1 else "") + ")" if kind == "t" else "[" + inside + "]"
    return repr(data) if kind == "s" else str(data)


def flat(marked):
    """The marks of a structure in one list, with None where there are none."""
    return [m for part in marked for m in flat(part)] if isinstance(marked, list) else [marked]


def nested(written, shape):
    if not shape:
        return written[0]
    size = 1
    for n in shape[1:]:
        size *= n
    return "[" + ", ".join([nested(written[i * size:(i + 1) * size], shape[1:]) for i in range(shape[0])
                            if i * size < len(written)]) + "]"


def cut(line):
    return line if len(line) <= WIDTH else line[:WIDTH - 1] + "…"


def marks(got, want, tolerance):
    """What differs, nested as the values are; None where the structures differ."""
    if want[0] in ("t", "l"):
        parts = entries(got)
        if parts is None or len(parts) != len(want[2]):
            return None
        return [marks(p, w, tolerance) for p, w in zip(parts, want[2])]
    return differing(got, want, tolerance)


def described(value):
    """The structure of a value in words."""
    kind, shape, data = value
    if kind in NUMBERS:
        return f"an array of shape {shape}" if shape else "one number"
    if kind in ("t", "l"):
        return f"a tuple of {len(data)}" if kind == "t" else f"a list of {len(data)}, of different shapes"
    return "a word" if kind == "s" else "not a number"


def misfit(got, want):
    """In brackets, how the structure of got differs from that of want; "" where it does not."""
    got = got if want[0] in ("t", "l") else stacked(got)
    if want[0] in ("t", "l"):
        parts = entries(got)
        if parts is not None and len(parts) == len(want[2]):
            for i, (p, w) in enumerate(zip(parts, want[2])):
                inner = misfit(p, w)
                if inner:
                    return f" (entry {i + 1} of {len(parts)}: {inner[2:]}"
            return ""
        if got[0] == "l":
            return f" (a list of {len(got[2])}, expected {described(want)})"
    fits = got[0] == want[0] == "s" or got[0] in NUMBERS and want[0] in NUMBERS and (
        got[1] == want[1] or len(got[2]) == len(want[2]) == 1)
    if fits:
        return ""
    return f" ({described(got)}, expected {described(want)})" if described(got) != described(want) else ""


def failure(call, got, error, want, tolerance):
    """The three lines on a failing case. call: the learner's call as text; error: what it raised, or None."""
    marked = marks(got, want, tolerance) if error is None else None
    marked = None if all(flat(marked)) else marked  # where everything differs no mark tells anything
    given, wanted = error or text(got, 4, marked), text(want, 4, marked)
    if error is None and given.replace("▸", "") == wanted.replace("▸", ""):  # they differ further behind the point
        given, wanted = text(got, 8, marked), text(want, 8, marked)
    if error is None:
        given = cut(given) + misfit(got, want)
        if got[0] == "x" and got[2] == "None":
            given = "nothing: does the function return its result?"
    return ["  call     " + call, "  got      " + given, "  expected " + wanted]
