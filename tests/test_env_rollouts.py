"""Every end recorded as what it was: three ways to restart, one truth, played again one episode at a time."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.testing import assert_allclose, assert_array_equal

from coursekit.advantages import gae
from coursekit.arrays import whiten
from coursekit.env_rollouts import begin, collect_env
from coursekit.rollouts import Steps

MODES = list(AutoresetMode)
COPIES, LIMIT, SEED = 3, 9, 5


def one():
    return gymnasium.make("CartPole-v1", max_episode_steps=LIMIT)


def policy(observations):
    """Push right below a speed that depends on the angle: falls after about 9 steps, where the limit is."""
    actions = (observations[:, 1] + 20 * observations[:, 2] < 0.9).astype(int)
    return actions, np.log(0.5 + 0.1 * actions)


def critic(observations):
    return observations.astype(float) @ np.array([1.0, 2.0, 3.0, 4.0]) + 10


def single_stream(seed, steps):
    """One copy, played by hand with gymnasium's plain interface: observations and Steps, flat."""
    env, rows = one(), []
    observation, _ = env.reset(seed=seed)
    for _ in range(steps):
        actions, _ = policy(observation[None])
        successor, reward, terminated, truncated, _ = env.step(int(actions[0]))
        value, next_value = critic(np.stack([observation, successor]))
        rows.append((observation, reward, value, 0.0 if terminated else next_value, terminated,
                     truncated and not terminated))
        observation = env.reset()[0] if terminated or truncated else successor
    observations, *columns = (np.array(x) for x in zip(*rows))
    return observations, Steps(*columns)


def vector(mode, **options):
    return SyncVectorEnv([one] * COPIES, autoreset_mode=mode, **options)


def rollouts(mode, lengths=(9, 11, 9, 20, 1, 30), **options):
    play = begin(vector(mode, **options), seed=SEED)
    return play, [collect_env(play, policy, critic, steps=n) for n in lengths]


@pytest.mark.parametrize("copy", [True, False], ids=["copies", "reuses its arrays"])
@pytest.mark.parametrize("mode", MODES)
def test_all_three_modes_give_the_steps_and_advantages_of_episodes_played_one_by_one(mode, copy):
    played, at_the_edge, at = rollouts(mode, copy=copy)[1], 0, np.zeros(COPIES, int)
    truth = [single_stream(SEED + i, 90) for i in range(COPIES)]
    for rollout in played:
        advantages = gae(*rollout.steps, gamma=0.9, lam=0.8)
        for i, valid in enumerate(rollout.valid):
            part = slice(at[i], at[i] + valid.sum())
            at[i] = part.stop
            if not valid.any():
                continue
            observations, steps = truth[i][0][part], Steps(*(x[part] for x in truth[i][1]))
            assert_array_equal(rollout.observations[i][valid], observations)
            for found, expected in zip(rollout.steps, steps):
                assert_allclose(found[i][valid], expected, atol=1e-12)
            assert_allclose(advantages[i][valid], gae(*steps, gamma=0.9, lam=0.8), atol=1e-12)
            assert_array_equal(rollout.actions[i][valid], policy(observations)[0])
            assert_array_equal(rollout.logprobs[i][valid], policy(observations)[1])
            at_the_edge += bool(valid[-1] and (steps.terminated | steps.truncated)[-1])
    assert at_the_edge >= 2  # an end exactly on a last row, another rollout after it


def test_the_three_modes_agree_to_rounding():
    """On one copy, with a cut at the same step: NEXT_STEP needs one row more for each end before it."""
    first, second = 9 + 7, 2 * 9 + 3  # the second episode is cut, and goes on in the second rollout
    found = {}
    for mode in MODES:
        extra = mode is AutoresetMode.NEXT_STEP
        env = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1", max_episode_steps=4)], autoreset_mode=mode)
        play, parts = begin(env, seed=0), []
        for rows in (first, second):
            steps = rows + extra * {first: 3, second: 6}[rows]
            rollout = collect_env(play, policy, critic, steps=steps)
            valid, advantages = rollout.valid, gae(*rollout.steps, gamma=0.99, lam=0.95)
            assert valid.sum() == rows
            parts += [rollout.observations[valid], advantages[valid], whiten(advantages, valid)[valid]]
            assert rollout.steps.truncated[0, -1] == (rows == first)  # the first rollout ends with an episode
        found[mode] = parts
    for mode in MODES[1:]:
        for a, b in zip(found[MODES[0]], found[mode]):
            assert_allclose(a, b, atol=1e-12)


def test_a_reset_row_is_dead_across_rollouts_and_in_that_mode_only():
    for mode in MODES:
        _, played = rollouts(mode)
        valid = np.concatenate([r.valid for r in played], 1)
        ended = np.concatenate([r.steps.terminated | r.steps.truncated for r in played], 1)
        after_an_end = np.roll(ended, 1, axis=1) & (np.arange(ended.shape[1]) > 0)
        assert_array_equal(valid, ~after_an_end if mode is AutoresetMode.NEXT_STEP else np.ones_like(valid))


def test_the_native_cartpole_restarts_on_the_next_step():
    play = begin(gymnasium.make_vec("CartPole-v1", num_envs=4), seed=0)
    rollout = collect_env(play, policy, critic, steps=40)
    dead = ~rollout.valid
    assert dead.any() and (rollout.steps.rewards[dead] == 0).all() and (rollout.steps.rewards[~dead] == 1).all()
    assert abs(rollout.observations[:, 1:][dead[:, :-1]]).max() <= 0.05  # the row after a dead one starts anew


def test_dead_rows_hold_0_whatever_the_environment_and_the_critic_give():
    class Paid(gymnasium.vector.VectorWrapper):
        def step(self, actions):
            observations, rewards, *rest = self.env.step(actions)
            return observations, rewards + 5, *rest

    play = begin(Paid(gymnasium.make_vec("CartPole-v1", num_envs=4)), seed=0)
    rollout = collect_env(play, policy, critic, steps=40)
    assert (critic(rollout.observations[~rollout.valid]) != 0).all()
    for x in rollout.steps[:3]:
        assert (x[~rollout.valid] == 0).all() and (x[rollout.valid] != 0).any()


def test_returns_of_finished_episodes_are_kept_and_unfinished_ones_run_on():
    play, played = rollouts("SameStep")
    assert sum(play.finished) + play.running.sum() == sum(r.steps.rewards.sum() for r in played)
    assert max(play.finished) <= LIMIT and len(play.finished) == sum(
        (r.steps.terminated | r.steps.truncated).sum() for r in played)


def test_floats_follow_the_critic_and_shapes_the_environment():
    play = begin(vector("NextStep"), seed=0)
    rollout = collect_env(play, policy, lambda x: critic(x).astype(np.float32), steps=12)
    assert {x.dtype for x in rollout.steps[:3]} == {np.dtype(np.float32)}
    assert rollout.observations.shape == (COPIES, 12, 4) and rollout.valid.shape == (COPIES, 12)


@pytest.mark.parametrize("stated", [None, "Sometimes"])
def test_an_unknown_mode_is_refused(stated):
    env = vector("NextStep")
    env.metadata["autoreset_mode"] = stated
    with pytest.raises(ValueError, match="env must state NEXT_STEP, SAME_STEP or DISABLED"):
        begin(env, seed=0)


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="steps must be an integer of at least 1"):
        collect_env(begin(vector("NextStep"), seed=0), policy, critic, steps=0)


def test_a_critic_of_whole_numbers_does_not_cut_rewards():
    rollout = collect_env(begin(gymnasium.make_vec("CartPole-v1", 2, "sync", wrappers=[half]), seed=0), policy,
                          lambda observations: np.zeros(len(observations), int), steps=3)
    assert rollout.steps.rewards.dtype == float and (rollout.steps.rewards == 0.5).all()


def half(env):
    return gymnasium.wrappers.TransformReward(env, lambda reward: reward / 2)


def test_a_reward_that_is_no_number_names_the_copy_that_gave_it():
    play = begin(gymnasium.make_vec("CartPole-v1", 3), seed=0)
    step = play.env.step

    def broken(actions):
        observations, rewards, *rest = step(actions)
        return observations, np.array([1.0, 1.0, np.nan]), *rest
    play.env.step = broken
    with pytest.raises(ValueError, match="rewards of env must be finite, got nan in copy 2"):
        collect_env(play, policy, critic, steps=3)
    play = begin(gymnasium.make_vec("CartPole-v1", 3), seed=0)
    play.observations[1] = np.inf  # not the critic's fault, whose values would be NaN
    with pytest.raises(ValueError, match="observations of env must be finite, got inf in copy 1"):
        collect_env(play, policy, lambda observations: observations.sum(-1), steps=3)
    with pytest.raises(ValueError, match="values of critic must be finite, got inf in copy 0"):
        collect_env(begin(gymnasium.make_vec("CartPole-v1", 3), seed=0), policy,
                    lambda observations: np.full(len(observations), np.inf), steps=3)


def test_a_same_step_environment_without_its_last_observations_is_refused():
    play = begin(SyncVectorEnv([one] * COPIES, autoreset_mode=AutoresetMode.SAME_STEP), seed=SEED)
    step = play.env.step
    play.env.step = lambda actions: (*step(actions)[:4], {})
    with pytest.raises(ValueError, match=r'the last observations of ended episodes in info\["final_obs"\]'):
        collect_env(play, policy, critic, steps=4 * LIMIT)
