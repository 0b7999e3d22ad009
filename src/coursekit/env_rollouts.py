"""Play vector environments of gymnasium, and record each end of an episode as what it was, however they restart.

- NEXT_STEP: `step` returns the episode's last observation, and the next row only
  resets. That row is dead: no step.
- SAME_STEP: `step` returns the next episode's first; the last is in info["final_obs"].
  The critic sees that.
- DISABLED: `step` returns the last observation and waits for a reset. The critic sees
  it, then we reset.
"""

from dataclasses import dataclass, field

import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode

from coursekit.arrays import finite, positive_int
from coursekit.rollouts import Rollout, Steps


@dataclass
class Play:
    """A vector environment of N copies between two rollouts.

    observations: (N, ...), what the policy sees next.
    dead: (N,) bools, the next row is a reset and no step.
    running: (N,) rewards so far in the episodes that go on.
    finished: returns of those that have ended.
    """

    env: object
    observations: np.ndarray
    dead: np.ndarray
    running: np.ndarray
    finished: list = field(default_factory=list)


def begin(env, *, seed):
    """Reset a gymnasium vector environment and get ready to collect: Play.

    Raises:
        ValueError: its metadata don't say how it restarts an ended episode, or in a way
            unknown here.
    """
    autoreset_mode(env)
    observations, _ = env.reset(seed=seed)
    return Play(env, observations, np.zeros(env.num_envs, bool), np.zeros(env.num_envs))


def collect_env(play, policy, critic, *, steps):
    """Play all copies for `steps` rows; the value of a true successor is read before any reset.

    Args:
        play: Play, changed: the next call goes on where this one stops, dead rows included.
        policy(observations): (N, ...) to actions (N, ...) and their log-probabilities
            (N,), nats.
        critic(observations): (M, ...) to (M,) floats, units of reward. steps: T, int >= 1.
    Returns:
        Rollout with arrays (N, T), time-major in memory; floats of the critic's dtype
        (float64 where it has ints). `next_values` is 0 where terminated. `valid` is
        False at dead rows, and rewards, values and next_values are 0 there, whatever
        the environment and the critic gave. Keep dead rows out of every mean.
    Raises:
        ValueError: steps below 1, an environment that `begin` refuses, a reward or a
            value that is not finite.
    Source: Farama Foundation 2025 (gymnasium's three modes); time limits as in Pardo et
        al. 2018.
    """
    mode = autoreset_mode(play.env)
    rows, finals = [], []
    for _ in range(positive_int(steps=steps)):
        observations = play.observations.copy()  # some environments reuse their arrays
        valid = ~play.dead
        actions, logprobs = policy(observations)
        rewards, terminated, truncated, final = _step(play, mode, actions)
        rows.append((observations, actions, logprobs, valid,
                     rewards, terminated, truncated))
        finals.append(final)
    columns = map(np.stack, zip(*rows))  # (T, N, ...)
    observations, actions, logprobs, valid, rewards, terminated, truncated = columns
    seen = np.concatenate([observations, play.observations[None]])  # (T + 1, N, ...)
    finite("observations of env", seen.swapaxes(0, 1), "copy")
    values = critic(seen.reshape(-1, *seen.shape[2:])).reshape(seen.shape[:2])
    if values.dtype.kind != "f":
        values = values.astype(float)  # whole numbers would cut rewards
    next_values = np.where(terminated, 0.0, values[1:])
    if mode is not AutoresetMode.NEXT_STEP and truncated.any():
        next_values[truncated] = critic(np.concatenate(finals))
    floats = rewards, values[:-1], next_values
    floats = [np.where(valid, x, 0.0).astype(values.dtype) for x in floats]
    names = "rewards of env", "values of critic", "values of critic"
    for name, x in zip(names, floats):
        finite(name, x.T, "copy")
    recorded = *floats, terminated, truncated
    steps = Steps(*(x.swapaxes(0, 1) for x in recorded))  # (N, T)
    played = observations, actions, logprobs, valid
    return Rollout(steps, *(x.swapaxes(0, 1) for x in played))


def autoreset_mode(env):
    """How a vector environment restarts: a gymnasium AutoresetMode.

    Raises ValueError where it doesn't say.
    """
    stated = env.metadata.get("autoreset_mode")
    try:
        return AutoresetMode(stated)
    except ValueError:
        raise ValueError(
            "env must state NEXT_STEP, SAME_STEP or DISABLED in "
            f'metadata["autoreset_mode"], got {stated!r}; '
            "make it with gymnasium.make_vec") from None


def check_spaces(env):
    """Raise ValueError unless observations are vectors of numbers and actions 0, 1, …: what our nets can take."""
    if not hasattr(env, "single_observation_space"):
        raise ValueError(
            f"env must be a vector environment, got {env}; "
            "make it with gymnasium.make_vec")
    seen, done = env.single_observation_space, env.single_action_space
    if not isinstance(seen, Box) or len(seen.shape) != 1:
        raise ValueError(
            f"env must have a Box of one axis as its observations, got {seen}; "
            "wrap it with gymnasium.wrappers.FlattenObservation")
    if not isinstance(done, Discrete) or done.start != 0:
        raise ValueError(
            f"env must have Discrete(n) as its actions, from 0, got {done}; "
            "the actor has a logit for each of n actions")


def _step(play, mode, actions):
    """One row: rewards, terminated, truncated, and the last observations of the truncated episodes."""
    observations, rewards, terminated, truncated, info = play.env.step(actions)
    truncated = truncated & ~terminated
    ended = terminated | truncated
    final = observations[truncated]
    play.running += rewards
    if ended.any():
        play.finished += play.running[ended].tolist()
        play.running[ended] = 0.0
        if mode is AutoresetMode.SAME_STEP:
            if "final_obs" not in info:
                raise ValueError(
                    "env must give the last observations of ended episodes in "
                    'info["final_obs"], as gymnasium\'s SAME_STEP does; '
                    "without them a truncated step has no next value")
            last = list(info["final_obs"][truncated])
            final = np.array(last).reshape(final.shape)
        elif mode is AutoresetMode.DISABLED:
            # a new dict each time, since the call empties it
            options = {"reset_mask": ended}
            observations, _ = play.env.reset(options=options)
    play.dead = ended if mode is AutoresetMode.NEXT_STEP else np.zeros_like(ended)
    play.observations = observations
    return rewards, terminated, truncated, final
