"""What is computed of data, for the page's small numpy: products by index, histograms, quantiles, sets."""

import builtins

import small_functions as _f
import small_operations as _ops
import small_sums as _sums
from small_array import asarray, made
from small_lacks import lack
from small_making import arange, atleast_1d, concatenate, linspace, ravel, stack, zeros
from small_more import diagonal

inf, nan = float("inf"), float("nan")


def einsum(subscripts, *operands):
    """Sums over what the result does not name; one letter an axis."""
    if not isinstance(subscripts, str) or "." in subscripts:
        lack("this way to name the axes of `np.einsum` is not in the page's numpy")
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms, arrays = left.split(","), [asarray(a) for a in operands]
    sizes = {}
    for term, a in zip(terms, arrays):
        if len(term) != a.ndim:
            raise ValueError("einstein sum subscripts string contains too many subscripts for operand")
        for letter, n in zip(term, a.shape):
            if sizes.get(letter, 1) == 1:
                sizes[letter] = n
            elif n not in (1, sizes[letter]):
                raise ValueError("operands could not be broadcast together with remapped shapes")
    if not arrow:
        right = "".join(sorted([c for c in sizes if left.count(c) == 1]))
    letters = list(right) + sorted([c for c in sizes if c not in right])
    grid = {c: arange(sizes[c]).reshape([-1 if k == c else 1 for k in letters]) for c in letters}
    product = asarray(1)
    for term, a in zip(terms, arrays):
        places = [grid[c] if n > 1 else grid[c] * 0 for c, n in zip(term, a.shape)]
        product = product * a[tuple(places)] if term else product * a
    gone = tuple(range(len(right), len(letters)))
    return product.sum(axis=gone) if gone else product + 0  # as numpy adds: no -0.0


def inner(a, b):
    a, b = asarray(a), asarray(b)
    return a * b if not (a.ndim and b.ndim) else _ops.matmul(a, b if b.ndim == 1 else b.T)


def convolve(a, v, mode="full"):
    if mode not in ("full", "same", "valid"):
        raise ValueError("mode must be one of 'valid', 'same', or 'full' (got " + repr(mode) + ")")
    a, v = atleast_1d(a), atleast_1d(v)
    if len(v) > len(a):
        a, v = v, a
    n, m = len(a), len(v)
    whole = zeros(n + m - 1, (a[:1] * v[:1]).dtype)
    for i in range(m):
        whole[i:i + n] = whole[i:i + n] + a * v[i]
    start = 0 if mode == "full" else (m - 1) // 2 if mode == "same" else m - 1
    return whole if mode == "full" else whole[start:start + (n if mode == "same" else n - m + 1)]


def cov(m, rowvar=True, bias=False, ddof=None):
    m = asarray(m, float)
    if m.ndim > 2:
        raise ValueError("m has more than 2 dimensions")
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    rows = m.reshape(1, -1) if m.ndim < 2 else m if rowvar else m.T
    away = rows - rows.mean(axis=1, keepdims=True)
    found = away @ away.T / (rows.shape[1] - ((0 if bias else 1) if ddof is None else ddof))
    return found.reshape(()) if m.ndim < 2 else found


def corrcoef(x, y=None):
    c = cov(x if y is None else stack([x, y]))
    if not c.ndim:
        return c / c
    spread = _f.sqrt(diagonal(c))
    return c / spread.reshape(-1, 1) / spread


def searchsorted(a, v, side="left"):
    """By halves, and from where the last one was found, as numpy does it where a is in no order."""
    a = asarray(a)
    if a.ndim != 1:
        raise ValueError("object " + ("too deep" if a.ndim else "of too small depth") + " for desired array")
    numbers, low, high, last = a.values(), 0, len(a), None
    left = side in ("left", "l")

    def before(x, y):
        return x < y or y != y and (x == x or not left) or not left and x == y
    places = []
    for y in asarray(v).values():
        if last is None or before(last, y):
            high = len(a)
        else:
            low, high = 0, min(high + 1, len(a))
        last = y
        while low < high:
            middle = (low + high) // 2
            if before(numbers[middle], y):
                low = middle + 1
            else:
                high = middle
        places.append(low)
    return made(places, asarray(v).shape, "i")


def digitize(x, bins, right=False):
    bins = asarray(bins)
    side = "left" if right else "right"
    if len(bins) > 1 and bins[0] > bins[-1]:
        return len(bins) - searchsorted(bins[::-1], x, side)
    return searchsorted(bins, x, side)


def histogram(a, bins=10, range=None, density=False, weights=None):
    numbers = ravel(a).values()
    if weights is not None and asarray(weights).shape != asarray(a).shape:
        raise ValueError("weights should have the same shape as a.")
    low, high = range or ((min(numbers), max(numbers)) if numbers else (0, 1))
    low, high = (nan, nan) if not range and builtins.any([v != v for v in numbers]) else (low, high)
    if isinstance(bins, str):
        lack("a rule for `bins=` of `np.histogram` is not in the page's numpy")
    if isinstance(bins, int) and not (abs(low) < inf and abs(high) < inf):
        raise ValueError("autodetected range of [" + str(low) + ", " + str(high) + "] is not finite")
    if isinstance(bins, int):
        low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
        bins = linspace(low, high, bins + 1)
    edges = asarray(bins)
    weights = [1] * len(numbers) if weights is None else ravel(weights).values()
    counts, cuts = [type((weights + [0])[0])(0)] * (len(edges) - 1), edges.values()
    for x, w in zip(numbers, weights):
        for k in builtins.range(len(counts)):
            if cuts[k] <= x < cuts[k + 1] or k == len(counts) - 1 and x == cuts[-1]:
                counts[k] += w
                break
    counts = asarray(counts)
    return (counts / (counts.sum() * _f.diff(edges)) if density else counts), edges


def interp(x, xp, fp, left=None, right=None):
    xp, fp = ravel(xp).values(), ravel(fp).values()

    def at(v):
        if v < xp[0] or v >= xp[-1]:
            end, given = (0, left) if v < xp[0] else (-1, right if v > xp[-1] else None)
            return float(fp[end] if given is None else given)
        k = sum([p <= v for p in xp]) - 1
        return fp[k] + (v - xp[k]) * (fp[k + 1] - fp[k]) / (xp[k + 1] - xp[k])
    return _ops.each(at, asarray(x, float), "f")


def quantile(a, q, axis=None, keepdims=False):
    def one(q):
        def at(numbers):
            if builtins.any([v != v for v in numbers]) or not numbers:
                return nan
            numbers = sorted(numbers)
            place = q * (len(numbers) - 1)
            low = min(int(place), len(numbers) - 2) if len(numbers) > 1 else 0
            high = min(low + 1, len(numbers) - 1)
            part = place - low
            step = numbers[high] - numbers[low]
            return numbers[high] - step * (1 - part) if part >= 0.5 else numbers[low] + step * part
        return _sums.reduced(at, a, axis, keepdims, "f")
    if asarray(a).dtype == bool:
        raise TypeError(_ops.REFUSED["-"])
    if not asarray(a).size:
        raise IndexError("index 0 is out of bounds for axis 0 with size 0")
    if not all([0 <= v <= 1 for v in ravel(q).values()]):
        raise ValueError("Quantiles must be in the range [0, 1]")
    return one(float(q)) if not asarray(q).ndim else stack([one(v) for v in asarray(q).values()])


def percentile(a, q, axis=None, keepdims=False):
    if not all([0 <= v <= 100 for v in ravel(q).values()]):
        raise ValueError("Percentiles must be in the range [0, 100]")
    return quantile(a, asarray(q) / 100, axis, keepdims)


def _without_nan(function, kind="f"):
    def found(a, axis=None, keepdims=False):
        def of(numbers):
            kept = [v for v in numbers if v == v]
            return function(asarray(kept)).item() if kept else nan
        return _sums.reduced(of, asarray(a), axis, keepdims, kind)
    return found


def _extreme(name):
    """Keeps the kind of the numbers, and refuses an empty list."""
    def found(a, axis=None, keepdims=False):
        of = _without_nan(lambda kept: getattr(kept, name)(), asarray(a)._kind)
        return of(a, axis, keepdims) if asarray(a).size else getattr(asarray(a), name)(axis=axis, keepdims=keepdims)
    return found


nanmax, nanmin = _extreme("max"), _extreme("min")
nanmedian = _without_nan(_f.median)


def nanvar(a, axis=None, ddof=0, keepdims=False):
    return asarray(a, float).var(axis=axis, ddof=ddof, keepdims=keepdims, where=~_f.isnan(asarray(a, float)))


def nanstd(a, axis=None, ddof=0, keepdims=False):
    return _f.sqrt(nanvar(a, axis, ddof, keepdims))


def nancumsum(a, axis=None):
    return asarray(_f.where(_f.isnan(a), 0, a)).cumsum(axis)


def ptp(a, axis=None, keepdims=False):
    return asarray(a).max(axis=axis, keepdims=keepdims) - asarray(a).min(axis=axis, keepdims=keepdims)


def isin(element, test_elements, invert=False):
    known = set(ravel(test_elements).values())
    return _ops.each(lambda v: (v == v and v in known) != invert, element, "b")


def intersect1d(ar1, ar2):
    kind, two = concatenate([ravel(ar1), ravel(ar2)]).dtype, set(ravel(ar2).values())
    return asarray(sorted([v for v in set(ravel(ar1).values()) if v == v and v in two]), kind)


def setdiff1d(ar1, ar2):
    one, two = _f.unique(ar1), set(ravel(ar2).values())
    return asarray([v for v in one.values() if v != v or v not in two], one.dtype)


def array2string(a):
    return str(asarray(a))


array_str, array_repr = array2string, lambda arr: repr(arr)
