"""Python's collections module, with what MicroPython's lacks."""

from collections import OrderedDict, namedtuple  # noqa: F401

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

    def __repr__(self):
        return "deque([" + ", ".join([repr(v) for v in self]) + "])"


class Kept:
    """A dict that is asked through its methods."""

    def __init__(self, *pairs):
        self.kept = OrderedDict(*pairs)

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
        return len(self.kept) == len(other) and all([k in other and other[k] == v for k, v in self.kept.items()])

    def __getattr__(self, name):
        return getattr(self.kept, name)


class defaultdict(Kept):
    def __init__(self, default_factory=None, *pairs):
        super().__init__(*pairs)
        self.default_factory = default_factory

    def missing(self, key):
        if self.default_factory is None:
            raise KeyError(key)
        self.kept[key] = self.default_factory()
        return self.kept[key]


class Counter(Kept):
    def __init__(self, iterable=()):
        super().__init__()
        self.update(iterable)

    def update(self, iterable=()):
        pairs = iterable.items() if hasattr(iterable, "items") else [(x, 1) for x in iterable]
        for value, n in pairs:
            self.kept[value] = self.kept.get(value, 0) + n

    def missing(self, key):
        return 0

    def total(self):
        return sum(self.kept.values())

    def elements(self):
        return iter([key for key, n in self.kept.items() for _ in range(n)])

    def most_common(self, n=None):
        return ordered(self.kept.items(), key=lambda pair: pair[1], reverse=True)[:n]
