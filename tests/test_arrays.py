"""Masked means and whitening, in both libraries."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from coursekit.arrays import finite, fraction, masked_mean, whiten

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
    with pytest.raises(ValueError, match=r"lam must lie in \[0, 1\], got 1.5"):
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
    with pytest.raises(ValueError, match="count must be positive"):
        masked_mean(np.ones(3), count=count)
