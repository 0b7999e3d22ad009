"""A reader's source before it runs: what MicroPython leaves out of Python, and clearer words for a slip.

MicroPython does not ask the right side of `0.5 < p` whether it knows how to compare. So every left side of <, <=, >
and >= is passed through `left_side`, which leaves all but plain numbers alone.
"""

from small_array import bool_

KEYWORDS = ("and or not if elif else while return in is assert lambda yield for del raise with except from import "
            "print async await").split()
COMPARISONS = ("<", "<=", ">", ">=")
STOPS = ("(", "[", "{", ",", ":", ";", "=", ":=", "->", "==", "!=", "\n") + COMPARISONS
LONG = ("**=", "//=", ">>=", "<<=", "...", "<=", ">=", "==", "!=", "->", ":=", "+=", "-=", "*=", "/=", "%=", "&=",
        "|=", "^=", "@=", "**", "//", "<<", ">>")
PAIRS = {")": "(", "]": "[", "}": "{"}
OTHERS = ("==", "!=", "is", "in")  # their left side stays as it is: a wrapped right side would equal nothing
STRANGE = "\u2212\u00d7\u201c\u201d\u2018\u2019\u2013\u2014\u2026"  # what a copy from a text brings along
UNSEEN = "\u00a0\u200b\ufeff\u2009\u202f"
BLOCKS = ("def", "if", "elif", "else", "for", "while", "class", "try", "except", "finally", "with")


class SlipError(Exception):
    """What is wrong with the source, and in which line."""


class Left:
    """A plain number on the left of a comparison: an array on the right may answer."""

    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        return _compared(self.value, other, lambda x, y: x < y, lambda x, y: x > y)

    def __gt__(self, other):
        return _compared(self.value, other, lambda x, y: x > y, lambda x, y: x < y)

    def __le__(self, other):
        return _compared(self.value, other, lambda x, y: x <= y, lambda x, y: x >= y)

    def __ge__(self, other):
        return _compared(self.value, other, lambda x, y: x >= y, lambda x, y: x <= y)


def _compared(value, other, forward, backward):
    other = other.value if isinstance(other, Left) else other
    plain = isinstance(other, (int, float, str, list, tuple, dict)) or other is None
    return forward(value, other) if plain else backward(other, value)


def left_side(value):
    return Left(value) if isinstance(value, (int, float)) else value


def flipped(value):
    """What ~ is to work on: a comparison of two numbers of an array gives numpy's bool, not Python's."""
    return bool_(value) if value is True or value is False else value


def tokens(source):
    """(text, start, end, line) of every token; a line's end is "\\n", outside brackets only. Raises SlipError."""
    found, open_, at, line = [], [], 0, 1
    while at < len(source):
        c, start = source[at], at
        if c == "\n":
            if not open_:
                found.append(("\n", at, at, line))
            at, line = at + 1, line + 1
        elif c in " \t\r\f":
            at += 1
        elif c == "\\" and source[at + 1:at + 2] == "\n":
            at, line = at + 2, line + 1
        elif c == "#":
            while at < len(source) and source[at] != "\n":
                at += 1
        elif c in STRANGE:
            raise SlipError("invalid character '" + c + f"' (U+{ord(c):04X})", line)
        elif c in UNSEEN:
            raise SlipError(f"invalid non-printable character U+{ord(c):04X}", line)
        else:
            at = _end(source, at, line)
            found.append((source[start:at], start, at, line))
            _match(source[start:at], open_, line)
            line += source[start:at].count("\n")
    if open_:
        raise SlipError("'" + open_[-1][0] + "' was never closed", open_[-1][1])
    return found


def _match(text, open_, line):
    if text in ("(", "[", "{"):
        open_.append((text, line))
    elif text in PAIRS:
        if not open_:
            raise SlipError("unmatched '" + text + "'", line)
        left, _ = open_.pop()
        if left != PAIRS[text]:
            problem = "closing parenthesis '" + text + "' does not match opening parenthesis '" + left + "'"
            raise SlipError(problem, line)


def _name(c):
    return c.isalpha() or c.isdigit() or c == "_" or ord(c) > 127 and c not in STRANGE and c not in UNSEEN


def _end(source, at, line):
    """Where the token that starts at `at` ends."""
    start = at
    if source[at].isdigit() or source[at] == "." and source[at + 1:at + 2].isdigit():
        while at < len(source) and (_name(source[at]) or source[at] == "."
                                    or source[at] in "+-" and source[at - 1] in "eE"
                                    and source[start:start + 2] not in ("0x", "0X")):
            at += 1
        return at
    while at < len(source) and _name(source[at]):
        at += 1
    if at < len(source) and source[at] in "'\"" and at - start < 3:
        return _string(source, at, line)
    if at > start:
        return at
    for text in LONG:
        if source[at:at + len(text)] == text:
            return at + len(text)
    return at + 1


def _string(source, at, line):
    quote = source[at] * 3 if source[at:at + 3] == source[at] * 3 else source[at]
    at += len(quote)
    while source[at:at + len(quote)] != quote:
        if at >= len(source) or source[at] == "\n" and len(quote) == 1:
            kind = "triple-quoted string" if len(quote) == 3 else "string"
            raise SlipError("unterminated " + kind + " literal", line)
        at += 2 if source[at] == "\\" else 1
    return at + len(quote)


def prepared(source):
    """The source with every left side of a comparison passed through `left_side`, and what an f-string shows as it
    is through `_text_`, for its floats; lines stay where they are."""
    found, inserts = tokens(source), []
    for k, (text, start, _, _) in enumerate(found):
        if text[-1] in "'\"" and "f" in text.replace('"', "'").split("'")[0].lower():
            inserts += [(start + at, 1, word) for at, word in fields(text)]
        if text == "~" and k + 1 < len(found):
            inserts += [(found[k + 1][1], 1, "_flipped_("), (found[_operand(found, k + 1)][2], 0, ")")]
        if text in COMPARISONS:
            first = _left(found, k)
            if first < k and not (first and found[first - 1][0] in OTHERS):
                inserts += [(found[first][1], 1, "_left_side_("), (found[k - 1][2], 0, ")")]
    out, last = [], 0
    for at, _, text in sorted(inserts):
        out += [source[last:at], text]
        last = at
    return "".join(out) + source[last:]


def _operand(found, j):
    """The last token of what a sign at token j - 1 belongs to: a name or a bracket, with its calls and indexes."""
    while j + 1 < len(found) and found[j][0] in ("~", "-", "+"):
        j += 1
    while True:
        if found[j][0] in ("(", "[", "{"):
            depth = 1
            while depth and j + 1 < len(found):
                j += 1
                depth += (found[j][0] in ("(", "[", "{")) - (found[j][0] in PAIRS)
        following = found[j + 1][0] if j + 1 < len(found) else ""
        if following == ".":
            j = min(j + 2, len(found) - 1)
        elif following in ("(", "["):
            j += 1
        else:
            return j


def fields(text):
    """(place, what to put in there) for each {...} of an f-string that has no format of its own."""
    at, found = 0, []
    while at < len(text):
        if text[at] in "{}" and text[at + 1:at + 2] == text[at]:
            at += 1
        elif text[at] == "{":
            end, depth = at + 1, 0
            while end < len(text) and (depth or text[end] not in ":!=}"):
                depth += (text[end] in "([{") - (text[end] in ")]}")
                end += 1
            if text[end:end + 1] == "}":
                found += [(at + 1, "_text_("), (end, ")")]
            at = end
        at += 1
    return found


def _left(found, k):
    """Where the left side of the comparison at token k starts."""
    depth, j = 0, k - 1
    while j >= 0:
        text = found[j][0]
        if text in PAIRS:
            depth += 1
        elif depth:
            depth -= text in ("(", "[", "{")
        elif text in STOPS or text in KEYWORDS or len(text) > 1 and text[-1] == "=":
            break
        j -= 1
    j += 1
    while j < k and found[j][0] in ("*", "**"):
        j += 1
    return j


def slip(source):
    """(message, line) of a slip that MicroPython calls "invalid syntax"; None where there is none that we know."""
    try:
        found = tokens(source)
    except SlipError as error:
        return error.args
    start = 0
    for k, (text, _, _, _) in enumerate(found + [("\n", 0, 0, 0)]):
        if text == "\n" and k > start:
            first, depth = found[start], 0
            for other in found[start:k]:
                depth += (other[0] in ("(", "[", "{")) - (other[0] in PAIRS)
                if other[0] == ":" and not depth:
                    break
            else:
                if first[0] in BLOCKS:
                    return "expected ':'", first[3]
            if first[0] in BLOCKS and found[k - 1][0] == ":" and _flat(source, first, found[k:]):
                return "expected an indented block after '" + first[0] + "' on line " + str(first[3]), first[3] + 1
        start = k + 1 if text == "\n" else start
    return None


def _flat(source, first, rest):
    """Whether the line after a block's head stands no further in than the head."""
    following = [t for t in rest if t[0] != "\n"]
    return not following or _column(source, following[0][1]) <= _column(source, first[1])


def _column(source, at):
    return at - source.rfind("\n", 0, at)
