"""Which implementation does the work of `advantages.gae`: the size of the arrays alone decides."""

from functools import cache

import numpy as np

from coursekit._scans import gae_by_parts

COMPILED = 2**17  # elements from which the compiled kernel is loaded
OUTSIDE = 2**20  # elements from which an array and its surprises do not fit in the cache together


def fused_gae(rewards):
    """What does the work of `advantages.gae` for a large numpy array; None where its own two lines do it.

    The compiled kernel, if numba is installed. The size alone decides: loading the kernel takes half a second, and
    the same call gives the same digits whatever was called before.
    """
    if not isinstance(rewards, np.ndarray) or rewards.size < COMPILED:
        return None
    kernel = _kernel() if rewards.dtype in (np.float32, np.float64) else None
    return kernel or (gae_by_parts if rewards.size >= OUTSIDE else None)


@cache
def _kernel():
    try:
        from coursekit import _kernels
    except ImportError:  # no numba, or one that does not know this numpy
        return None
    return _kernels.gae
