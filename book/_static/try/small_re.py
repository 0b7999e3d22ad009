"""Python's re: MicroPython's has no fullmatch, {2,3}, \\b, named groups or lookaheads, and does not always say so.

A pattern becomes functions of a place in the text, each of which asks the next one (`then`): a place is the end of
the match, None that there is none. Runs of one kind of letter are loops, so that long texts need no deep recursion.
"""

from collections import OrderedDict

from small_lacks import lack
from small_pattern import *  # noqa: F403
from small_pattern import CLASSES, LETTERS, MANY, A, I, M, Reader, S, U, error

PatternError = error


class Pattern:
    def __init__(self, pattern, flags):
        read = Reader(pattern, flags)
        self.pattern, self.flags, self.groups, self.groupindex = pattern, read.flags | U, read.groups, read.names
        self.text, self.spans, self.starts, self.goal = "", [], [], None
        self.first = self.made(read.tree, lambda i: i if self.goal is None or self.goal(i) else None)

    def made(self, tree, then):
        """The function of a place that goes on with `then`."""
        return getattr(self, "made_" + tree[0])(then, *tree[1:])

    def made_text(self, then, text):
        n = len(text)
        return lambda i: then(i + n) if self.text[i:i + n] == text and i + n <= self.end else None

    def made_one(self, then, test):
        return lambda i: then(i + 1) if i < self.end and test(self.text[i]) else None

    def made_seq(self, then, parts):
        for part in reversed(parts):
            then = self.made(part, then)
        return then

    def made_any(self, then, options):
        options = [self.made(option, then) for option in options]

        def at(i):
            for option in options:
                end = option(i)
                if end is not None:
                    return end
        return at

    def made_group(self, then, number, tree):
        def close(j):
            before, self.spans[number] = self.spans[number], (self.starts[number], j)
            end = then(j)
            if end is None:
                self.spans[number] = before
            return end
        inner = self.made(tree, close)

        def at(i):
            before, self.starts[number] = self.starts[number], i
            end = inner(i)
            if end is None:
                self.starts[number] = before
            return end
        return at

    def made_repeat(self, then, tree, least, most, lazy):
        while tree[0] == "seq" and len(tree[1]) == 1:
            tree = tree[1][0]
        if tree[0] == "one" or tree[0] == "text" and len(tree[1]) == 1:
            test = tree[1] if tree[0] == "one" else lambda c: c == tree[1]
            return self.run(then, test, least, most, lazy)
        state = [0, -1]  # how often, and where the last one began

        def again(j):
            return then(j) if j == state[1] and state[0] >= least else at(j)

        def more(i):
            count, last = state
            if count >= most:
                return None
            state[:] = [count + 1, i]
            end = inner(i)
            if end is None:
                state[:] = [count, last]
            return end

        def at(i):
            for step in (then, more) if lazy else (more, then):
                if step is more or state[0] >= least:
                    end = step(i)
                    if end is not None:
                        return end

        def enter(i):
            before = list(state)
            state[:] = [0, -1]
            end = at(i)
            if end is None:
                state[:] = before
            return end
        inner = self.made(tree, again)
        return enter

    def run(self, then, test, least, most, lazy):
        """A repeat of single letters."""
        def at(i):
            n = 0
            while lazy and n < least or not lazy and n < most:
                if i + n >= self.end or not test(self.text[i + n]):
                    break
                n += 1
            while n >= least:
                end = then(i + n)
                if end is not None:
                    return end
                if lazy and (n >= most or i + n >= self.end or not test(self.text[i + n])):
                    return None
                n += 1 if lazy else -1
        return at

    def made_at(self, then, name):
        def letter(i):
            return 0 <= i < self.end and CLASSES["w"](self.text[i])

        def holds(i):
            if name in ("b", "B"):
                return self.text != "" and (letter(i - 1) != letter(i)) == (name == "b")
            if name in ("^", "A", "^m"):
                return i == 0 or name == "^m" and self.text[i - 1] == "\n"
            return i == self.end or name != "Z" and self.text[i] == "\n" and (name == "$m" or i == self.end - 1)
        return lambda i: then(i) if holds(i) else None

    def made_ahead(self, then, tree, wanted):
        inner = self.made(tree, lambda j: j)
        return lambda i: then(i) if (inner(i) is not None) == wanted else None

    def made_behind(self, then, tree, wanted):
        goal = [0]
        inner = self.made(tree, lambda j: j if j == goal[0] else None)

        def at(i):
            goal[0] = i
            return then(i) if any([inner(j) is not None for j in range(i, -1, -1)]) == wanted else None
        return at

    def made_same(self, then, number):
        def at(i):
            if self.spans[number] is None:
                return None
            start, end = self.spans[number]
            text = self.text[start:end]
            return then(i + len(text)) if self.text[i:i + len(text)] == text else None
        return at

    def found(self, text, i, end, goal=None):
        """The match that begins at i, or None."""
        if not isinstance(text, str):
            raise TypeError("expected string or bytes-like object, got '" + type(text).__name__ + "'")
        self.text, self.end, self.goal = text, min(end, len(text)), goal
        self.spans, self.starts = [None] * (self.groups + 1), [0] * (self.groups + 1)
        stop = self.first(i)
        if stop is None:
            return None
        self.spans[0] = (i, stop)
        return Match(self, text, self.spans)

    def match(self, string, pos=0, endpos=MANY):
        return self.found(string, pos, endpos)

    def fullmatch(self, string, pos=0, endpos=MANY):
        stop = min(endpos, len(string)) if isinstance(string, str) else 0
        return self.found(string, pos, endpos, lambda i: i == stop)

    def search(self, string, pos=0, endpos=MANY, empty=True):
        """empty: whether the match may be empty at pos."""
        for i in range(pos, min(endpos, len(string)) + 1 if isinstance(string, str) else 1):
            made = self.found(string, i, endpos, None if empty else lambda j: j != pos)
            if made:
                return made

    def finditer(self, string, pos=0, endpos=MANY):
        made = self.search(string, pos, endpos)
        while made:
            yield made
            made = self.search(string, made.end(), endpos, made.end() > made.start())

    def findall(self, string, pos=0, endpos=MANY):
        found = []
        for made in self.finditer(string, pos, endpos):
            all_of_it = made.groups("") or (made.group(),)
            found.append(all_of_it if len(all_of_it) > 1 else all_of_it[0])
        return found

    def subn(self, repl, string, count=0):
        out, at, done = [], 0, 0
        for made in self.finditer(string):
            out += [string[at:made.start()], repl(made) if callable(repl) else made.expand(repl)]
            at, done = made.end(), done + 1
            if done == count:
                break
        return "".join(out) + string[at:], done

    def sub(self, repl, string, count=0):
        return self.subn(repl, string, count)[0]

    def split(self, string, maxsplit=0):
        out, at = [], 0
        for k, made in enumerate(self.finditer(string)):
            if maxsplit and k == maxsplit:
                break
            out += [string[at:made.start()]] + list(made.groups())
            at = made.end()
        return out + [string[at:]]

    def __repr__(self):
        return "re.compile(" + repr(self.pattern) + ")"


class Match:
    def __init__(self, pattern, string, spans):
        self.re, self.string, self.spans = pattern, string, spans

    def place(self, group):
        number = self.re.groupindex.get(group) if isinstance(group, str) else group
        if number is None or not 0 <= number < len(self.spans):
            raise IndexError("no such group")
        return number

    def __getitem__(self, group):
        span = self.spans[self.place(group)]
        return None if span is None else self.string[span[0]:span[1]]

    def group(self, *groups):
        found = tuple([self[g] for g in groups or (0,)])
        return found if len(found) > 1 else found[0]

    def groups(self, default=None):
        return tuple([default if self.spans[k] is None else self[k] for k in range(1, len(self.spans))])

    def groupdict(self, default=None):
        names = sorted(self.re.groupindex.items(), key=lambda pair: pair[1])
        return OrderedDict([(name, default if self[k] is None else self[k]) for name, k in names])

    def span(self, group=0):
        return self.spans[self.place(group)] or (-1, -1)

    def start(self, group=0):
        return self.span(group)[0]

    def end(self, group=0):
        return self.span(group)[1]

    def expand(self, template):
        out, read = [], Reader("", 0)
        read.pattern = template
        while read.at < len(template):
            c = template[read.at]
            read.at += 1
            if c != "\\":
                out.append(c)
            elif read.sees("g<"):
                name = read.until(">")
                out.append(self[int(name) if name.isdigit() else name] or "")
            elif template[read.at:read.at + 1].isdigit():
                size = 2 if template[read.at:read.at + 2].isdigit() and read.at + 1 < len(template) else 1
                out.append(self[int(template[read.at:read.at + size])] or "")
                read.at += size
            else:
                e = template[read.at:read.at + 1]
                read.at += 1
                if e.isalpha() and e not in LETTERS:
                    raise error("bad escape \\" + e)
                out.append("\\" if e == "\\" else LETTERS.get(e) or "\\" + e)
        return "".join(out)

    def __repr__(self):
        return "<re.Match object; span=" + str(self.span()) + ", match=" + repr(self[0]) + ">"


known = {}


def compile(pattern, flags=0):
    if isinstance(pattern, Pattern):
        return pattern
    if not isinstance(pattern, str):
        lack("a pattern that is no text is not in the page's `re`")
    if flags & ~(I | M | S | A | U):
        lack("this flag is not in the page's `re`")
    if (pattern, flags) not in known:
        known[pattern, flags] = Pattern(pattern, flags)
    return known[pattern, flags]


def match(pattern, string, flags=0):
    return compile(pattern, flags).match(string)


def fullmatch(pattern, string, flags=0):
    return compile(pattern, flags).fullmatch(string)


def search(pattern, string, flags=0):
    return compile(pattern, flags).search(string)


def findall(pattern, string, flags=0):
    return compile(pattern, flags).findall(string)


def finditer(pattern, string, flags=0):
    return compile(pattern, flags).finditer(string)


def sub(pattern, repl, string, count=0, flags=0):
    return compile(pattern, flags).sub(repl, string, count)


def subn(pattern, repl, string, count=0, flags=0):
    return compile(pattern, flags).subn(repl, string, count)


def split(pattern, string, maxsplit=0, flags=0):
    return compile(pattern, flags).split(string, maxsplit)


def escape(pattern):
    return "".join(["\\" + c if c in "()[]{}?*+-|^$\\.&~# \t\n\r\v\f" else c for c in pattern])
