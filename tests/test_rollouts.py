"""A rollout says of every step what truly followed it."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from coursekit import chains
from coursekit.rollouts import collect

WALK = chains.random_walk(5)
EVEN, CRITIC = WALK.uniform_policy(), np.array([9.0, 0.1, 0.2, 0.3, 0.4, 0.5, 9.0])


def play(**options):
    settings = dict(steps=60, num_envs=40, rng=np.random.default_rng(0)) | options
    return collect(WALK, EVEN, CRITIC, **settings)


def test_next_values_are_of_the_true_successor_before_any_reset():
    rollout = play(time_limit=4)
    steps, states = rollout.steps, rollout.observations
    moved = states + np.where(rollout.actions == 1, 1, -1)
    dead = (moved == 0) | (moved == 6)
    assert_array_equal(steps.terminated, dead)
    assert_array_equal(steps.next_values, np.where(dead, 0.0, CRITIC[moved]))
    assert_array_equal(steps.values, CRITIC[states])
    ended = steps.terminated | steps.truncated
    assert_array_equal(states[:, 1:][~ended[:, :-1]], moved[:, :-1][~ended[:, :-1]])
    assert (states[:, 1:][ended[:, :-1]] == 3).all()  # a new episode starts in the middle


def test_a_time_limit_truncates_and_a_death_at_the_limit_is_a_death():
    steps = play(time_limit=3).steps
    assert steps.truncated.any() and not (steps.truncated & steps.terminated).any()
    for row in steps.terminated | steps.truncated:
        assert np.diff(np.flatnonzero(np.append(True, row))).max() <= 3


def test_the_same_seed_plays_the_same_steps():
    for a, b in zip(play().steps, play().steps):
        assert_array_equal(a, b)


def test_actions_follow_the_policy_and_logprobs_say_so():
    policy = np.tile([0.2, 0.8], (7, 1))
    rollout = collect(WALK, policy, CRITIC, steps=100, num_envs=100, rng=np.random.default_rng(0))
    assert abs(rollout.actions.mean() - 0.8) < 4 * 0.4 / 100
    assert_array_equal(rollout.logprobs, np.log(np.where(rollout.actions == 1, 0.8, 0.2)))
    assert rollout.valid.all()


@pytest.mark.parametrize("name", ["steps", "num_envs", "time_limit"])
def test_counts_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1"):
        play(**{name: -1})


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="critic must have one value per state"):
        collect(WALK, EVEN, np.zeros(5), steps=1, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="policy must have shape"):
        collect(WALK, EVEN.T, CRITIC, steps=1, rng=np.random.default_rng(0))
