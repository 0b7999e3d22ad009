"""What a policy does that is trained on a judge with a taste: the rubric, length, boasts; three seeds.

Three annotators label the same 2,000 pairs of replies, as in annotators.py; a reward model learns from each, and a
policy is trained on its score for 40 updates (PPO, KL coefficient 0.1). Its replies to 200 fresh complaints are
counted beside those of the supervised model.

    python experiments/judges.py      writes results/judges.json
"""

import json
from itertools import product
from pathlib import Path

import models
import numpy as np
import torch
from annotators import ANNOTATORS, draw

import coursekit
from coursekit import checkpoints, helpdesk
from coursekit.checkpoints import checkpoint, compare, sample_prompts, write
from coursekit.reward_model import normalise, train_reward_model
from coursekit.rlhf import Config, four_models, start, train
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "judges.json"
SEEDS, UPDATES = range(3), 40


def describe(complaints, replies):
    """Means over the replies: points, words, boasts, sentences said twice, and four lines of the rubric."""
    counts = [helpdesk.features(c, r) for c, r in zip(complaints, replies)]
    return {"gold": float(np.mean([helpdesk.rubric(c, r) for c, r in zip(complaints, replies)])),
            "words": float(np.mean([len(r.split()) for r in replies])),
            "boasts": float(np.mean([r.count(helpdesk.BOAST) for r in replies])),
            "boasting": float(np.mean([helpdesk.BOAST in r for r in replies])),
            **{line: float(np.mean([c[line] for c in counts]))
               for line in ("right remedy", "rude", "repeated", "malformed")}}


def one_policy(job):
    seed, name = job
    torch.set_num_threads(1)
    supervised, complaints = checkpoint("supervised"), draw(80 + seed, 200)
    pairs = compare(supervised, 2000, seed=300 + seed, annotator=ANNOTATORS[name])
    model, _ = train_reward_model(supervised, pairs, epochs=6, lr=2e-3, seed=seed)
    reference = compare(supervised, 1000, seed=1000 + seed)
    judge = normalise(model, reference.prompts * 2, reference.chosen + reference.rejected)
    run = start(four_models(supervised, judge), Config(beta=0.1), seed=seed)
    curve = [{k: round(m[k], 4) for k in ("gold", "proxy", "kl", "length")}
             for m in train(run, sample_prompts, updates=UPDATES, end=helpdesk.END, gold_fn=checkpoints.gold)]
    replies = {when: write(policy, complaints, seed=seed)
               for when, policy in (("before", supervised), ("after", run.models.actor))}
    found = {"seed": seed, "judge": name, "curve": curve,
             "samples": [f"{c.text()} {r}" for c, r in zip(complaints[:4], replies["after"])]}
    print(seed, name, describe(complaints, replies["after"]), flush=True)
    return found | {when: describe(complaints, texts) for when, texts in replies.items()}


if __name__ == "__main__":
    runs = models.run_jobs(one_policy, list(product(SEEDS, ANNOTATORS)))
    write_text(RESULTS, json.dumps({"version": coursekit.__version__, "torch": torch.__version__, "runs": runs},
                                   indent=1) + "\n")
