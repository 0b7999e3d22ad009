"""Every estimator against its definition, its special cases, and the places that must not count."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from coursekit.advantages import (
    gae,
    gae_by_recursion,
    lambda_returns,
    mc_advantages,
    mc_returns,
    n_step_advantages,
    n_step_returns,
    td_errors,
)
from strategies import double_sum, of_one_critic, random_steps, scaled_error, steps, unit

RUNNING = (np.array([0, 0, 0, 0, 1.0]), np.array([0.1, 0.2, 0.3, 0.5, 0.8]), np.array([0.2, 0.3, 0.5, 0.8, 0]),
           np.arange(5) == 4, np.zeros(5, bool))

ESTIMATORS = {
    "td_errors": lambda s, gamma: td_errors(*s[:4], gamma=gamma),
    "mc_returns": lambda s, gamma: mc_returns(s[0], *s[2:], gamma=gamma),
    "mc_advantages": lambda s, gamma: mc_advantages(*s, gamma=gamma),
    "n_step_returns": lambda s, gamma: n_step_returns(s[0], *s[2:], gamma=gamma, n=3),
    "n_step_advantages": lambda s, gamma: n_step_advantages(*s, gamma=gamma, n=3),
    "lambda_returns": lambda s, gamma: lambda_returns(s[0], *s[2:], gamma=gamma, lam=0.7),
    "gae": lambda s, gamma: gae(*s, gamma=gamma, lam=0.7),
    "gae_by_recursion": lambda s, gamma: gae_by_recursion(*s, gamma=gamma, lam=0.7),
}
each_estimator = pytest.mark.parametrize("estimate", ESTIMATORS.values(), ids=ESTIMATORS)


def test_the_running_example_by_hand():
    assert_allclose(td_errors(*RUNNING[:4], gamma=1.0), [0.1, 0.1, 0.2, 0.3, 0.2])
    assert_allclose(mc_advantages(*RUNNING, gamma=1.0), [0.9, 0.8, 0.7, 0.5, 0.2])
    # backwards: .2, .3 + .95·.2 = .49, .2 + .95·.49 = .6655, …
    assert_allclose(gae(*RUNNING, gamma=1.0, lam=0.95), [0.79561375, 0.732225, 0.6655, 0.49, 0.2])


@pytest.mark.parametrize("steps_", [1, 2, 7, 64, 333, 2048])
@pytest.mark.parametrize("gamma, lam", [(0.99, 0.95), (1.0, 1.0), (0.9, 0.0), (0.0, 0.9), (1.0, 0.5)])
def test_gae_equals_the_double_sum(steps_, gamma, lam):
    rng = np.random.default_rng(steps_)
    s = random_steps(rng, min(64, max(1, 2048 // steps_)), steps_, ends=2 / steps_)
    truth = double_sum(*s, gamma, lam)
    assert scaled_error(gae(*s, gamma=gamma, lam=lam), truth) <= 1e-12
    assert scaled_error(gae(*map(torch.as_tensor, s), gamma=gamma, lam=lam), truth) <= 1e-12
    single = [x.astype(np.float32) if x.dtype == float else x for x in s]
    truth = double_sum(*single, gamma, lam)
    for kind in (np.asarray, torch.as_tensor):
        result = gae(*map(kind, single), gamma=gamma, lam=lam)
        assert str(result.dtype).endswith("float32") and scaled_error(result, truth) <= 1e-5


@given(steps(), unit, unit)
def test_gae_and_its_recursion_equal_the_double_sum_on_any_rollout(s, gamma, lam):
    truth = double_sum(*s, gamma, lam)
    assert scaled_error(gae(*s, gamma=gamma, lam=lam), truth) <= 1e-12
    assert scaled_error(gae_by_recursion(*s, gamma=gamma, lam=lam), truth) <= 1e-12


@given(steps(), unit)
def test_lam_0_is_the_td_error(s, gamma):
    assert_allclose(gae(*s, gamma=gamma, lam=0.0), td_errors(*s[:4], gamma=gamma))


@given(steps(), unit)
def test_lam_1_is_monte_carlo(s, gamma):
    s = of_one_critic(s)
    assert_allclose(gae(*s, gamma=gamma, lam=1.0), mc_advantages(*s, gamma=gamma), atol=1e-9)


@given(steps(), unit)
def test_the_lambda_return_at_1_is_monte_carlo(s, gamma):
    assert_allclose(lambda_returns(s[0], *s[2:], gamma=gamma, lam=1.0), mc_returns(s[0], *s[2:], gamma=gamma))


@given(steps(), unit, unit)
def test_gae_plus_values_is_the_lambda_return(s, gamma, lam):
    rewards, values, *rest = s = of_one_critic(s)
    returns = lambda_returns(rewards, *rest, gamma=gamma, lam=lam)
    assert_allclose(gae(*s, gamma=gamma, lam=lam) + values, returns, atol=1e-9)


@given(steps(), unit, st.integers(1, 30))
def test_n_steps_by_their_definition(s, gamma, n):
    rewards, _, next_values, terminated, truncated = s
    ended, (rows, steps_) = terminated | truncated, rewards.shape
    expected = np.empty_like(rewards)
    for row in range(rows):
        for t in range(steps_):
            total, k = 0.0, 0
            while True:
                total += gamma**k * rewards[row, t + k]
                if k == n - 1 or ended[row, t + k] or t + k == steps_ - 1:
                    break
                k += 1
            future = 0.0 if terminated[row, t + k] else next_values[row, t + k]
            expected[row, t] = total + gamma ** (k + 1) * future
    assert_allclose(n_step_returns(rewards, *s[2:], gamma=gamma, n=n), expected, atol=1e-9)


@given(steps(), unit)
def test_one_step_is_td_and_all_steps_are_monte_carlo(s, gamma):
    assert_allclose(n_step_advantages(*s, gamma=gamma, n=1), td_errors(*s[:4], gamma=gamma))
    assert_allclose(n_step_returns(s[0], *s[2:], gamma=gamma, n=s[0].shape[-1]),
                    mc_returns(s[0], *s[2:], gamma=gamma), atol=1e-9)


@given(unit, unit)
def test_gae_is_the_mixture_of_n_step_advantages(gamma, lam):
    weights = np.append((1 - lam) * lam ** np.arange(4), lam**4)
    mixture = sum(w * n_step_advantages(*RUNNING, gamma=gamma, n=n) for n, w in enumerate(weights, 1))
    assert_allclose(gae(*RUNNING, gamma=gamma, lam=lam)[0], mixture[0], atol=1e-12)  # the first may be 0


@each_estimator
def test_credit_stays_inside_its_episode(estimate):
    """What happens after an end changes nothing before it, whichever way the episode ended."""
    for flag in (3, 4):
        s = [np.array(x) for x in random_steps(np.random.default_rng(0), 2, 9, ends=0.0)]
        s[flag][:, 4] = True
        before = estimate(s, 0.9)[:, :5]
        for x in s[:3]:
            x[:, 5:] += 100.0
        assert_array_equal(estimate(s, 0.9)[:, :5], before)
        halves = [estimate([x[:, part] for x in s], 0.9) for part in (slice(0, 5), slice(5, 9))]
        assert_allclose(np.concatenate(halves, -1), estimate(s, 0.9))


@pytest.mark.parametrize("name", [n for n in ESTIMATORS if "returns" not in n])
def test_a_time_limit_is_not_a_death(name):
    """Reward 1 forever is worth 1/(1-γ): cutting the episode short brings no surprise."""
    never, at_the_end = np.zeros(5, bool), np.arange(5) == 4
    worth = np.full(5, 10.0)
    assert_allclose(ESTIMATORS[name]((np.ones(5), worth, worth, never, at_the_end), 0.9), 0.0, atol=1e-12)
    assert (ESTIMATORS[name]((np.ones(5), worth, worth, at_the_end, never), 0.9)[-1] < -8)


@each_estimator
def test_the_end_of_the_array_is_a_cut(estimate):
    s = random_steps(np.random.default_rng(1), 3, 6, ends=0.0)
    cut = [*s[:4], np.arange(6) == np.full((3, 1), 5)]
    assert_array_equal(estimate(s, 0.9), estimate(cut, 0.9))


@each_estimator
def test_terminated_wins_over_truncated(estimate):
    s = random_steps(np.random.default_rng(2), 2, 6, ends=0.0)
    s[3][:, 3] = True
    both = [*s[:4], s[3] | s[4]]
    assert_array_equal(estimate(s, 0.9), estimate(both, 0.9))


@each_estimator
def test_a_dead_state_may_be_worth_nan(estimate):
    s = random_steps(np.random.default_rng(3), 2, 6, ends=0.3)
    s[2][s[3]] = np.nan
    assert np.isfinite(estimate(s, 0.9)).all()
    tensors = [torch.as_tensor(x) for x in s]
    assert torch.isfinite(estimate(tensors, 0.9)).all()


def test_monte_carlo_asks_the_critic_only_at_a_cut():
    rewards, _, next_values, terminated, truncated = random_steps(np.random.default_rng(4), 2, 8, ends=0.3)
    asked = truncated & ~terminated | (np.arange(8) == 7) & ~terminated
    silent = np.where(asked, next_values, np.nan)
    for returns in (lambda v: mc_returns(rewards, v, terminated, truncated, gamma=0.9),
                    lambda v: lambda_returns(rewards, v, terminated, truncated, gamma=0.9, lam=1.0)):
        assert_allclose(returns(silent), returns(next_values))


def test_td_is_not_poisoned_by_a_later_step():
    rewards, values, next_values, *flags = random_steps(np.random.default_rng(5), 1, 5, ends=0.0)
    values[0, 3] = np.nan  # δ_3 is unknown; with λ=0 nobody before it cares
    assert np.isfinite(gae(rewards, values, next_values, *flags, gamma=0.9, lam=0.0)[0, :3]).all()


@pytest.mark.parametrize("dtype", [np.float16, torch.bfloat16])
@pytest.mark.parametrize("estimate", [
    lambda r, v, *ends: mc_returns(r, v, *ends, gamma=1.0),
    lambda r, v, *ends: n_step_returns(r, v, *ends, gamma=1.0, n=4096),
    lambda r, v, *ends: lambda_returns(r, v, *ends, gamma=1.0, lam=1.0),
    lambda r, v, *ends: gae(r, v, v, *ends, gamma=1.0, lam=1.0),
    lambda r, v, *ends: gae_by_recursion(r, v, v, *ends, gamma=1.0, lam=1.0)])
def test_long_sums_in_half_precision_are_those_of_single(estimate, dtype):
    """Added one by one in bfloat16, 4,096 ones are 256, since 257 is no number there."""
    ones, never = np.ones((1, 4096), np.float32), np.zeros((1, 4096), bool)
    given = [ones, 0 * ones, never, never]
    if dtype is np.float16:
        half = [x.astype(dtype) if x.dtype == np.float32 else x for x in given]
    else:
        half = [torch.tensor(x).to(dtype if x.dtype == np.float32 else torch.bool) for x in given]
    found = estimate(*half)
    assert found.dtype == dtype
    assert_allclose(torch.as_tensor(found).double(), estimate(*given), rtol=1e-2)


@each_estimator
def test_numpy_equals_torch_and_dtype_shape_and_inputs_are_kept(estimate):
    for dtype in (np.float32, np.float64):
        s = random_steps(np.random.default_rng(6), 2, 3, 7, dtype=dtype)
        copies = [x.copy() for x in s]
        result, tensor = estimate(s, np.float64(0.9)), estimate([torch.as_tensor(x) for x in s], 0.9)
        assert result.shape == (2, 3, 7) and result.dtype == dtype and tensor.dtype == getattr(
            torch, np.dtype(dtype).name)
        assert_allclose(tensor.numpy(), result, rtol=1e-5 if dtype == np.float32 else 1e-12)
        for x, copy in zip(s, copies):
            assert_array_equal(x, copy)
            assert not np.shares_memory(result, x)


@each_estimator
def test_any_memory_order_gives_the_same(estimate):
    s = random_steps(np.random.default_rng(7), 4, 10)
    time_major = [np.ascontiguousarray(x.T).T for x in s]
    every_second = [np.repeat(x, 2, axis=0)[::2] for x in s]
    for view in (time_major, every_second):
        assert_array_equal(estimate(view, 0.9), estimate(s, 0.9))


def test_gamma_keeps_double_precision():
    """A γ rounded to float32 is off by 1e-8 and shows as 1e-6 after 100 steps (seen in a peer library)."""
    s = [torch.as_tensor(x) for x in random_steps(np.random.default_rng(8), 1, 200, ends=0.0)]
    truth = double_sum(*(x.numpy() for x in s), 0.99, 0.99)
    assert scaled_error(gae(*s, gamma=0.99, lam=0.99), truth) <= 1e-12


@each_estimator
def test_gradients_flow_through_torch(estimate):
    s = [torch.as_tensor(x) for x in random_steps(np.random.default_rng(9), 2, 5, ends=0.2)]
    s[0].requires_grad_()
    assert torch.autograd.gradcheck(lambda r: estimate([r, *s[1:]], 0.9), s[0])


BAD = {
    "rewards": [np.arange(5), np.array([1, 2, 3, 4, None], object), np.zeros(4), np.float64(3.0), "reward",
                np.zeros(0), np.zeros((2, 5)), np.zeros(5, complex), [1, 2, 3, 4, 5]],
    "terminated": [np.zeros(5), np.zeros(5, int), np.zeros(4, bool), None, np.zeros((0, 5), bool)],
    "truncated": [np.zeros(5, np.int8), np.zeros((5, 1), bool), torch.zeros(5, dtype=torch.bool)],
    "values": [np.zeros(5, np.float32), torch.zeros(5), np.zeros((1, 5))],
    "gamma": [-0.1, 1.1, np.nan, "0.9", None, True, np.array([0.9, 0.9])],
    "lam": [2, -1e-9, float("inf"), [0.95]],
}


@pytest.mark.parametrize("name, bad", [(n, b) for n, bads in BAD.items() for b in bads], ids=str)
def test_bad_input_is_refused_by_name(name, bad):
    good = dict(zip(("rewards", "values", "next_values", "terminated", "truncated"), RUNNING), gamma=0.9, lam=0.9)
    for estimate in (gae, gae_by_recursion):
        with pytest.raises(ValueError) as error:
            estimate(**{**good, name: bad})
        message = str(error.value)
        assert name in message and len(message) < 250
        assert any(way in message for way in ("pass", "got", "convert")), message


@pytest.mark.parametrize("name, place", [
    (name, place) for name in ESTIMATORS for place in range(5)
    if not (name == "td_errors" and place == 4 or "returns" in name and place == 1)])  # what it does not take
def test_integers_are_neither_numbers_nor_flags(name, place):
    s = list(random_steps(np.random.default_rng(0), 2, 6))
    s[place] = np.ones((2, 6), np.int64)
    argument = ("rewards", "values", "next_values", "terminated", "truncated")[place]
    with pytest.raises(ValueError, match=f"^{argument} must be (floating point|boolean), got int64"):
        ESTIMATORS[name](s, 0.9)


@each_estimator
def test_tensors_stay_on_their_device(estimate):
    """The device "meta" computes shapes only, and refuses what lies on another."""
    s = [torch.as_tensor(x).to("meta") for x in random_steps(np.random.default_rng(0), 2, 6)]
    result = estimate(s, 0.9)
    assert result.device.type == "meta" and result.shape == (2, 6)


@pytest.mark.slow
@settings(max_examples=2000)
@given(st.sampled_from(list(BAD)), st.one_of(
    st.none(), st.text(max_size=3), st.binary(max_size=3), st.floats(1.001), st.integers(2), st.booleans(),
    st.lists(st.integers(), max_size=4), st.dictionaries(st.integers(), st.integers(), max_size=2),
    st.builds(object), st.lists(st.lists(st.floats(), max_size=3), min_size=1, max_size=3)))
def test_any_nonsense_gives_a_value_error(name, nonsense):
    good = dict(zip(("rewards", "values", "next_values", "terminated", "truncated"), RUNNING), gamma=0.9, lam=0.9)
    with pytest.raises(ValueError):
        gae(**{**good, name: nonsense})


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2", None])
def test_n_must_be_a_positive_integer(n):
    with pytest.raises(ValueError, match="n must be an integer of at least 1"):
        n_step_returns(RUNNING[0], *RUNNING[2:], gamma=0.9, n=n)


def test_lists_of_floats_are_taken_as_numpy():
    lists = [x.tolist() for x in RUNNING]
    assert_allclose(gae(*lists, gamma=1.0, lam=0.95), gae(*RUNNING, gamma=1.0, lam=0.95))
