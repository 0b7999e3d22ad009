"""Python's itertools."""

from small_operator import add


def count(start=0, step=1):
    while True:
        yield start
        start = start + step


def cycle(iterable):
    kept = list(iterable)
    while kept:
        yield from kept


def repeat(object, times=None):
    done = 0
    while times is None or done < times:
        yield object
        done += 1


def accumulate(iterable, func=None, *, initial=None):
    total, first = initial, initial is None
    if not first:
        yield total
    for x in iterable:
        total = x if first else add(total, x) if func is None else func(total, x)
        first = False
        yield total


class chain:
    def __init__(self, *iterables):
        self.all = _chained(iterables)

    def __iter__(self):
        return self.all

    def __next__(self):
        return next(self.all)

    @staticmethod
    def from_iterable(iterable):
        return _chained(iterable)


def _chained(iterables):
    for iterable in iterables:
        yield from iterable


def compress(data, selectors):
    return (x for x, s in zip(data, selectors) if s)


def takewhile(predicate, iterable):
    for x in iterable:
        if not predicate(x):
            return
        yield x


def dropwhile(predicate, iterable):
    going = False
    for x in iterable:
        going = going or not predicate(x)
        if going:
            yield x


def filterfalse(function, iterable):
    return (x for x in iterable if not (x if function is None else function(x)))


def starmap(function, iterable):
    return (function(*args) for args in iterable)


def pairwise(iterable):
    last, first = None, True
    for x in iterable:
        if not first:
            yield last, x
        last, first = x, False


def zip_longest(*iterables, fillvalue=None):
    rows = [list(i) for i in iterables]
    for k in range(max([len(r) for r in rows] or [0])):
        yield tuple([r[k] if k < len(r) else fillvalue for r in rows])


def islice(iterable, *bounds):
    start, stop, step = (0, bounds[0], 1) if len(bounds) == 1 else (bounds + (None,))[:3]
    start, step = start or 0, step or 1
    if start < 0 or stop is not None and stop < 0 or step < 1:
        raise ValueError("Indices for islice() must be None or an integer: 0 <= x <= sys.maxsize.")
    iterable = iter(iterable)
    k = 0
    while stop is None or k < stop:
        x = next(iterable, islice)
        if x is islice:
            return
        if k >= start and (k - start) % step == 0:
            yield x
        k += 1


def tee(iterable, n=2):
    kept = list(iterable)
    return tuple([iter(kept) for _ in range(n)])


class groupby:
    def __init__(self, iterable, key=None):
        groups = []
        for x in iterable:
            mine = x if key is None else key(x)
            if not groups or not groups[-1][0] == mine:
                groups.append((mine, []))
            groups[-1][1].append(x)
        self.groups = iter(groups)

    def __iter__(self):
        return self

    def __next__(self):
        key, group = next(self.groups)
        return key, iter(group)


def product(*iterables, repeat=1):
    rows = [()]
    for pool in [list(i) for i in iterables] * repeat:
        rows = [row + (x,) for row in rows for x in pool]
    return iter(rows)


def _places(n, r, fits):
    rows = [()]
    for _ in range(r):
        rows = [row + (i,) for row in rows for i in range(n) if fits(row, i)]
    return rows


def _chosen(iterable, r, fits):
    pool = list(iterable)
    places = _places(len(pool), len(pool) if r is None else r, fits)
    return iter([tuple([pool[i] for i in row]) for row in places])


def permutations(iterable, r=None):
    return _chosen(iterable, r, lambda row, i: i not in row)


def combinations(iterable, r):
    return _chosen(iterable, r, lambda row, i: not row or i > row[-1])


def combinations_with_replacement(iterable, r):
    return _chosen(iterable, r, lambda row, i: not row or i >= row[-1])
