"""np.linalg, as far as a short answer needs it."""

import small_functions as _f
import small_operations as _ops
from small_array import asarray
from small_lacks import lack
from small_making import eye


class LinAlgError(ValueError):
    pass


def norm(x, ord=None, axis=None, keepdims=False):
    x = asarray(x, float)
    if ord is None or ord == 2 and (isinstance(axis, int) or x.ndim == 1):
        return _f.sqrt((x * x).sum(axis=axis, keepdims=keepdims))
    if isinstance(ord, str) or ord is not None and (axis is None and x.ndim > 1 or isinstance(axis, tuple)):
        lack("`ord=` of `np.linalg.norm` for a matrix is not in the page's numpy")
    size = _ops.absolute(x)
    if abs(ord) == float("inf"):
        return (size.max if ord > 0 else size.min)(axis=axis, keepdims=keepdims)
    if ord == 0:
        return (x != 0).astype(float).sum(axis=axis, keepdims=keepdims)
    return (size ** ord).sum(axis=axis, keepdims=keepdims) ** (1 / ord)


def _solved(a, b):
    """Gauss-Jordan with pivots: the rows of a and b as lists; the determinant."""
    n, det = len(a), 1.0
    for k in range(n):
        best = max(range(k, n), key=lambda i: abs(a[i][k]))
        if a[best][k] == 0:
            return 0.0
        if best != k:
            a[k], a[best], b[k], b[best], det = a[best], a[k], b[best], b[k], -det
        det *= a[k][k]
        for i in range(n):
            if i != k and a[i][k]:
                by = a[i][k] / a[k][k]
                a[i] = [x - by * y for x, y in zip(a[i], a[k])]
                b[i] = [x - by * y for x, y in zip(b[i], b[k])]
    for k in range(n):
        b[k] = [x / a[k][k] for x in b[k]]
    return det


def _square(a):
    a = asarray(a, float)
    if a.ndim < 2:
        raise LinAlgError(str(a.ndim) + "-dimensional array given. Array must be at least two-dimensional")
    if a.ndim > 2:
        lack("`np.linalg` of a stack of matrices is not in the page's numpy")
    if a.shape[0] != a.shape[1]:
        raise LinAlgError("Last 2 dimensions of the array must be square")
    return a


def solve(a, b):
    a, b = _square(a), asarray(b, float)
    if not b.ndim or len(b) != len(a):
        raise ValueError("solve: Input operand 1 has a mismatch in its core dimension 0")
    if b.ndim > 2:
        lack("`np.linalg` of a stack of matrices is not in the page's numpy")
    rows = b.reshape(len(b), -1).tolist()
    if not _solved(a.tolist(), rows):
        raise LinAlgError("Singular matrix")
    return asarray(rows, float).reshape(b.shape)


def inv(a):
    return solve(a, eye(len(_square(a))))


def det(a):
    a = _square(a)
    return asarray(_solved(a.tolist(), eye(len(a)).tolist()))[()]
