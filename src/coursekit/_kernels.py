"""`advantages.gae` compiled, for numpy: the extra `fast`.

One pass over memory as it lies, one thread; compiled code is kept beside this file.
tests/test_scans.py says that it computes what `advantages.gae_by_recursion` does.
"""

import numpy as np
from numba import njit

from coursekit._scans import memory_order

TILE = 512  # steps of one row whose TD errors are computed together


def gae(rewards, values, next_values, terminated, truncated, gamma, factor):
    """(..., T) advantages in the memory order of `rewards`.

    Arguments as `advantages.gae`, checked; factor = γλ.
    """
    order, width = memory_order(rewards)
    given = rewards, values, next_values, terminated, truncated
    # these may be the caller's own memory: they are only read
    given = [np.ascontiguousarray(x.transpose(order)) for x in given]
    result = np.empty_like(given[0])
    shape = -1, rewards.shape[-1] * width
    rows = [x.reshape(shape) for x in given]
    out = result.reshape(shape)
    number = rewards.dtype.type
    gamma, factor = number(gamma), number(factor)
    if width == 1:
        _in_rows(*rows, gamma, factor, out)
    else:
        _in_steps(*rows, gamma, factor, out, width)
    return result.transpose(np.argsort(order))


@njit(cache=True, error_model="numpy")
def _in_steps(
        rewards, values, next_values, terminated, truncated,
        gamma, factor, advantages, width):
    """(B, T·width), a step is `width` numbers in a row."""
    zero = gamma - gamma  # in gamma's type
    # unsigned numbers need no test for a negative index
    size, width = np.uint64(rewards.shape[1]), np.uint64(width)
    for b in range(len(rewards)):
        r, v, after = rewards[b], values[b], next_values[b]
        died, cut, out = terminated[b], truncated[b], advantages[b]
        for i in range(size - width, size):
            out[i] = r[i] + (zero if died[i] else gamma * after[i]) - v[i]
        start = size - width
        while start > 0:
            start -= width
            for n in range(width):
                i = start + n
                future, carried = gamma * after[i], factor * out[i + width]
                if died[i]:
                    future = zero
                if died[i] | cut[i]:
                    carried = zero
                out[i] = r[i] + future - v[i] + carried


@njit(cache=True, error_model="numpy")
def _in_rows(
        rewards, values, next_values, terminated, truncated,
        gamma, factor, advantages):
    """(N, T), a row is T numbers in time.

    Each step waits for the one after it. So four steps are taken at a time: first their
    sums without what follows, which need not wait, then what follows times the product
    of the weights.
    """
    zero = gamma - gamma  # in gamma's type
    x, w = np.zeros(TILE, rewards.dtype), np.zeros(TILE, rewards.dtype)
    for row in range(len(rewards)):
        y = zero
        for stop in range(rewards.shape[1], 0, -TILE):
            start = max(0, stop - TILE)
            tile = slice(start, stop)
            r, v, after = rewards[row, tile], values[row, tile], next_values[row, tile]
            died, cut = terminated[row, tile], truncated[row, tile]
            out = advantages[row, tile]
            for t in range(stop - start):
                future = gamma * after[t]
                if died[t]:
                    future = zero
                x[t] = r[t] + future - v[t]
                w[t] = zero if died[t] | cut[t] else factor
            t = stop - start - 1
            while t >= 3:
                x2 = x[t - 1] + _times(w[t - 1], x[t])
                x1 = x[t - 2] + _times(w[t - 2], x2)
                w2 = w[t - 1] * w[t]
                w1 = w[t - 2] * w2
                out[t] = x[t] + _times(w[t], y)
                out[t - 1] = x2 + _times(w2, y)
                out[t - 2] = x1 + _times(w1, y)
                y = x[t - 3] + _times(w[t - 3], x1) + _times(w[t - 3] * w1, y)
                out[t - 3] = y
                t -= 4
            while t >= 0:
                y = x[t] + _times(w[t], y)
                out[t] = y
                t -= 1


@njit(cache=True, error_model="numpy")
def _times(weight, y):
    """weight·y, and 0 where the weight is 0, even if y is NaN."""
    return weight * y if weight != 0 else weight
