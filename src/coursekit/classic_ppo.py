"""PPO on gymnasium's CartPole and LunarLander: collect, estimate, update, and nothing hidden.

`train` is a loop of `collect_env` and `learn`; everything done to a rollout stands in `learn` and `update`, the
formulas are in `advantages` and `ppo`.
"""

from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_
from tqdm import tqdm

from coursekit.actor_critic import Agent
from coursekit.advantages import gae
from coursekit.arrays import whiten
from coursekit.env_rollouts import Play, begin, collect_env
from coursekit.ppo import (
    clipped_policy_loss,
    clipped_value_loss,
    entropy,
    explained_variance,
    ratio_diagnostics,
)


@dataclass(frozen=True)
class Recipe:
    """The numbers of one run: `updates` rollouts of T rows from N copies, some epochs over each.

    lr falls in a line to 0 at the last update. clip, value_clip: ε of the two losses (value_clip in units of reward
    or None). bonus: advantages per nat of entropy. max_norm: cuts each net's gradient.
    """

    env: str
    updates: int
    copies: int = 8
    rows: int = 128
    epochs: int = 4
    minibatch: int = 128
    gamma: float = 0.99
    lam: float = 0.95
    lr: float = 2.5e-3
    clip: float = 0.2
    value_clip: float | None = None
    bonus: float = 0.0
    max_norm: float = 0.5

    def __post_init__(self):
        for name in ("updates", "copies", "rows", "epochs", "minibatch", "lr", "clip", "max_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)!r}")


CARTPOLE = Recipe("CartPole-v1", updates=50)
LUNARLANDER = Recipe("LunarLander-v3", updates=100, copies=16, rows=1024, minibatch=256, gamma=0.999, lam=0.98,
                     lr=1e-3, bonus=0.003)


@dataclass
class Run:
    """Everything that a run remembers between two updates; `classic_resume` saves and restores it."""

    recipe: Recipe
    agent: Agent
    optimiser: torch.optim.Adam
    play: Play
    seed: int
    update: int = 0

    def dice(self):
        """The numpy generator of this update: nothing to save, exact to resume."""
        return np.random.default_rng([self.seed, self.update])


def start(recipe, *, seed, env=None):
    """A new Run on N copies of the recipe's environment, or on `env`, a vector environment of gymnasium."""
    env = gymnasium.make_vec(recipe.env, recipe.copies) if env is None else env
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        agent = Agent(env.single_observation_space.shape[0], int(env.single_action_space.n))
    optimiser = torch.optim.Adam(agent.parameters(), lr=recipe.lr, eps=1e-5, fused=True)
    return Run(recipe, agent, optimiser, begin(env, seed=seed), seed)


def train(run, *, updates=None):
    """PPO until `updates` updates are done, or the recipe's. Changes `run`; shows a bar on a terminal.

    Yields:
        After each update a dict: update, steps (of the environments, resets not counted), returns (of the episodes
        that ended), and the measures of `learn`.
    """
    recipe, updates = run.recipe, run.recipe.updates if updates is None else updates
    with tqdm(total=updates, initial=run.update, disable=None, leave=False) as bar:
        while run.update < updates:
            rng = run.dice()
            rollout = collect_env(run.play, run.agent.sampler(rng), run.agent.critic_of, steps=recipe.rows)
            report = {"update": run.update, "steps": int(rollout.valid.sum()), "returns": run.play.finished}
            run.play.finished = []
            for group in run.optimiser.param_groups:
                group["lr"] = recipe.lr * (1 - run.update / recipe.updates)
            report |= learn(run.agent, run.optimiser, rollout, recipe, rng=rng)
            run.update += 1
            bar.update()
            yield report


def learn(agent, optimiser, rollout, recipe, *, rng):
    """Estimate advantages, then some epochs of clipped updates. Changes actor and critic.

    Returns: dict of floats: explained_variance (of the critic that collected), and of the whole rollout after the
    last update: entropy, k1, k3 (nats), clip_fraction, policy_loss, value_loss.
    """
    valid = rollout.valid
    told = [np.where(valid, x, x.dtype.type(0)) for x in rollout.steps[:3]]  # what stands in dead rows is no matter
    steps = rollout.steps._replace(rewards=told[0], values=told[1], next_values=told[2])
    advantages = gae(*steps, gamma=recipe.gamma, lam=recipe.lam)
    columns = (rollout.observations, rollout.actions, rollout.logprobs, whiten(advantages, valid), steps.values,
               advantages + steps.values)
    batch = [torch.from_numpy(x[valid]) for x in columns]  # dead rows go no further
    foreseen = explained_variance(batch[4], batch[5])
    for _ in range(recipe.epochs):
        for rows in torch.from_numpy(rng.permutation(len(batch[0]))).split(recipe.minibatch):
            update(agent, optimiser, [x[rows] for x in batch], recipe)
    with torch.no_grad():
        _, measures = losses(agent, batch, recipe)
    return {"explained_variance": foreseen} | measures()


def losses(agent, batch, recipe):
    """What PPO makes small, 0-d, and a function that gives the parts of it and how far the policy has moved."""
    observations, actions, old_logprobs, advantages, old_values, returns = batch
    logits = agent.actor(observations)
    logprobs = -torch.nn.functional.cross_entropy(logits, actions, reduction="none")
    policy = clipped_policy_loss(logprobs, old_logprobs, advantages, clip=recipe.clip)
    value = clipped_value_loss(agent.values(observations), old_values, returns, clip=recipe.value_clip)
    spread = entropy(logits).mean()

    def measures():
        return ratio_diagnostics(logprobs, old_logprobs, clip=recipe.clip) | {
            "policy_loss": policy.item(), "value_loss": value.item(), "entropy": spread.item()}
    return policy + value - recipe.bonus * spread, measures


def update(agent, optimiser, batch, recipe):
    """One step of Adam on one minibatch; each net's gradient is cut to its own norm."""
    optimiser.zero_grad()
    losses(agent, batch, recipe)[0].backward()
    for net in (agent.actor, agent.critic):
        clip_grad_norm_(net.parameters(), recipe.max_norm)
    optimiser.step()
