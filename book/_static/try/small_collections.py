"""Python's collections module, with what MicroPython's lacks."""

from collections import OrderedDict, namedtuple  # noqa: F401


class deque(list):
    def popleft(self):
        return self.pop(0)

    def appendleft(self, value):
        self.insert(0, value)


class _Kept:
    """A dict that is asked through its methods."""

    def __init__(self, *pairs):
        self.kept = dict(*pairs)

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

    def __repr__(self):
        return type(self).__name__ + "(" + repr(self.kept) + ")"

    def __getattr__(self, name):
        return getattr(self.kept, name)


class defaultdict(_Kept):
    def __init__(self, factory=None, *pairs):
        super().__init__(*pairs)
        self.factory = factory

    def missing(self, key):
        if self.factory is None:
            raise KeyError(key)
        self.kept[key] = self.factory()
        return self.kept[key]


class Counter(_Kept):
    def __init__(self, values=()):
        super().__init__()
        for value in values:
            self.kept[value] = self.kept.get(value, 0) + 1

    def missing(self, key):
        return 0

    def most_common(self, n=None):
        return sorted(self.kept.items(), key=lambda pair: -pair[1])[:n]
