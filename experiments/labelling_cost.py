"""Accuracy of the reward model against the number of comparisons it was trained on, five seeds.

    python experiments/labelling_cost.py     writes results/labelling_cost.json
"""

import json
from pathlib import Path

import models
import numpy as np
import torch

import coursekit
from coursekit.checkpoints import checkpoint, compare
from coursekit.preferences import Annotator, accuracy, calibration_error, noise_ceiling
from coursekit.reward_model import score_pairs, train_reward_model
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "labelling_cost.json"
SIZES = [60, 125, 250, 500, 1000, 2000, 4000]


def one_seed(seed):
    torch.set_num_threads(1)
    supervised, test = checkpoint("supervised"), compare(checkpoint("supervised"), 2000, seed=900 + seed)
    everything, rows = compare(supervised, max(SIZES), seed=100 + seed), []
    for size in SIZES:
        model, _ = train_reward_model(supervised, everything.take(np.arange(size)), epochs=6, lr=2e-3, seed=seed)
        chosen, rejected = score_pairs(model, test)
        clear = test.gaps != 0
        better, worse = (np.where(test.gaps > 0, a, b)[clear] for a, b in ((chosen, rejected), (rejected, chosen)))
        rows.append({"pairs": size, "accuracy": accuracy(chosen, rejected), "gold_order": accuracy(better, worse),
                     "ece": calibration_error(chosen, rejected)})
        print(seed, rows[-1], flush=True)
    return {"seed": seed, "ceiling": noise_ceiling(Annotator().probability(test.gaps)), "rows": rows}


if __name__ == "__main__":
    runs = models.run_jobs(one_seed, models.SEEDS)
    write_text(RESULTS, json.dumps({"version": coursekit.__version__, "torch": torch.__version__, "runs": runs},
                                   indent=1) + "\n")
