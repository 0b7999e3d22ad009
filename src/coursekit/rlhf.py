"""PPO with four models: an actor writes, a reward model scores, a reference prices drift, a critic spreads credit.

`train` is a loop of `collect` (write, score, estimate advantages) and `learn` (clipped updates). Everything that is
done to a batch stands in these two functions; the formulas are in `tokens`, `advantages` and `ppo`.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from tqdm import tqdm

from coursekit import distributed
from coursekit.advantages import gae
from coursekit.arrays import masked_mean, whiten
from coursekit.lm import reply_logprobs, sample
from coursekit.ppo import (
    clipped_policy_loss,
    clipped_value_loss,
    entropy,
    explained_variance,
    ratio_diagnostics,
)
from coursekit.tokens import adapted_beta, kl_estimates, token_rewards, token_steps


@dataclass(frozen=True)
class FourModels:
    """actor and critic learn; reference and reward are frozen. Each is a TinyLM, or has its five methods."""

    actor: torch.nn.Module
    critic: torch.nn.Module
    reference: torch.nn.Module
    reward: torch.nn.Module


def four_models(supervised, reward):
    """Start PPO: the actor is the supervised model; the critic the reward model, its value head the score head.

    Source: Ouyang et al. 2022, section 3.5; value from reward model: Stiennon et al. 2020, section 3.4.
    """
    actor, critic = supervised.copy(), reward.copy()
    critic.value_head.load_state_dict(critic.score_head.state_dict())
    for unused in (actor.value_head, actor.score_head, critic.score_head):
        unused.requires_grad_(False)
    frozen = [model.copy().requires_grad_(False) for model in (supervised, reward)]
    return FourModels(actor, critic, *frozen)


@dataclass(frozen=True)
class Recipe:
    """The numbers of one run. beta: reward per nat of KL. clip, value_clip: ε of the two losses (value_clip in
    units of reward, or None). missing_end: taken from the score of a reply that does not end. target_kl: stop a
    batch's updates beyond this KL(old‖new) per token, nats. kl_target: nats a reply; if set, beta adapts to it
    over `kl_horizon` replies."""

    beta: float = 0.1
    gamma: float = 1.0
    lam: float = 0.95
    clip: float = 0.2
    value_clip: float | None = 0.2
    batch: int = 64
    minibatch: int = 32
    epochs: int = 1
    lr: float = 1e-3
    temperature: float = 1.0
    max_tokens: int = 48
    missing_end: float = 2.0
    target_kl: float | None = None
    kl_target: float | None = None
    kl_horizon: float = 1000.0

    def __post_init__(self):
        for name in ("batch", "minibatch", "epochs", "lr", "clip", "temperature", "max_tokens", "kl_horizon"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)!r}")


@dataclass(frozen=True)
class Batch:
    """B replies, ready to learn from. tokens, mask: (B, P + R), prompt and reply. Of the replies, (B, R): reply
    (bools), old_logprobs, kl (nats), values, advantages (whitened), returns (reward). scores: (B,)."""

    tokens: torch.Tensor
    mask: torch.Tensor
    reply: torch.Tensor
    old_logprobs: torch.Tensor
    kl: torch.Tensor
    values: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor
    scores: torch.Tensor

    def take(self, rows):
        """These rows, cut to their longest prompt and reply: what is all padding costs no time."""
        part = {f.name: getattr(self, f.name)[rows] for f in fields(self)}
        width = self.reply.shape[1]
        prompt = part["mask"][:, :-width].any(0).int().argmax().item()  # first column that any prompt uses
        longest = int(part["reply"].sum(-1).max())
        for name, x in part.items():
            if name in ("tokens", "mask"):
                part[name] = x[:, prompt:x.shape[1] - width + longest]
            elif x.ndim == 2:
                part[name] = x[:, :longest].contiguous()
        return Batch(**part)


@torch.no_grad()
def collect(models, prompts, prompt_mask, recipe, *, end, generator, check=False):
    """Write a reply to each prompt and work out what every token of it deserves.

    Args:
        prompts, prompt_mask: (B, P), padded on the left. end: the token that ends a reply.
        generator: torch.Generator for sampling. check: recompute the log-probabilities of the sampled tokens and
        compare; once a run is enough.
    Returns: Batch. Raises: RuntimeError: recomputed log-probabilities differ (dropout, padding, temperature?).
    """
    with distributed.gathered(models.actor):
        written, reply, old = sample(models.actor, prompts, prompt_mask, max_tokens=recipe.max_tokens, end=end,
                                     generator=generator, temperature=recipe.temperature)
    tokens, mask = torch.cat([prompts, written], 1), torch.cat([prompt_mask, reply], 1)
    if check:
        again = reply_logprobs(models.actor, tokens, mask, reply.shape[1], recipe.temperature)[0]
        worst = (again - old).abs()[reply].max().item()
        if worst > 1e-4:
            raise RuntimeError(f"log-probabilities at sampling and recomputed ones differ by {worst:.2g}: switch "
                               "dropout off, and look at padding, position ids and temperature")
    return appraise(models, tokens, mask, reply, old, recipe, end=end)


@torch.no_grad()
def appraise(models, tokens, mask, reply, old_logprobs, recipe, *, end):
    """Score replies, price their drift, and spread the credit over their tokens.

    Args: tokens, mask: (B, P + R). reply: (B, R) bools. old_logprobs: (B, R), nats, as sampled. end: token.
    Returns: Batch; advantages are whitened over the real tokens of all ranks.
    """
    width = reply.shape[1]
    reference = reply_logprobs(models.reference, tokens, mask, width, recipe.temperature)[0]
    kl = torch.where(reply, kl_estimates(old_logprobs, reference), 0.0)
    scores = models.reward.scores(models.reward(tokens, mask)[0], mask)
    ended = ((tokens[:, -width:] == end) & reply).any(-1)
    rewards = token_rewards(scores - recipe.missing_end * ~ended, kl, reply, beta=recipe.beta)
    steps = token_steps(rewards, reply_values(models.critic, tokens, mask, width), reply)
    advantages = gae(*steps, gamma=recipe.gamma, lam=recipe.lam)
    white = whiten(advantages, reply, total=distributed.total)
    return Batch(tokens, mask, reply, old_logprobs, kl, steps.values, white, advantages + steps.values, scores)


def reply_values(critic, tokens, mask, width):
    """(B, R): what the critic expects before each of the last `width` tokens, given those up to it."""
    hidden, _ = critic(tokens, mask)
    return critic.values(hidden[:, -width - 1:-1])


def learn(models, optimiser, batch, recipe, *, rng):
    """Some clipped updates of actor and critic on one batch. Changes both models; returns a dict of measures.

    Under torchrun every rank brings its own batch: gradients, token counts and KL are those of all of them.
    """
    watched, size = [], len(batch.tokens)
    parts = max(1, round(size / recipe.minibatch))
    for rows in (rows for _ in range(recipe.epochs) for rows in np.array_split(rng.permutation(size), parts)):
        watched.append(update(models, optimiser, batch.take(torch.as_tensor(rows)), recipe))
        if recipe.target_kl is not None and distributed.mean(watched[-1]["k3"]) > recipe.target_kl:
            break
    return {name: float(np.mean([w[name] for w in watched])) for name in watched[0]} | {"updates": len(watched)}


def update(models, optimiser, part, recipe):
    """One step of both optimised models on one minibatch. Returns a dict of measures."""
    width, mask = part.reply.shape[1], part.reply
    count = distributed.mean_total(mask.sum())
    logprobs, logits = reply_logprobs(models.actor, part.tokens, part.mask, width, recipe.temperature)
    policy_loss = clipped_policy_loss(logprobs, part.old_logprobs, part.advantages, clip=recipe.clip, mask=mask,
                                      count=count)
    values = reply_values(models.critic, part.tokens, part.mask, width)
    value_loss = clipped_value_loss(values, part.values, part.returns, clip=recipe.value_clip, mask=mask,
                                    count=count)
    optimiser.zero_grad()
    (policy_loss + value_loss).backward()
    for model in (models.actor, models.critic):
        distributed.average_gradients(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    with torch.no_grad():
        measures = ratio_diagnostics(logprobs, part.old_logprobs, clip=recipe.clip, mask=mask)
        measures["entropy"] = masked_mean(entropy(logits), mask).item()
    return measures | {"policy_loss": policy_loss.item(), "value_loss": value_loss.item()}


@dataclass
class Run:
    """Everything that a run remembers between two updates; `resume` saves and restores it."""

    models: FourModels
    recipe: Recipe
    optimiser: torch.optim.Adam
    seed: int = 0
    update: int = 0

    def dice(self):
        """(numpy, torch) generators of this update, of this rank alone: nothing to save, exact to resume."""
        rng = np.random.default_rng([self.seed, self.update, distributed.rank()])
        device = next(self.models.actor.parameters()).device
        return rng, torch.Generator(device).manual_seed(int(rng.integers(2**62)))


def start(models, recipe, *, seed=0):
    """A new Run: Adam over actor and critic, eps as in Ziegler et al. 2019's code."""
    learning = [p for m in (models.actor, models.critic) for p in m.parameters() if p.requires_grad]
    return Run(models, recipe, torch.optim.Adam(learning, lr=recipe.lr, eps=1e-5, fused=True), seed)


def train(run, draw, *, updates, end, judge=None, progress=False):
    """PPO, until `updates` updates are done. Changes `run`, its actor and its critic.

    Args:
        run: Run. draw(rng, n): n prompts as (things, tokens, mask), (n, P), padded on the left. end: token.
        judge(things, replies): (n,) gold of the replies, lists of token numbers, for the history only; or None.
        progress: show a bar on a terminal.
    Yields:
        After each update a dict: update, proxy (mean score), gold, kl (nats a reply), length (tokens), ended
        (share), beta, explained_variance, and the measures of `update`.
    """
    with tqdm(total=updates, initial=run.update, disable=not progress, leave=False) as bar:
        while run.update < updates:
            recipe, (rng, generator) = run.recipe, run.dice()
            things, prompts, mask = draw(rng, recipe.batch)
            batch = collect(run.models, prompts, mask, recipe, end=end, generator=generator, check=run.update == 0)
            report = describe(batch, end) | {"update": run.update, "beta": recipe.beta}
            if judge:
                report["gold"] = float(np.mean(judge(things, replies_of(batch))))
            if recipe.kl_target is not None:
                beta = adapted_beta(recipe.beta, distributed.mean(report["kl"]), target=recipe.kl_target,
                                    horizon=recipe.kl_horizon, replies=recipe.batch * distributed.ranks())
                run.recipe = replace(recipe, beta=beta)
            report |= learn(run.models, run.optimiser, batch, recipe, rng=rng)
            run.update += 1
            bar.update()
            yield report


def describe(batch, end):
    """What a batch says before anything is learned from it: a dict of floats."""
    ended = ((batch.tokens[:, -batch.reply.shape[1]:] == end) & batch.reply).any(-1)
    return {"proxy": batch.scores.mean().item(), "kl": batch.kl.sum(-1).mean().item(),
            "length": batch.reply.sum(-1).double().mean().item(), "ended": ended.double().mean().item(),
            "explained_variance": explained_variance(batch.values, batch.returns, mask=batch.reply)}


def replies_of(batch):
    """The replies as lists of token numbers, <end> included, padding not."""
    return [row[real].tolist() for row, real in zip(batch.tokens[:, -batch.reply.shape[1]:], batch.reply)]
