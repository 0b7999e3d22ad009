"""PPO with four models on the help desk at several KL coefficients; five seeds of the whole pipeline.

Per seed: the supervised model, a reward model of 4,000 comparisons, then PPO for each coefficient β, 80 updates
with the default config; and best-of-n with the same models beside it.

    python experiments/four_models.py      writes results/four_models.json
"""

import json
import time
from pathlib import Path

import models
import numpy as np
import torch

import coursekit
from coursekit import checkpoints, helpdesk, rlhf
from coursekit.preferences import best_of_n
from coursekit.reward_model import score

RESULTS = Path(__file__).parent / "results" / "four_models.json"
BETAS, UPDATES, NS = [0.0, 0.02, 0.05, 0.1, 0.3], 80, [1, 4, 16, 64]
KEYS = ("gold", "proxy", "kl", "length", "explained_variance")


def tune(supervised, reward, beta, seed):
    """One run: {key: curve}, CPU seconds, and three replies at its end."""
    began = time.process_time()
    run = rlhf.start(checkpoints.help_desk_models(supervised, reward), rlhf.Config(beta=beta), seed=seed)
    history = list(rlhf.train(run, checkpoints.sample_prompts, updates=UPDATES, end=helpdesk.END,
                              gold_fn=checkpoints.gold))
    seconds = time.process_time() - began
    complaints = draw(3, 99)
    replies = checkpoints.write(run.models.actor, complaints, seed=seed)
    return {"beta": beta, "cpu_seconds": round(seconds, 1),
            "curves": {key: [round(h[key], 4) for h in history] for key in KEYS},
            "replies": [f"{c.text()} {r}" for c, r in zip(complaints, replies)]}


def choose_best(supervised, reward, seed):
    """Gold of best-of-n by the reward model: means over 150 complaints with 64 replies each."""
    complaints = [c for c in draw(150, seed) for _ in range(max(NS))]
    replies = checkpoints.write(supervised, complaints, seed=seed)
    gold = np.array([helpdesk.rubric(c, r) for c, r in zip(complaints, replies)]).reshape(150, -1)
    proxy = score(reward, [c.text() for c in complaints], replies).reshape(150, -1)
    return best_of_n(proxy, gold, NS).mean(-1).tolist()


def draw(n, seed):
    rng = np.random.default_rng(seed)
    return [helpdesk.sample_complaint(rng) for _ in range(n)]


def one_seed(seed):
    torch.set_num_threads(1)
    supervised, reward = models.supervised(seed), models.reward(seed)
    runs = [tune(supervised, reward, beta, seed) for beta in BETAS]
    found = {"seed": seed, "runs": runs, "best_of_n": choose_best(supervised, reward, seed)}
    print(seed, [[r["beta"], r["cpu_seconds"]] + [round(float(np.mean(r["curves"][k][-5:])), 2) for k in KEYS[:3]]
                 for r in runs], found["best_of_n"], flush=True)
    return found


if __name__ == "__main__":
    runs = models.run_jobs(one_seed, models.SEEDS)
    RESULTS.write_text(json.dumps({"version": coursekit.__version__, "torch": torch.__version__, "updates": UPDATES,
                                   "ns": NS, "runs": runs}) + "\n")
