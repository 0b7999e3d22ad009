"""Random rollouts, their double-sum oracle, and the scaled error that the bars are about."""

import numpy as np
from hypothesis import strategies as st


def random_steps(rng, *shape, ends=0.2, dtype=float):
    """Steps of the given shape (..., T) with random ends; dead states have garbage values."""
    rewards, values, next_values = (rng.normal(size=shape).astype(dtype) for _ in range(3))
    terminated, cut = rng.random(shape) < ends, rng.random(shape) < ends
    next_values[terminated] = 1e6
    return rewards, values, next_values, terminated, cut


@st.composite
def steps(draw, max_steps=24):
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, max_steps)))
    ends = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    return random_steps(np.random.default_rng(draw(st.integers(0, 2**32 - 1))), *shape, ends=ends)


def of_one_critic(s):
    """The same steps with next_values[t] = values[t+1] inside every episode, as one critic gives them."""
    rewards, values, next_values, terminated, truncated = s
    inside = np.zeros(values.shape, bool)
    inside[..., :-1] = ~(terminated | truncated)[..., :-1]
    return rewards, values, np.where(inside, np.roll(values, -1, axis=-1), next_values), terminated, truncated


unit = st.floats(0, 1, allow_subnormal=False)


def double_sum(rewards, values, next_values, terminated, truncated, gamma, lam):
    """GAE by its definition, in float64: for each t, add (γλ)^k·δ_{t+k} until the episode ends. O(T²)."""
    rewards, values, next_values = (np.asarray(x, float) for x in (rewards, values, next_values))
    deltas = rewards + gamma * np.where(terminated, 0.0, next_values) - values
    ended, total = terminated | truncated, np.zeros_like(deltas)
    steps_ = deltas.shape[-1]
    alive = np.ones(deltas.shape, bool)  # is step t + k still in the episode of step t?
    for k in range(steps_):
        total[..., : steps_ - k] += (gamma * lam) ** k * np.where(alive[..., : steps_ - k], deltas[..., k:], 0.0)
        alive[..., : steps_ - k] &= ~ended[..., k:]
    return total


def scaled_error(x, truth):
    return np.abs(np.asarray(x, float) - truth).max() / max(1.0, np.abs(truth).max())
