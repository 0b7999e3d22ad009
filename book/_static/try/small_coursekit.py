"""The three functions of the library that an exercise allows, on the page's small numpy."""

from collections import namedtuple

import small_numpy as np

Steps = namedtuple("Steps", ("rewards", "values", "next_values", "terminated", "truncated"))


def gae(rewards, values, next_values, terminated, truncated, *, gamma, lam):
    """Advantages, (..., T), by the recursion of chapter 2."""
    deltas = rewards + gamma * np.where(terminated, 0.0, next_values) - values
    goes_on = ~(terminated | truncated)
    advantages, following = np.zeros_like(deltas), 0.0
    for t in reversed(range(deltas.shape[-1])):
        following = deltas[..., t] + gamma * lam * np.where(goes_on[..., t], following, 0.0)
        advantages[..., t] = following
    return advantages


def last_token(mask):
    places = np.arange(mask.shape[-1])
    return places == np.max(np.where(mask, places, 0), axis=-1)[..., None]


def token_rewards(scores, kl, mask, *, beta):
    """A price for each token, and the reply's score at its last real one; 0 at padding."""
    return np.where(mask, -beta * kl, 0.0) + np.where(last_token(mask), scores[..., None], 0.0)


def token_steps(rewards, values, mask):
    """Replies as episodes, ready for `gae(*steps, gamma=1.0, lam=...)`."""
    rewards, values = np.where(mask, rewards, 0.0), np.where(mask, values, 0.0)
    next_values = np.concatenate([values[..., 1:], np.zeros_like(values[..., :1])], axis=-1)
    return Steps(rewards, values, next_values, last_token(mask), np.zeros_like(mask))
