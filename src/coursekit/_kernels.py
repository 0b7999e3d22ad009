"""`advantages.gae` compiled, for numpy: the extra `coursekit[fast]`.

One pass over memory as it lies, one thread; compiled code is kept beside this file. `advantages.gae` says what is
computed, tests/test_scans.py that this is the same.
"""

import numpy as np
from numba import njit

from coursekit._scans import memory_order

STRIP = 2048  # numbers of a step that are carried back in time together: they stay in the first-level cache
TILE = 512  # steps of one row whose surprises are computed together


def gae(rewards, values, next_values, terminated, truncated, gamma, factor):
    """(..., T) advantages in the memory order of `rewards`. Arguments as `advantages.gae`, checked; factor = γλ."""
    order, distance = memory_order(rewards)
    given = rewards, values, next_values, terminated, truncated
    given = [np.ascontiguousarray(x.transpose(order)) for x in given]  # read only: these may be the caller's own
    result = np.empty_like(given[0])
    shape = (-1, rewards.shape[-1]) if distance == 1 else (-1, rewards.shape[-1], distance)
    number = rewards.dtype.type
    kernel = _in_rows if distance == 1 else _in_steps
    kernel(*(x.reshape(shape) for x in given), number(gamma), number(factor), result.reshape(shape))
    return result.transpose(np.argsort(order))


@njit(cache=True, error_model="numpy")
def _in_steps(rewards, values, next_values, terminated, truncated, gamma, factor, advantages):
    """(B, T, N), a step is N numbers in a row."""
    zero = gamma - gamma  # of its type
    batch, steps, width = rewards.shape
    for b in range(batch):
        for first in range(0, width, STRIP):
            strip = slice(first, min(width, first + STRIP))
            following = np.zeros(min(width, first + STRIP) - first, rewards.dtype)
            for t in range(steps - 1, -1, -1):
                r, v, after = rewards[b, t, strip], values[b, t, strip], next_values[b, t, strip]
                died, cut, out = terminated[b, t, strip], truncated[b, t, strip], advantages[b, t, strip]
                for n in range(len(out)):
                    future, carried = gamma * after[n], factor * following[n]
                    if died[n]:
                        future = zero
                    if died[n] | cut[n]:
                        carried = zero
                    following[n] = r[n] + future - v[n] + carried
                    out[n] = following[n]


@njit(cache=True, error_model="numpy")
def _in_rows(rewards, values, next_values, terminated, truncated, gamma, factor, advantages):
    """(N, T), a row is T numbers in time. A step waits for the one after it, so four are taken at a time: first
    their sums without what follows, which wait for nothing, then what follows times the product of the weights."""
    zero = gamma - gamma
    x, w = np.zeros(TILE, rewards.dtype), np.zeros(TILE, rewards.dtype)
    for row in range(len(rewards)):
        y = zero
        for stop in range(rewards.shape[1], 0, -TILE):
            start = max(0, stop - TILE)
            tile = slice(start, stop)
            r, v, after, out = rewards[row, tile], values[row, tile], next_values[row, tile], advantages[row, tile]
            died, cut = terminated[row, tile], truncated[row, tile]
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
