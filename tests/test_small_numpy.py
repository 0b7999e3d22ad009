"""The page's small numpy gives numpy's numbers, shapes, kinds, texts and refusals."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import small_array
import small_coursekit
import small_math
import small_numpy as sn
import small_operations
import small_print
import small_reader
from coursekit.advantages import gae
from coursekit.tokens import token_rewards, token_steps

TRY = Path(__file__).parent.parent / "book" / "_static" / "try"

KINDS = {"b": bool, "i": np.int64, "f": float}
NUMBERS = {"b": st.booleans(), "i": st.integers(-9, 9),
           "f": st.sampled_from([0.0, -0.0, 1.0, -1.5, 2.25, 0.1, 1e-3, 3e8, -7.0, 40.0, math.nan, math.inf,
                                 -math.inf])}


def arrays(kinds="bif", shapes=None, min_side=1):
    shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=min_side, max_side=4) if shapes is None else shapes
    return st.sampled_from(kinds).flatmap(lambda kind: hnp.arrays(KINDS[kind], shapes, elements=NUMBERS[kind]))


def small(value):
    """The same value for the small numpy: arrays, also in tuples and lists."""
    if isinstance(value, np.ndarray):
        return small_array.ndarray(value.ravel().tolist(), value.shape, value.dtype.kind)
    if isinstance(value, tuple | list):
        return type(value)(small(v) for v in value)
    return value.item() if isinstance(value, np.generic) else value


def big(value):
    if isinstance(value, small_array.ndarray):
        return np.array(value.values(), KINDS[value.dtype.kind]).reshape(value.shape)
    if isinstance(value, small_array.bool_):
        return np.bool_(value.flag)
    return type(value)(big(v) for v in value) if isinstance(value, tuple | list) else value


def outcome(function, *args):
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        try:
            return "gave", function(*args)
        except Exception as error:
            return type(error), str(error)


def same(function, *args, words=True, rtol=1e-12):
    """function(np, ...) and function(sn, ...) give the same numbers, shape and kind, or refuse alike."""
    how, wanted = outcome(function, np, *args)
    mine, got = outcome(function, sn, *map(small, args))
    if how != "gave":
        assert mine != "gave" and issubclass(how, mine), (wanted, mine, got)
        assert not words or got == wanted
        return
    assert mine == "gave", (wanted, got)
    wanted = tuple(wanted) if isinstance(wanted, tuple | list) else (wanted,)
    got = tuple(got) if isinstance(got, tuple | list) else (got,)
    assert len(got) == len(wanted)
    for g, w in zip(got, wanted):
        g, w = np.asarray(big(g)), np.asarray(w)
        assert g.shape == w.shape and (g.dtype.kind == w.dtype.kind or g.size == 0), (g, w)
        assert_allclose(g.astype(float), w.astype(float), rtol=rtol, atol=1e-300)


OPERATORS = ("+", "-", "*", "/", "//", "%", "**", "<", "<=", ">", ">=", "==", "!=", "&", "|", "^")


@st.composite
def pairs(draw):
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3)).input_shapes
    two = [draw(arrays(shapes=st.just(shape))) for shape in shapes]
    return [x.ravel()[0].item() if x.ndim == 0 else x for x in two]


def is_huge(op, x, y):
    """int64 wraps around where Python's int grows."""
    return op == "**" and np.asarray(x).dtype.kind != "f" and np.asarray(y).dtype.kind != "f"


@settings(max_examples=150)
@given(pairs(), st.sampled_from(OPERATORS))
def test_operators_broadcast_as_numpys(two, op):
    x, y = two
    if np.ndim(x) == np.ndim(y) == 0 or is_huge(op, x, y):
        return
    special = np.isinf(np.asarray(x, float)).any() or np.isinf(np.asarray(y, float)).any()
    if op in ("//", "%") and special:
        return  # numpy's own choices around infinity
    same(lambda m, a, b: eval(f"a {op} b"), x, y, words=op != "&" and op != "|" and op != "^")


@settings(max_examples=80)
@given(arrays("i"), st.integers(0, 4))
def test_powers_of_ints_are_ints(x, n):
    same(lambda m, a, k: a ** k, x, n)
    same(lambda m, a: 2 ** a, abs(x))


@settings(max_examples=50)
@given(arrays(), arrays())
def test_shapes_that_do_not_fit_are_refused_in_numpys_words(x, y):
    same(lambda m, a, b: a + b, x, y)


@settings(max_examples=80)
@given(arrays(), st.sampled_from("+ - * / // % & |".split()), st.sampled_from([2, 0.5, True, -3]))
def test_an_array_changed_in_place_keeps_its_kind(x, op, y):
    def change(m, a):
        a = a.copy()
        b = a[...]
        space = {"a": a, "y": y}
        exec(f"a {op}= y", space)
        return space["a"], b

    if np.isfinite(x.astype(float)).all():
        same(change, x, words=False)


KEYS = st.one_of(st.integers(-5, 5), st.slices(4), st.just(Ellipsis), st.just(None),
                 st.lists(st.integers(-3, 3), min_size=1, max_size=3))


@settings(max_examples=150)
@given(arrays("if"), st.lists(KEYS, min_size=1, max_size=4))
def test_indices_mean_what_they_mean_in_numpy(x, keys):
    if keys.count(Ellipsis) > 1:
        return
    key = keys[0] if len(keys) == 1 else tuple(keys)
    same(lambda m, a: a[key], x, words=len(keys) == 1)  # of several mistakes numpy names another


@settings(max_examples=80)
@given(arrays("if"), st.lists(KEYS, min_size=1, max_size=3), st.sampled_from([7, 2.5, True]))
def test_assignment_reaches_the_same_places(x, keys, value):
    def change(m, a):
        a = a.copy()
        a[key] = value
        return a

    key = keys[0] if len(keys) == 1 else tuple(keys)
    if keys.count(Ellipsis) < 2:
        same(change, x, words=False)


@settings(max_examples=60)
@given(arrays("if"), st.data())
def test_masks_choose_and_assign(x, data):
    mask = data.draw(hnp.arrays(bool, x.shape[:data.draw(st.integers(1, x.ndim))]))

    def change(m, a, flags):
        chosen = a[flags]
        a = a.copy()
        a[flags] = 0
        return chosen, a, a[~flags]
    same(change, x, mask)


def test_a_slice_is_a_view_and_a_mask_is_a_copy():
    for m in (np, sn):
        a = m.zeros((2, 3))
        for row in a:
            row[1] = 5
        a[:, 2][...] = 7
        a[0] += 1
        a[a > 6][:] = 0
        a.T[0] = 9
        assert a.tolist() == [[9, 6, 8], [9, 5, 7]]


REDUCTIONS = ("sum", "mean", "max", "min", "prod", "any", "all")


@settings(max_examples=120)
@given(arrays(), st.sampled_from(REDUCTIONS), st.sampled_from([None, 0, -1, 1, (0, 1)]), st.booleans())
def test_sums_along_an_axis(x, name, axis, keep):
    if not isinstance(axis, tuple) or x.ndim > 1:
        same(lambda m, a: getattr(m, name)(a, axis=axis, keepdims=keep), x, words=False)
        same(lambda m, a: getattr(a, name)(axis=axis), x, words=False)


@settings(max_examples=80)
@given(arrays(), st.sampled_from(["var", "std"]), st.sampled_from([None, 0, -1]), st.sampled_from([0, 1]))
def test_variances(x, name, axis, ddof):
    if np.isfinite(x.astype(float)).all():
        same(lambda m, a: getattr(m, name)(a, axis=axis, ddof=ddof), x, rtol=1e-9)


@settings(max_examples=80)
@given(arrays("if"), st.sampled_from(["cumsum", "argmax", "argmin", "argsort", "sort", "median", "cumprod"]),
       st.sampled_from([None, 0, -1]))
def test_lists_along_an_axis(x, name, axis):
    if name in ("argsort", "sort", "median") and (axis is None or np.isnan(x.astype(float)).any()):
        axis = -1
    if name == "argsort":
        x = np.unique(x)  # ties may stand either way
    if not (name == "median" and not np.isfinite(x.astype(float)).all()):
        same(lambda m, a: getattr(m, name)(a, axis=axis), x)


ONE = ("exp", "log", "log1p", "sqrt", "abs", "sign", "floor", "ceil", "isnan", "isfinite", "tanh", "square",
       "expm1", "negative", "logical_not", "log2", "log10", "cos", "flip", "ravel", "transpose", "diff", "unique",
       "squeeze", "nonzero", "flatnonzero", "argwhere", "count_nonzero", "zeros_like", "ones_like", "nan_to_num",
       "isinf", "atleast_1d", "nansum", "shape", "ndim", "size", "copy", "round")


ROOTS = ("exp", "log", "log1p", "sqrt", "tanh", "expm1", "log2", "log10", "cos", "square")


@settings(max_examples=250)
@given(arrays(), st.sampled_from(ONE))
def test_functions_of_one_array(x, name):
    if name == "nonzero":
        same(lambda m, a: a.nonzero(), x)
    elif x.dtype == bool and name in ROOTS:
        same(lambda m, a: getattr(m, name)(a * 1), x)  # of flags numpy gives half precision
    elif not (name == "unique" and np.isnan(x.astype(float)).any() or x.dtype == bool and name in ("sign", "round")
              or x.dtype.kind != "f" and name in ("floor", "ceil", "nan_to_num")):
        same(lambda m, a: getattr(m, name)(a), x, words=False, rtol=1e-10)


@settings(max_examples=120)
@given(pairs(), st.sampled_from(["minimum", "maximum", "logaddexp", "logical_and", "logical_or", "fmax", "add",
                                 "where", "isclose", "append", "power"]))
def test_functions_of_two_arrays(two, name):
    x, y = two
    finite = all(np.isfinite(np.asarray(v, float)).all() for v in two)
    flags = all(np.asarray(v).dtype == bool for v in two)
    if name == "where":
        same(lambda m, a, b: m.where(m.array(a) > 0, a, b), x, y)
    elif not (name == "isclose" and not finite or name == "power" and is_huge("**", x, y)
              or name == "logaddexp" and flags):
        same(lambda m, a, b: getattr(m, name)(a, b), x, y, rtol=1e-10)


@settings(max_examples=60)
@given(st.lists(arrays(shapes=st.just((2, 3))), min_size=1, max_size=3),
       st.sampled_from(["concatenate", "stack", "vstack", "hstack", "column_stack"]), st.sampled_from([0, 1, -1]))
def test_joining(parts, name, axis):
    options = {"axis": axis} if name in ("concatenate", "stack") else {}
    same(lambda m, *a: getattr(m, name)(list(a), **options), *parts)


@settings(max_examples=80)
@given(arrays(min_side=0), st.sampled_from([str, repr]))
def test_arrays_print_as_numpys(x, text):
    if x.size:
        assert text(small(x)) == text(x)


@settings(max_examples=120)
@given(st.floats())
@example(2.0**-24)  # where the next float below is nearer than the one above
def test_a_float_is_written_as_python_writes_it(x):
    if abs(x) >= 2.3e-308 or x == 0 or x != x:
        assert small_print.float_text(x) == repr(x)


CALLS = ["m.arange(5)", "m.arange(1, 2, 0.25)", "m.arange(5, 0, -2)", "m.linspace(0, 1, 5)", "m.eye(3)",
         "m.full(3, 2)",
         "m.full((2, 2), 0.5)", "m.ones(2, int)", "m.zeros((2, 0))", "m.zeros(3, dtype=bool)", "m.array([])",
         "m.array([1, 2.5, True])", "m.array([[1], [2]], dtype=float)", "m.array([1.9, -1.9]).astype(int)",
         "m.array(5).ndim", "m.float64(3)", "m.array([[1, 2], [3, 4]]) @ m.array([1, 1])", "m.dot([1, 2], [3, 4])",
         "m.array([[1, 2]]).T @ m.array([[3, 4]])", "m.roll([1, 2, 3], 1)", "m.roll(m.eye(2), 1, axis=0)",
         "m.clip([1, 5, 9], 2, 6)", "m.array([1, 5, 9]).clip(2, 6)", "m.clip(2.5, 0, 1)", "m.repeat([1, 2], 2)",
         "m.tile([1, 2], 2)", "m.outer([1, 2], [3, 4])", "m.average([1, 2], weights=[3, 1])",
         "m.take_along_axis(m.array([[1, 2], [3, 4]]), m.array([[1], [0]]), 1)", "m.array_equal([1], [1])",
         "m.allclose([1.0], [1.0 + 1e-9])", "m.arange(6).reshape(2, -1)", "m.arange(6).reshape(4, 2)",
         "m.array([1, 2]) == None", "m.array([True, False]) - True", "-m.array([True])", "m.array([1.5]) & True",
         "m.arange(3) ** -1", "m.max(m.array([]))", "m.mean(m.array([]))", "m.sum(m.array([]))",
         "bool(m.arange(2))",
         "m.arange(3)[5]", "m.arange(3)[0, 0]", "m.arange(3)[1.0]", "m.arange(3)[m.array([True, False])]",
         "m.arange(3).sum(axis=1)", "m.concatenate([m.zeros((2, 2)), m.zeros((3, 3))])", "m.stack([[1], [1, 2]])",
         "m.array([[1, 2], [3]])", "len(m.array(1))", "int(m.arange(3)[1])", "float(m.array([True])[0])",
         "~m.array([True, False])[0]", "1 - m.array([True])[0]", "m.array([True])[0] + m.array([True])[0]",
         "m.array([True])[0] & False", "m.array([2.0])[0] * m.array([True])[0]", "2 in m.arange(3)",
         "m.arange(3).item(1)", "m.round(m.array([0.125, 2.5, -0.4]), 2)", "m.array([2.5, 3.5]).round()",
         "m.where(m.array([False, True]))", "m.sqrt(-1.0)", "m.log(0.0)", "m.exp(1000.0)", "m.arange(4) % 0",
         "m.array([1.5, 7.0]) % m.array([0.0, 4.0])",
         "m.array([1.0]) // 0", "m.add(1, 2)", "m.inf - m.inf", "m.arange(4)[::-1][1:]", "m.expand_dims([1, 2], 1)"]


@pytest.mark.parametrize("call", CALLS)
def test_calls_agree(call):
    def run(m):
        return eval(call, {"m": m})
    words = not any(part in call for part in ("& True", "@", "[1, 2], [3]"))
    same(run, words=words)


def test_what_is_missing_says_so():
    with pytest.raises(AttributeError, match=r"np.linalg is not in the page's small numpy; write a loop, or solve"):
        sn.linalg.norm([1])
    with pytest.raises(TypeError, match="makes arrays of numbers and flags, not of str"):
        sn.array(["a"])


@given(hnp.arrays(float, (3, 5), elements=st.floats(-3, 3)), hnp.arrays(float, (3, 5), elements=st.floats(-3, 3)),
       st.lists(st.integers(1, 5), min_size=3, max_size=3), st.floats(0, 1), st.floats(0, 1))
def test_the_three_functions_of_the_library(kl, values, lengths, beta, lam):
    mask, scores = np.arange(5) < np.array(lengths)[:, None], kl[:, 0] * 2
    steps = token_steps(token_rewards(scores, kl, mask, beta=beta), values, mask)
    sc = small_coursekit
    rewards = sc.token_rewards(small(scores), small(kl), small(mask), beta=beta)
    mine = sc.token_steps(rewards, small(values), small(mask))
    for a, b in zip(mine, (steps.rewards, steps.values, steps.next_values, steps.terminated, steps.truncated)):
        assert_array_equal(big(a), b)
    assert_allclose(big(sc.gae(*mine, gamma=1.0, lam=lam)), gae(*steps, gamma=1.0, lam=lam), atol=1e-12)


@given(st.floats(-0.99, 50))
def test_the_pages_math_is_pythons(x):
    assert math.isclose(small_math.log1p(x), math.log1p(x), rel_tol=1e-12, abs_tol=1e-300)
    assert math.isclose(small_math.exp(x), math.exp(x))
    assert small_math.prod([2, 3]) == 6 and small_math.comb(5, 2) == 10
    with pytest.raises(OverflowError, match="math range error"):
        small_math.exp(1000)


def test_every_left_side_of_a_comparison_is_asked_through():
    source = 'a = 1 - p < q[0 < i] <= f(x, y>z) # 1 < 2\n' \
             'if not x<3 and "<" > s: b = lambda t: t>=0\nc[i < 2:] = {1 > k}'
    assert small_reader.prepared(source) == (
        'a = _left_side_(1 - p) < _left_side_(q[_left_side_(0) < i]) <= f(x, _left_side_(y)>z) # 1 < 2\n'
        'if not _left_side_(x)<3 and _left_side_("<") > s: b = lambda t: _left_side_(t)>=0\n'
        'c[_left_side_(i) < 2:] = {_left_side_(1) > k}')


def test_what_a_tilde_works_on_is_asked_through():
    source = "a = ~(b < c)[0].d(1) & ~e ** 2\nif 2 == i < 3 and ~-f: pass"
    assert small_reader.prepared(source) == ("a = ~_flipped_((_left_side_(b) < c)[0].d(1)) & ~_flipped_(e) ** 2\n"
                                             "if 2 == i < 3 and ~_flipped_(-f): pass")


def test_floats_in_f_strings_are_written_out():
    source = "f'{x} {{y}} {z:.2f} {w!r} {v=} {a[1:2]} {f(b, {1: 2})}' + F\"{c}\" + '{d}'"
    assert small_reader.prepared(source) == "f'{_text_(x)} {{y}} {z:.2f} {w!r} {v=} {_text_(a[1:2])} " \
        "{_text_(f(b, {1: 2}))}' + F\"{_text_(c)}\" + '{d}'"


@pytest.mark.parametrize("path", sorted(TRY.glob("small_*.py")), ids=lambda p: p.name)
def test_a_prepared_source_is_the_same_program(path):
    """Ours, without the calls that were put in, must still have the syntax tree that they had."""
    import ast

    class Calls(ast.NodeTransformer):
        def visit_Call(self, node):
            self.generic_visit(node)
            return node.args[0] if isinstance(node.func, ast.Name) and node.func.id in (
                "_left_side_", "_flipped_") else node
    source = path.read_text()
    prepared = small_reader.prepared(source)
    assert ast.unparse(Calls().visit(ast.parse(prepared))) == ast.unparse(ast.parse(source))
    lefts = sum(isinstance(op, ast.Lt | ast.Gt | ast.LtE | ast.GtE) for node in ast.walk(ast.parse(source))
                if isinstance(node, ast.Compare) for op in node.ops)
    assert prepared.count("_left_side_(") - source.count("_left_side_(") == lefts


def test_a_number_on_the_left_asks_the_array_on_the_right():
    p = sn.array([0.2, 0.7])
    left = small_reader.left_side
    assert [x.tolist() for x in (left(0.5) < p, left(0.5) > p, left(1) <= p, left(0) >= p)] == [
        [False, True], [True, False], [False, False], [False, False]]
    assert (left(1) < left(2)) is True and (left(1) > 2) is False


def test_no_module_is_longer_than_a_sitting():
    assert small_operations and all(len(p.read_text().splitlines()) <= 400 for p in TRY.glob("small_*.py"))
