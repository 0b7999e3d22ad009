"""Reads a regular expression into a tree, for small_re.py."""

from small_lacks import lack

I = IGNORECASE = 2  # noqa: E741
M = MULTILINE = 8
S = DOTALL = 16
A = ASCII = 256
U = UNICODE = 32
MANY = 1 << 30
WORD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
CLASSES = {"d": lambda c: c in "0123456789", "w": lambda c: c in WORD or c > "\x7f",
           "s": lambda c: c in " \t\n\r\f\v"}
LETTERS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
STARTED = {"?": (0, 1), "*": (0, MANY), "+": (1, MANY)}


class error(Exception):  # noqa: N801, N818
    pass


PatternError = error


class Reader:
    """Reads a pattern into a tree: ("text", "ab"), ("one", test), ("seq", [...]), ("any", [...]), ("group", number,
    tree), ("repeat", tree, least, most, lazy), ("at", name), ("ahead", tree, wanted), ("behind", tree, wanted),
    ("same", number)."""

    def __init__(self, pattern, flags):
        self.pattern, self.flags, self.at, self.groups, self.names, self.open = pattern, flags, 0, 0, {}, []
        self.tree = self.options()
        if self.at < len(pattern):
            raise error("unbalanced parenthesis")

    def sees(self, text):
        found = self.pattern[self.at:self.at + len(text)] == text
        self.at += len(text) * found
        return found

    def until(self, end):
        stop = self.pattern.find(end, self.at)
        if stop < 0:
            raise error("missing " + end)
        text, self.at = self.pattern[self.at:stop], stop + 1
        return text

    def options(self):
        found = [self.sequence()]
        while self.sees("|"):
            found.append(self.sequence())
        return found[0] if len(found) == 1 else ("any", found)

    def sequence(self):
        found = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            part = self.repeated(self.atom())
            if part[0] == "text" and found and found[-1][0] == "text":
                found[-1] = ("text", found[-1][1] + part[1])
            elif part[0] != "nothing":
                found.append(part)
        return ("seq", found)

    def repeated(self, part):
        while True:
            sign = self.pattern[self.at:self.at + 1]
            bounds = self.bounds() if sign == "{" else STARTED.get(sign)
            if not sign or bounds is None:
                return part
            self.at += sign != "{"
            if part[0] in ("at", "nothing"):
                raise error("nothing to repeat")
            if part[0] == "repeat" or self.pattern[self.at:self.at + 1] == "+":
                if self.sees("+"):
                    lack("this sign of a regular expression (`+` after a repeat) is not in the page's `re`")
                raise error("multiple repeat")
            part = ("repeat", part, bounds[0], bounds[1], self.sees("?"))

    def bounds(self):
        """(least, most) of {2,3}; None where the brace is a letter."""
        stop = self.pattern.find("}", self.at)
        low, comma, high = self.pattern[self.at + 1:max(stop, 0)].partition(",")
        if stop < 0 or not (low + high).strip("0123456789") == "" or not low + high and not comma:
            return None
        self.at = stop + 1
        return int(low or 0), int(high or MANY) if comma else int(low)

    def atom(self):
        c = self.pattern[self.at]
        self.at += 1
        if c == "(":
            return self.group()
        if c == "[":
            return ("one", self.letters())
        if c == ".":
            return ("one", (lambda c: True) if self.flags & S else (lambda c: c != "\n"))
        if c in "^$":
            return ("at", c + "m" * bool(self.flags & M))
        if c in "*+?":
            raise error("nothing to repeat")
        if c != "\\":
            return self.letter(c)
        e = self.pattern[self.at:self.at + 1]
        if e and e in "bBAZ":
            self.at += 1
            return ("at", e)
        if e and e in "123456789":
            stop = self.at
            while self.pattern[stop:stop + 1].isdigit() and stop < self.at + 2:
                stop += 1
            number, self.at = int(self.pattern[self.at:stop]), stop
            if number > self.groups or number in self.open:
                raise error("cannot refer to an open group" if number in self.open else
                            "invalid group reference " + str(number))
            return ("same", number)
        found = self.escape()
        return ("one", found) if callable(found) else self.letter(found)

    def letter(self, c):
        if self.flags & I and c.lower() != c.upper():
            return ("one", lambda x: x.lower() == c.lower())
        return ("text", c)

    def escape(self):
        """A letter, or the test of a class of letters."""
        if self.at >= len(self.pattern):
            raise error("bad escape (end of pattern)")
        e = self.pattern[self.at]
        self.at += 1
        if e.lower() in CLASSES:
            test = CLASSES[e.lower()]
            return test if e in CLASSES else lambda c: not test(c)
        if e in "xu":
            size = 2 if e == "x" else 4
            self.at += size
            return chr(int(self.pattern[self.at - size:self.at], 16))
        if e == "0":
            return "\0"
        if e in WORD and e != "_" and e not in LETTERS:
            raise error("bad escape \\" + e)
        return LETTERS.get(e, e)

    def letters(self):
        """The test of [...]."""
        other, tests, plain, ranges, first = self.sees("^"), [], [], [], True
        while first or not self.sees("]"):
            if self.at >= len(self.pattern):
                raise error("unterminated character set")
            low, first = self.of_set(), False
            more = self.pattern[self.at:self.at + 2]
            if callable(low):
                tests.append(low)
            elif more[:1] == "-" and more != "-]" and len(more) == 2:
                self.at += 1
                high = self.of_set()
                if callable(high) or high < low:
                    raise error("bad character range")
                ranges.append((low, high))
            else:
                plain.append(low)

        def fits(c):
            return c in plain or any([a <= c <= b for a, b in ranges]) or any([t(c) for t in tests])
        if self.flags & I:
            return lambda c: (fits(c.lower()) or fits(c.upper())) != other
        return lambda c: fits(c) != other

    def of_set(self):
        c = self.pattern[self.at]
        self.at += 1
        if c == "\\" and self.sees("b"):
            return "\b"
        return self.escape() if c == "\\" else c

    def group(self):
        if self.sees("?:"):
            return self.closed(self.options())
        if self.sees("?P="):
            name = self.until(")")
            if name not in self.names:
                raise error("unknown group name '" + name + "'")
            return ("same", self.names[name])
        for sign, kind, wanted in (("?=", "ahead", True), ("?!", "ahead", False), ("?<=", "behind", True),
                                   ("?<!", "behind", False)):
            if self.sees(sign):
                tree = self.options()
                if kind == "behind" and width(tree) is None:
                    raise error("look-behind requires fixed-width pattern")
                return self.closed((kind, tree, wanted))
        if self.sees("?#"):
            self.until(")")
            return ("nothing",)
        name = self.until(">") if self.sees("?P<") else None
        if self.sees("?"):
            for c in self.until(")"):
                if c not in "imsau":
                    lack("this kind of group of a regular expression is not in the page's `re`")
                self.flags |= {"i": I, "m": M, "s": S, "a": A, "u": U}[c]
            return ("nothing",)
        self.groups += 1
        number = self.groups
        if name in self.names:
            raise error("redefinition of group name '" + name + "'")
        if name is not None:
            self.names[name] = number
        self.open.append(number)
        tree = self.options()
        self.open.pop()
        return self.closed(("group", number, tree))

    def closed(self, tree):
        if not self.sees(")"):
            raise error("missing ), unterminated subpattern")
        return tree


def width(tree):
    """How many letters a tree takes; None where that depends."""
    kind = tree[0]
    if kind in ("text", "one"):
        return len(tree[1]) if kind == "text" else 1
    if kind in ("seq", "any"):
        sizes = [width(part) for part in tree[1]]
        if kind == "any":
            return sizes[0] if len(set(sizes)) == 1 else None
        return None if None in sizes else sum(sizes)
    if kind == "group":
        return width(tree[2])
    if kind == "repeat":
        size = width(tree[1])
        return None if size is None or tree[2] != tree[3] else size * tree[2]
    return None if kind == "same" else 0
