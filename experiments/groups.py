"""What groups of answers can replace, measured where the truth is known: the credit world, and small worlds for
prompts, lengths and the KL. One part looks at the help desk: how its gradient varies between and within prompts.

Each part is a function of a seed, which draws the world where there is one to draw. Every budget counts all sampled
tokens, those of baselines and resamples as well, in answers of full length.

    python experiments/groups.py       about 3 CPU minutes; writes results/groups.json
"""

import json
from itertools import product
from pathlib import Path

import models as pipeline
import numpy as np
from credit import rounded

import coursekit
from coursekit.credit import answer_gae, draw_world, exact_values, fit_critic, play
from coursekit.credit_learning import policy_gradient
from coursekit.groups import group_mean, group_standardised, kl_coefficients, leave_one_out, prompt_weight
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "groups.json"
LENGTHS, BUDGET, GROUPS = (20, 50, 200, 500), 64, (2, 4, 8, 16, 32, 64)


# One prompt in the credit world: gradients against the exact one.


def policy_of(world, p):
    """Right with chance p at every decision, even elsewhere."""
    policy = world.uniform_policy()
    for position in world.positions:
        policy[position] = (1 - p) / (world.words - 1)
        policy[position, 0] = p
    return policy


def exact_gradient(world, policy):
    gradient = np.zeros(policy.shape)
    for position, weight in zip(world.positions, world.weights):
        gradient[position] = weight * policy[position, 0] * ((np.arange(world.words) == 0) - policy[position])
    return gradient


def on_tokens(answers, length):
    """(N,) advantages of answers → (N, T)."""
    return np.repeat(np.reshape(answers, (-1, 1)), length, axis=1)


def grouped(function, rewards, group):
    """A function of (M, G) rewards on an answer's rewards (N, T), for every token."""
    return on_tokens(function(rewards.sum(1).reshape(-1, group)), rewards.shape[1])


def resampled(world, policy, tokens, rewards, rollouts, cuts, rng):
    """The advantage of a segment: a fresh estimate of V at its end less that at its start, from `rollouts`
    continuations each; that of the last end is the reward. All answers share the start, whose estimates are pooled.
    """
    columns, weights = np.array(world.positions), np.array(world.weights)
    right, edges = world.right(tokens), [0, *cuts, world.length]
    values = np.empty((len(tokens), len(edges)))
    for j, edge in enumerate(edges[:-1]):
        open_ = columns >= edge
        sampled = (rng.random((len(tokens), rollouts, len(columns))) < policy[columns, 0]) & open_
        noise = world.noise * rng.normal(size=(len(tokens), rollouts))
        values[:, j] = (right * ~open_) @ weights + (sampled @ weights + noise).mean(1)
    values[:, 0], values[:, -1] = values[:, 0].mean(), rewards.sum(1)
    return np.repeat(np.diff(values, axis=1), np.diff(edges), axis=1)


def cosines(seed):
    """{setting: {length: {estimator: [cosine to the exact gradient, squared error / |gradient|²]}}}, means."""
    return {f"p {p:g}, noise {noise:g}": {length: _cosines(seed, length, p, noise) for length in LENGTHS}
            for p, noise in ((0.25, 1.0), (0.5, 1.0), (0.5, 0.0))}


def _cosines(seed, length, p, noise):
    world, rng = draw_world(length, seed=seed, noise=noise), np.random.default_rng([seed, length, 7])
    policy = policy_of(world, p)
    exact, found = exact_gradient(world, policy), {}

    def note(name, tokens, advantages):
        gradient = policy_gradient(policy, tokens, advantages)
        cosine = (gradient * exact).sum() / np.sqrt((gradient**2).sum() * (exact**2).sum())
        found.setdefault(name, []).append((cosine, ((gradient - exact) ** 2).sum() / (exact**2).sum()))
    for _ in range(40 if length < 200 else 20):
        tokens, rewards = play(world, policy, BUDGET, rng)
        note("no baseline", tokens, on_tokens(rewards.sum(1), length))
        for group in (2, 4, 8, 16, 64):
            note(f"RLOO {group}", tokens, grouped(leave_one_out, rewards, group))
            note(f"group mean {group}", tokens, grouped(group_mean, rewards, group))
            note(f"GRPO {group}", tokens, grouped(group_standardised, rewards, group))
        for lam in (1.0, 0.95, 0.0):
            values = exact_values(world, policy, tokens)
            note(f"exact critic, λ {lam:g}", tokens, answer_gae(rewards, values, lam=lam))
        half = BUDGET // 2
        greedy = np.dot(world.weights, policy[list(world.positions)].argmax(-1) == 0)
        greedy = greedy + world.noise * rng.normal(size=half)
        if p > 1 / world.words:  # else no word is the likeliest
            note("greedy baseline", tokens[:half], on_tokens(rewards[:half].sum(1) - greedy, length))
        for segments, rollouts in ((2, 1), (2, 9), (10, 1), (10, 9)):
            cuts = [length * j // segments for j in range(1, segments)]
            name = f"resampling, {segments} segments × {rollouts}"
            each = 1 + sum(rollouts * (length - cut) for cut in cuts) / length  # answers' worth of tokens
            few, scores = play(world, policy, max(1, round(BUDGET / each)), rng)
            note(name, few, resampled(world, policy, few, scores, rollouts, cuts, rng))
            note(f"{name}, resamples free", tokens, resampled(world, policy, tokens, rewards, rollouts, cuts, rng))
    return {name: np.mean(draws, 0).tolist() for name, draws in found.items()}


def exchange(seed, answers=1500):
    """{length: {critic: [variance of one RLOO answer / variance of one answer with this critic, squared bias in
    units of |gradient|²]}}, and "RLOO": the relative variance of one RLOO answer. Learned critics look everywhere;
    the numbers are means of five of them."""
    found = {}
    for length in LENGTHS:
        world, rng = draw_world(length, seed=seed), np.random.default_rng([seed, length])
        policy = world.uniform_policy()
        exact = exact_gradient(world, policy)
        tokens, rewards = play(world, policy, answers, rng)
        scores = (tokens[:, :, None] == np.arange(world.words)) - policy

        def moments(advantages, exact=exact, scores=scores):
            each = advantages[:, :, None] * scores
            variance, square = each.var(0).sum(), (exact**2).sum()
            bias = ((each.mean(0) - exact) ** 2).sum() - variance / answers  # without the error of sampling
            return variance / square, max(bias, 0.0) / square
        rloo, _ = moments(on_tokens(rewards.sum(1) - np.dot(world.weights, policy[0, 0] + np.zeros(5)), length))
        found[length] = {"RLOO": rloo}
        critics = {"exact critic": [exact_values(world, policy, tokens)]}
        for n in (1000, 3000):
            critics[f"{n} answers"] = [
                fit_critic(world, *play(world, policy, n, rng), positions=range(length), ridge=10 * length)(tokens)
                for _ in range(5)]
        for name, drawn in critics.items():
            for lam in (1.0, 0.95, 0.0):
                each = [moments(answer_gae(rewards, values, lam=lam)) for values in drawn]
                variance, bias = np.mean(each, 0).tolist()
                found[length][f"{name}, λ {lam:g}"] = [rloo / variance, bias]
    return found


# Many prompts: G answers to each of 64/G.


def prompts(seed, length=200, draws=60):
    """{"spread σ": {"RLOO G" or "batch mean G": squared error / |gradient|²}}. A prompt shifts all of its rewards
    by N(0, σ²) and switches each decision off, or on with twice its weight: so the mean gradient stays the same."""
    world, rng = draw_world(length, seed=seed), np.random.default_rng([seed, 3])
    policy, found = world.uniform_policy(), {}
    exact = exact_gradient(world, policy)
    for spread in (0.0, 1.0, 3.0):
        errors = {}
        for group in GROUPS:
            for _ in range(draws):
                tokens, _ = play(world, policy, BUDGET, rng)
                on = 2.0 * (rng.random((BUDGET // group, 1, 5)) < 0.5)
                right = world.right(tokens).reshape(-1, group, 5)
                rewards = (right * on) @ np.array(world.weights) + world.noise * rng.normal(size=right.shape[:2])
                rewards = rewards + spread * rng.normal(size=(len(rewards), 1))
                for name, advantages in (("RLOO", leave_one_out(rewards)),
                                         ("batch mean", leave_one_out(rewards.reshape(1, -1)))):
                    gradient = policy_gradient(policy, tokens, on_tokens(advantages, length))
                    errors.setdefault(f"{name} {group}", []).append(((gradient - exact) ** 2).sum())
        found[f"spread {spread:g}"] = {name: np.mean(x) / (exact**2).sum() for name, x in errors.items()}
    return found


def help_desk(seed, count=64, group=8):
    """How the help desk's policy gradient varies between prompts (a) and within one (b), at the supervised model,
    both in units of its squared length: from two halves of each group, whose gradients are independent."""
    import torch

    from coursekit import checkpoints, helpdesk, rlhf
    from coursekit.lm import response_logprobs
    torch.set_num_threads(1)
    models = checkpoints.help_desk_models(pipeline.supervised(seed), pipeline.reward(seed))
    rng = np.random.default_rng(5)
    _, prompts_, mask = checkpoints.sample_prompts(rng, count)
    batch = rlhf.collect(models, prompts_.repeat_interleave(group, 0), mask.repeat_interleave(group, 0),
                         rlhf.Config(), end=helpdesk.END, generator=torch.Generator().manual_seed(5))
    half, rewards = group // 2, batch.rewards.sum(1)
    trained = [p for p in models.actor.parameters() if p.requires_grad]
    advantages = leave_one_out(rewards.reshape(-1, half)).reshape(-1)
    gradients = []
    for rows in torch.arange(count * group).split(half):
        logprobs, _ = response_logprobs(models.actor, batch.tokens[rows], batch.attention_mask[rows], batch.width)
        kept = torch.where(batch.response_mask[rows], logprobs, 0.0).sum(1)
        grads = torch.autograd.grad((kept * advantages[rows]).mean(), trained)
        gradients.append(torch.cat([g.flatten() for g in grads]))
    halves = torch.stack(gradients).reshape(count, 2, -1).double()
    per_prompt = (halves[:, 0] * halves[:, 1]).sum(-1).mean()
    means = halves.mean(1)
    total = means.sum(0)
    square = (total @ total - (means * means).sum()) / (count * (count - 1))
    within = ((halves * halves).sum(-1).mean() - per_prompt) * (half - 1)
    return {"between": ((per_prompt - square) / square).item(), "within": (within / square).item(),
            "sd within": rewards.reshape(count, group).std(1).mean().item(),
            "sd between": rewards.reshape(count, group).mean(1).std().item()}


# What dividing by the sd does to a policy that all prompts share.


def one_decision(reward, kinds, function, group, seed, *, lr, updates, answers):
    """Four words, one decision for all prompts: the policy after training. kinds: chances of the kinds of prompts.
    reward(kinds (M, 1), words (M, G), rng) → (M, G)."""
    rng, logits = np.random.default_rng([seed, group]), np.zeros(4)
    for _ in range(updates):
        policy = np.exp(logits - logits.max())
        policy /= policy.sum()
        of_kind = rng.choice(len(kinds), (answers // group, 1), p=kinds)
        words = (rng.random((answers // group, group, 1)) >= np.cumsum(policy)[:-1]).sum(-1)
        advantages = function(reward(of_kind, words, rng))
        taken = np.bincount(words.ravel(), advantages.ravel(), 4) / words.size
        logits = logits + lr * (taken - advantages.mean() * policy)
    return policy.tolist()


METHODS = {"RLOO": leave_one_out, "GRPO": group_standardised,
           "group mean, batch sd": lambda r: group_mean(r) / max(group_mean(r).std(), 1e-9)}


def difficulty(seed):
    """{"method G": chance of word 1}. 40 % of the prompts are hard: 1 in 100 right, word 0 adds 0.04; 60 % are
    even: 1 in 2 right, word 1 adds 0.04. Rewards are 0 or 1; word 1 is the better policy."""
    def reward(kind, words, rng):
        chance = np.where(kind == 0, 0.01 + 0.04 * (words == 0), 0.5 + 0.04 * (words == 1))
        return 1.0 * (rng.random(words.shape) < chance)
    found = {}
    for name, group in (("RLOO", 8), ("RLOO", 64), *(("GRPO", g) for g in (2, 4, 8, 16, 32, 64))):
        scale = prompt_weight(0.5, group) if name == "GRPO" else 1.0  # equal steps on the even prompts
        found[f"{name} {group}"] = one_decision(reward, (0.4, 0.6), METHODS[name], group, seed, lr=6 / scale,
                                                updates=2500, answers=1024)[1]
    return found


def stakes(seed):
    """{"method G, noise σ": chance of word 0}. In 30 % of the prompts word 0 earns 3, in 70 % word 1 earns 1; the
    reward has noise of this sd. Word 0 is the better policy, 0.9 against 0.7."""
    found = {}
    for noise in (0.0, 1.0):
        def reward(kind, words, rng, noise=noise):
            earned = np.where(kind == 0, 3.0 * (words == 0), 1.0 * (words == 1))
            return earned + noise * rng.normal(size=words.shape)
        for name, group in (("RLOO", 2), ("RLOO", 8), ("GRPO", 2), ("GRPO", 8), ("GRPO", 64),
                            ("group mean, batch sd", 8)):
            found[f"{name} {group}, noise {noise:g}"] = one_decision(
                reward, (0.3, 0.7), METHODS[name], group, seed, lr=0.3, updates=1500, answers=64)[0]
    return found


def filtering(seed, chances=(0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 0.9, 0.95), length=30, lr=1.0, cap=300_000):
    """{"method G[, filtered]": [answers sampled until the mean chance is 0.9, drift of the filler by then]}. Eight
    prompts of 0/1 reward, each with a logit of its own; 30 filler tokens shared by all. "filtered" samples groups
    until BUDGET/G of them are mixed, and counts them all."""
    def run(name, group, filtered):
        rng, logits, filler, seen = np.random.default_rng([seed, group]), np.log(chances) - np.log1p(
            -np.array(chances)), np.zeros((length, 4)), 0
        while seen < cap:
            p = 1 / (1 + np.exp(-logits))
            policy = np.exp(filler) / np.exp(filler).sum(-1, keepdims=True)
            if p.mean() > 0.9:
                break
            of, rewards = np.zeros(0, int), np.zeros((0, group))
            while len(of) < BUDGET // group and seen < cap:
                drawn = rng.integers(len(p), size=BUDGET // group - len(of))
                sampled = 1.0 * (rng.random((len(drawn), group)) < p[drawn][:, None])
                kept = sampled.std(1) > 0 if filtered else np.ones(len(drawn), bool)
                of, rewards = np.append(of, drawn[kept]), np.vstack([rewards, sampled[kept]])
                seen += sampled.size
            if not len(of):
                break
            advantages = METHODS[name](rewards)
            step = np.bincount(of, (advantages * (rewards - p[of][:, None])).sum(1), len(p)) / rewards.size
            tokens = (rng.random((rewards.size, length, 1)) >= np.cumsum(policy, -1)[:, :-1]).sum(-1)
            filler = filler + lr * policy_gradient(policy, tokens, on_tokens(advantages, length))
            logits = logits + lr * step
        return [int(seen), float((policy * np.log(policy * 4)).sum()), float(p.mean())]
    return {f"{name} {group}{', filtered' * filtered}": run(name, group, filtered) for name, group, filtered in (
        ("RLOO", 2, False), ("RLOO", 8, False), ("GRPO", 8, False), ("RLOO", 8, True), ("GRPO", 8, True),
        ("group mean, batch sd", 8, False))}


# An answer decides, right with chance σ(θ), then writes filler and stops. Its length earns nothing.

HOW = ("sequence", "group", "batch", "constant")


def weight(tokens, how, limit=100):
    """The weight of a token of each answer, (M, G): `coursekit.groups.token_weights` times the number of groups."""
    if how == "sequence":
        return 1 / (tokens.shape[1] * tokens)
    if how == "group":
        return 1 / tokens.sum(1, keepdims=True) * np.ones(tokens.shape)
    return np.full(tokens.shape, len(tokens) / tokens.sum() if how == "batch" else 1 / (limit * tokens.shape[1]))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def filler(rng, q, stages):
    """Lengths: `stages` waits of a geometric length each. One stage: sd ≈ mean. Nine: sd ≈ a quarter of it."""
    return rng.geometric(np.broadcast_to(q, (stages, *q.shape))).sum(0)


def lengths(seed, group=8, count=8, start=20.0):
    """{"how, stages k": mean filler of [right, wrong] answers once 90 % are right}, from 20 tokens each, RLOO. The
    answer knows whether it is right: it stops with σ(u_right) or σ(u_wrong); the true gradient of both is 0."""
    found = {}
    for stages in (1, 9):
        for how in HOW:
            rng = np.random.default_rng(seed)
            theta, stop = np.log(0.3 / 0.7), np.full(2, np.log(stages / start) - np.log1p(-stages / start))
            lr = {"sequence": 6.0, "group": 10.0, "batch": 10.0, "constant": 50.0}[how]
            for _ in range(3000):
                if sigmoid(theta) > 0.9:
                    break
                right = rng.random((count, group)) < sigmoid(theta)
                q = np.where(right, *sigmoid(stop))
                written = filler(rng, q, stages)
                push = weight(1 + written, how) * leave_one_out(1.0 * right)
                score = push * (stages - written * q)
                change = np.array([score[right].sum(), score[~right].sum()]) / count
                theta, stop = theta + lr * (push * (right - sigmoid(theta))).sum() / count, stop + lr * change
                stop = np.clip(stop, -7, 7)
            found[f"{how}, stages {stages}"] = (stages / sigmoid(stop)).tolist()
    return found


def useful(n):
    """Chance to be right after n tokens of thinking: best at 15."""
    return 0.2 + 0.7 * np.exp(-2 * np.log(n / 15) ** 2)


def thinking(seed, group=8, count=8, start=10.0, updates=1500):
    """{"how, stages k": mean length at which the one stop logit settles, over the last 300 updates}."""
    found = {}
    for stages in (1, 9):
        for how in HOW:
            rng, lr = np.random.default_rng(seed), 15.0 if how == "constant" else 3.0
            stop, history = np.log(stages / start) - np.log1p(-min(stages / start, 0.95)), []
            for _ in range(updates):
                q = np.full((count, group), sigmoid(stop))
                written = filler(rng, q, stages)
                advantages = leave_one_out(1.0 * (rng.random(written.shape) < useful(written)))
                step = (weight(1 + written, how) * advantages * (stages - written * q)).sum() / count
                stop = np.clip(stop + lr * step, -7, 3)
                history.append(stages / sigmoid(stop))
            found[f"{how}, stages {stages}"] = float(np.mean(history[-300:]))
    return found


# One word of 20: the first has 1 chance in 1,000 under the reference, and earns r.


def rare_word(seed, beta=0.1, group=8, updates=6000):
    """{"where, r": chance of the rare word after training}: the KL in the reward (k1, k3) or in the loss (k2, k3),
    with RLOO; "divided": with GRPO, which divides what is in the reward by the group's sd."""
    ref, found = np.append(0.001, np.full(19, 0.999 / 19)), {}
    for where, r in product(("k1 reward", "k3 reward", "k2 loss", "k3 loss", "k1 reward, divided",
                             "k2 loss, divided"), (0.3, 0.5)):
        estimator = group_standardised if "divided" in where else leave_one_out
        rng, logits = np.random.default_rng(seed), np.log(ref)
        for _ in range(updates):
            policy = np.exp(logits - logits.max())
            policy /= policy.sum()
            words = np.searchsorted(np.cumsum(policy)[:-1], rng.random((BUDGET // group, group)))
            d = np.log(policy / ref)[words]
            penalty = {"k1": d, "k3": np.expm1(-d) + d}[where[:2]] if "reward" in where else 0.0
            push = estimator(r * (words == 0) - beta * penalty)
            if "loss" in where:
                push = push - beta * kl_coefficients(d, 0.0 * d, kind=where[:2])
            logits = logits + np.bincount(words.ravel(), push.ravel(), 20) / BUDGET - push.mean() * policy
        found[f"{where}, {r:g}"] = float(policy[0])
    return found


PARTS = {part.__name__: part for part in (cosines, exchange, prompts, help_desk, difficulty, stakes, filtering,
                                          lengths, thinking, rare_word)}


def job(name_and_seed):
    name, seed = name_and_seed
    found = PARTS[name](seed)
    print(name, seed, flush=True)
    return found


if __name__ == "__main__":
    jobs = [(name, seed) for name in PARTS for seed in range(5)]
    found = rounded(pipeline.run_jobs(job, jobs), decimals=None)
    parts = {name: [f for (n, _), f in zip(jobs, found) if n == name] for name in PARTS}
    head = {"version": coursekit.__version__, "numpy": np.__version__, "budget": BUDGET}
    lines = ",\n".join(f' "{name}": {json.dumps(runs, ensure_ascii=False)}' for name, runs in parts.items())
    write_text(RESULTS, json.dumps(head, indent=1)[:-2] + f",\n{lines}\n}}\n")
