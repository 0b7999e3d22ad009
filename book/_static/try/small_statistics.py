"""Python's statistics, as far as a short answer needs it: sums are exact, as there."""

import math

from small_lacks import lack
from small_language import ordered
from small_math import fsum
from small_scalars import float64, generic, integer


class StatisticsError(ValueError):
    pass


def _numbers(data, fewest, name):
    """(plain numbers, what makes a result of their type)"""
    data = list(data)
    if len(data) < fewest:
        raise StatisticsError(name + " requires at least " + ("one data point" if fewest == 1 else
                                                              "two data points"))
    back = float64 if any([isinstance(x, float64) for x in data]) else lambda x: x
    return [x.value if isinstance(x, generic) else x for x in data], back


def _ratio(total, count):
    """total / count: an int where both are and it comes out even, as of fractions."""
    return total // count if isinstance(total, int) and total % count == 0 else total / count


def _sum(numbers):
    return sum(numbers) if all([isinstance(x, int) for x in numbers]) else fsum(numbers)


def mean(data):
    numbers, back = _numbers(data, 1, "mean")
    return back(_ratio(_sum(numbers), len(numbers)))


def fmean(data, weights=None):
    numbers, _ = _numbers(data, 1, "fmean")
    if weights is None:
        return fsum(numbers) / len(numbers)
    weights = list(weights)
    if len(weights) != len(numbers):
        raise StatisticsError("data and weights must be the same length")
    return fsum([float(x) * float(w) for x, w in zip(numbers, weights)]) / fsum(weights)


def geometric_mean(data):
    return math.exp(fmean([math.log(x) for x in data]))


def harmonic_mean(data):
    numbers, back = _numbers(data, 1, "harmonic_mean")
    return back(len(numbers) / fsum([1 / x for x in numbers]))


def _squares(numbers, center):
    center = _ratio(_sum(numbers), len(numbers)) if center is None else float(center)
    return _sum([(x - center) * (x - center) for x in numbers])


def variance(data, xbar=None):
    numbers, back = _numbers(data, 2, "variance")
    return back(_ratio(_squares(numbers, xbar), len(numbers) - 1))


def pvariance(data, mu=None):
    numbers, back = _numbers(data, 1, "pvariance")
    return back(_ratio(_squares(numbers, mu), len(numbers)))


def stdev(data, xbar=None):
    numbers = _numbers(_roots_exist(data), 2, "stdev")[0]
    return math.sqrt(_squares(numbers, xbar) / (len(numbers) - 1))


def pstdev(data, mu=None):
    numbers = _numbers(_roots_exist(data), 1, "pstdev")[0]
    return math.sqrt(_squares(numbers, mu) / len(numbers))


def _roots_exist(data):
    """data as a list. Of these numbers some versions of Python's raise an error, and others give a number."""
    data = list(data)
    if any([isinstance(x, integer) or not abs(x) < math.inf for x in data]):
        lack("a standard deviation of numpy's whole numbers, of NaN or infinity is not in the page's `statistics`")
    return data


def median(data):
    data = ordered(data)
    if not data:
        raise StatisticsError("no median for empty data")
    half = len(data) // 2
    return data[half] if len(data) % 2 else (data[half - 1] + data[half]) / 2


def median_low(data):
    data = ordered(data)
    return data[(len(data) - 1) // 2]


def median_high(data):
    data = ordered(data)
    return data[len(data) // 2]


def multimode(data):
    data = list(data)
    counts = [data.count(x) for x in data]
    return [x for i, x in enumerate(data) if counts[i] == max(counts) and data.index(x) == i]


def mode(data):
    found = multimode(data)
    if not found:
        raise StatisticsError("no mode for empty data")
    return found[0]


def _paired(x, y):
    x, y = _numbers(x, 2, "covariance")[0], _numbers(y, 2, "covariance")[0]
    if len(x) != len(y):
        raise StatisticsError("covariance requires that both inputs have same number of data points")
    mx, my = fsum(x) / len(x), fsum(y) / len(y)
    return [[fsum([(a - ma) * (b - mb) for a, b in zip(p, q)]) for p, ma, q, mb in (
        (x, mx, y, my), (x, mx, x, mx), (y, my, y, my))], len(x)]


def covariance(x, y):
    (xy, _, _), n = _paired(x, y)
    return xy / (n - 1)


def correlation(x, y):
    (xy, xx, yy), _ = _paired(x, y)
    if not xx * yy:
        raise StatisticsError("at least one of the inputs is constant")
    return xy / math.sqrt(xx * yy)


class LinearRegression:
    def __init__(self, slope, intercept):
        self.slope, self.intercept = slope, intercept

    def __iter__(self):
        return iter((self.slope, self.intercept))


def linear_regression(x, y):
    x, y = list(x), list(y)
    (xy, xx, _), _ = _paired(x, y)
    slope = xy / xx
    return LinearRegression(slope, fmean(y) - slope * fmean(x))
