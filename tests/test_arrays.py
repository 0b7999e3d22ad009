"""Masked means and whitening, in both libraries."""

import math
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from coursekit.arrays import as_arrays, check_numbers, finite, fraction, masked_mean, positive_int, whiten

both = pytest.mark.parametrize("array", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
X = np.array([[1.0, 2.0, np.nan], [4.0, np.inf, 5.0]])
MASK = np.array([[True, True, False], [True, False, True]])


@both
def test_what_is_masked_does_not_count_even_nan(array):
    assert_allclose(masked_mean(array(X), array(MASK)), 3.0)  # (1 + 2 + 4 + 5) / 4
    white = np.asarray(whiten(array(X), array(MASK)))
    assert (white[~MASK] == 0).all()
    assert_allclose(white[MASK], (X[MASK] - 3.0) / X[MASK].std(ddof=1), rtol=1e-7)


@both
def test_a_masked_nan_leaves_no_trace_in_the_gradient(array):
    x = torch.as_tensor(X).requires_grad_()
    (masked_mean(x, torch.as_tensor(MASK)) + whiten(x, torch.as_tensor(MASK)).square().sum()).backward()
    assert torch.isfinite(x.grad[torch.as_tensor(MASK)]).all()
    assert (torch.nan_to_num(x.grad[~torch.as_tensor(MASK)]) == 0).all()


@given(st.integers(2, 30), st.integers(0, 10_000))
def test_whitened_numbers_have_mean_0_and_sd_1(n, seed):
    x = np.random.default_rng(seed).normal(3, 5, n)
    white = whiten(x, eps=0.0)  # eps shows where two numbers happen to lie close
    assert_allclose(white.mean(), 0, atol=1e-9)
    assert_allclose(white.std(ddof=1), 1, rtol=1e-6)


def test_eps_is_added_to_the_standard_deviation():
    assert_allclose(whiten([-1.0, 0.0, 1.0], eps=1.0), [-0.5, 0, 0.5])  # the sd is 1


@both
def test_dtype_is_kept(array):
    x = array(np.arange(4, dtype=np.float32))
    assert masked_mean(x).dtype == x.dtype and whiten(x).dtype == x.dtype


def test_bad_masks_are_refused_by_name():
    x = np.ones(3)
    for mask, message in ((np.ones(3), "mask must be boolean, got float64; pass mask != 0"),
                          (np.ones(2, bool), "mask must have the shape of x"),
                          (np.zeros(3, bool), "mask must leave at least 1")):
        with pytest.raises(ValueError, match=message):
            masked_mean(x, mask)
    with pytest.raises(ValueError, match="at least 2 entries that count, got 1"):
        whiten(x, np.array([True, False, False]))


def test_a_mix_of_libraries_is_refused():
    with pytest.raises(ValueError, match="one array library at a time.*x is numpy, mask is torch"):
        masked_mean(np.ones(3), torch.ones(3, dtype=torch.bool))


def test_a_fraction_is_a_python_float():
    assert type(fraction(gamma=np.float64(0.9))) is float
    with pytest.raises(ValueError, match=r"lam must be at least 0 and at most 1, got 1.5"):
        fraction(lam=1.5)


def test_the_numpy_modules_do_not_import_torch():
    modules = ["arrays", "advantages", "chains", "rollouts", "exercises", "autograder", "autograder.plugin",
               "autograder.submission", "cli", "commands.train_rm", "linear_reward", "figures"]
    code = f"import sys; [__import__('coursekit.' + m) for m in {modules}]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@both
@pytest.mark.parametrize("value", [0.0, 0.1, 1000.1, -3e7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_numbers_whiten_to_0(array, value, dtype):
    """Their standard deviation is rounding, and dividing by it would make rounding as large as a signal."""
    assert (np.asarray(whiten(array(np.full(1000, value, dtype)))) == 0).all()


def test_equal_numbers_leave_a_finite_gradient():
    x = torch.full((5,), 0.1, requires_grad=True)
    whiten(x).sum().backward()
    assert torch.isfinite(x.grad).all()


HALF = [pytest.param(np.asarray, np.float16, id="numpy float16"),
        pytest.param(torch.as_tensor, torch.float16, id="torch float16"),
        pytest.param(torch.as_tensor, torch.bfloat16, id="torch bfloat16")]


@pytest.mark.parametrize("array, dtype", HALF)
@pytest.mark.parametrize("x, white", [([9.5, 10, 10.5], [-1, 0, 1]), ([0, 300, 600], [-1, 0, 1]),
                                      ([512, 512, 512], [0, 0, 0])])
def test_half_precision_is_summed_in_float32(array, dtype, x, white):
    """In float16 the squares overflow; bfloat16 has three digits, so that 10 ± 0.5 looked flat."""
    x = array(x, dtype=dtype)
    assert whiten(x).dtype == masked_mean(x).dtype == dtype
    assert_allclose(np.asarray(torch.as_tensor(whiten(x)).float()), white, atol=0.01)
    assert float(masked_mean(array([4e4, 4e4], dtype=dtype))) == pytest.approx(4e4, rel=4e-3)


@both
def test_what_is_not_finite_is_named_with_its_place(array):
    assert finite("scores", array([[1.0], [2.0]])).shape == (2, 1)
    with pytest.raises(ValueError, match=r"scores must be finite, got nan in reply 2; look"):
        finite("scores", array([[0.0, 1.0], [1.0, 2.0], [3.0, np.nan]]), "reply")


@pytest.mark.parametrize("count", [0, -1, float("nan")])
def test_a_denominator_that_is_not_positive_is_refused(count):
    with pytest.raises(ValueError, match="count must be (more than 0|a number)"):
        masked_mean(np.ones(3), count=count)


@pytest.mark.parametrize("count", [1, 0.5])
def test_a_denominator_may_be_any_positive_number(count):
    assert masked_mean(np.array([1.0, 2.0]), count=count) == 3 / count


def test_one_entry_that_counts_has_a_mean():
    assert masked_mean(np.array([7.0, 9.0]), np.array([True, False])) == 7


def test_zeros_leave_a_finite_gradient():
    x = torch.zeros(3, requires_grad=True)
    whiten(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_two_ranks_with_the_same_part_whiten_it_as_one_whole():
    part = np.array([1.0, 2.0, 4.0])
    assert_allclose(whiten(part, total=lambda x: 2 * x), whiten(np.tile(part, 2))[:3], rtol=1e-12)


def test_a_spread_far_above_rounding_is_whitened():
    assert_allclose(whiten(np.array([1000.0, 1000 + 1e-7]), eps=0.0), [-(0.5**0.5), 0.5**0.5], rtol=1e-5)


@pytest.mark.parametrize("integers, message", [
    (torch.ones(3, dtype=torch.int64), r"x must be floating point, got int64; pass x\.float\(\)"),
    (np.ones(3, np.int64), r"x must be floating point, got int64; pass np\.asarray\(x, float\)")])
def test_integers_are_refused_with_the_call_that_helps(integers, message):
    with pytest.raises(ValueError, match=message):
        masked_mean(integers)


def test_two_devices_are_refused():
    """The device "meta" holds no numbers, and stands here for a GPU."""
    with pytest.raises(ValueError, match="mask is on meta, x on cpu; move one of them"):
        masked_mean(torch.ones(3), torch.ones(3, dtype=torch.bool, device="meta"))


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="x must be rectangular, got rows of different lengths; pad them"):
        masked_mean([[1.0, 2.0], [3.0]])


def test_what_is_not_finite_is_called_an_entry_unless_it_has_a_name():
    with pytest.raises(ValueError, match="scores must be finite, got inf in entry 1;"):
        finite("scores", np.array([0.0, np.inf]))


def test_a_bool_is_no_integer_and_numpy_integers_are():
    assert type(positive_int(n=np.int64(1))) is int
    with pytest.raises(ValueError, match="n must be an integer of at least 1, got True"):
        positive_int(n=True)


def test_an_argument_that_need_not_float_may_have_any_dtype_of_numbers():
    assert as_arrays(a=np.ones(2, int), b=np.ones(2))[1][0].dtype.kind == "i"


@dataclass
class Numbers:
    count: int = 2
    rate: float = 0.5
    limit: float | None = None


RANGES = {"limit": (float, 1.0, math.inf, True), "count": (int, 2, 8, True), "rate": (float, 0.0, 1.0, False)}


@pytest.mark.parametrize("numbers", [{}, {"count": 8}, {"rate": 1.0}, {"rate": 1e-9}, {"limit": 1.0},
                                     {"limit": 1e9}])
def test_numbers_in_their_ranges_are_taken(numbers):
    assert check_numbers(Numbers(**numbers), **RANGES) is None


@pytest.mark.parametrize("numbers, message", [
    ({"count": 1}, "count must be at least 2 and at most 8, got 1"),
    ({"count": 9}, "count must be at least 2 and at most 8, got 9"),
    ({"count": 2.0}, "count must be an integer of at least 1, got 2.0"),
    ({"count": None}, "count must be an integer of at least 1, got None"),
    ({"rate": 0}, "rate must be more than 0.0 and at most 1.0, got 0"),
    ({"rate": 1.1}, "rate must be more than 0.0 and at most 1.0, got 1.1"),
    ({"rate": None}, "rate must be one number, got NoneType"),
    ({"rate": "0.5"}, "rate must be a number, got '0.5'"),
    ({"rate": math.nan}, "rate must be a number, got nan"),
    ({"limit": 0.5}, "limit must be at least 1.0 and finite, got 0.5"),
    ({"limit": math.inf}, "limit must be at least 1.0 and finite, got inf")])
def test_numbers_out_of_their_ranges_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        check_numbers(Numbers(**numbers), **RANGES)
