"""PPO on gymnasium's CartPole and LunarLander: collect, estimate, update, and nothing hidden.

`train` is a loop of `collect_env` and `learn`; everything done to a rollout stands in
`estimate` and `update`, the formulas are in `advantages` and `ppo`.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import gymnasium
import numpy as np
import torch

from coursekit.actor_critic import Agent
from coursekit.advantages import gae
from coursekit.arrays import check_numbers, positive_int, whiten
from coursekit.env_rollouts import Play, begin, check_spaces, collect_env
from coursekit.ppo import (
    clipped_policy_loss,
    clipped_step,
    clipped_value_loss,
    entropy,
    explained_variance,
    ratio_diagnostics,
)
from coursekit.progress import bar


@dataclass(frozen=True)
class Config:
    """The numbers of one run: `updates` rollouts of (num_envs, num_steps), some epochs over each."""

    env: str
    updates: int
    num_envs: int = 8
    num_steps: int = 128
    epochs: int = 4
    minibatch: int = 128
    gamma: float = 0.99
    lam: float = 0.95
    lr: float = 2.5e-3  # falls linearly to 0 at the last update
    clip: float = 0.2  # ε of the policy loss
    value_clip: float | None = None  # ε of the value loss, units of reward; None: no clip
    ent_coef: float = 0.0  # units of advantages per nat of entropy
    max_grad_norm: float = 0.5  # to which each net's gradient is cut

    def __post_init__(self):
        at_least_1 = int, 1, math.inf, True
        above_0 = float, 0, math.inf, False
        at_least_0 = float, 0, math.inf, True
        share = float, 0, 1, True
        check_numbers(
            self, updates=at_least_1, num_envs=at_least_1, num_steps=at_least_1,
            epochs=at_least_1, minibatch=at_least_1, lr=above_0, clip=above_0,
            value_clip=above_0, max_grad_norm=above_0, gamma=share, lam=share,
            ent_coef=at_least_0)


CARTPOLE = Config("CartPole-v1", updates=50)
LUNARLANDER = Config(
    "LunarLander-v3", updates=100, num_envs=16, num_steps=1024, minibatch=256,
    gamma=0.999, lam=0.98, lr=1e-3, ent_coef=0.003)


class Minibatch(NamedTuple):
    """Steps to learn from, in any order: torch tensors (M, ...)."""

    observations: torch.Tensor
    actions: torch.Tensor
    old_logprobs: torch.Tensor  # nats
    advantages: torch.Tensor  # whitened over the whole rollout
    old_values: torch.Tensor  # units of reward
    returns: torch.Tensor  # units of reward

    def take(self, rows):
        """These rows of every array."""
        return Minibatch(*(x[rows] for x in self))


@dataclass
class Run:
    """Everything that a run remembers between two updates; `classic_resume` saves and restores it."""

    config: Config
    agent: Agent
    optimiser: torch.optim.Adam
    play: Play
    seed: int
    update: int = 0

    def generator(self):
        """The numpy generator of this update: nothing to save, exact to resume."""
        return np.random.default_rng([self.seed, self.update])


def start(config, *, seed, env=None):
    """A new Run on copies of the config's environment, or on `env`, a vector environment of gymnasium."""
    env = gymnasium.make_vec(config.env, config.num_envs) if env is None else env
    check_spaces(env)
    positive_int(0, seed=seed)
    inputs = env.single_observation_space.shape[0]
    actions = int(env.single_action_space.n)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        agent = Agent(inputs, actions)
    optimiser = torch.optim.Adam(agent.parameters(), lr=config.lr, eps=1e-5, fused=True)
    return Run(config, agent, optimiser, begin(env, seed=seed), seed)


def train(run, *, updates=None):
    """PPO until `updates` updates are done, or the config's.

    Changes `run`; shows a bar on a terminal.

    Yields:
        After each update a dict: update, steps (of the environments, resets not
        counted), returns (of the episodes that ended), and the metrics of `learn`.
    """
    config = run.config
    updates = config.updates if updates is None else updates
    if positive_int(updates=updates) > config.updates:
        raise ValueError(
            f"updates must be at most those of the config, {config.updates}, "
            f"where the learning rate reaches 0, got {updates}; "
            "start a run whose config has more")
    with bar(updates, initial=run.update) as shown:
        while run.update < updates:
            rng = run.generator()
            policy, critic = run.agent.sampler(rng), run.agent.critic_of
            rollout = collect_env(run.play, policy, critic, steps=config.num_steps)
            metrics = {"update": run.update,
                       "steps": int(rollout.valid.sum()),
                       "returns": run.play.finished}
            run.play.finished = []
            for group in run.optimiser.param_groups:
                group["lr"] = config.lr * (1 - run.update / config.updates)
            metrics |= learn(run.agent, run.optimiser, rollout, config, rng=rng)
            run.update += 1
            shown.update()
            yield metrics


def learn(agent, optimiser, rollout, config, *, rng):
    """Estimate advantages, then some epochs of clipped updates. Changes actor and critic.

    Returns: dict of floats: explained_variance (of the critic that collected), and of
        the whole rollout after the last update what `policy_metrics` gives.
    """
    batch = estimate(rollout, config)
    explained_var = explained_variance(batch.old_values, batch.returns)
    for _ in range(config.epochs):
        order = torch.from_numpy(rng.permutation(len(batch.returns)))
        for rows in order.split(config.minibatch):
            update(agent, optimiser, batch.take(rows), config)
    return {"explained_variance": explained_var} | policy_metrics(agent, batch, config)


def estimate(rollout, config):
    """Advantages and returns of a rollout: a Minibatch of all its steps, and of no dead row."""
    steps, valid = rollout.steps, rollout.valid
    advantages = gae(*steps, gamma=config.gamma, lam=config.lam)  # (N, T)
    columns = Minibatch(
        observations=rollout.observations.astype(np.float32),  # MuJoCo's are float64
        actions=rollout.actions,
        old_logprobs=rollout.logprobs,
        advantages=whiten(advantages, valid),
        old_values=steps.values,
        returns=advantages + steps.values)
    return Minibatch(*(torch.from_numpy(x[valid]) for x in columns))


def losses(agent, batch, config):
    """The loss of PPO, 0-d, and a dict of its parts: policy_loss, value_loss and entropy (nats)."""
    logits = agent.actor(batch.observations)  # (M, actions)
    logprobs = _logprobs(logits, batch.actions)  # (M,)
    policy_loss = clipped_policy_loss(
        logprobs, batch.old_logprobs, batch.advantages, clip=config.clip)
    values = agent.values(batch.observations)  # (M,)
    value_loss = clipped_value_loss(
        values, batch.old_values, batch.returns, clip=config.value_clip)
    mean_entropy = entropy(logits).mean()
    loss = policy_loss + value_loss - config.ent_coef * mean_entropy
    return loss, {"policy_loss": policy_loss,
                  "value_loss": value_loss,
                  "entropy": mean_entropy}


@torch.no_grad()
def policy_metrics(agent, batch, config):
    """The parts of the loss as floats, and how far the policy has moved: k1, k3 (nats), clip_fraction."""
    _, parts = losses(agent, batch, config)
    logprobs = _logprobs(agent.actor(batch.observations), batch.actions)
    moved = ratio_diagnostics(logprobs, batch.old_logprobs, clip=config.clip)
    return moved | {name: part.item() for name, part in parts.items()}


def _logprobs(logits, actions):
    return -torch.nn.functional.cross_entropy(logits, actions, reduction="none")


def update(agent, optimiser, minibatch, config):
    """One step of Adam on one minibatch; each net's gradient is cut to its own norm."""
    loss, _ = losses(agent, minibatch, config)
    optimiser.zero_grad()
    loss.backward()
    clipped_step(optimiser, agent.actor, agent.critic, max_norm=config.max_grad_norm)
