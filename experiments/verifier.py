"""PPO paid by something else than one reward model: a check by a program, the rubric itself, the implicit reward of
DPO, three reward models, or a verdict after each sentence. 60 updates of PPO, three or five seeds.

    python experiments/verifier.py      writes results/verifier.json

A results file may hold fewer runs than this script makes, where it was written before all were done.

The file: {"version", "torch", "updates", "runs": one dict for each judge, KL coefficient and seed:
    paid_by, beta, seed, cpu_seconds; samples: SAMPLES of 600 replies, as in direct.py;
    curves: {gold, proxy, kl, length: one number an update}; spread ("three reward models …"): one number an update,
    the mean standard deviation of the three scores of a reply}
"members": for each seed with three reward models: {seed, accuracies, name_steps, best_of_n: {how: [gold]}, ns}}.
paid_by:
    "check"         1 if the reply's first promise has the right remedy and its first apology the right item
    "lazy check"    1 if remedy and item are among the reply's words
    "reward model"  trained on 4,000 comparisons
    "both"          check and reward model, each standardised
    "rubric"        the gold itself
    "implicit reward"               of the policy of route "DPO 1" of direct.py
    "three reward models, mean" and "…, min"     of three pretrained models, the same comparisons
    "steps, difference", "steps, sum", "steps, alone"    a perfect judge of steps: a sentence earns what it added to
        the rubric; the rubric of all so far; its own points, judged alone
Every judge is standardised on 500 replies of the supervised model, except the judges of steps, whose points are
divided by 1.5. beta is in reward per nat, so in standard deviations of the judge.
"""

import json
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import models
import numpy as np
import torch
from direct import NS, draw, grid, pairs_of, reference_samples, samples, trained

import coursekit
from coursekit import checkpoints, helpdesk, rlhf
from coursekit.direct import log_ratios, mentioned, process_rewards, verified
from coursekit.preferences import accuracy, best_of_n
from coursekit.reward_model import ensemble, score, score_pairs, train_reward_model
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "verifier.json"
UPDATES, STEP_SD = 60, 1.5
CHECKS = {"check": [verified], "lazy check": [mentioned], "both": [verified], "rubric": [helpdesk.rubric],
          "reward model": []}
FULL_STOP, = helpdesk.encode(".")
token_rewards = rlhf.token_rewards


def split(text):
    """The complaint and the reply of a text."""
    prompt, reply = text.split(" agent :", 1)
    words = prompt.split()
    at = words.index("is", words.index("but")) if "but" in words else words.index("is")
    distractor = words[3] if "but" in words else None
    return helpdesk.Complaint(words[0], words[at - 1], words[at + 1], distractor), reply.strip()


class Judge:
    """Scores texts for PPO by a function of (complaints, replies) that returns (N,) scores."""

    def __init__(self, scores_of, complaints, replies):
        self.scores_of = scores_of
        raw = scores_of(complaints, replies)
        self.mean, self.sd = raw.mean(), raw.std()

    def __call__(self, tokens, attention_mask):
        texts = [helpdesk.decode(row[real]) for row, real in zip(tokens, attention_mask)]
        raw = self.scores_of(*zip(*map(split, texts)))
        return torch.as_tensor((raw - self.mean) / self.sd, dtype=torch.float32)


class StepJudge:
    """Judges every sentence; `pay` puts the verdicts where the sentences end."""

    def __init__(self, how):
        self.how = how

    def __call__(self, tokens, attention_mask):
        texts = [helpdesk.decode(row[real]) for row, real in zip(tokens, attention_mask)]
        self.steps = [self.verdicts(*split(text)) for text in texts]
        return torch.tensor([sum(rewards) for rewards in self.steps], dtype=torch.float32)

    def verdicts(self, complaint, reply):
        """One reward for each token of a reply."""
        tokens = helpdesk.encode(reply)
        rewards = np.zeros(len(tokens))
        ends = [i for i, token in enumerate(tokens) if token in (FULL_STOP, helpdesk.END)]
        ends = sorted({*ends, len(tokens) - 1})
        if self.how == "alone":
            texts = [helpdesk.decode(tokens[a:b + 1]) for a, b in zip([0, *(i + 1 for i in ends)], ends)]
            texts = [text.replace(" <end>", "").replace("<end>", "") + " <end>" for text in texts]
            paid = [helpdesk.rubric(complaint, text) for text in texts]
        else:
            worth = [helpdesk.rubric(complaint, helpdesk.decode(tokens[:i + 1]).replace(" <end>", "") + " <end>")
                     for i in ends]
            paid = process_rewards(np.array(worth), how=self.how)
        rewards[ends] = np.array(paid) / STEP_SD
        return rewards

    def pay(self, scores, kl, mask, *, beta):
        """token_rewards, with the verdicts in their places."""
        rewards = token_rewards(scores - torch.tensor([sum(r) for r in self.steps], dtype=scores.dtype), kl, mask,
                                beta=beta)
        for row, verdicts in zip(rewards, self.steps):
            row[:len(verdicts)] += torch.as_tensor(verdicts, dtype=row.dtype)
        return rewards


def standardised(scores_of, complaints, replies):
    """Scores with mean 0 and standard deviation 1 on these replies."""
    raw = scores_of(complaints, replies)
    return lambda *batch: (scores_of(*batch) - raw.mean()) / raw.std()


class Several:
    """The scores of several judges, combined as `ensemble` does; `spread` says how much they disagreed last."""

    def __init__(self, judges, how):
        self.judges, self.how, self.spread = judges, how, 0.0

    def __call__(self, *batch):
        each = np.array([judge(*batch) for judge in self.judges])
        self.spread = float(each.std(0).mean())
        return ensemble(each, self.how)


def by_program(function):
    return lambda complaints, replies: np.array([function(c, r) for c, r in zip(complaints, replies)], float)


def by_model(reward):
    return lambda complaints, replies: score(reward, [c.text() for c in complaints], replies)


def members(seed):
    """Three reward models of one seed's comparisons: on its own pretrained model, and on those of two others."""
    def on(trunk):
        return models.kept(f"reward-{seed}-4000-on-{trunk}", lambda: train_reward_model(
            models.supervised(trunk), pairs_of(seed, 4000, 1000), epochs=6, lr=2e-3, seed=seed, progress=False)[0])
    return [models.reward(seed), *(on(trunk) for trunk in range(3) if trunk != seed)]


def judge_of(paid_by, seed):
    """The judge that takes the reward model's place."""
    if paid_by.startswith("steps"):
        return StepJudge(paid_by.removeprefix("steps, "))
    supervised = models.supervised(seed)
    complaints = draw(500, 0)
    replies = checkpoints.write(supervised, complaints)
    if paid_by == "implicit reward":
        pairs = pairs_of(seed, 4000, 1000)
        policy = models.kept(f"dpo-1-{seed}", lambda: trained("DPO 1", seed, pairs)[0])
        return Judge(lambda c, r: log_ratios(policy, supervised, [x.text() for x in c], r),
                     complaints, replies)
    if paid_by.startswith("three"):
        parts = [standardised(by_model(m), complaints, replies) for m in members(seed)]
        return Judge(Several(parts, paid_by.rpartition(" ")[2]), complaints, replies)
    parts = [standardised(by_program(f), complaints, replies) for f in CHECKS[paid_by]]
    if paid_by in ("both", "reward model"):
        parts.append(standardised(by_model(models.reward(seed)), complaints, replies))
    return Judge(lambda *batch: sum(part(*batch) for part in parts), complaints, replies)


def tune(paid_by, beta, seed):
    """One run of PPO."""
    judge = judge_of(paid_by, seed)
    start = replace(checkpoints.help_desk_models(models.supervised(seed), models.reward(seed)), reward=judge)
    run = rlhf.start(start, rlhf.Config(beta=beta), seed=seed)
    paying = patch("coursekit.rlhf.token_rewards", judge.pay) if isinstance(judge, StepJudge) else nullcontext()
    began, history, spread = time.process_time(), [], []
    with paying:
        for metrics in rlhf.train(run, checkpoints.sample_prompts, updates=UPDATES, end=helpdesk.END,
                                  gold_fn=checkpoints.gold, progress=False):
            history.append(metrics)
            if paid_by.startswith("three"):
                spread.append(round(judge.scores_of.spread, 3))
    found = {"paid_by": paid_by, "beta": beta, "seed": seed,
             "cpu_seconds": round(time.process_time() - began, 1),
             "samples": samples(run.models.actor, models.supervised(seed), seed),
             "curves": {k: [round(h[k], 3) for h in history] for k in ("gold", "proxy", "kl", "length")}}
    print(seed, paid_by, beta, found["cpu_seconds"], {k: round(found["samples"][k], 2) for k in (
        "gold", "kl", "length", "broken")}, {k: round(v, 2) for k, v in found["samples"]["lines"].items()},
        found["samples"]["replies"][2], flush=True)
    return found | ({"spread": spread} if spread else {})


def judged(seed):
    """The three reward models as judges: how they err, and the best of n by their mean or minimum."""
    complaints, replies, gold, _ = reference_samples(seed)
    test = pairs_of(seed, 2000, 500)
    three = members(seed)
    each = np.array([score(m, [c.text() for c in complaints], replies) for m in three])
    each = (each - each.mean(1, keepdims=True)) / each.std(1, keepdims=True)
    counts = np.array([list(helpdesk.features(c, r).values()) for c, r in zip(complaints, replies)], float)
    lines, kept = list(helpdesk.RUBRIC), counts.std(0) > 0.05
    weights = np.linalg.lstsq(np.c_[counts[:, kept], np.ones(len(counts))], each.T, rcond=None)[0]
    row = {line: weight for line, weight in zip(np.array(lines)[kept], weights)}
    ways = {"one": each[0], "mean": ensemble(each, "mean"), "min": ensemble(each, "min")}
    return {"seed": seed, "ns": NS, "accuracies": [accuracy(*score_pairs(m, test)) for m in three],
            "name_steps": (row["right name"] - row["wrong name"]).tolist(),
            "best_of_n": {how: best_of_n(grid(x), grid(gold), NS).mean(-1).tolist() for how, x in ways.items()}}


def one_job(job):
    torch.set_num_threads(1)
    return judged(job[1]) if job[0] == "members" else tune(*job)


JOBS = [(paid_by, beta, seed) for seed in range(5) for beta in (0.1, 0.0) for paid_by in CHECKS]
JOBS += [("implicit reward", beta, seed) for seed in range(3) for beta in (0.1, 0.0)]
JOBS += [(f"steps, {how}", beta, seed) for seed in range(3) for beta in (0.1, 0.0)
         for how in ("difference", "sum", "alone") if how != "sum" or beta]
JOBS += [(f"three reward models, {how}", 0.0, seed) for seed in range(3) for how in ("mean", "min")]
JOBS += [("members", seed) for seed in range(3)]


def write(jobs, done):
    """Write what is done: a list of results, one for each job."""
    runs = [result for job, result in zip(jobs, done) if job[0] != "members"]
    judges = [result for job, result in zip(jobs, done) if job[0] == "members"]
    write_text(RESULTS, json.dumps({"version": coursekit.__version__, "torch": torch.__version__,
                                    "updates": UPDATES, "runs": runs, "members": judges}) + "\n")


if __name__ == "__main__":
    write(JOBS, models.run_jobs(one_job, JOBS))
