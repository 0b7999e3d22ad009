"""Play a chain and keep, for every step, the true successor's value.

An episode ends in one of two ways. `terminated`: by itself, and nothing follows.
`truncated`: it was cut short, and what would have followed is worth `next_values`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from coursekit.arrays import positive_int


class Steps(NamedTuple):
    """What the estimators read, (..., T) each, in the order of their arguments: gae(*steps, ...)."""

    rewards: np.ndarray
    values: np.ndarray
    next_values: np.ndarray  # V of the true successor, read before any reset
    terminated: np.ndarray
    truncated: np.ndarray


@dataclass(frozen=True)
class Rollout:
    """Steps, and what the policy needs to learn from them, (N, T) each.

    logprobs: log π(action|state) in nats. valid: False where a row is no step at all.
    """

    steps: Steps
    observations: np.ndarray
    actions: np.ndarray
    logprobs: np.ndarray
    valid: np.ndarray


def collect(chain, policy, critic, *, steps, num_envs=1, rng, time_limit=None):
    """Play `num_envs` copies of a chain side by side for `steps` steps; an ended episode starts again at once.

    Args:
        chain: chains.Chain.
        policy: (S, A) probabilities.
        critic: (S,) values, believed as they are.
        steps, num_envs: T and N, ints >= 1.
        rng: numpy Generator; the same seed plays the same steps.
        time_limit: cut an episode (truncated) after so many steps, or None.
    Returns:
        Rollout with arrays (N, T), time-major in memory; observations are states, ints.
    Raises:
        ValueError: steps, num_envs or time_limit below 1, or shapes that do not fit the
            chain.
    Source: time limits as in Pardo et al. 2018.
    """
    chain.check(policy, critic)
    steps, num_envs = positive_int(steps=steps), positive_int(num_envs=num_envs)
    time_limit = None if time_limit is None else positive_int(time_limit=time_limit)
    if not isinstance(rng, np.random.Generator):
        raise ValueError(
            f"rng must be a numpy Generator, got {type(rng).__name__}; "
            "pass np.random.default_rng(0)")
    critic = np.where(chain.terminal, 0.0, critic)
    record = {name: np.empty((steps, num_envs), dtype)
              for name, dtype in _COLUMNS.items()}
    start = chain.start[None].cumsum(-1)
    choose = policy.cumsum(-1)
    move = chain.transitions.cumsum(-1)
    state = _draw(start, rng, num_envs)
    age = np.zeros(num_envs, int)
    for t in range(steps):
        action = _draw(choose[state], rng, num_envs)
        successor = _draw(move[state, action], rng, num_envs)
        noise = chain.reward_sd * rng.normal(size=num_envs) if chain.reward_sd else 0.0
        age += 1
        terminated = chain.terminal[successor]
        truncated = (age == time_limit) & ~terminated
        rewards = chain.rewards[state, action, successor] + noise
        logprobs = np.log(policy[state, action])
        row = (rewards, critic[state], critic[successor], terminated, truncated,
               state, action, logprobs)
        for name, column in zip(_COLUMNS, row):
            record[name][t] = column
        ended = terminated | truncated
        state = np.where(ended, _draw(start, rng, num_envs), successor)
        age[ended] = 0
    columns = {name: column.T for name, column in record.items()}
    taken = Steps(*(columns.pop(name) for name in Steps._fields))
    return Rollout(taken, **columns, valid=np.ones((num_envs, steps), bool))


_COLUMNS = dict(
    rewards=float, values=float, next_values=float, terminated=bool, truncated=bool,
    observations=int, actions=int, logprobs=float)


def _draw(cumulative, rng, num_envs):
    """One index per row of (N or 1, K) cumulative probabilities."""
    drawn = (rng.random((num_envs, 1)) > cumulative).sum(-1)
    # the last sum may round to just under 1
    return np.minimum(drawn, cumulative.shape[-1] - 1)
