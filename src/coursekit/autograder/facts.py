"""What can be said of cases, and of places in an answer, from the arguments alone: the third layer of diagnosis."""

import numpy as np


def of_cases(cases):
    """{"with …": [numbers of the cases]}: first what the cases say of themselves, then what their arguments
    show."""
    found: dict[str, list[int]] = {}
    for k, case in enumerate(cases):
        for fact in [*case.facts, *(fact for name, value in case.inputs.items() for fact in _of(name, value))]:
            found.setdefault(fact, []).append(k)
    return {fact: ks for fact, ks in found.items() if len(ks) < len(cases)}


def _of(name, value):
    x = np.asarray(value)
    if x.dtype.kind not in "biuf":
        return
    if x.ndim == 0:
        if x.dtype.kind == "b":
            yield f"where `{name}` is {bool(x)}"
        elif x in (0, 1):
            yield f"where `{name}` is {int(x)}"
        elif x < 0:
            yield f"where `{name}` is negative"
        return
    if x.shape[-1] == 1:
        yield f"where `{name}` has one entry" if x.ndim == 1 else f"where `{name}` has one column"
    elif x.ndim > 1 and len(x) == 1:
        yield f"where `{name}` has one row"
    if x.dtype.kind == "b":
        if x.any():
            yield f"where `{name}` is True somewhere"
        if x[..., :-1].any():
            yield f"where `{name}` is True before the last entry"
        if x[..., -1].any():
            yield f"where `{name}` is True at the last entry"
        if x.all():
            yield f"where `{name}` is True everywhere"
        return
    if np.isnan(x).any():
        yield f"where `{name}` holds NaN"
    if (x == 0).any():
        yield f"where `{name}` holds a 0"
    if (x < 0).any():
        yield f"where `{name}` holds a negative number"
    if len(np.unique(x)) < x.size:
        yield f"where two entries of `{name}` are equal"
    if x.dtype.kind in "iu":
        yield f"where `{name}` holds ints"


def of_places(cases, expected):
    """{"where …": [for each case, for each number of the right answer, whether it stands there]}."""
    shapes = [np.shape(e) if not isinstance(e, (tuple, str)) else None for e in expected]
    if not all(shapes):
        return {}
    found = {"in the last entry": [_last(shape) for shape in shapes],
             "in the first entry": [_last(shape)[..., ::-1] for shape in shapes],
             "everywhere but in the last entry": [~_last(shape) for shape in shapes]}
    for name in cases[0].inputs:
        values = [np.asarray(case.inputs[name]) for case in cases]
        if any(v.shape != shape for v, shape in zip(values, shapes)):
            continue
        if all(v.dtype.kind == "b" for v in values):
            found[f"where `{name}` is True"] = values
            found[f"where `{name}` is False"] = [~v for v in values]
            found[f"up to the last True of `{name}`"] = [_before(v, True) for v in values]
            found[f"before the last True of `{name}`"] = [_before(v, False) for v in values]
            found[f"right after a True of `{name}`"] = [_shifted(v) for v in values]
        else:
            with np.errstate(invalid="ignore"):
                found |= {f"where `{name}` is negative": [v < 0 for v in values],
                          f"where `{name}` is positive": [v > 0 for v in values],
                          f"where `{name}` is 0": [v == 0 for v in values],
                          f"where `{name}` is NaN": [np.isnan(v) for v in values]}
    return {name: [mask.ravel().tolist() for mask in masks] for name, masks in found.items()
            if any(m.any() for m in masks) and not all(m.all() for m in masks)}


def _last(shape):
    return np.broadcast_to(np.arange(shape[-1]) == shape[-1] - 1, shape)


def _before(flags, itself):
    later = np.flip(np.logical_or.accumulate(np.flip(flags, -1), axis=-1), -1)
    return later if itself else np.concatenate([later[..., 1:], np.zeros_like(later[..., :1])], axis=-1)


def _shifted(flags):
    return np.concatenate([np.zeros_like(flags[..., :1]), flags[..., :-1]], axis=-1)
