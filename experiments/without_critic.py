"""The help desk without a critic: methods, group sizes, and places of the KL penalty, over equally many replies.

Each job is one run of 80 updates with 64 replies each, from the models of one seed. A run is tested on 256
complaints that are the same for all. Besides: the KL of the first ten updates with and without a learning-rate
warm-up (`spikes`), and how many replies of a batch still count after some epochs on it (`effective`).

    python experiments/without_critic.py [--first N]       writes results/without_critic.json

--first: the first N jobs only (they come in the order of METHODS); what is not there yet is missing in the file.

The file:
    updates, tested (the updates after which a run is tested), methods: {name: changes to rlhf.Config}
    runs: [{method, seed, cpu_seconds (training, an update), curves: {gold, proxy, kl, median_kl, length, ended,
            group_sd (not for PPO and "batch mean"): [one an update, of its batch]},
            tests: {update as text: {gold, proxy, kl, median_kl, length, unfinished (replies of 256), distinct
            (share)}}}]      tests has "0" too: the supervised model
    spikes: [{variant, pipeline, seed, kl, median_kl, unfinished: [ten updates], gold (tested after ten)}]
    effective: [{seed, updates (before), epochs: [0, 1, 2, 4, 8], tokens, replies, geometric: [share of the batch
            after so many epochs, by weights of tokens, of whole replies, and of GSPO's geometric mean]}]
"""

import argparse
import json
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import models
import numpy as np
import torch

import coursekit
from coursekit import checkpoints, helpdesk, rlhf
from coursekit.groups import effective_samples
from coursekit.lm import pad, response_logprobs, sample
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "without_critic.json"
UPDATES, TESTED, TEST = 80, (10, 20, 40, 80), 256
RLOO, GRPO = dict(estimator="rloo", group=8), dict(estimator="grpo", group=8)
CONTROL, RAFT = "penalty divided by the sd too", "RAFT, G = 8, β = 0"
METHODS = {  # those of CORE run on five seeds, the others on three; lr is 0.001 where nothing else is said
    "PPO": {},
    "RLOO, G = 8": RLOO,
    "GRPO, G = 8": GRPO,
    "RLOO, G = 8, k2 loss": RLOO | dict(kl="k2"),
    "RLOO, G = 8, k3 loss": RLOO | dict(kl="k3"),
    "GRPO, G = 8, k2 loss": GRPO | dict(kl="k2"),
    "GRPO, G = 8, k3 loss": GRPO | dict(kl="k3"),
    f"GRPO, G = 8, k2 loss, {CONTROL}": GRPO | dict(kl="k2"),
    "RLOO, G = 2": RLOO | dict(group=2),
    "RLOO, G = 16": RLOO | dict(group=16),
    "batch mean": dict(estimator="batch mean"),
    "PPO, β = 0": dict(beta=0.0),
    "RLOO, G = 8, β = 0": RLOO | dict(beta=0.0),
    "GRPO, G = 8, β = 0": GRPO | dict(beta=0.0),
    RAFT: RLOO | dict(beta=0.0),
    "RLOO, G = 4": RLOO | dict(group=4),
    "RLOO, G = 32": RLOO | dict(group=32),
    "GRPO, G = 2": GRPO | dict(group=2),
    "GRPO, G = 8, k3 loss, sequence mean": GRPO | dict(kl="k3", normalisation="sequence"),
    f"GRPO, G = 8, k3 loss, {CONTROL}": GRPO | dict(kl="k3"),
    "RLOO, G = 8, k3 loss, β = 0.3": RLOO | dict(kl="k3", beta=0.3),
    "RLOO, G = 8, k3 loss, β = 1": RLOO | dict(kl="k3", beta=1.0),
    "RLOO, G = 8, sequence mean": RLOO | dict(normalisation="sequence"),
    "PPO, β = 0.05": dict(beta=0.05),
    "RLOO, G = 8, β = 0.05": RLOO | dict(beta=0.05),
    **{f"{name}, lr = {lr:g}": changes | dict(lr=lr) for name, changes in (
        ("PPO", {}), ("RLOO, G = 8", RLOO), ("GRPO, G = 8", GRPO)) for lr in (5e-4, 2e-3)},
}
CORE = [*list(METHODS)[:11], *(name for name in METHODS if "lr =" in name)]
WARM = dict(warm_up=10)
SPIKES = {  # changes to rlhf.Config, and whether the value head starts at zero
    "PPO": ({}, False), "PPO, warm-up": (WARM, False), "PPO, head at zero": ({}, True),
    "PPO, head at zero, warm-up": (WARM, True), "RLOO, G = 4": (RLOO | dict(group=4), False),
    "RLOO, G = 4, warm-up": (RLOO | dict(group=4) | WARM, False)}
SPIKE_SEEDS, EPOCHS, LATER = range(4), (0, 1, 2, 4, 8), 20


def jobs():
    """(kind, name, seed), the most important ones first."""
    runs = [("run", name, seed) for name in METHODS for seed in (models.SEEDS if name in CORE else range(3))]
    rest = [("spikes", name, seed) for name in SPIKES for seed in models.SEEDS]
    return runs + rest + [("effective", str(updates), seed) for updates in (0, LATER) for seed in models.SEEDS]


def one_job(job):
    kind, name, seed = job
    torch.set_num_threads(1)
    found = {"run": one_run, "spikes": ten_updates, "effective": epochs_on_one_batch}[kind](name, seed)
    print(job, summary(kind, found), flush=True)
    return found


def summary(kind, found):
    """A line for the terminal."""
    if kind == "run":
        return found["cpu_seconds"], [(u, t["gold"], t["kl"]) for u, t in found["tests"].items()]
    if kind == "spikes":
        return [(run["gold"], max(run["kl"])) for run in found]
    return found["replies"]


def help_desk(seed):
    return checkpoints.help_desk_models(models.supervised(seed), models.reward(seed))


def one_run(method, seed):
    run = rlhf.start(help_desk(seed), rlhf.Config(**METHODS[method]), seed=seed)
    tests, curves, medians, seconds = {"0": test(run.models)}, [], [], 0.0
    with changed(method), listening(medians):
        for stop in TESTED:
            began = time.process_time()
            curves += rlhf.train(run, checkpoints.sample_prompts, updates=stop, end=helpdesk.END,
                                 gold_fn=checkpoints.gold, progress=False)
            seconds += time.process_time() - began
            tests[str(stop)] = test(run.models)
    keys = [key for key in ("gold", "proxy", "kl", "length", "ended", "group_sd") if key in curves[0]]
    kept = {key: [round(float(h[key]), 3) + 0.0 for h in curves] for key in keys} | {"median_kl": medians}
    return {"method": method, "seed": seed, "cpu_seconds": round(seconds / UPDATES, 4), "curves": kept,
            "tests": tests}


def changed(method):
    """What a method has that no setting of rlhf.Config has."""
    if method == RAFT:  # the best reply of each group is imitated
        best = {"rloo": lambda rewards: (rewards == rewards.max(1, keepdim=True).values).float()}
        return patch.dict(rlhf.ESTIMATORS, best)
    if CONTROL not in method:
        return nullcontext()
    make = rlhf.make_experience

    def divided(*args, **options):
        """GRPO whose weights are divided by the group's sd in place of its advantages: the penalty is, too."""
        batch = make(*args, **options)
        sd = batch.rewards.sum(-1).view(-1, GRPO["group"]).std(1) + 1e-4
        sd = sd.repeat_interleave(GRPO["group"])[:, None]
        return replace(batch, advantages=batch.advantages * sd, weights=batch.weights / sd)
    return patch.object(rlhf, "make_experience", divided)


def listening(medians):
    """Within it the median KL of every batch that is learned from is added to `medians`."""
    learn = rlhf.learn

    def listened(models, optimiser, batch, *args, **options):
        medians.append(round(batch.kl.sum(-1).median().item(), 3) + 0.0)
        return learn(models, optimiser, batch, *args, **options)
    return patch.object(rlhf, "learn", listened)


@torch.no_grad()
def test(four):
    """How the actor answers TEST complaints, the same for every run."""
    rng = np.random.default_rng(12345)
    complaints = [helpdesk.sample_complaint(rng) for _ in range(TEST)]
    prompts, prompt_mask = pad([helpdesk.encode(c.text()) for c in complaints], side="left")
    responses, response_mask, logprobs = sample(
        four.actor, prompts, prompt_mask, max_tokens=48, end=helpdesk.END,
        generator=torch.Generator().manual_seed(12345))
    tokens, mask = torch.cat([prompts, responses], 1), torch.cat([prompt_mask, response_mask], 1)
    ref_logprobs, _ = response_logprobs(four.reference, tokens, mask, response_mask.shape[1])
    kl = (logprobs - ref_logprobs).sum(-1)
    replies = [row[real].tolist() for row, real in zip(responses, response_mask)]
    found = {"gold": float(np.mean(checkpoints.gold(complaints, replies))),
             "proxy": rlhf.text_scores(four.reward, tokens, mask).mean().item(),
             "kl": kl.mean().item(),
             "median_kl": kl.median().item(),
             "length": response_mask.sum(-1).double().mean().item(),
             "unfinished": sum(helpdesk.END not in reply for reply in replies),
             "distinct": len({tuple(reply) for reply in replies}) / TEST}
    return {key: round(x, 3) + 0.0 for key, x in found.items()}


def ten_updates(variant, pipeline):
    """The first ten updates, SPIKE_SEEDS times from the models of one seed."""
    changes, zero_head = SPIKES[variant]
    found = []
    for seed in SPIKE_SEEDS:
        four = help_desk(pipeline)
        if zero_head:
            torch.nn.init.zeros_(four.critic.value_head.weight)
            torch.nn.init.zeros_(four.critic.value_head.bias)
        run, medians = rlhf.start(four, rlhf.Config(**changes), seed=seed), []
        with listening(medians):
            history = list(rlhf.train(run, checkpoints.sample_prompts, updates=10, end=helpdesk.END,
                                      progress=False))
        found.append({"variant": variant, "pipeline": pipeline, "seed": seed,
                      "kl": [round(h["kl"], 3) + 0.0 for h in history], "median_kl": medians,
                      "unfinished": [round(run.config.batch * (1 - h["ended"])) for h in history],
                      "gold": test(run.models)["gold"]})
    return found


def epochs_on_one_batch(updates, seed):
    """How evenly the replies of one batch still count after each epoch of RLOO on it, `updates` into a run."""
    run = rlhf.start(help_desk(seed), rlhf.Config(**RLOO), seed=seed)
    list(rlhf.train(run, checkpoints.sample_prompts, updates=int(updates), end=helpdesk.END, progress=False))
    rng = np.random.default_rng([seed, 999])
    _, *prompts = checkpoints.sample_prompts(rng, run.config.batch // run.config.group)
    batch = rlhf.collect(run.models, *(x.repeat_interleave(run.config.group, 0) for x in prompts), run.config,
                         end=helpdesk.END, generator=torch.Generator().manual_seed(seed))
    mask, found = batch.response_mask, {key: [] for key in ("tokens", "replies", "geometric")}
    for epoch in range(max(EPOCHS) + 1):
        if epoch in EPOCHS:
            with torch.no_grad():
                logprobs, _ = response_logprobs(run.models.actor, batch.tokens, batch.attention_mask, batch.width)
            for key, share in shares(batch.old_logprobs, logprobs, mask).items():
                found[key].append(round(share, 3))
        rlhf.learn(run.models, run.optimiser, batch, run.config, rng=rng)
    return {"seed": seed, "updates": int(updates), "epochs": EPOCHS} | found


def shares(old_logprobs, logprobs, mask):
    """The effective number of tokens, of replies, and of replies under GSPO's ratio, as shares of their number."""
    tokens = [x[mask][:, None] for x in (old_logprobs, logprobs, mask)]
    lengths = mask.sum(-1, keepdim=True)
    return {"tokens": effective_samples(*tokens) / int(mask.sum()),
            "replies": effective_samples(old_logprobs, logprobs, mask) / len(mask),
            "geometric": effective_samples(old_logprobs / lengths, logprobs / lengths, mask) / len(mask)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--first", type=int)
    asked = jobs()[:parser.parse_args().first]
    found = models.run_jobs(one_job, asked)
    of = {kind: [x for (k, _, _), x in zip(asked, found) if k == kind] for kind in ("run", "spikes", "effective")}
    write_text(RESULTS, json.dumps({
        "version": coursekit.__version__, "torch": torch.__version__, "updates": UPDATES, "tested": TESTED,
        "methods": METHODS, "runs": of["run"], "spikes": [run for runs in of["spikes"] for run in runs],
        "effective": of["effective"]}) + "\n")


if __name__ == "__main__":
    main()
