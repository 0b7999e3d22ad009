"""Exact answers against closed forms, against each other, and against played episodes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from coursekit import chains
from coursekit.advantages import gae, n_step_advantages
from coursekit.rollouts import collect
from strategies import unit

WALK = chains.random_walk(19)
EVEN = WALK.uniform_policy()


def a_garnet(seed, **options):
    chain = chains.garnet(np.random.default_rng(seed), states=6, actions=3, branching=2, **options)
    policy = np.random.default_rng(seed + 1).dirichlet(np.ones(3), size=6)
    return chain, policy


def test_the_random_walk_rises_in_a_straight_line():
    """Sutton and Barto, example 6.2: the chance to end right is linear in the state."""
    assert_allclose(chains.exact_values(WALK, EVEN, gamma=1.0)[1:-1], np.arange(-9, 10) / 10, atol=1e-12)
    assert_allclose(chains.exact_advantages(WALK, EVEN, gamma=1.0)[1:-1], [[-0.1, 0.1]] * 19, atol=1e-12)


def test_the_cycle_is_worth_1_over_1_minus_gamma():
    cycle = chains.cycle(4)
    assert_allclose(chains.exact_values(cycle, cycle.uniform_policy(), gamma=0.99), 100.0)
    assert_allclose(chains.exact_advantages(cycle, cycle.uniform_policy(), gamma=0.99), 0.0, atol=1e-9)


@given(st.integers(0, 1000), st.floats(0, 0.99))
def test_advantages_average_to_zero_under_the_policy(seed, gamma):
    chain, policy = a_garnet(seed)
    advantages = chains.exact_advantages(chain, policy, gamma=gamma)
    assert_allclose((policy * advantages).sum(-1), 0.0, atol=1e-9)


@given(st.integers(0, 1000), st.floats(0, 0.99), unit)
def test_the_closed_form_of_the_bias_equals_the_solved_moments(seed, gamma, lam):
    chain, policy = a_garnet(seed)
    critic = np.random.default_rng(seed).normal(size=6)
    moments = chains.gae_moments(chain, policy, critic, gamma=gamma, lam=lam)
    closed = chains.gae_bias(chain, policy, critic, gamma=gamma, lam=lam)
    assert_allclose(moments.bias, closed, atol=1e-10)
    assert (moments.variance >= 0).all()
    assert_allclose(moments.mse, closed**2 + moments.variance, atol=1e-9)


def test_a_constant_error_has_bias_c_1_minus_gamma_over_1_minus_gamma_lam():
    chain, policy = a_garnet(0)
    values = chains.exact_values(chain, policy, gamma=0.99)
    for lam in (0.0, 0.5, 0.95, 1.0):
        bias = chains.gae_bias(chain, policy, values + 2.0, gamma=0.99, lam=lam)
        assert_allclose(bias, -2.0 * 0.01 / (1 - 0.99 * lam))
        assert_allclose(chains.gradient_bias(bias, policy), 0.0, atol=1e-12)


@pytest.mark.parametrize("chain, policy, gamma", [(WALK, EVEN, 1.0), (*a_garnet(3), 0.9)])
def test_one_step_and_endless_steps_are_gae_at_its_ends(chain, policy, gamma):
    critic = np.random.default_rng(0).normal(size=len(chain.start))
    for n, lam in ((1, 0.0), (5000, 1.0)):
        steps = chains.n_step_moments(chain, policy, critic, gamma=gamma, n=n)
        moments = chains.gae_moments(chain, policy, critic, gamma=gamma, lam=lam)
        alive = ~chain.terminal
        assert_allclose(steps.bias[alive], moments.bias[alive], atol=1e-9)
        assert_allclose(steps.variance[alive], moments.variance[alive], atol=1e-9)


@pytest.mark.parametrize("estimator", ["gae", "n_step"])
def test_moments_agree_with_played_episodes(estimator):
    """A noisy walk and a wrong critic; first steps of more than 5,000 episodes, each (state, action)'s z."""
    chain = replace(chains.random_walk(5), reward_sd=0.5)
    policy = np.tile([0.4, 0.6], (7, 1))
    critic = np.random.default_rng(0).normal(size=7)
    rollout = collect(chain, policy, critic, steps=200, num_envs=600, rng=np.random.default_rng(1))
    if estimator == "gae":
        estimates = gae(*rollout.steps, gamma=0.9, lam=0.8)
        moments = chains.gae_moments(chain, policy, critic, gamma=0.9, lam=0.8)
    else:
        estimates = n_step_advantages(*rollout.steps, gamma=0.9, n=3)
        moments = chains.n_step_moments(chain, policy, critic, gamma=0.9, n=3)
    starts = np.roll(rollout.steps.terminated, 1, axis=1)
    starts[:, 0], starts[:, 120:] = True, False
    errors = estimates - chains.exact_advantages(chain, policy, gamma=0.9)[
        rollout.observations, rollout.actions]
    assert starts.sum() > 5000
    for action in (0, 1):
        sample = errors[starts & (rollout.actions == action)]
        assert abs(sample.mean() - moments.bias[3, action]) < 4 * sample.std() / len(sample) ** 0.5
        spread = (sample - sample.mean()) ** 2
        assert abs(spread.mean() - moments.variance[3, action]) < 4 * spread.std() / len(sample) ** 0.5


def test_occupancy_is_where_the_policy_is_seen():
    rollout = collect(WALK, EVEN, np.zeros(21), steps=4000, num_envs=50, rng=np.random.default_rng(0))
    seen = np.bincount(rollout.observations.ravel(), minlength=21) / rollout.observations.size
    assert_allclose(chains.occupancy(WALK, EVEN), seen, atol=0.01)
    chain, policy = a_garnet(1)
    share = chains.occupancy(chain, policy)
    assert_allclose(share @ (policy[:, :, None] * chain.transitions).sum(1), share, atol=1e-12)


def test_an_endless_sum_is_refused():
    chain, policy = a_garnet(2)
    with pytest.raises(ValueError, match="never ends.*lower one"):
        chains.exact_values(chain, policy, gamma=1.0)


def test_wrong_shapes_are_refused_by_name():
    with pytest.raises(ValueError, match=r"policy must have shape \(states, actions\) = \(21, 2\), got \(19, 2\)"):
        chains.exact_values(WALK, EVEN[1:-1], gamma=1.0)
    with pytest.raises(ValueError, match="terminal must have shape"):
        replace(WALK, terminal=np.zeros(3, bool))
    with pytest.raises(ValueError, match="transitions must be probabilities"):
        replace(WALK, transitions=2 * WALK.transitions)
    with pytest.raises(ValueError, match="states must be odd"):
        chains.random_walk(4)
    with pytest.raises(ValueError, match="states must be an integer of at least 1, got 0"):
        chains.cycle(0)


def test_what_is_not_finite_names_its_state_unless_the_state_is_terminal():
    lost = np.where(np.arange(21) == 3, np.nan, 0.0)
    with pytest.raises(ValueError, match="critic must be finite, got nan in state 3"):
        chains.gae_moments(WALK, EVEN, lost, gamma=0.9, lam=0.9)
    with pytest.raises(ValueError, match="rewards must be finite, got nan in state 3"):
        replace(WALK, rewards=WALK.rewards + lost[:, None, None])
    chains.gae_moments(WALK, EVEN, np.where(WALK.terminal, np.nan, 0.0), gamma=0.9, lam=0.9)


def test_a_long_walk_ends_too():
    """In as many steps as it has states a walk of 401 hardly ever ends; in the long run it always does."""
    walk = chains.random_walk(401)
    values = chains.exact_values(walk, walk.uniform_policy(), gamma=1.0)
    assert_allclose(values[1:-1], np.arange(-200, 201) / 201, atol=1e-9)


def test_occupancy_counts_only_what_the_start_reaches():
    loops = np.kron(np.eye(2), np.array([[0.0, 1.0], [1.0, 0.0]]))[:, None, :]
    chain = chains.Chain(loops, np.zeros_like(loops), np.zeros(4, bool), np.eye(4)[0])
    assert_allclose(chains.occupancy(chain, chain.uniform_policy()), [0.5, 0.5, 0, 0], atol=1e-6)


def test_tables_that_are_none_are_refused_by_name():
    with pytest.raises(ValueError, match="terminal must be boolean, got int64; pass terminal != 0"):
        replace(WALK, terminal=WALK.terminal.astype(int))
    with pytest.raises(ValueError, match="reward_sd must be at least 0"):
        replace(WALK, reward_sd=-1.0)
    for policy in (2 * EVEN, EVEN + [[1.0, -1.0]]):
        with pytest.raises(ValueError, match="policy must be probabilities"):
            chains.exact_values(WALK, policy, gamma=0.9)
    for n in (0, 2.0, None):
        with pytest.raises(ValueError, match="n must be an integer of at least 1"):
            chains.n_step_moments(WALK, EVEN, np.zeros(21), gamma=0.9, n=n)
