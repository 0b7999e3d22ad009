"""What optimising an honest reward model does, five seeds of the whole pipeline.

Per seed: the supervised model, a reward model of 4,000 comparisons, best-of-n with it (and with one of 250
comparisons), its score regressed on the rubric, a policy trained on its score alone (PPO with β = 0), and how
accurate the reward model is on that policy's replies, before and after relabelling; then a policy trained on the
relabelled model's score.

    python experiments/hacking.py        writes results/hacking.json
"""

import json
from pathlib import Path

import models as pipeline
import numpy as np
import torch

import coursekit
from coursekit import checkpoints, helpdesk
from coursekit.checkpoints import compare, sample_prompts, write
from coursekit.preferences import Annotator, Pairs, accuracy, best_of_n, calibration_error, noise_ceiling
from coursekit.reward_model import normalise, score, score_pairs, train_reward_model
from coursekit.rlhf import Config, four_models, start, train
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "hacking.json"
NS, COMPLAINTS = [1, 2, 4, 8, 16, 32, 64, 128, 256], 100


def optimise(supervised, reward, seed, updates=80):
    """PPO on the reward model's score alone. Yields (actor, metrics) after each update."""
    run = start(four_models(supervised, reward), Config(beta=0.0), seed=seed)
    for metrics in train(run, sample_prompts, updates=updates, end=helpdesk.END, gold_fn=checkpoints.gold):
        yield run.models.actor, {k: round(metrics[k], 4) for k in ("update", "gold", "proxy", "kl", "length")}


def blind_spots(model, complaints, replies):
    """Least squares of the score on the rubric's lines: {line: [points in gold, points in score]}, with the score
    in its own unit. Lines that hardly vary in these replies are left out."""
    counts = np.array([list(helpdesk.features(c, r).values()) for c, r in zip(complaints, replies)], float)
    scores = score(model, [c.text() for c in complaints], replies)
    kept = counts.std(0) > 0.05
    lines = [line for line, keep in zip(helpdesk.RUBRIC, kept) if keep]
    weights = np.linalg.lstsq(np.c_[counts[:, kept], np.ones(len(scores))], scores, rcond=None)[0]
    return {line: [helpdesk.RUBRIC[line], float(w)] for line, w in zip(lines, weights)}


def judged(reward, pairs):
    chosen, rejected = score_pairs(reward, pairs)
    return {"accuracy": accuracy(chosen, rejected), "ece": calibration_error(chosen, rejected),
            "ceiling": noise_ceiling(Annotator().probability(pairs.gaps))}


def join(a, b):
    return Pairs(a.prompts + b.prompts, a.chosen + b.chosen, a.rejected + b.rejected)


def one_seed(seed):
    torch.set_num_threads(1)
    supervised = pipeline.supervised(seed)
    models = {pairs: pipeline.reward(seed, pairs) for pairs in (4000, 250)}
    rng = np.random.default_rng(seed)
    complaints = [helpdesk.sample_complaint(rng) for _ in range(COMPLAINTS)]
    many = [c for c in complaints for _ in range(max(NS))]
    replies = write(supervised, many, seed=seed)
    gold = np.array([helpdesk.rubric(c, r) for c, r in zip(many, replies)]).reshape(COMPLAINTS, -1)
    found = {"seed": seed, "best_of_n": {}}
    for pairs, model in models.items():
        proxy = score(model, [c.text() for c in many], replies).reshape(COMPLAINTS, -1)
        found["best_of_n"][pairs] = {"gold": best_of_n(proxy, gold, NS).mean(-1).tolist(),
                                     "proxy": best_of_n(proxy, proxy, NS).mean(-1).tolist()}
    found["best_of_n"]["gold itself"] = {"gold": best_of_n(gold, gold, NS).mean(-1).tolist()}
    reference = compare(supervised, 1000, seed=1000 + seed)
    normalised = normalise(models[4000].copy(), reference.prompts * 2, reference.chosen + reference.rejected)
    test = [helpdesk.sample_complaint(rng) for _ in range(200)]
    curve, shift, on_the_way = [], {}, {0: write(supervised, test[:3], seed=seed)}
    shift[0] = judged(models[4000], compare(supervised, 800, seed=2000 + seed))
    for policy, metrics in optimise(supervised, normalised, seed):
        curve.append(metrics)
        if metrics["update"] + 1 in (10, 20, 30, 40, 60, 80):
            shift[metrics["update"] + 1] = judged(models[4000], compare(policy, 800, seed=2000 + seed,
                                                                         other=supervised))
            on_the_way[metrics["update"] + 1] = write(policy, test[:3], seed=seed)
    found |= {"curve": curve, "shift": shift, "on_the_way": on_the_way, "prompts": [c.text() for c in test[:3]]}
    found["blind_spots"] = blind_spots(models[4000], many[::4], replies[::4])
    last = write(policy, test, seed=seed)
    found["samples"] = [f"{c.text()} {r}" for c, r in zip(test[:5], last)]
    counts = [helpdesk.features(c, r) for c, r in zip(test, last)]
    found["rubric_after"] = {line: float(np.mean([c[line] for c in counts])) for line in helpdesk.RUBRIC}
    before = [helpdesk.features(c, r) for c, r in zip(test, write(supervised, test, seed=seed))]
    found["rubric_before"] = {line: float(np.mean([c[line] for c in before])) for line in helpdesk.RUBRIC}
    old_pairs = compare(supervised, 4000, seed=1000 + seed)
    fresh = compare(policy, 800, seed=3000 + seed, other=supervised)
    for extra in (250, 1000):
        new = compare(policy, extra, seed=4000 + seed, other=supervised)
        again, _ = train_reward_model(supervised, join(old_pairs, new), epochs=6, lr=2e-3, seed=seed)
        found[f"relabelled_{extra}"] = judged(again, fresh)
    paid_again = normalise(again.copy(), reference.prompts * 2, reference.chosen + reference.rejected)
    found["second_curve"] = [m for _, m in optimise(supervised, paid_again, 100 + seed)]
    print(seed, [round(c["gold"], 2) for c in curve[::5]], [round(c["proxy"], 2) for c in curve[::5]], flush=True)
    return found


if __name__ == "__main__":
    runs = pipeline.run_jobs(one_seed, pipeline.SEEDS)
    write_text(RESULTS, json.dumps({"version": coursekit.__version__, "torch": torch.__version__, "ns": NS,
                                    "runs": runs}) + "\n")
