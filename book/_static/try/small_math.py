"""Python's math module, with what MicroPython's lacks."""

import math
from math import *  # noqa: F403

inf, nan = float("inf"), float("nan")


def exp(x):
    if x > 709.782712893384 and x < inf:
        raise OverflowError("math range error")
    return math.exp(x)


def log1p(x):
    up = 1.0 + x  # what rounding lost of x is put back
    return x if up == 1.0 else math.log(up) * (x / (up - 1.0) if abs(x) < 0.5 else 1.0)


def prod(values):
    result = 1
    for v in values:
        result = result * v
    return result


def fsum(values):
    return float(sum(values))


def comb(n, k):
    return math.factorial(n) // (math.factorial(k) * math.factorial(n - k)) if k <= n else 0


def hypot(x, y):
    return math.sqrt(x * x + y * y)


def dist(p, q):
    return math.sqrt(sum([(x - y) ** 2 for x, y in zip(p, q)]))
