"""The page's Python gives CPython's and numpy's numbers, shapes, kinds, texts and refusals, in MicroPython.

Each job is the source of a function and its arguments; it runs in a worker of the page in a browser, and here.
Part of `make test-browser`.
"""

import math
import random
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import page_runs
import small_array
import small_coursekit
import small_print
import small_re
import tryit
from browser import missing
from coursekit.advantages import gae
from coursekit.tokens import token_rewards, token_steps
from page_language import CALLS, LACKS, LANGUAGE

TRY = Path(__file__).parent.parent / "book" / "_static" / "try"
in_browser = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]

KINDS = {"b": bool, "i": np.int64, "f": float}
NUMBERS = {"b": st.booleans(), "i": st.integers(-9, 9),
           "f": st.sampled_from([0.0, -0.0, 1.0, -1.5, 2.25, 0.1, 1e-3, 3e8, -7.0, 40.0, math.nan, math.inf,
                                 -math.inf])}
WRITTEN = {"nan": math.nan, "inf": math.inf, "array": lambda kind, shape, numbers: np.array(
    numbers, KINDS[kind]).reshape(shape)}


def arrays(kinds="bif", shapes=None, min_side=1):
    shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=min_side, max_side=4) if shapes is None else shapes
    return st.sampled_from(kinds).flatmap(lambda kind: hnp.arrays(KINDS[kind], shapes, elements=NUMBERS[kind]))


@dataclass
class Job:
    """A function of `a` and `b`, as an expression or as lines, and its arguments."""

    source: str
    args: tuple
    words: bool = True
    rtol: float = 1e-12

    @property
    def code(self):
        names = ", ".join("abcd"[:len(self.args)])
        lines = self.source if "return" in self.source else f"return {self.source}"
        return f"m = np\ndef probe({names}):\n    " + lines.replace("\n", "\n    ")

    def wanted(self):
        space = {"np": np}
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            exec(self.code, space)
            try:
                return "gave", space["probe"](*[np.array(x) if isinstance(x, np.ndarray) else x for x in self.args])
            except Exception as error:
                return type(error), str(error)


def text_of(value):
    if isinstance(value, tuple | list):
        return repr(type(value)()).join(["", ""])[0] + "".join(f"{text_of(v)}, " for v in value) + (
            ")" if isinstance(value, tuple) else "]")
    return tryit.argument(value)


def value_of(told):
    kind, shape, data = told
    if kind in ("t", "l"):
        return [value_of(v) for v in data]
    return np.array([float(x) for x in data]).astype(KINDS[kind]).reshape(shape) if kind in KINDS else data


@pytest.fixture(scope="module")
def page_python(context, tmp_path_factory):
    """Runs jobs in one worker of the page, and compares."""
    page = context.new_page()
    page.goto(page_runs.build(tmp_path_factory.mktemp("site")))
    page.evaluate("coursekitTry.warm()")

    def ran(jobs):
        return page.evaluate(page_runs.KEPT, [
            dict(code=job.code, name="probe", cases=["[" + "".join(f"{text_of(x)}, " for x in job.args) + "]"])
            for job in jobs])

    def compare(jobs):
        different = [f for job, told in zip(jobs, ran(jobs), strict=True) if (f := difference(job, told))]
        assert not different, f"{len(different)} differ:\n" + "\n".join(map(str, different[:8]))
    compare.ran = ran
    yield compare
    page.close()


def difference(job, told):
    """None where the page did as numpy does; else what was wanted and what came."""
    came = {"lack": told["lack"]} if told.get("lack") else told["defined"] or told["outcomes"][0]
    how, wanted = job.wanted()
    if how != "gave":
        known = [kind.__name__ for kind in how.__mro__]
        fits = came.get("type") in known and (not job.words or came["text"] == " ".join(wanted.split()))
        return None if fits else (job, how.__name__, wanted, came)
    return None if "value" in came and alike(value_of(came["value"]), wanted, job.rtol) else (job, wanted, came)


def alike(got, wanted, rtol):
    if isinstance(wanted, str):
        return got == wanted
    if isinstance(wanted, tuple | list):
        return len(got) == len(wanted) and all(alike(g, w, rtol) for g, w in zip(got, wanted))
    if isinstance(got, str):
        return got == str(wanted) or got.startswith(type(wanted).__name__)
    g, w = np.asarray(got), np.asarray(wanted)
    return g.shape == w.shape and (g.dtype.kind == w.dtype.kind or g.size == 0) and np.allclose(
        g.astype(float), w.astype(float), rtol=rtol, atol=1e-300, equal_nan=True)


def together(*strategies, count=125):
    """A test whose function makes a job of what is drawn; 25 are run at once, since each question takes time."""
    def decorate(function):
        @settings(max_examples=count // 25, suppress_health_check=list(HealthCheck))
        @given(st.lists(st.tuples(*strategies), min_size=25, max_size=25))
        def test(page_python, cases):
            page_python([job for case in cases if (job := function(*case))])
        test.__name__ = function.__name__
        for mark in in_browser:
            test = mark(test)
        return test
    return decorate


OPERATORS = ("+", "-", "*", "/", "//", "%", "**", "<", "<=", ">", ">=", "==", "!=", "&", "|", "^")


@st.composite
def pairs(draw):
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3)).input_shapes
    two = [draw(arrays(shapes=st.just(shape))) for shape in shapes]
    return [x.ravel()[0].item() if x.ndim == 0 else x for x in two]


def is_huge(op, x, y):
    """A power of ints: numpy's goes another way where it wraps around."""
    return op == "**" and np.asarray(x).dtype.kind != "f" and np.asarray(y).dtype.kind != "f"


def is_special(op, x, y):
    """Around infinity numpy's floor division makes its own choices."""
    return op in ("//", "%") and any(np.isinf(np.asarray(v, float)).any() for v in (x, y))


@together(pairs(), st.sampled_from(OPERATORS), count=200)
def test_operators_broadcast_as_numpys(two, op):
    x, y = two
    if np.ndim(x) != np.ndim(y) and not is_huge(op, x, y) and not is_special(op, x, y):
        return Job(f"a {op} b", (x, y), words=op not in ("&", "|", "^"))


@together(st.sampled_from("bif").flatmap(lambda k: st.tuples(NUMBERS[k], st.just(k))), st.sampled_from(
    ["b", "i", "f", "B", "I", "F"]), st.integers(0, 12), st.sampled_from(OPERATORS), st.booleans(), count=300)
def test_a_number_out_of_an_array_calculates_as_numpys(first, kind, k, op, left):
    """Divided by zero, compared, turned round; beside a number of numpy's or of Python's."""
    x, own = first
    y = (False, True, -3, 0, 2, 1, -1, 0.5, -0.0, 0.0, 2.0, math.inf, math.nan)[k]
    y = {"b": bool, "i": lambda v: int(v) if abs(v) < 9 else 3, "f": float}[kind.lower()](y)
    if is_huge(op, x, y) or is_special(op, x, y) or own + kind.lower() == "bb" and op in ("//", "%"):
        return None  # the last are int8 in numpy; the page has one width of ints
    one, other = "m.array([a])[0]", "m.array([b])[0]" if kind.isupper() else "b"
    both = f"{one} {op} {other}" if left else f"{other} {op} {one}"
    return Job(f"x = {both}\nreturn x, ~x if isinstance(x, m.bool_) else -x, repr(x), 1 < x", (x, y), words=False)


@together(arrays("i"), st.integers(0, 4))
def test_powers_of_ints_are_ints(x, n):
    return Job("a ** b, 2 ** abs(a)", (x, n))


@together(arrays(), arrays(), count=50)
def test_shapes_that_do_not_fit_are_refused_in_numpys_words(x, y):
    return Job("a + b", (x, y))


@together(arrays(), st.sampled_from("+ - * / // % & | ^ **".split()), st.sampled_from([2, 0.5, True, 3]), count=150)
def test_an_array_changed_in_place_keeps_its_kind(x, op, y):
    """And is the same array: whoever holds it sees the change."""
    if np.isfinite(x.astype(float)).all() and not is_huge(op, x, 0.5 if y is True else y):
        return Job(f"c = a[...]\na {op}= b\na[0] {op}= b\nreturn a, c", (x, y), words=False)


KEYS = st.one_of(st.integers(-5, 5), st.slices(4), st.just(Ellipsis), st.just(None),
                 st.lists(st.integers(-3, 3), min_size=1, max_size=3))


def key_text(keys):
    return ", ".join(f"{'' if k.start is None else k.start}:{'' if k.stop is None else k.stop}:"
                     f"{'' if k.step is None else k.step}" if isinstance(k, slice) else
                     "..." if k is Ellipsis else repr(k) for k in keys)


@together(arrays("if"), st.lists(KEYS, min_size=1, max_size=4), count=150)
def test_indices_mean_what_they_mean_in_numpy(x, keys):
    if keys.count(Ellipsis) < 2:
        return Job(f"a[{key_text(keys)}]", (x,), words=len(keys) == 1)  # of several mistakes numpy names another


@together(arrays("if"), st.lists(KEYS, min_size=1, max_size=3), st.sampled_from([7, 2.5, True]))
def test_assignment_reaches_the_same_places(x, keys, value):
    if keys.count(Ellipsis) < 2:
        return Job(f"a[{key_text(keys)}] = b\nreturn a", (x, value), words=False)


@together(arrays("if"), st.integers(1, 3), st.integers(0, 2**64 - 1), count=75)
def test_masks_choose_and_assign(x, rank, bits):
    shape = x.shape[:rank]
    mask = np.array([bits >> k & 1 for k in range(math.prod(shape))], bool).reshape(shape)
    return Job("c = a[b]\na[b] = 0\nreturn c, a, a[~b]", (x, mask))


REDUCTIONS = ("sum", "mean", "max", "min", "prod", "any", "all")


@together(arrays(), st.sampled_from(REDUCTIONS), st.sampled_from([None, 0, -1, 1, (0, 1)]), st.booleans(),
          count=150)
def test_sums_along_an_axis(x, name, axis, keep):
    if not isinstance(axis, tuple) or x.ndim > 1:
        return Job(f"m.{name}(a, axis={axis}, keepdims={keep}), a.{name}(axis={axis})", (x,), words=False)


@together(arrays("if"), st.sampled_from(["sum", "mean", "max", "min", "prod", "std"]),
          st.sampled_from([None, 0, -1]))
def test_sums_of_what_a_mask_leaves(x, name, axis):
    if np.isfinite(x).all():
        start = ", initial=0" if name in ("max", "min") else ""
        return Job(f"m.{name}(a, axis={axis}, where=a > 0{start})", (x,), words=False, rtol=1e-9)


@together(arrays(), st.sampled_from(["var", "std"]), st.sampled_from([None, 0, -1]), st.sampled_from([0, 1]))
def test_variances(x, name, axis, ddof):
    if np.isfinite(x.astype(float)).all():
        return Job(f"m.{name}(a, axis={axis}, ddof={ddof})", (x,), rtol=1e-9)


@together(arrays("if"), st.sampled_from(["cumsum", "argmax", "argmin", "argsort", "sort", "median", "cumprod",
                                         "ptp", "diff", "flip", "roll"]), st.sampled_from([None, 0, -1]))
def test_lists_along_an_axis(x, name, axis):
    if name in ("argsort", "sort", "median", "diff") and (axis is None or np.isnan(x.astype(float)).any()):
        axis = -1
    if not (name in ("median", "ptp") and not np.isfinite(x.astype(float)).all()):
        return Job(f"m.{name}(a, {'2, ' if name == 'roll' else ''}axis={axis})", (x,))


ONE = ("exp", "log", "log1p", "sqrt", "abs", "sign", "floor", "ceil", "isnan", "isfinite", "tanh", "square",
       "expm1", "negative", "logical_not", "log2", "log10", "cos", "flip", "ravel", "transpose", "diff", "unique",
       "squeeze", "nonzero", "flatnonzero", "argwhere", "count_nonzero", "zeros_like", "ones_like", "nan_to_num",
       "isinf", "atleast_1d", "nansum", "shape", "ndim", "size", "copy", "round", "atleast_2d", "nancumsum",
       "trunc", "rint", "fliplr", "nanmax", "tril", "triu", "diag", "trace", "array_equal")
ROOTS = ("exp", "log", "log1p", "sqrt", "tanh", "expm1", "log2", "log10", "cos", "square", "rint")


@together(arrays(), st.sampled_from(ONE), count=300)
def test_functions_of_one_array(x, name):
    if name in ("fliplr", "tril", "triu", "diag", "trace") and (x.ndim < 2 or x.ndim > 2):
        return None
    if x.dtype == bool and name in ROOTS:
        return Job(f"m.{name}(a * 1)", (x,), rtol=1e-10)  # of flags numpy gives half precision
    if name == "array_equal":
        return Job("m.array_equal(a, a), m.array_equal(a, a, equal_nan=True)", (x,))
    if x.dtype == bool and name in ("sign", "round", "trunc", "floor", "ceil", "nanmax", "nan_to_num") or (
            name == "fliplr" or name == "nanmax" and (x.dtype != float or np.isnan(x).all())):
        return None
    return Job(f"m.{name}(a)", (x,), words=False, rtol=1e-10)


@together(pairs(), st.sampled_from(["minimum", "maximum", "logaddexp", "logical_and", "logical_or", "fmax", "add",
                                    "where", "isclose", "append", "power", "hypot", "isin"]), count=200)
def test_functions_of_two_arrays(two, name):
    x, y = two
    finite = all(np.isfinite(np.asarray(v, float)).all() for v in two)
    flags = all(np.asarray(v).dtype == bool for v in two)
    if name == "where":
        return Job("m.where(m.array(a) > 0, a, b)", (x, y))
    if not (name == "isclose" and not finite or name == "power" and is_huge("**", x, y)
            or name in ("logaddexp", "hypot") and (flags or not finite)):
        return Job(f"m.{name}(a, b)", (x, y), rtol=1e-10)


@together(st.lists(arrays(shapes=st.just((2, 3))), min_size=1, max_size=3),
          st.sampled_from(["concatenate", "stack", "vstack", "hstack", "column_stack"]),
          st.sampled_from([0, 1, -1]), count=75)
def test_joining(parts, name, axis):
    how = f", axis={axis}" if name in ("concatenate", "stack") else ""
    return Job(f"m.{name}(a{how})", (parts,))


@together(arrays(min_side=0), st.sampled_from(["str", "repr"]))
def test_arrays_print_as_numpys(x, text):
    if x.size:
        return Job(f"{text}(a), f'{{a}}'", (x,))


ARRAYS = ("m.array([1.5, m.nan, -2.0, 1.5])", "m.array([3, 1, 2, 1])", "m.array([True, False, True])", "m.zeros(0)",
          "m.array([[1.0, m.nan, 2.0], [4.0, 4.0, -1.0]])", "m.array([[1, 2, 2], [3, 1, 0]])", "m.zeros((0, 2))",
          "m.array([[False], [True]])", "m.zeros((2, 0), int)", "m.arange(8).reshape(2, 2, 2)",
          "m.array([-0.0, m.inf, 1e300])")
KEYWORDS = {"axis": ("None", "0", "-1", "1", "(0, 1)", "(0,)", "m.int64(0)"), "keepdims": ("True", "False"),
            "dtype": ("float", "int", "'float64'", "None"), "initial": ("0", "2.5", "-1", "m.float64(3)"),
            "where": ("m.isfinite(a)", "[True]", "False", "a == a", "[[True], [False]]", "[[1], [0]]"),
            "ddof": ("1", "2", "0.5"), "n": ("0", "1", "2"), "prepend": ("0", "[1.5]"), "append": ("[9]",),
            "min": ("0", "None"), "max": ("1.5", "None"), "a_max": ("1.5",), "kind": ("'stable'",),
            "decimals": ("1", "-1"),
            "k": ("1", "-1"), "right": ("True",), "side": ("'right'",)}
TAKES = {"sum(a prod(a": "axis dtype keepdims initial where", "mean(a any(a all(a": "axis keepdims where",
         "std(a var(a": "axis ddof keepdims where", "max(a min(a": "axis keepdims initial where",
         "argmax(a argmin(a": "axis keepdims", "cumsum(a cumprod(a": "axis dtype", "around(a*1": "decimals",
         "diff(a*1": "n axis prepend append", "clip(a*1": "min max", "clip(a*1,-1": "a_max",
         "median(a*1 ptp(a*1 nansum(a nanmean(a nanmedian(a*1 nanmax(a nanmin(a": "axis keepdims",
         "nanstd(a nanvar(a": "axis ddof keepdims", "argsort(a sort(a": "axis kind", "tril(a triu(a": "k",
         "exp(a*1,out=m.ones(a.shape) square(a*1,out=m.ones(a.shape,int) negative(a*1,out=m.ones(a.shape)": "where",
         "add.reduce(a maximum.reduce(a logical_or.reduce(a": "axis keepdims initial where",
         "add.accumulate(a multiply.accumulate(a": "axis", "digitize([0.5,2],[3,2,0]": "right",
         "searchsorted([3,1,2,1,5],a": "side"}


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_keywords_mean_what_they_mean_in_numpy(page_python):
    """Each function with some of its keywords, on arrays with NaN, flags, ties, no numbers and up to three axes."""
    draw, jobs = random.Random(0), []
    for calls, words in TAKES.items():
        for call in calls.split() * 12:
            given = [f", {word}={draw.choice(KEYWORDS[word])}" for word in words.split() if draw.random() < 0.4]
            jobs.append(Job(f"a = {draw.choice(ARRAYS)}\nreturn m.{call}{''.join(given)})", (), False, 1e-9))
    page_python(jobs)
    assert len(jobs) > 400


PATTERNS = st.recursive(
    st.sampled_from(["a", "b", "ab", ".", r"\w", r"\d", r"\S", "[^a]", "[a-c1]", r"[\d ]", r"\.", "^", "$", r"\b",
                     r"\B", "(?=a)", "(?!b)", "(?<=a)", "(?<!b)", "a*", ".+?", r"\w{1,2}", "[ab]?"]),
    lambda inner: st.one_of(
        st.builds("".join, st.lists(inner, min_size=2, max_size=3)), st.builds("{}|{}".format, inner, inner),
        st.builds("({})".format, inner), st.builds("(?P<n>{})".format, inner), st.builds(r"({})\1".format, inner),
        st.builds("(?:{}){}".format, inner, st.sampled_from(["*", "+", "?", "*?", "+?", "{2}", "{,1}", "{1,}"]))),
    max_leaves=6)


@settings(max_examples=300)
@given(PATTERNS, st.text("aabbc 1.\n", max_size=8), st.sampled_from([0, re.I, re.M, re.S]))
def test_regular_expressions_find_what_pythons_find(pattern, text, flags):
    with warnings.catch_warnings(action="ignore"):
        try:
            own = re.compile(pattern, flags)
        except re.error:
            return
    small = small_re.compile(pattern, int(flags))

    def found(p):
        all_of_it = [p.match(text), p.fullmatch(text), p.search(text), *p.finditer(text)]
        return [m and (m.span(), m.groups(), dict(m.groupdict())) for m in all_of_it], p.findall(text), p.split(
            text), p.subn(r"<\g<0>>", text), p.sub("-", text, 1)
    assert found(small) == found(own)


@settings(max_examples=120)
@given(st.floats())
@example(2.0**-24)  # where the next float below is nearer than the one above
def test_a_float_is_written_as_python_writes_it(x):
    if abs(x) >= 2.3e-308 or x == 0 or x != x:
        assert small_print.float_text(x) == repr(x)


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_calls_agree(page_python):
    """With numpy's words, but where it describes the parameters of C."""
    own = ("& True", "@", "[1, 2], [3]", "zeros()", "a=[2]", "float64(1)]", "a' *", "range(m.float")
    page_python([Job(call, (), words=not any(part in call for part in own), rtol=1e-9) for call in CALLS])


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_the_language_is_pythons(page_python):
    """Operators, displays, sorts, texts and modules; of errors the type."""
    a = np.array([[1.5, 2.0], [3.25, -4.0]])
    page_python([Job(source if "return" in source else source + "\nreturn", (a,), words=False, rtol=1e-9)
                 for source in LANGUAGE])


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_what_is_lacking_is_named_and_is_no_mistake(page_python):
    told = page_python.ran([Job(source, (np.array([1.0, 2.0]),)) for source in LACKS])
    wrong = {source: t for (source, words), t in zip(LACKS.items(), told) if words not in (t.get("lack") or "")}
    assert not wrong, wrong


def small(value):
    """The same value for the small numpy."""
    return small_array.ndarray(value.ravel().tolist(), value.shape, value.dtype.kind)


def big(value):
    return np.array(value.values(), KINDS[value.dtype.kind]).reshape(value.shape)


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


def test_no_module_is_longer_than_a_sitting():
    assert all(len(p.read_text().splitlines()) <= 400 for p in TRY.glob("small_*.py"))
