"""Which array library, checks of arguments, and means that respect a mask.

Every formula of the course is written once for numpy and torch. The checks look at
shapes, dtypes and ranges, never at contents: a NaN is the caller's affair unless a mask
says that it must not count.
"""

import math
from dataclasses import fields
from functools import cache

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj


def as_arrays(floating=(), boolean=(), **named):
    """Return (library, arrays): the named arrays, checked to fit each other.

    Args:
        floating, boolean: names of the arguments that must hold floats / flags.
        named: arrays of one shape (..., T), T >= 1, all numpy or all torch; lists
            become numpy arrays.
    Returns:
        The array namespace (numpy or torch, by array-api-compat) and the list of
        arrays, in order.
    Raises:
        ValueError: names the argument, what arrived, and the way out.
    """
    arrays = {name: _as_array(name, value) for name, value in named.items()}
    first, reference = next(iter(arrays.items()))
    try:
        xp = array_namespace(*arrays.values())
    except TypeError:
        libraries = {name: type(array).__module__.split(".")[0]
                     for name, array in arrays.items()}
        kinds = ", ".join(f"{name} is {library}" for name, library in libraries.items())
        raise ValueError(
            f"one array library at a time, got a mix ({kinds}); "
            "convert them to one") from None
    for name, array in arrays.items():
        if array.ndim == 0 or 0 in array.shape:
            raise ValueError(
                f"{name} must be (..., T) with at least one step, "
                f"got shape {tuple(array.shape)}")
        if array.shape != reference.shape:
            raise ValueError(
                f"{name} must have the shape of {first}, {tuple(reference.shape)}, "
                f"got {tuple(array.shape)}; pass one entry for every step")
        if not isinstance(array, np.ndarray) and device(array) != device(reference):
            raise ValueError(
                f"{name} is on {device(array)}, {first} on {device(reference)}; "
                "move one of them")
        if name in boolean and not _is(xp, array.dtype, "bool"):
            raise ValueError(
                f"{name} must be boolean, got {_dtype(array)}; pass {name} != 0")
        if name in floating:
            _check_float(xp, name, array, first, reference)
    return xp, list(arrays.values())


def fraction(**named):
    """Return one number in [0, 1] as a Python float, which keeps float32 arrays float32.

    Raises:
        ValueError: it is no number, or leaves [0, 1].
    """
    (name, value), = named.items()
    return _within(name, value, highest=1)


def positive_int(least=1, **named):
    """Return integers of at least 1, or another `least`: one alone, more as a list.

    Raises: ValueError: anything else.
    """
    for name, value in named.items():
        is_int = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not is_int or value < least:
            raise ValueError(
                f"{name} must be an integer of at least {least}, got {value!r}")
    return _alone([int(value) for value in named.values()])


def positive(**named):
    """Return finite numbers above 0: one alone, more as a list. Else raise ValueError."""
    return _alone([_within(*number, included=False) for number in named.items()])


def not_negative(**named):
    """Return finite numbers of at least 0, as `positive` does."""
    return _alone([_within(*number) for number in named.items()])


def shares(**named):
    """A numpy array of floats. Raises ValueError unless there are some, in [0, 1] all."""
    (name, x), = named.items()
    x = np.asarray(x, float)
    outside = x[~((x >= 0) & (x <= 1))]
    if outside.size or not x.size:
        raise ValueError(f"{name} must lie in [0, 1], got {[*outside, 'none'][0]}")
    return x


def finite(name, x, each="entry"):
    """x, an array.

    Raises ValueError naming the first `each`, a number of the first axis, that is not
    finite.
    """
    xp = array_namespace(x)
    good = xp.isfinite(x)
    if not bool(xp.all(good)):
        where = tuple(int(i) for i in np.argwhere(~np.asarray(good))[0])
        raise ValueError(
            f"{name} must be finite, got {float(x[where])} in {each} {where[0]}; "
            "look at what made it")
    return x


def check_numbers(config, **ranges):
    """Raise ValueError unless each field of a config is a number in its range, or None where it may be.

    ranges: name to (kind, lowest, highest, whether the lowest itself may be): kind int
    or float.
    """
    optional = {field.name for field in fields(config) if "None" in str(field.type)}
    for name, (kind, lowest, highest, included) in ranges.items():
        value = getattr(config, name)
        if value is None and name in optional:
            continue
        if kind is int:
            positive_int(min(lowest, 1), **{name: value})
        _within(name, value, lowest, highest, included)


def masked_mean(x, mask=None, *, count=None):
    """Mean over the entries where mask is True; the others, NaN included, do not count.

        mean = sum_{i: mask_i} x_i / |mask|

    Half precision (float16, bfloat16) is added up in float32.

    Args:
        x: floats of any shape (numpy or torch).
        mask: bools of the same shape, or None for all.
        count: divide by this instead of |mask|: a batch in several parts has one
            denominator.
    Returns:
        A 0-d array of the library and dtype of x.
    Raises:
        ValueError: shapes differ, mask is not boolean, nothing counts, or count is not
            positive.
    """
    xp, x, mask = _with_mask(x, mask)
    total = xp.sum(xp.where(mask, in_single(x), 0.0))
    if count is None:
        count = _count(xp, mask)
    else:
        positive(count=count)
    return xp.astype(total / count, x.dtype, copy=False)


def whiten(x, mask=None, *, eps=1e-8, total=lambda part: part):
    """Standardise x: mean 0 and standard deviation 1 over the entries that count, 0 elsewhere.

        y = (x − mean) / (sd + eps),   sd with the N − 1 denominator

    Whiten advantages after the value targets are computed from them, never before.
    Where all entries are equal up to rounding the result is 0 everywhere. Moments of
    half precision (float16, bfloat16) are computed in float32.

    Args:
        x: floats of any shape.
        mask: bools of the same shape, or None.
        eps: added to sd, in units of x.
        total: adds a number up over the parts of a batch that lies on several ranks
            (`distributed.total`).
    Returns:
        Array like x, without unit.
    Raises:
        ValueError: as masked_mean, or fewer than two entries count.
    Source: Huang et al. 2022, detail 7.
    """
    xp, given, mask = _with_mask(x, mask)
    not_negative(eps=eps)
    x = in_single(given)
    # sums that are taken in the precision of the entries round as well
    rounding = xp.finfo(given.dtype).eps * (8 if x.dtype == given.dtype else 1)
    count = float(total(xp.sum(mask)))
    if count < 2:
        raise ValueError(
            f"mask must leave at least 2 entries that count, got {int(count)}")
    mean = total(xp.sum(xp.where(mask, x, 0.0))) / count
    centred = xp.where(mask, x - mean, 0.0)
    variance = total(xp.sum(centred * centred)) / (count - 1)
    flat = variance <= (rounding * mean) ** 2
    # where flat, 1: the gradient of √0 is infinite
    sd = xp.sqrt(xp.where(flat, 1.0, variance))
    return xp.astype(xp.where(flat, 0.0, centred / (sd + eps)), given.dtype, copy=False)


def _as_array(name, value):
    if isinstance(value, (list, tuple)):
        try:
            value = np.asarray(value)
        except ValueError:
            raise ValueError(
                f"{name} must be rectangular, got rows of different lengths; "
                "pad them") from None
    if not is_array_api_obj(value):
        raise ValueError(
            f"{name} must be a numpy array or a torch tensor, "
            f"got {type(value).__name__}; pass np.asarray({name})")
    if isinstance(value, np.ndarray) and value.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} must hold numbers, got dtype {value.dtype}; "
            f"pass np.asarray({name}, float)")
    return value


def _check_float(xp, name, array, first, reference):
    if not _is(xp, array.dtype, "real floating"):
        torch_way, numpy_way = f"{name}.float()", f"np.asarray({name}, float)"
        way = torch_way if hasattr(array, "detach") else numpy_way
        raise ValueError(
            f"{name} must be floating point, got {_dtype(array)}; pass {way}")
    if array.dtype != reference.dtype and _is(xp, reference.dtype, "real floating"):
        raise ValueError(
            f"{name} is {_dtype(array)} but {first} is {_dtype(reference)}; "
            "convert one of them")


@cache  # ten calls of 1 µs are a third of gae's time on a short rollout
def _is(xp, dtype, kind):
    return xp.isdtype(dtype, kind)


def _dtype(array):
    return str(array.dtype).removeprefix("torch.")


def _number(name, value):
    if isinstance(value, (bool, np.bool_, str, bytes)):
        raise ValueError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be one number, got {type(value).__name__}; "
            "pass a float") from None
    if math.isnan(number):
        raise ValueError(f"{name} must be a number, got nan")
    return number


def _alone(numbers):
    return numbers[0] if len(numbers) == 1 else numbers


def _within(name, value, lowest=0, highest=math.inf, included=True):
    number = _number(name, value)
    outside = not lowest <= number <= highest or math.isinf(number)
    if outside or (number == lowest and not included):
        least = f"at least {lowest}" if included else f"more than {lowest}"
        most = f"at most {highest}" if highest < math.inf else "finite"
        raise ValueError(f"{name} must be {least} and {most}, got {value!r}")
    return number


def in_single(x):
    """x, as float32 where it has half precision."""
    xp = array_namespace(x)
    return xp.astype(x, xp.float32) if xp.finfo(x.dtype).bits < 32 else x


def _with_mask(x, mask):
    if mask is None:
        xp, (x,) = as_arrays(floating=["x"], x=x)
        return xp, x, xp.ones_like(x, dtype=xp.bool)
    xp, (x, mask) = as_arrays(floating=["x"], boolean=["mask"], x=x, mask=mask)
    return xp, x, mask


def _count(xp, mask):
    count = int(xp.sum(mask))
    if count < 1:
        raise ValueError("mask must leave at least 1 entry that counts, got 0")
    return count
