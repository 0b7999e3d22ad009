"""The peers of benchmarks/gae.py, and its floor: each takes the data of `draw` and prepares them in its own layout.

A function of the data gives (call, advantages): a call without arguments that returns advantages first, and what
makes a (T, N) numpy array of them; None where there are none. It raises ImportError where its library is missing.
"""

from types import SimpleNamespace

import numpy as np
import torch

GAMMA, LAM = 0.99, 0.95
PEERS = {}


def method(name):
    """Register a function under the name that the table shows."""
    def register(prepare):
        PEERS[name] = prepare
        return prepare
    return register


@method("SB3")
def sb3(data):
    from stable_baselines3.common.buffers import RolloutBuffer
    steps, rows = data.rewards.shape
    buffer = SimpleNamespace(
        buffer_size=steps, rewards=data.rewards, values=data.values, episode_starts=data.starts, gamma=GAMMA,
        gae_lambda=LAM, advantages=np.zeros_like(data.rewards))
    last_values, dones = torch.as_tensor(data.next_values[-1]), data.terminated[-1]

    def call():
        RolloutBuffer.compute_returns_and_advantage(buffer, last_values, dones)
        return buffer.advantages, buffer.returns
    return call, np.array


@method("CleanRL")
def cleanrl(data):
    """The loop of its ppo.py, on tensors."""
    rewards, values, dones = map(torch.as_tensor, (data.rewards, data.values, data.starts))
    next_value, next_done = torch.as_tensor(data.next_values[-1:]), torch.as_tensor(data.terminated[-1]).float()

    def call():
        advantages = torch.zeros_like(rewards)
        carried = 0
        for t in reversed(range(len(rewards))):
            if t == len(rewards) - 1:
                goes_on, after = 1.0 - next_done, next_value
            else:
                goes_on, after = 1.0 - dones[t + 1], values[t + 1]
            delta = rewards[t] + GAMMA * after * goes_on - values[t]
            advantages[t] = carried = delta + GAMMA * LAM * goes_on * carried
        return advantages, advantages + values
    return call, np.from_dlpack


@method("tianshou")
def tianshou(data):
    from tianshou.algorithm.algorithm_base import _gae
    rewards, values, after, ends = (np.ascontiguousarray(x.T, dtype=float).ravel() for x in (
        data.rewards, data.values, np.where(data.terminated, 0, data.next_values), data.terminated))
    ends = ends.astype(bool)

    def call():
        advantages = _gae(values, after, rewards, ends, GAMMA, LAM)
        return advantages, advantages + values
    return call, lambda x: x.reshape(data.rewards.shape[::-1]).T


@method("torchrl")
def torchrl(data):
    from torchrl.objectives.value.functional import generalized_advantage_estimate
    values, after, rewards, ends = (torch.as_tensor(np.ascontiguousarray(x.T))[..., None] for x in (
        data.values, data.next_values, data.rewards, data.terminated))
    return (lambda: generalized_advantage_estimate(GAMMA, LAM, values, after, rewards, ends, ends)), (
        lambda x: x[..., 0].T.numpy())


@method("PufferLib")
def pufferlib(data):
    """Its compiled kernel; rows one after the other, rewards and flags one step late, as it wants them."""
    from c_gae import compute_gae
    values = np.ascontiguousarray(data.values.T).ravel()
    late = [np.roll(x.T.ravel(), 1).astype(np.float32) for x in (data.terminated, data.rewards)]

    def call():
        advantages = compute_gae(late[0], values, late[1], GAMMA, LAM)
        return advantages, advantages + values
    return call, lambda x: x.reshape(data.rewards.shape[::-1]).T[:-1]  # it leaves the last one out


@method("rlax")
def rlax(data):
    import jax
    from rlax import truncated_generalized_advantage_estimation as estimate
    rewards, discounts, values = (jax.numpy.asarray(x.T) for x in (
        data.rewards, np.where(data.terminated, 0, GAMMA).astype(np.float32),
        np.concatenate([data.values, data.next_values[-1:]])))

    @jax.jit
    def both(rewards, discounts, values):
        advantages = jax.vmap(estimate, (0, 0, None, 0))(rewards, discounts, LAM, values)
        return advantages, advantages + values[:, :-1]
    return (lambda: jax.block_until_ready(both(rewards, discounts, values))), lambda x: np.asarray(x).T


@method("textbook loop, insert(0)")
def source(data):
    """Python numbers, one row after the other, each result put in front of a list."""
    columns = [x.T.tolist() for x in (data.rewards, data.values, data.terminated)]

    def call():
        both = [], []
        for rewards, values, dones in zip(*columns):
            advantages, carried = [], 0.0
            for t in reversed(range(len(rewards))):
                after = 0.0 if t == len(rewards) - 1 else values[t + 1]
                goes_on = 1.0 - float(dones[t])
                carried = rewards[t] + GAMMA * after * goes_on - values[t] + GAMMA * LAM * goes_on * carried
                advantages.insert(0, carried)
            both[0].append(advantages)
            both[1].append([a + v for a, v in zip(advantages, values)])
        return both
    return call, lambda x: np.array(x).T


@method("stream, same bytes")
def stream(data):
    from numba import njit

    @njit(error_model="numpy")
    def move(rewards, values, after, died, cut, first, second):
        for i in range(len(rewards)):
            x = rewards[i] + after[i]
            first[i] = x if died[i] | cut[i] else values[i]
            second[i] = x + values[i]
    given = [x.ravel() for x in (data.rewards, data.values, data.next_values, data.terminated, data.never)]
    results = np.empty_like(given[0]), np.empty_like(given[0])
    return (lambda: move(*given, *results) or results), None
