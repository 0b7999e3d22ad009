"""Clearer words for a slip in a reader's source than MicroPython has."""

LONG = ("**=", "//=", ">>=", "<<=", "...", "<=", ">=", "==", "!=", "->", ":=", "+=", "-=", "*=", "/=", "%=", "&=",
        "|=", "^=", "@=", "**", "//", "<<", ">>")
PAIRS = {")": "(", "]": "[", "}": "{"}
STRANGE = "\u2212\u00d7\u201c\u201d\u2018\u2019\u2013\u2014\u2026"  # what a copy from a text brings along
UNSEEN = "\u00a0\u200b\ufeff\u2009\u202f"
BLOCKS = ("def", "if", "elif", "else", "for", "while", "class", "try", "except", "finally", "with")


class SlipError(Exception):
    """What is wrong with the source, and in which line."""


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
        return _string(source, at, line, "f" in source[start:at].lower())
    if at > start:
        return at
    for text in LONG:
        if source[at:at + len(text)] == text:
            return at + len(text)
    return at + 1


def _string(source, at, line, formatted=False):
    quote = source[at] * 3 if source[at:at + 3] == source[at] * 3 else source[at]
    at += len(quote)
    while source[at:at + len(quote)] != quote:
        if at >= len(source) or source[at] == "\n" and len(quote) == 1:
            kind = "triple-quoted string" if len(quote) == 3 else "string"
            raise SlipError("unterminated " + kind + " literal", line)
        if formatted and source[at] == "{" != source[at + 1:at + 2]:
            at = _field(source, at, line)
        else:
            at += 2 if source[at] == "\\" or formatted and source[at:at + 2] == "{{" else 1
    return at + len(quote)


def _field(source, start, line):
    """Where a field of an f-string ends; its strings may have the same quotes. Where it has no end: `start + 1`."""
    at, depth = start, 0
    while at < len(source):
        if source[at] in "'\"":
            try:
                at = _string(source, at, line, source[at - 1] in "fF")
            except SlipError:
                break
            continue
        depth += (source[at] in "([{") - (source[at] in ")]}")
        at += 1
        if not depth:
            return at
    return start + 1


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
