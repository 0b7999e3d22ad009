"""Python's math module, with what MicroPython's lacks."""

import math
from math import *  # noqa: F403

inf, nan, tau = float("inf"), float("nan"), 2 * math.pi


def exp(x):
    if x > 709.782712893384 and x < inf:
        raise OverflowError("math range error")
    return math.exp(x)


def expm1(x):
    """MicroPython's loses digits near 0."""
    if abs(x) > 0.5:
        return exp(x) - 1.0
    total, part, k = 0.0, 1.0, 1
    while abs(part) > 1e-20 * abs(total) and k < 30:
        part = part * x / k
        total, k = total + part, k + 1
    return total


def log1p(x):
    up = 1.0 + x  # what rounding lost of x is put back
    return x if up == 1.0 else math.log(up) * (x / (up - 1.0) if abs(x) < 0.5 else 1.0)


def prod(iterable, *, start=1):
    for v in iterable:
        start = start * v
    return start


def fsum(seq):
    """The exact sum, rounded once: Shewchuk's parts that do not overlap."""
    parts = []
    for x in seq:
        x, i = float(x), 0
        if x - x != 0:
            return float(sum([float(v) for v in [x] + parts]))
        for y in parts:
            if abs(x) < abs(y):
                x, y = y, x
            high = x + y
            low = y - (high - x)
            if low:
                parts[i] = low
                i += 1
            x = high
        parts[i:] = [x]
    return float(sum(reversed(parts)))


def comb(n, k):
    return math.factorial(n) // (math.factorial(k) * math.factorial(n - k)) if k <= n else 0


def perm(n, k=None):
    return math.factorial(n) // math.factorial(n - (n if k is None else k))


def hypot(*coordinates):
    return math.sqrt(sum([float(x) * float(x) for x in coordinates]))


def dist(p, q):
    return math.sqrt(sum([(x - y) ** 2 for x, y in zip(p, q)]))


def cbrt(x):
    return math.copysign(abs(x) ** (1 / 3), x)


def exp2(x):
    return 2.0 ** x


def isqrt(n):
    root = int(math.sqrt(n))
    while root * root > n:
        root -= 1
    while (root + 1) * (root + 1) <= n:
        root += 1
    return root


def gcd(*integers):
    a = 0
    for b in integers:
        while b:
            a, b = b, a % b
    return abs(a)


def sumprod(p, q):
    return sum([a * b for a, b in zip(p, q)])
