"""Python's collections module, with what MicroPython's lacks."""

from collections import OrderedDict, namedtuple  # noqa: F401

from small_lacks import lack

ordered = sorted  # small_language.py puts its stable one here


class deque(list):
    def __init__(self, iterable=(), maxlen=None):
        super().__init__(list(iterable))
        self.maxlen = maxlen
        self._cut(0)

    def _cut(self, at):
        while self.maxlen is not None and len(self) > self.maxlen:
            super().pop(at)

    def append(self, value):
        super().append(value)
        self._cut(0)

    def extend(self, iterable):
        super().extend(list(iterable))
        self._cut(0)

    def appendleft(self, value):
        self.insert(0, value)
        self._cut(-1)

    def popleft(self):
        if not len(self):
            raise IndexError("pop from an empty deque")
        return self.pop(0)

    def extendleft(self, iterable):
        for value in iterable:
            self.appendleft(value)

    def rotate(self, n=1):
        if len(self):
            n = -n % len(self)
            self[:] = list(self)[n:] + list(self)[:n]

    def copy(self):
        return deque(self, self.maxlen)

    def __add__(self, other):
        if not isinstance(other, deque):
            raise TypeError('can only concatenate deque (not "' + type(other).__name__ + '") to deque')
        return deque(list(self) + list(other), self.maxlen)

    def __iadd__(self, other):
        self.extend(other)
        return self

    def __mul__(self, n):
        return deque(list(self) * n, self.maxlen)

    def __repr__(self):
        end = "" if self.maxlen is None else ", maxlen=" + str(self.maxlen)
        return "deque([" + ", ".join([repr(v) for v in self]) + "]" + end + ")"


class Kept:
    """A dict that is asked through its methods."""

    def __init__(self, *pairs):
        self.kept = OrderedDict()
        for given in pairs:
            self.update(given)

    def update(self, pairs=(), **named):
        self.kept.update(pairs.kept if isinstance(pairs, Kept) else pairs)
        self.kept.update(in_order(named))

    def copy(self):
        made = self.like()
        made.kept.update(self.kept)
        return made

    def __or__(self, other):
        made = self.copy()
        made.update(other)
        return made

    def __ior__(self, other):
        self.update(other)
        return self

    def __getitem__(self, key):
        if key not in self.kept:
            return self.missing(key)
        return self.kept[key]

    def __setitem__(self, key, value):
        self.kept[key] = value

    def __delitem__(self, key):
        del self.kept[key]

    def __contains__(self, key):
        return key in self.kept

    def __iter__(self):
        return iter(self.kept)

    def __len__(self):
        return len(self.kept)

    def __eq__(self, other):
        other = other.kept if isinstance(other, Kept) else other
        return isinstance(other, dict) and len(self.kept) == len(other) and all(
            [k in other and other[k] == v for k, v in self.kept.items()])

    def __repr__(self):
        pairs = [repr(key) + ": " + repr(value) for key, value in self.shown()]
        return type(self).__name__ + "(" + self.before + ("{" + ", ".join(pairs) + "}" if pairs else "") + ")"

    def __getattr__(self, name):
        if name == "kept" or not hasattr(self.kept, name):
            raise AttributeError("'" + type(self).__name__ + "' object has no attribute '" + name + "'")
        return getattr(self.kept, name)


def in_order(named):
    """Keyword arguments, which MicroPython gives without their order."""
    if len(named) > 1:
        lack("the order of keyword arguments is not kept by the page's Python")
    return named


class defaultdict(Kept):
    before = property(lambda self: repr(self.default_factory) + ", ")

    def __init__(self, default_factory=None, *pairs, **named):
        super().__init__(*pairs)
        self.default_factory = default_factory
        self.kept.update(in_order(named))

    def shown(self):
        return self.kept.items()

    def like(self):
        return defaultdict(self.default_factory)

    def missing(self, key):
        if self.default_factory is None:
            raise KeyError(key)
        self.kept[key] = self.default_factory()
        return self.kept[key]


class Counter(Kept):
    before = ""

    def __init__(self, iterable=(), **named):
        super().__init__()
        self.update(iterable, **named)

    def shown(self):
        return self.most_common()

    def like(self):
        return Counter()

    def add(self, pairs, sign):
        pairs = pairs.items() if hasattr(pairs, "items") else [(x, 1) for x in (() if pairs is None else pairs)]
        for value, n in pairs:
            self.kept[value] = self.kept.get(value, 0) + sign * n

    def update(self, iterable=(), **named):
        self.add(iterable, 1)
        self.add(in_order(named), 1)

    def subtract(self, iterable=(), **named):
        self.add(iterable, -1)
        self.add(in_order(named), -1)

    def missing(self, key):
        return 0

    def total(self):
        return sum(self.kept.values())

    def elements(self):
        return iter([key for key, n in self.kept.items() for _ in range(n)])

    def most_common(self, n=None):
        return ordered(self.kept.items(), key=lambda pair: pair[1], reverse=True)[:n]

    def joined(self, other, how):
        """What how(a, b) leaves above 0 of the counts of each key."""
        if not isinstance(other, Counter):
            raise TypeError("unsupported operand type(s): 'Counter' and '" + type(other).__name__ + "'")
        made = Counter()
        for key in list(self) + [k for k in other if k not in self]:
            if how(self[key], other[key]) > 0:
                made[key] = how(self[key], other[key])
        return made

    def __add__(self, other):
        return self.joined(other, lambda a, b: a + b)

    def __sub__(self, other):
        return self.joined(other, lambda a, b: a - b)

    def __ior__(self, other):
        return self | other

    def __and__(self, other):
        return self.joined(other, min)

    def __or__(self, other):
        return self.joined(other, max)

    def __pos__(self):
        return self + Counter()

    def __neg__(self):
        return Counter() - self
