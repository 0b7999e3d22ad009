"""PPO with four models, or with several responses to a prompt in place of the critic.

An actor samples responses, a reward model scores them, a reference gives the KL
penalty, and a critic's values spread the credit over the tokens. Or without the critic:
several responses to a prompt, each of which is compared with the others.

`train` is a loop of `collect` (sample, score, estimate advantages) and `learn` (clipped
updates). Everything that is done to a batch stands in these two functions; the formulas
are in `tokens`, `advantages`, `groups` and `ppo`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from coursekit import distributed
from coursekit.advantages import gae
from coursekit.arrays import check_numbers, finite, masked_mean, positive_int, whiten
from coursekit.groups import group_standardised, leave_one_out, token_weights
from coursekit.lm import predicting, response_logprobs, sample
from coursekit.ppo import (
    clipped_policy_loss,
    clipped_step,
    clipped_value_loss,
    entropy,
    explained_variance,
    ratio_diagnostics,
)
from coursekit.progress import bar
from coursekit.tokens import (
    adapted_beta,
    kl_estimates,
    last_token,
    token_rewards,
    token_steps,
)


@dataclass(frozen=True)
class FourModels:
    """actor and critic learn; reference and reward are frozen.

    Each is a TinyLM, or has its six methods.

    critic: None where advantages are estimated without one.
    reference: None if beta is 0.
    reward: a reward model, or a verifier: a function of (tokens, attention_mask),
    (B, T) each, that returns (B,) scores.
    """

    actor: torch.nn.Module
    critic: torch.nn.Module | None
    reference: torch.nn.Module | None
    reward: Callable


def four_models(supervised, reward):
    """Start PPO: the actor is the supervised model; the critic the reward model, its value head the score head.

    Source: Ouyang et al. 2022, section 3.5; value from reward model: Stiennon et al.
        2020, section 3.4.
    """
    actor, critic = supervised.copy(), reward.copy()
    critic.value_head.load_state_dict(critic.score_head.state_dict())
    for unused in (actor.value_head, actor.score_head, critic.score_head):
        unused.requires_grad_(False)
    frozen = [model.copy().requires_grad_(False) for model in (supervised, reward)]
    return FourModels(actor, critic, *frozen)


ESTIMATORS = {  # (M, G) rewards of responses to (M, G) advantages
    "rloo": leave_one_out,
    "grpo": lambda rewards: group_standardised(rewards, ddof=1, eps=1e-4),
    "batch mean": lambda rewards: whiten(rewards, total=distributed.total),
}
CHOICES = {"estimator": ("gae", *ESTIMATORS),
           "kl": ("reward", "k2", "k3"),
           "normalisation": ("batch", "sequence", "group", "constant")}


@dataclass(frozen=True)
class Config:
    """The numbers of one run."""

    beta: float = 0.1  # KL coefficient, reward per nat
    gamma: float = 1.0  # γ, λ and value_clip: with a critic only
    lam: float = 0.95
    clip: float = 0.2  # ε of the policy loss
    # another ε for its upper bound, as in DAPO; None: the same
    clip_high: float | None = None
    value_clip: float | None = 0.2  # ε of the value loss, units of reward; None: no clip
    batch: int = 64  # responses of an update, on each process
    minibatch: int = 32
    epochs: int = 1
    lr: float = 1e-3
    temperature: float = 1.0
    max_tokens: int = 48
    # taken from the score of a response that does not end
    missing_eos_penalty: float = 2.0
    # KL(old‖new) per token, nats, that stops a batch's updates
    target_kl: float | None = None
    # KL(policy‖reference), nats a response, that beta adapts to
    kl_target: float | None = None
    kl_horizon: float = 1000.0  # responses over which beta adapts by 20 % at most
    # "gae", with a critic; or without one: "rloo", "grpo", "batch mean"
    estimator: str = "gae"
    group: int = 1  # responses to each prompt
    # where the KL penalty is: in the "reward" (k1), or in the loss as "k2" or "k3"
    kl: str = "reward"
    normalisation: str = "batch"  # of the policy's loss, as in groups.token_weights
    warm_up: int = 0  # updates over which the learning rate rises to lr

    def __post_init__(self):
        at_least_1 = int, 1, math.inf, True
        above_0 = float, 0, math.inf, False
        at_least_0 = float, 0, math.inf, True
        share = float, 0, 1, True
        any_number = float, -math.inf, math.inf, True
        check_numbers(
            self, batch=at_least_1, minibatch=at_least_1, epochs=at_least_1,
            max_tokens=at_least_1, group=at_least_1, lr=above_0, clip=above_0,
            clip_high=above_0, value_clip=above_0, temperature=above_0,
            kl_target=above_0, kl_horizon=above_0, gamma=share, lam=share,
            beta=at_least_0, missing_eos_penalty=any_number, target_kl=any_number,
            warm_up=(int, 0, math.inf, True))
        for name, choices in CHOICES.items():
            found = getattr(self, name)
            if found not in choices:
                raise ValueError(
                    f"{name} must be one of {', '.join(choices)}, got {found!r}")
        if self.batch % self.group:
            raise ValueError(f"group must divide batch, {self.batch}, got {self.group!r}")
        if self.estimator in ("rloo", "grpo") and self.group < 2:
            raise ValueError(
                f'group must be at least 2 with estimator "{self.estimator}", '
                "so that a response has others to compare with, "
                f'got {self.group!r}; "batch mean" takes 1')

    @property
    def penalty(self):
        """The KL coefficient within the reward."""
        return self.beta if self.kl == "reward" else 0.0


@dataclass(frozen=True)
class Batch:
    """B responses, ready to learn from. At padding every (B, R) array of floats is 0."""

    tokens: torch.Tensor  # (B, P + R), prompt and response
    attention_mask: torch.Tensor  # (B, P + R), True at real tokens
    response_mask: torch.Tensor  # (B, R), True at real tokens of the response
    old_logprobs: torch.Tensor  # (B, R), nats, as sampled
    kl: torch.Tensor  # (B, R), nats
    values: torch.Tensor | None  # (B, R), units of reward; None without a critic
    rewards: torch.Tensor  # (B, R)
    advantages: torch.Tensor  # (B, R), whitened where a critic gives them
    returns: torch.Tensor | None  # (B, R), units of reward; None without a critic
    weights: torch.Tensor  # (B, R), how much each token counts in the policy's loss
    scores: torch.Tensor  # (B,), by the reward model
    ended: torch.Tensor  # (B,), True where the response holds its end token

    @property
    def width(self):
        """R, the longest response."""
        return self.response_mask.shape[1]

    @property
    def responses(self):
        """The responses as lists of token numbers, <end> included, padding not."""
        tokens = self.tokens[:, -self.width:]  # (B, R)
        return [row[real].tolist() for row, real in zip(tokens, self.response_mask)]

    def take(self, rows):
        """These rows, cut to their longest prompt and response: a column of padding alone costs no time."""
        whole = {field.name: getattr(self, field.name) for field in fields(self)}
        part = {name: x[rows] for name, x in whole.items() if x is not None}
        prompts = part["attention_mask"][:, :-self.width]
        first = prompts.any(0).int().argmax().item()  # first column that any prompt uses
        longest = int(part["response_mask"].sum(-1).max())
        last = self.tokens.shape[1] - self.width + longest
        for name, x in part.items():
            if name in ("tokens", "attention_mask"):
                part[name] = x[:, first:last]
            elif x.ndim == 2:
                part[name] = x[:, :longest].contiguous()
        return replace(self, **part)


@torch.no_grad()
def collect(models, prompts, prompt_mask, config, *, end, generator, check=False):
    """Sample a response to each prompt and estimate the advantage of each of its tokens.

    Args:
        prompts, prompt_mask: (B, P), padded on the left; each prompt in `config.group`
            consecutive rows.
        end: the token that ends a response. generator: torch.Generator for sampling.
        check: recompute the log-probabilities of the sampled tokens and compare; once a
            run is enough.
    Returns: Batch.
    Raises:
        ValueError: check, and the rows of a group differ.
        RuntimeError: check, and recomputed log-probabilities differ (dropout, padding,
            temperature?).
    """
    if check:
        check_groups(prompts, prompt_mask, config.group)
    with distributed.unsharded(models.actor):
        responses, response_mask, old_logprobs = sample(  # (B, R) each
            models.actor, prompts, prompt_mask, max_tokens=config.max_tokens, end=end,
            generator=generator, temperature=config.temperature)
    tokens = torch.cat([prompts, responses], 1)  # (B, P + R)
    attention_mask = torch.cat([prompt_mask, response_mask], 1)
    if check:
        text = tokens, attention_mask, response_mask.shape[1]
        again, logits = response_logprobs(models.actor, *text, config.temperature)
        worst = (again - old_logprobs).abs()[response_mask].max().item()
        dtype = next(models.actor.parameters()).dtype
        rounding = torch.finfo(dtype).eps * logits.abs().max().item()
        if worst > max(1e-4, 4 * rounding):
            raise RuntimeError(
                "log-probabilities at sampling and recomputed ones differ by "
                f"{worst:.2g}: switch dropout off, and look at padding, position ids "
                "and temperature")
    return make_experience(
        models, tokens, attention_mask, response_mask, old_logprobs, config, end=end)


def check_groups(prompts, prompt_mask, group):
    """Raise ValueError unless each prompt stands in `group` consecutive rows."""
    if len(prompts) % group:
        raise ValueError(
            f"prompts must come in groups of {group} rows, got {len(prompts)} rows")
    rows = torch.where(prompt_mask, prompts, -1).view(-1, group, prompts.shape[1])
    if not (rows == rows[:, :1]).all():
        raise ValueError(
            f"prompts must hold each prompt in {group} consecutive rows; "
            "repeat_interleave makes them")


@torch.no_grad()
def make_experience(
        models, tokens, attention_mask, response_mask, old_logprobs, config, *, end):
    """Score responses, subtract the KL penalty, and estimate advantages (and returns) of their tokens.

    Args:
        tokens, attention_mask: (B, P + R).
        response_mask: (B, R) bools.
        old_logprobs: (B, R), nats, as sampled, 0 at padding.
        end: token.
    Returns: Batch; advantages from a critic are whitened over the real tokens of all ranks.
    """
    width = response_mask.shape[1]  # R
    text = tokens, attention_mask, width
    kl = torch.zeros_like(old_logprobs)  # (B, R)
    if models.reference is not None:
        ref_logprobs, _ = response_logprobs(  # (B, R)
            models.reference, *text, config.temperature)
        kl = torch.where(response_mask, kl_estimates(old_logprobs, ref_logprobs), 0.0)
    scores = text_scores(models.reward, tokens, attention_mask)  # (B,)
    ended = ((tokens[:, -width:] == end) & response_mask).any(-1)  # (B,)
    penalised = scores - config.missing_eos_penalty * ~ended
    rewards = token_rewards(penalised, kl, response_mask, beta=config.penalty)  # (B, R)
    finite("rewards", rewards, "response")
    values = returns = None
    if config.estimator == "gae":
        expected = response_values(models.critic, *text)  # (B, R)
        steps = token_steps(rewards, expected, response_mask)
        advantages = gae(*steps, gamma=config.gamma, lam=config.lam)  # (B, R)
        values = finite("values of critic", steps.values, "response")
        returns = advantages + values
        advantages = whiten(advantages, response_mask, total=distributed.total)
    else:
        totals = rewards.sum(-1).view(-1, config.group)  # (M, G)
        of_responses = ESTIMATORS[config.estimator](totals).flatten()  # (B,)
        advantages = torch.where(response_mask, of_responses[:, None], 0.0)  # (B, R)
    return Batch(
        tokens=tokens,
        attention_mask=attention_mask,
        response_mask=response_mask,
        old_logprobs=old_logprobs,
        kl=kl,
        values=values,
        rewards=rewards,
        advantages=advantages,
        returns=returns,
        weights=loss_weights(response_mask, config).to(kl.dtype),
        scores=scores,
        ended=ended)


def loss_weights(response_mask, config):
    """(B, R): how much a token counts in the policy's loss.

    It is 1 each, or what adds up to 1 for a response on average (with "constant", for
    one of the greatest length).
    """
    if config.normalisation == "batch":
        return response_mask
    how = dict(group=config.group, limit=config.max_tokens)
    return token_weights(response_mask, config.normalisation, **how) * len(response_mask)


def response_values(critic, tokens, attention_mask, width):
    """(B, R): what the critic expects before each of the last `width` tokens, given those up to it."""
    hidden, _ = critic(tokens, attention_mask, read=predicting(attention_mask, width))
    return critic.values(hidden[:, -width - 1:-1])


def text_scores(reward, tokens, attention_mask):
    """(B,): how the reward model, or a verifier, scores each text, prompt and response."""
    if not isinstance(reward, torch.nn.Module):
        scores = reward(tokens, attention_mask)
        scores = torch.as_tensor(scores, dtype=torch.float32, device=tokens.device)
        if scores.shape != tokens.shape[:1]:
            raise ValueError(
                f"reward must give one score for each of the {len(tokens)} responses, "
                f"got the shape {tuple(scores.shape)}")
        return scores
    hidden, _ = reward(tokens, attention_mask, read=last_token(attention_mask))
    return reward.scores(hidden, attention_mask)


def learn(models, optimiser, batch, config, *, rng):
    """Some clipped updates of actor and critic on one batch.

    Changes both models; returns a dict of metrics. Under torchrun every rank brings its
    own batch: gradients, token counts and KL are those of all of them.
    """
    history = []
    parts = max(1, round(len(batch.tokens) / config.minibatch))
    for _ in range(config.epochs):
        for rows in np.array_split(rng.permutation(len(batch.tokens)), parts):
            minibatch = batch.take(torch.as_tensor(rows))
            metrics = update(models, optimiser, minibatch, config)
            history.append(metrics)
            limit = config.target_kl
            if limit is not None and distributed.mean(metrics["k3"]) > limit:
                return _means(history)
    return _means(history)


def _means(history):
    """The mean of each metric over the updates made, and their number."""
    means = {name: float(np.mean([metrics[name] for metrics in history]))
             for name in history[0]}
    return means | {"updates": len(history)}


def update(models, optimiser, minibatch, config):
    """One step of all learning models on one minibatch. Returns a dict of metrics."""
    mask = minibatch.response_mask  # (B, R)
    text = minibatch.tokens, minibatch.attention_mask, minibatch.width
    # the mean over ranks of gradients of sums, each divided by this, is the gradient of
    # the mean over all tokens
    count = distributed.mean(mask.sum())
    logprobs, logits = response_logprobs(  # (B, R), (N, V)
        models.actor, *text, config.temperature)
    weights = minibatch.weights
    rows = count if config.normalisation == "batch" else len(weights)
    policy_loss = loss = clipped_policy_loss(  # the clip does not mind a positive factor
        logprobs, minibatch.old_logprobs, minibatch.advantages * weights,
        clip=config.clip, clip_high=config.clip_high, mask=mask, count=rows)
    if config.kl != "reward" and config.beta:
        ref_logprobs = minibatch.old_logprobs - minibatch.kl
        penalty = kl_estimates(logprobs, ref_logprobs, kind=config.kl)  # (B, R)
        loss = loss + config.beta * masked_mean(penalty * weights, mask, count=rows)
    if models.critic is not None:
        values = response_values(models.critic, *text)  # (B, R)
        value_loss = clipped_value_loss(
            values, minibatch.values, minibatch.returns,
            clip=config.value_clip, mask=mask, count=count)
        loss = loss + value_loss
    optimiser.zero_grad()
    loss.backward()
    for model in learning(models):
        distributed.average_gradients(model)
    clipped_step(optimiser, *learning(models))
    metrics = ratio_diagnostics(
        logprobs, minibatch.old_logprobs,
        clip=config.clip, clip_high=config.clip_high, mask=mask)
    with torch.no_grad():
        metrics["entropy"] = entropy(logits).mean().item()
    if models.critic is not None:
        metrics["value_loss"] = value_loss.item()
    return metrics | {"policy_loss": policy_loss.item()}


def learning(models):
    """The models that learn: the actor, and the critic where there is one."""
    return [model for model in (models.actor, models.critic) if model is not None]


@dataclass
class Run:
    """Everything that a run remembers between two updates; `resume` saves and restores it."""

    models: FourModels
    config: Config
    optimiser: torch.optim.Adam
    seed: int = 0
    update: int = 0

    def generators(self):
        """(numpy, torch) generators of this update, of this rank alone: nothing to save, exact to resume."""
        rng = np.random.default_rng([self.seed, self.update, distributed.rank()])
        device = next(self.models.actor.parameters()).device
        torch_seed = int(rng.integers(2**62))
        return rng, torch.Generator(device).manual_seed(torch_seed)


def start(models, config, *, seed=0):
    """A new Run: Adam over the models that learn, eps as in Ziegler et al. 2019's code.

    A critic that the estimator does not need is left out of the run.
    Raises: ValueError: config needs a critic or a reference, and models has none.
    """
    if config.estimator != "gae":
        models = replace(models, critic=None)
    elif models.critic is None:
        raise ValueError(
            'models must have a critic with estimator "gae"; without one take "rloo"')
    if models.reference is None and config.beta:
        raise ValueError(f"beta must be 0 without a reference, got {config.beta!r}")
    positive_int(0, seed=seed)
    weights = [p for model in learning(models) for p in model.parameters()]
    trained = [p for p in weights if p.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=config.lr, eps=1e-5, fused=True)
    return Run(models, config, optimiser, seed)


def train(run, sample_prompts, *, updates, end, gold_fn=None, progress=None):
    """PPO, until `updates` updates are done. Changes `run` and its learning models.

    Args:
        run: Run. end: the token that ends a response.
        sample_prompts(rng, n): n prompts as (contexts, tokens, mask), (n, P), padded on
            the left. Each is answered `config.group` times.
        gold_fn(contexts, responses): (n,) gold rewards of responses, lists of token
            numbers, for the history only.
        progress: show a bar: None on a terminal, True, False.
    Yields:
        After each update a dict: update, proxy (mean score), gold, kl (nats a
        response), length (tokens), ended (share), beta, the metrics of `update`; with a
        critic explained_variance, with groups group_sd (mean standard deviation of the
        rewards within a group).
    """
    with bar(positive_int(updates=updates), progress=progress, initial=run.update) as shown:
        while run.update < updates:
            config = run.config
            rng, generator = run.generators()
            contexts, *prompts = sample_prompts(rng, config.batch // config.group)
            prompts, prompt_mask = (x.repeat_interleave(config.group, 0) for x in prompts)
            batch = collect(
                run.models, prompts, prompt_mask, config,
                end=end, generator=generator, check=run.update == 0)
            metrics = batch_metrics(batch, config.group)
            metrics |= {"update": run.update, "beta": config.beta}
            if gold_fn:
                repeated = [context for context in contexts for _ in range(config.group)]
                metrics["gold"] = float(np.mean(gold_fn(repeated, batch.responses)))
            if config.kl_target is not None:
                beta = adapted_beta(
                    config.beta, distributed.mean(metrics["kl"]),
                    target=config.kl_target, horizon=config.kl_horizon,
                    responses=config.batch * distributed.ranks())
                run.config = replace(config, beta=beta)
            risen = min(1.0, (run.update + 1) / max(1, config.warm_up))
            for group in run.optimiser.param_groups:
                group["lr"] = config.lr * risen
            metrics |= learn(run.models, run.optimiser, batch, config, rng=rng)
            run.update += 1
            shown.update()
            yield metrics


def batch_metrics(batch, group=1):
    """What a batch shows before anything is learned from it: a dict of floats."""
    mask = batch.response_mask
    metrics = {"proxy": batch.scores.mean().item(),
               "kl": batch.kl.sum(-1).mean().item(),
               "length": mask.sum(-1).double().mean().item(),
               "ended": batch.ended.double().mean().item()}
    if batch.values is not None:
        metrics["explained_variance"] = explained_variance(
            batch.values, batch.returns, mask=mask)
    if group > 1:
        rewards = batch.rewards.sum(-1).view(-1, group)  # (M, G)
        metrics["group_sd"] = rewards.std(1).mean().item()
    return metrics
