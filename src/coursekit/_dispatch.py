"""Which loop does the work of `advantages.gae`.

The size of the arrays alone decides; `_scans` has the table.
"""

from functools import cache

import numpy as np

from coursekit._scans import gae_by_parts

# elements from which the compiled kernel is loaded
COMPILED = 2**17
# elements from which an array and its TD errors do not fit in the cache together
OUTSIDE = 2**20


def fused_gae(rewards):
    """The function that does the work of `advantages.gae` for a large numpy array.

    None where `gae` does it in two lines of its own. Otherwise it is the compiled
    kernel, if numba is installed. The size alone decides, although loading the kernel
    takes half a second: so the same call gives the same digits whatever was called
    before.
    """
    if not isinstance(rewards, np.ndarray) or rewards.size < COMPILED:
        return None
    kernel = _kernel() if rewards.dtype in (np.float32, np.float64) else None
    return kernel or (gae_by_parts if rewards.size >= OUTSIDE else None)


@cache
def _kernel():
    try:
        from coursekit import _kernels
    except (ImportError, OSError, RuntimeError):
        # no numba, one too old for this numpy, or no place for its cache
        return None
    return _kernels.gae
