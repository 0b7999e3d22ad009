"""DPO beside a reward model with PPO, from the same 4,000 comparisons of each seed; three or five seeds.

    python experiments/direct.py      writes results/direct.json

A results file may hold fewer runs than this script makes, where it was written before all were done.

The file: {"version", "torch", "ns": best-of-n's n, "betas": of the optima,
"worlds": one dict a seed:
    seed; words {chosen, rejected}: words of a reply; supervised: SAMPLES; reward_model: JUDGE, sd;
    gold_best_of_n; truth: {loss, ceiling} of a judge that knows the gold;
    optimum: {"gold" and "reward model": {β: {gold, kl, length}}}, exact for that reward, from 128 samples a prompt;
    displacement: {β: {chosen, rejected, fell}} of the exact optimum for the gold,
"runs": one dict a route and seed:
    seed, route, beta, cpu_seconds; samples: SAMPLES of 600 replies; judge: JUDGE of the implicit reward;
    displacement: {chosen, rejected, fell}: mean change of log π of 2,000 fresh pairs' replies, nats, and the share
    of chosen ones that fell; shift: {implicit, reward_model, ceiling}: accuracy on pairs of an own reply and one of
    the reference; where (route "DPO 1"): {name, item, fault, remedy: [before, at, after]}: right less wrong word,
    mean log-ratio of the tokens before the word, of itself, of those after it; curve: entries of `train_policy`.
    "PPO 0.1" has no judge, no shift and no curve. "DPO 0.3, 6 epochs" (constant learning rate) has held-out
    accuracy, calibration_error and held_out_loss in its curve.
"fewer": one dict for each seed and number of labels: dpo, ppo: SAMPLES; accuracies {implicit, reward_model};
    best_of_16 {implicit, reward_model}}.
SAMPLES = {gold, kl, length, ended, broken, lines: {line of the rubric: mean count}, replies: four texts}.
JUDGE = {accuracy, gold_order, calibration_error, loss, steps: {line: weight of the line in the reward},
    best_of_n: gold of the best of each n}.
β of "PPO 0.1" is in standard deviations of the score, all others in log-odds.
"""

import json
import time
from functools import partial
from pathlib import Path

import models
import numpy as np
import torch
from four_models import draw

import coursekit
from coursekit import checkpoints, helpdesk, rlhf
from coursekit.direct import (
    describe,
    dialogues,
    dpo_loss,
    implicit_rewards,
    ipo_loss,
    log_ratios,
    tilted,
    train_policy,
)
from coursekit.lm import response_logprobs
from coursekit.preferences import (
    Annotator,
    Pairs,
    accuracy,
    best_of_n,
    bradley_terry_probability,
    calibration_error,
    noise_ceiling,
)
from coursekit.reward_model import bradley_terry_loss, score, score_pairs, train_reward_model
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "direct.json"
NS, BETAS = [1, 4, 16, 64], [0.03, 0.1, 0.3, 1.0, 3.0]
PROMPTS, EACH = 60, 128  # of the reference's samples
LINES = list(helpdesk.RUBRIC)


def simpo_loss(logprobs, ref_logprobs, mask, *, beta=2.0, margin=1.0):
    """SimPO (Meng et al. 2024): log-probabilities a token, no reference, and a margin."""
    means = torch.where(mask, logprobs, 0.0).sum(-1) / mask.sum(-1)
    return bradley_terry_loss(*(beta * means).chunk(2), margin=margin)


def kto_loss(logprobs, ref_logprobs, mask, *, beta):
    """KTO (Ethayarajh et al. 2024) for pairs: each reply by itself against the mean of the other half."""
    chosen, rejected = implicit_rewards(logprobs, ref_logprobs, mask, beta=beta).chunk(2)
    chosen_zero, rejected_zero = (half.detach().mean().clamp(min=0) for half in (chosen, rejected))
    return 1 - torch.cat([chosen - rejected_zero, chosen_zero - rejected]).sigmoid().mean()


def route(loss, beta, **options):
    return {"loss": partial(loss, **{"tau" if loss is ipo_loss else "beta": beta}), "beta": beta, **options}


ROUTES = {
    "DPO 0.1": route(dpo_loss, 0.1), "DPO 0.3": route(dpo_loss, 0.3), "DPO 1": route(dpo_loss, 1.0),
    "DPO 3": route(dpo_loss, 3.0),
    "DPO 0.3 + NLL": route(partial(dpo_loss, nll=1.0), 0.3),
    "DPO 1 + NLL": route(partial(dpo_loss, nll=1.0), 1.0),
    "cDPO 0.3": route(partial(dpo_loss, label_smoothing=0.1), 0.3),
    "IPO 0.2": route(ipo_loss, 0.2),
    "DPO 0.3, learning rate × 5": route(dpo_loss, 0.3, lr=1e-3),
    "DPO 0.3, 6 epochs": route(dpo_loss, 0.3, epochs=6, decay=False),
    "SimPO": {"loss": simpo_loss, "beta": 2.0},
    "KTO 1": route(kto_loss, 1.0)}
FIVE_SEEDS = ["DPO 0.1", "DPO 0.3", "DPO 1", "DPO 3", "DPO 0.3 + NLL", "PPO 0.1"]


def cached(name, make):
    """Read JSON beside the trained models, or make it."""
    path = models.path_of(name).with_suffix(".json")
    if not path.exists():
        write_text(path, json.dumps(make()))
    return json.loads(path.read_text())


def pairs_of(seed, n, first):
    """Comparisons of the seed's supervised model: 4,000 from seed 1000 on to train, 2,000 from 500 on to test."""
    def make():
        pairs = checkpoints.compare(models.supervised(seed), n, seed=first + seed)
        return [pairs.prompts, pairs.chosen, pairs.rejected, pairs.gaps.tolist()]
    prompts, chosen, rejected, gaps = cached(f"pairs-{first + seed}-{n}", make)
    return Pairs(prompts, chosen, rejected, np.array(gaps))


def reference_samples(seed):
    """EACH replies of the supervised model to each of PROMPTS complaints, their gold and their raw score."""
    complaints = [c for c in draw(PROMPTS, 400 + seed) for _ in range(EACH)]

    def make():
        replies = checkpoints.write(models.supervised(seed), complaints, seed=seed)
        return [replies, [helpdesk.rubric(c, r) for c, r in zip(complaints, replies)],
                score(models.reward(seed), [c.text() for c in complaints], replies).tolist()]
    replies, gold, scores = cached(f"samples-{seed}", make)
    return complaints, replies, np.array(gold), np.array(scores)


def grid(x):
    return np.asarray(x, float).reshape(PROMPTS, EACH)


def samples(policy, supervised, seed, n=600):
    """SAMPLES of a policy: the same complaints for all policies of a seed."""
    complaints = draw(n, 9000 + seed)
    found = describe(policy, supervised, complaints, seed=seed)
    replies = checkpoints.write(policy, complaints, seed=seed)  # the same ones
    counts = np.mean([list(helpdesk.features(c, r).values()) for c, r in zip(complaints, replies)], 0)
    return found | {"lines": dict(zip(LINES, counts.tolist())),
                    "replies": [f"{c.text()} {r}" for c, r in zip(complaints[:4], replies)]}


def judge(chosen, rejected, gaps, rewards, seed):
    """JUDGE of rewards, in log-odds, of the test pairs and of the reference's samples."""
    complaints, replies, gold, _ = reference_samples(seed)
    counts = np.array([list(helpdesk.features(c, r).values()) for c, r in zip(complaints, replies)], float)
    kept = counts.std(0) > 0.05
    weights = np.linalg.lstsq(np.c_[counts[:, kept], np.ones(len(counts))], rewards, rcond=None)[0]
    return {"accuracy": accuracy(chosen, rejected),
            "gold_order": float(((chosen - rejected) * gaps > 0)[gaps != 0].mean()),
            "calibration_error": calibration_error(chosen, rejected),
            "loss": float(np.logaddexp(0, rejected - chosen).mean()),
            "steps": dict(zip(np.array(LINES)[kept].tolist(), weights.tolist())),
            "best_of_n": best_of_n(grid(rewards), grid(gold), NS).mean(-1).tolist()}


def optimum_displacement(gold, beta):
    """How log π of chosen and rejected replies changes at the exact optimum for the gold, over all sample pairs."""
    below = (gold - gold.max(1, keepdims=True)) / beta
    change = below - np.log(np.exp(below).mean(1, keepdims=True))  # (PROMPTS, EACH): r/β − log Z
    wins = bradley_terry_probability(*np.broadcast_arrays(gold[:, :, None], gold[:, None, :]))  # first ≻ second
    first = np.broadcast_to(change[:, :, None], wins.shape)
    return {"chosen": float((2 * wins * first).mean()), "rejected": float((2 * (1 - wins) * first).mean()),
            "fell": float((2 * wins * (first < 0)).mean())}


def world(seed):
    """What the routes of one seed share: the reference, its reward model, the optima."""
    supervised, reward = models.supervised(seed), models.reward(seed)
    pairs, test = pairs_of(seed, 4000, 1000), pairs_of(seed, 2000, 500)
    complaints, replies, gold, scores = reference_samples(seed)
    length = grid([len(r.split()) for r in replies])
    optima = {name: {beta: {"gold": tilted(grid(r), grid(gold), beta=beta)[0],
                            "kl": tilted(grid(r), grid(gold), beta=beta)[1],
                            "length": tilted(grid(r), length, beta=beta)[0]} for beta in BETAS}
              for name, r in (("gold", gold), ("reward model", scores))}
    return {"seed": seed,
            "words": {side: float(np.mean([len(t.split()) for t in getattr(pairs, side)]))
                      for side in ("chosen", "rejected")},
            "supervised": samples(supervised, supervised, seed),
            "reward_model": judge(*score_pairs(reward, test), test.gaps, scores, seed)
            | {"sd": float(scores.std())},
            "gold_best_of_n": best_of_n(grid(gold), grid(gold), NS).mean(-1).tolist(),
            "truth": {"loss": float(np.logaddexp(0, -test.gaps).mean()),
                      "ceiling": noise_ceiling(Annotator().probability(test.gaps))},
            "optimum": optima,
            "displacement": {beta: optimum_displacement(grid(gold), beta) for beta in BETAS}}


def trained(name, seed, pairs, **watching):
    """The policy of a route, and its curve."""
    options = {k: v for k, v in ROUTES[name].items() if k not in ("loss", "beta")}
    return train_policy(models.supervised(seed), pairs, ROUTES[name]["loss"], seed=seed, progress=False,
                        **options, **watching)


def one_route(name, seed):
    supervised, test = models.supervised(seed), pairs_of(seed, 2000, 500)
    few = test.take(np.arange(500))
    beta = 0.1 if name == "PPO 0.1" else ROUTES[name]["beta"] if name in ROUTES else 1.0

    def watch(policy):
        found = describe(policy, supervised, draw(150, 9000 + seed), seed=seed)
        if name == "DPO 0.3, 6 epochs":
            chosen, rejected = (beta * log_ratios(policy, supervised, few.prompts, side)
                                for side in (few.chosen, few.rejected))
            found |= {"accuracy": accuracy(chosen, rejected),
                      "calibration_error": calibration_error(chosen, rejected),
                      "held_out_loss": float(np.logaddexp(0, rejected - chosen).mean())}
        return found

    began, curve = time.process_time(), []
    if name == "PPO 0.1":
        run = rlhf.start(checkpoints.help_desk_models(supervised, models.reward(seed)), rlhf.Config(), seed=seed)
        list(rlhf.train(run, checkpoints.sample_prompts, updates=80, end=helpdesk.END))
        policy = run.models.actor
    elif name == "online DPO 1":
        policy = online(supervised, seed)
    else:
        every = 47 if "6 epochs" in name else 21
        policy, curve = trained(name, seed, pairs_of(seed, 4000, 1000), every=every, watch=watch)
    found = {"seed": seed, "route": name, "beta": beta, "cpu_seconds": round(time.process_time() - began, 1),
             "samples": samples(policy, supervised, seed), "curve": curve}
    chosen, rejected = (log_ratios(policy, supervised, test.prompts, side)
                        for side in (test.chosen, test.rejected))
    found["displacement"] = {"chosen": float(chosen.mean()), "rejected": float(rejected.mean()),
                             "fell": float((chosen < 0).mean())}
    if name == "DPO 1":
        models.keep(f"dpo-1-{seed}", policy)
        found["where"] = where(policy, supervised, seed)
    if name != "PPO 0.1":
        complaints, replies, _, _ = reference_samples(seed)
        rewards = beta * log_ratios(policy, supervised, [c.text() for c in complaints], replies)
        found["judge"] = judge(beta * chosen, beta * rejected, test.gaps, rewards, seed)
        found["shift"] = shift(policy, supervised, seed)
    print(seed, name, found["cpu_seconds"], {k: round(found["samples"][k], 2) for k in ("gold", "kl", "broken")},
          {k: round(v, 2) for k, v in found["displacement"].items()},
          {k: round(v, 3) for k, v in found.get("judge", {}).items() if isinstance(v, float)},
          np.round(found.get("judge", {}).get("best_of_n", []), 2), flush=True)
    return found


def online(supervised, seed, rounds=4, labels=1000):
    """DPO on pairs that the policy itself has just written, with fresh labels, in all as many as the others."""
    policy = supervised
    for i in range(rounds):
        pairs = checkpoints.compare(policy, labels, seed=3000 + 10 * seed + i)
        policy, _ = train_policy(policy, pairs, partial(dpo_loss, beta=1.0), reference=supervised, epochs=2,
                                 decay=False, seed=seed, progress=False)
    return policy


def shift(policy, supervised, seed):
    """Accuracy on pairs of an own reply and one of the reference."""
    pairs = checkpoints.compare(policy, 800, seed=2000 + seed, other=supervised)
    ratios = [log_ratios(policy, supervised, pairs.prompts, side) for side in (pairs.chosen, pairs.rejected)]
    return {"implicit": accuracy(*ratios), "reward_model": accuracy(*score_pairs(models.reward(seed), pairs)),
            "ceiling": noise_ceiling(Annotator().probability(pairs.gaps))}


def where(policy, supervised, seed, n=2500):
    """Right less wrong word: the mean log-ratio before the word, of the word, after it."""
    complaints, replies, _, _ = reference_samples(seed)
    rows = np.random.default_rng(0).permutation(len(replies))[:n]
    found = {}
    for part in np.array_split(rows, 10):
        tokens, attention_mask, mask = dialogues([complaints[i].text() for i in part], [replies[i] for i in part])
        with torch.no_grad():
            ours, theirs = (response_logprobs(model, tokens, attention_mask, mask.shape[1])[0]
                            for model in (policy, supervised))
        for i, ratios in zip(part, torch.where(mask, ours - theirs, 0.0).numpy()):
            for what, (at, right) in places(complaints[i], replies[i].split()).items():
                found.setdefault((what, right), []).append([ratios[:at].sum(), ratios[at], ratios[at + 1:].sum()])
    return {what: (np.mean(found[what, True], 0) - np.mean(found[what, False], 0)).tolist()
            for what in ("name", "item", "fault", "remedy")}


def places(complaint, words):
    """{what: (its position, whether it is right)} of the words of a reply that its first sentences are about."""
    text, found = " ".join(words), {}
    if words[0] == "hello":
        found["name"] = 1, words[1] == complaint.name
    if "we are sorry your" in text and (at := words.index("sorry") + 2) + 2 < len(words):
        found["item"] = at, words[at] == complaint.item
        found["fault"] = at + 2, words[at + 2] == complaint.fault
    starts = [i for i in range(len(words) - 2) if words[i:i + 2] == ["we", "will"]]
    if starts:
        found["remedy"] = starts[0] + 2, words[starts[0] + 2] == helpdesk.FAULT_REMEDY[complaint.fault]
    return found


def fewer(labels, seed):
    """DPO, and a reward model with PPO, from the first `labels` of the comparisons."""
    epochs = {250: 8, 1000: 4}[labels]  # of DPO; the reward model's are those of 4,000
    supervised, test = models.supervised(seed), pairs_of(seed, 2000, 500)
    part = pairs_of(seed, 4000, 1000).take(np.arange(labels))
    policy, _ = train_policy(supervised, part, partial(dpo_loss, beta=1.0), epochs=epochs, seed=seed,
                             progress=False)
    reward, _ = train_reward_model(supervised, part, epochs=6, lr=2e-3, seed=seed, progress=False)
    run = rlhf.start(checkpoints.help_desk_models(supervised, reward), rlhf.Config(), seed=seed)
    list(rlhf.train(run, checkpoints.sample_prompts, updates=40, end=helpdesk.END, progress=False))
    complaints, replies, gold, _ = reference_samples(seed)
    prompts = [c.text() for c in complaints]
    rewards = {"implicit": log_ratios(policy, supervised, prompts, replies),
               "reward_model": score(reward, prompts, replies)}
    ratios = [log_ratios(policy, supervised, test.prompts, side) for side in (test.chosen, test.rejected)]
    found = {"seed": seed, "labels": labels, "dpo": samples(policy, supervised, seed),
             "ppo": samples(run.models.actor, supervised, seed),
             "accuracies": {"implicit": accuracy(*ratios), "reward_model": accuracy(*score_pairs(reward, test))},
             "best_of_16": {name: float(best_of_n(grid(r), grid(gold), [16]).mean())
                            for name, r in rewards.items()}}
    print(seed, labels, *({k: round(found[x][k], 2) for k in ("gold", "kl")} for x in ("dpo", "ppo")),
          found["accuracies"], found["best_of_16"], flush=True)
    return found


def one_job(job):
    torch.set_num_threads(1)
    kind, *rest = job
    return {"world": world, "route": one_route, "fewer": fewer}[kind](*rest)


JOBS = [("world", seed) for seed in range(5)]
JOBS += [("route", name, seed) for seed in range(5) for name in [*ROUTES, "PPO 0.1", "online DPO 1"]
         if seed < 3 or name in FIVE_SEEDS]
JOBS += [("fewer", labels, seed) for labels in (250, 1000) for seed in range(3)]


def write(jobs, done):
    """Write what is done: a list of results, one for each job."""
    found = {"world": [], "route": [], "fewer": []}
    for job, result in zip(jobs, done):
        found[job[0]].append(result)
    write_text(RESULTS, json.dumps({
        "version": coursekit.__version__, "torch": torch.__version__, "ns": NS, "betas": BETAS,
        "worlds": found["world"], "runs": found["route"], "fewer": found["fewer"]}) + "\n")


if __name__ == "__main__":
    write(JOBS, models.run_jobs(one_job, JOBS))
