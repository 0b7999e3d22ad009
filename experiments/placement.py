"""Where the KL penalty stands, replies that are older than the policy, and a sampler that is not the trainer.

    python experiments/placement.py      writes results/placement.json

A results file may hold fewer runs than this script makes, where it was written before all were done.

The shipped models, 30 updates of PPO on the help desk, three seeds; gold and kl are of 400 fresh replies.
The file: {"version", "torch", "updates",
"exact": {"now" or "older" (who sampled): {placement: {cosine, length, gap}}}: replies of three words from
    three, exact sums: the gradient of each placement against that of KL(policy‖reference) of whole replies: cosine,
    ratio of the lengths, largest difference of an entry,
"runs": one dict a run: {kind, ..., seed, gold, kl, broken, curves {gold, kl}; first and last (of the first batch,
    means of the last five): gap_max, gap_mean (|Δ log π| a token, trainer − sampler), ratio_mean, outside (share of
    tokens whose ratio leaves 1 ± 0.2), gap_sd (standard deviation of the sum over a reply)}
    kind "placement": placement, epochs. As a loss the coefficient is divided by the standard deviation of the raw
        advantages, since whitening divides the rewards by it.
    kind "stale": age (updates since the writer's weights), correction, lr
    kind "sampler": sampler, correction}
correction: "ratio and clip" (old log-probabilities are the writer's), "ratio, no clip" (the same), "none" (they
    are recomputed by the trainer, for the KL penalty too), "capped weight" (recomputed, and advantages
    are multiplied by min(ratio, 2); the KL penalty is from the writer's log-probabilities).
"""

import itertools
import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import models
import numpy as np
import torch
from four_models import draw

import coursekit
from coursekit import checkpoints, helpdesk, rlhf
from coursekit.arrays import masked_mean
from coursekit.direct import describe
from coursekit.lm import response_logprobs, sample
from coursekit.ppo import clipped_policy_loss, clipped_value_loss, ratio_diagnostics
from coursekit.saved import write_text
from coursekit.tokens import kl_estimates

RESULTS = Path(__file__).parent / "results" / "placement.json"
UPDATES, CAP = 30, 2.0


def exact(sampler):
    """Gradients of all placements on replies of three words from three, as exact sums over the 27 replies."""
    words, length = 3, 3
    generator = torch.Generator().manual_seed(3)
    contexts = [c for t in range(length) for c in itertools.product(range(words), repeat=t)]
    row_of = {context: i for i, context in enumerate(contexts)}

    def table():
        return torch.randn(len(contexts), words, generator=generator, dtype=torch.float64)
    theta = table().requires_grad_()
    reference = table().log_softmax(-1)
    older = (theta.detach() + 0.3 * table()).log_softmax(-1)
    replies = list(itertools.product(range(words), repeat=length))
    at = torch.tensor([[row_of[r[:t]] for t in range(length)] for r in replies]), torch.tensor(replies)
    logprobs = theta.log_softmax(-1)[at]  # (27, 3)
    ref_logprobs = reference[at]
    sampled = (logprobs if sampler == "now" else older[at]).detach()
    chance = sampled.sum(1).exp()[:, None]  # of a reply
    ratio = (logprobs - sampled).exp()
    whole = (logprobs.sum(1).exp() * (logprobs - ref_logprobs).sum(1)).sum()
    true, = torch.autograd.grad(whole, theta, retain_graph=True)
    losses = {}
    for kind in ("k1", "k2", "k3"):
        k = kl_estimates(logprobs, ref_logprobs, kind=kind)
        to_come = k.detach().flip(1).cumsum(1).flip(1)
        losses[f"{kind} in the reward, to all earlier tokens"] = chance * ratio * to_come
        losses[f"{kind} in the reward, to its own token"] = chance * ratio * k.detach()
        losses[f"{kind} as a loss"] = chance * k
        losses[f"ratio × {kind} as a loss"] = chance * ratio * k
    losses["k3 as a loss, × the ratios up to it"] = chance * (logprobs - sampled).cumsum(1).exp() * k
    found = {}
    for name, loss in losses.items():
        gradient, = torch.autograd.grad(loss.sum(), theta, retain_graph=True)
        found[name] = {"cosine": torch.cosine_similarity(gradient.flatten(), true.flatten(), 0).item(),
                       "length": (gradient.norm() / true.norm()).item(),
                       "gap": (gradient - true).abs().max().item()}
    return found


def with_kl_in_the_loss(kind, beta):
    """`rlhf.update` with a KL estimate in the loss: "k1", "k2", "k3" or "ratio × k3"."""
    def update(models, optimiser, minibatch, config):
        mask = minibatch.response_mask
        text = minibatch.tokens, minibatch.attention_mask, minibatch.width
        logprobs, _ = response_logprobs(models.actor, *text, config.temperature)
        logprobs = torch.where(mask, logprobs, 0.0)
        policy_loss = clipped_policy_loss(logprobs, minibatch.old_logprobs, minibatch.advantages, clip=config.clip,
                                          mask=mask)
        raw = (minibatch.returns - minibatch.values)[mask]  # before whitening
        k = kl_estimates(logprobs, minibatch.old_logprobs - minibatch.kl, kind=kind[-2:])
        if kind.startswith("ratio"):
            k = (logprobs - minibatch.old_logprobs).exp() * k
        values = rlhf.response_values(models.critic, *text)
        value_loss = clipped_value_loss(values, minibatch.values, minibatch.returns, clip=config.value_clip,
                                        mask=mask)
        optimiser.zero_grad()
        (policy_loss + beta / raw.std() * masked_mean(k, mask) + value_loss).backward()
        for model in (models.actor, models.critic):
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        return ratio_diagnostics(logprobs, minibatch.old_logprobs, clip=config.clip, mask=mask)
    return update


def quantised(model, bits):
    """Weights rounded to so many bits, one scale a row; the arithmetic stays float32."""
    twin = model.copy()
    with torch.no_grad():
        for weight in twin.parameters():
            if weight.dim() == 2:
                scale = weight.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
                weight.copy_((weight / scale).round() * scale)
    return twin


def in_bfloat16(model):
    """The model with its products in bfloat16, but for the last."""
    twin = model.copy()
    twin.forward = torch.autocast("cpu", dtype=torch.bfloat16)(twin.forward)
    return twin


SAMPLERS = {"float32": lambda model: model, "bfloat16": in_bfloat16, "int8 weights": lambda m: quantised(m, 8),
            "int4 weights": lambda m: quantised(m, 4), "temperature 0.7": lambda model: model}


def trained(seed, config, *, age=0, correction="ratio and clip", sampler="float32"):
    """PPO whose replies are written by another policy: the actor and its history."""
    four = checkpoints.help_desk_models()
    run, past, history = rlhf.start(four, config, seed=seed), [], []
    temperature = 0.7 if sampler == "temperature 0.7" else 1.0
    for _ in range(UPDATES):
        rng, generator = run.generators()
        complaints, prompts, prompt_mask = checkpoints.sample_prompts(rng, config.batch)
        past = [*past, four.actor.copy()][-age - 1:]
        with torch.no_grad():
            responses, mask, written = sample(
                SAMPLERS[sampler](past[0]), prompts, prompt_mask, max_tokens=config.max_tokens, end=helpdesk.END,
                generator=generator, temperature=temperature)
            text = torch.cat([prompts, responses], 1), torch.cat([prompt_mask, mask], 1)
            now = torch.where(mask, response_logprobs(four.actor, *text, mask.shape[1])[0], 0.0)
        gap = now - written
        metrics = {"gap_max": gap.abs().max().item(), "gap_mean": gap.abs()[mask].mean().item(),
                   "ratio_mean": gap.exp()[mask].mean().item(), "gap_sd": gap.sum(-1).std().item(),
                   "outside": ((gap.exp() - 1).abs() > 0.2)[mask].double().mean().item()}
        batch = rlhf.make_experience(four, *text, mask, now if correction == "none" else written, config,
                                     end=helpdesk.END)
        if correction == "capped weight":
            batch = replace(batch, old_logprobs=now, advantages=batch.advantages * gap.exp().clamp(max=CAP))
        no_clip = patch("coursekit.rlhf.clipped_policy_loss", lambda *a, clip, **k: clipped_policy_loss(
            *a, clip=1e9, **k)) if correction == "ratio, no clip" else nullcontext()
        with no_clip:
            rlhf.learn(four, run.optimiser, batch, config, rng=rng)
        run.update += 1
        history.append(metrics | {"gold": float(np.mean(checkpoints.gold(complaints, batch.responses))),
                                  "kl": batch.kl.sum(-1).mean().item()})
    return four.actor, history


def one_job(job):
    torch.set_num_threads(1)
    if job["kind"] == "exact":
        return {sampler: exact(sampler) for sampler in ("now", "older")}
    if job["kind"] == "placement":
        in_loss = job["placement"] != "k1 in the reward"
        config = rlhf.Config(beta=0.0 if in_loss else 0.1, epochs=job["epochs"])
        run = rlhf.start(checkpoints.help_desk_models(), config, seed=job["seed"])
        kind = job["placement"].removesuffix(" as a loss")
        with patch("coursekit.rlhf.update", with_kl_in_the_loss(kind, 0.1)) if in_loss else nullcontext():
            history = list(rlhf.train(run, checkpoints.sample_prompts, updates=UPDATES, end=helpdesk.END,
                                      gold_fn=checkpoints.gold, progress=False))
        actor, ends = run.models.actor, {}
    else:
        actor, history = trained(job["seed"], rlhf.Config(lr=job.get("lr", 1e-3)), age=job.get("age", 0),
                                 correction=job["correction"], sampler=job.get("sampler", "float32"))
        keys = ("gap_max", "gap_mean", "ratio_mean", "outside", "gap_sd")
        ends = {"first": {k: history[0][k] for k in keys},
                "last": {k: float(np.mean([h[k] for h in history[-5:]])) for k in keys}}
    found = describe(actor, checkpoints.checkpoint("supervised"), draw(400, 9000), seed=77)
    curves = {k: [round(h[k], 3) for h in history] for k in ("gold", "kl")}
    print(job, {k: round(found[k], 2) for k in ("gold", "kl", "broken")}, ends.get("last", ""), flush=True)
    return job | {k: found[k] for k in ("gold", "kl", "broken")} | {"curves": curves} | ends


def jobs():
    """The exact sums, then the runs of each seed."""
    places = ["k1 in the reward", "k2 as a loss", "ratio × k3 as a loss", "k3 as a loss", "k1 as a loss"]
    yield {"kind": "exact"}
    for seed in range(3):
        for epochs, placement in itertools.product((1, 4), places):
            if epochs == 1 or placement != "k1 as a loss":
                yield {"kind": "placement", "placement": placement, "epochs": epochs, "seed": seed}
        for lr, age in ((1e-3, 1), (1e-3, 4), (1e-3, 8), (3e-4, 4), (3e-4, 8)):
            for correction in ("ratio and clip", "ratio, no clip", "none", "capped weight"):
                if age > 1 or correction in ("ratio and clip", "none"):
                    yield {"kind": "stale", "age": age, "correction": correction, "lr": lr, "seed": seed}
        yield {"kind": "stale", "age": 0, "correction": "ratio and clip", "lr": 3e-4, "seed": seed}
        for sampler, correction in (("bfloat16", "ratio and clip"), ("bfloat16", "none"),
                                    ("int8 weights", "ratio and clip"), ("int4 weights", "ratio and clip"),
                                    ("int4 weights", "none"), ("temperature 0.7", "ratio and clip")):
            yield {"kind": "sampler", "sampler": sampler, "correction": correction, "seed": seed}


JOBS = list(jobs())


def write(jobs, done):
    """Write what is done: a list of results, one for each job."""
    write_text(RESULTS, json.dumps({
        "version": coursekit.__version__, "torch": torch.__version__, "updates": UPDATES,
        "exact": next((r for job, r in zip(jobs, done) if job["kind"] == "exact"), None),
        "runs": [r for job, r in zip(jobs, done) if job["kind"] != "exact"]}) + "\n")


if __name__ == "__main__":
    write(JOBS, models.run_jobs(one_job, JOBS))
