"""The loops behind `advantages.gae` and the returns: sums that run backwards through time, near memory speed.

    y_t = x_t + factor·[not ended_t]·y_{t+1}

Written out (`advantages.gae_by_recursion`) this costs one round of Python for every t,
which is much where a step holds few numbers. What is done instead depends on how the
array lies in memory. The last column says how many times faster `gae` is than
`gae_by_recursion` (float32, arrays (N, T), `python benchmarks/gae.py --strategies`):

    loop                  where                                               times faster
    doubling in blocks    numpy, where none of the others suits               1 at (1, 5), 9 at (8, 128),
                                                                              3 at (256, 128), 500 at (1, 10⁶)
    step by step          a step is WIDE or more contiguous numbers           3 to 4
    transposed            contiguous in time, many rows, and long             2 to 3
    in parts of these     numpy without numba, from 2²⁰ elements              5
    compiled              numpy with numba, from 2¹⁷ elements                 5 to 14
    doubling              torch where gradients flow; blocks that hold NaN    2 to 7

Doubling needs log2(T) rounds: after a round with shift s, y_t holds the first 2s terms
of its sum. A batch that is contiguous in time is one long column to it, with an end
after every row.
"""

import math

import numpy as np

# elements that go through all rounds of doubling at once:
# they stay in the second-level cache
BLOCK = 2**15
# numbers of a step from which one round of Python a step costs less
# than log2(T) rounds over all
WIDE = 1024
# bytes of a step and bytes of a row from which it pays to transpose rows
# that are contiguous in time
TRANSPOSE_STEP, TRANSPOSE_ROW = 2**13, 2**9
# elements whose TD errors and sums are worked out together, in the cache
PART = 2**18


def zeroed(x, where):
    """x, 0 where the flags are set, even if it is NaN there.

    A numpy array is changed in place.
    """
    if isinstance(x, np.ndarray):
        np.copyto(x, 0.0, where=where)
        return x
    import torch

    return torch.where(where, 0.0, x)  # masked_fill would not keep the memory order


def discounted_sums(x, ended, factor):
    """y as above, in the memory order of x.

    Both arguments may be overwritten: pass copies of what you keep. Terms with a weight
    below eps² of the dtype are left out. What comes after an end, NaN included, changes
    nothing before it.

    Args:
        x: (..., T) floats, numpy or torch; ended: (..., T) bools; factor: float in [0, 1].
    Returns:
        (..., T) like x; gradients flow through it.
    """
    if factor == 0 or x.shape[-1] == 1:
        return x
    if isinstance(x, np.ndarray):
        return _in_place(x, ended, factor)
    if _lends_its_memory(x):
        _in_place(x.numpy(), ended.numpy(), factor)
        return x
    y = x.clone()
    _doubling(y.movedim(-1, 0), ended.movedim(-1, 0), factor)
    return y


def _lends_its_memory(x):
    """True for a tensor whose memory numpy can work on, and that nobody differentiates, maps or traces."""
    import torch

    floats = torch.float32, torch.float64
    if type(x) is not torch.Tensor or x.device.type != "cpu" or x.dtype not in floats:
        return False
    mapped = torch._C._functorch.is_functorch_wrapped_tensor(x)
    forward = torch.autograd.forward_ad.unpack_dual(x).tangent is not None
    return not (x.requires_grad or torch.compiler.is_compiling() or mapped or forward)


def memory_order(x):
    """How a numpy array lies: its axes from the largest stride to the smallest, and the distance of two steps."""
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
    inside = order[order.index(x.ndim - 1) + 1:]  # the axes within a step
    return order, math.prod(x.shape[axis] for axis in inside)


def gae_by_parts(rewards, values, next_values, terminated, truncated, gamma, factor):
    """`advantages.gae` for numpy, part by part of memory from its end: the sums find the TD errors in the cache."""
    order, _ = memory_order(rewards)
    # the parts are slices of this axis
    axis = next((axis for axis in order if rewards.shape[axis] > 1), order[0])
    time = rewards.ndim - 1
    # transposed sums take blocks of all rows: then all sums come at the end
    at_once = axis != time and _worth_transposing(rewards)
    result, ended = np.empty_like(rewards), np.empty_like(terminated)
    out, ends = np.moveaxis(result, axis, 0), np.moveaxis(ended, axis, 0)
    given = rewards, values, next_values, terminated, truncated
    given = [np.moveaxis(x, axis, 0) for x in given]
    length = max(1, PART * len(out) // rewards.size)
    for stop in range(len(out), 0, -length):
        part = slice(max(0, stop - length), stop)
        r, v, after, died, cut = (x[part] for x in given)
        x = zeroed(np.multiply(after, gamma, out=out[part]), died)
        np.logical_or(died, cut, out=ends[part])
        x += r
        x -= v
        if axis == time and stop < len(out):
            x[-1] += zeroed(factor * out[stop], ends[stop - 1])
        if factor and not at_once:
            x, stops = np.moveaxis(x, 0, axis), np.moveaxis(ends[part], 0, axis)
            _in_place(x, stops, factor)
    return _in_place(result, ended, factor) if factor and at_once else result


def _in_place(x, ended, factor):
    """The sums of a numpy array, taken as one column in which a number's successor stands `width` further on."""
    order, width = memory_order(x)
    column = x.transpose(order)
    if not column.flags.c_contiguous:  # gaps, or a negative stride
        x[...] = _in_place(x.copy(order="C"), ended, factor)
        return x
    steps = x.shape[-1]
    column = column.reshape(-1, width)
    ended[..., -1] = True
    # a copy if the flags lie in another order
    ended = ended.transpose(order).reshape(-1, width)
    if width >= WIDE:
        _step_by_step(column, ended, factor)
    elif _worth_transposing(x):
        shape = -1, steps, width
        _transposed(column.reshape(shape), ended.reshape(shape), factor)
    else:
        _block_by_block(column, ended, factor, max(1, BLOCK // width), steps)
    return x


def _step_by_step(x, ended, factor):
    carried = np.empty_like(x[0])
    zero = np.zeros((), x.dtype)
    factor = x.dtype.type(factor)  # a Python number would be converted in every round
    for here, after, stops in zip(x[-2::-1], x[:0:-1], ended[-2::-1]):
        np.multiply(after, factor, out=carried)
        np.copyto(carried, zero, where=stops)
        here += carried


def _worth_transposing(x):
    steps = x.shape[-1]
    return x.nbytes // steps >= TRANSPOSE_STEP and steps * x.itemsize >= TRANSPOSE_ROW


def _transposed(x, ended, factor):
    """(A, T, B): blocks of steps, from the end, are transposed tile by tile into memory where a step is a row.

    That memory has rows 64 longer than needed: rows whose distance is a power of two
    would share few cache lines.
    """
    rows, steps, width = x.shape
    length = min(steps, max(1, PART // (rows * width)))
    tall = max(1, BLOCK // (length * width))
    tiles = [slice(first, min(rows, first + tall)) for first in range(0, rows, tall)]

    def padded(n, m):
        """Memory (n, m, B) for numbers, and for flags."""
        return [np.empty((n, m + 64, width), a.dtype)[:, :m] for a in (x, ended)]

    by_step, spare = padded(length + 1, rows), padded(tall, length + 1)
    for stop in range(steps, 1, -length):
        # the sum of the part's last step is known
        part = slice(max(0, stop - length - 1), stop)
        y, stops = (a[:part.stop - part.start] for a in by_step)
        for tile in tiles:
            for given, near, far in zip((x, ended), spare, (y, stops)):
                near = near[:tile.stop - tile.start, :len(y)]
                np.copyto(near, given[tile, part])
                np.copyto(far[:, tile], near.swapaxes(0, 1))
        _step_by_step(y, stops, factor)
        for tile in tiles:
            np.copyto(x[tile, part], y[:, tile].swapaxes(0, 1))


def _block_by_block(x, ended, factor, length, reach):
    """Blocks of so many steps from the end, each linked to the one after it; no sum is longer than `reach`."""
    spare = np.empty((3, min(length, len(x)), x.shape[1]), x.dtype)
    for stop in range(len(x), 0, -length):
        start = max(0, stop - length)
        if stop < len(x):
            x[stop - 1] += zeroed(x[stop] * factor, ended[stop - 1])
        with np.errstate(invalid="ignore", over="ignore"):
            # a sum in half precision may overflow
            finite = x.itemsize > 2 and math.isfinite(x[start:stop].sum())
        if finite:
            _weighted_doubling(x[start:stop], ended[start:stop], factor, reach, spare)
        else:  # a weight of 0 would not stop a NaN
            _doubling(x[start:stop], ended[start:stop], factor)


def _rounds(steps, factor, dtype_eps):
    """(shift, factor**shift) for shifts 1, 2, 4, ..., as far as there are steps and the weight counts."""
    shift = 1
    while shift < steps and factor > dtype_eps**2:
        yield shift, factor
        shift, factor = 2 * shift, factor * factor


def _doubling(x, ended, factor):
    """Doubling with time first, numpy or torch, in place; gradients may flow, and x may hold NaN."""
    if isinstance(x, np.ndarray):
        finfo = np.finfo
    else:
        from torch import finfo
    for shift, weight in _rounds(len(x), factor, finfo(x.dtype).eps):
        near = x[:-shift]
        near += zeroed(weight * x[shift:], ended[:len(x) - shift])
        ended = ended[:-shift] | ended[shift:]


def _weighted_doubling(x, ended, factor, reach, spare):
    """The same for finite numbers, faster: the flags become weights, 0 where a sum must not go on."""
    steps = len(x)
    carried, weights, following = spare
    np.logical_not(ended, out=weights[:steps])
    weights[:steps] *= factor
    eps = np.finfo(x.dtype).eps
    shifts = [shift for shift, _ in _rounds(min(steps, reach), factor, eps)]
    for shift in shifts:
        rest = steps - shift
        x[:rest] += np.multiply(x[shift:], weights[:rest], out=carried[:rest])
        if shift < shifts[-1]:
            near, far = weights[:rest - shift], weights[shift:rest]
            np.multiply(near, far, out=following[:rest - shift])
            weights, following = following, weights
