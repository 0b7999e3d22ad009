"""Make the two checkpoints that ship, and measure the recipe on five seeds.

    python experiments/make_checkpoints.py           measure, write results/checkpoints.json and the weights
    python experiments/make_checkpoints.py --check   remake seed 0 and compare its metrics with the committed ones
"""

import argparse
import json
import sys
import time
from pathlib import Path

import models
import numpy as np
import torch

import coursekit
from coursekit import helpdesk
from coursekit.checkpoints import FOLDER, compare, train_reward, train_supervised, write
from coursekit.lm import save
from coursekit.preferences import Annotator, accuracy, calibration_error, noise_ceiling
from coursekit.reward_model import score_pairs
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "checkpoints.json"


def measure(supervised, reward, seed):
    rng = np.random.default_rng(seed)
    complaints = [helpdesk.sample_complaint(rng) for _ in range(1000)]
    replies = write(supervised, complaints, seed=seed)
    counts = [helpdesk.features(c, r) for c, r in zip(complaints, replies)]
    found = {"seed": seed, "gold": float(np.mean([helpdesk.rubric(c, r) for c, r in zip(complaints, replies)])),
             "malformed": float(np.mean([c["malformed"] > 0 for c in counts]))}
    for name, held_out in (("test", False), ("held_out", True)):
        pairs = compare(supervised, 2000, seed=500 + seed, held_out=held_out)
        chosen, rejected = score_pairs(reward, pairs)
        ceiling = noise_ceiling(Annotator().probability(pairs.gaps))
        found[name] = {"accuracy": accuracy(chosen, rejected), "ceiling": ceiling,
                       "share_of_ceiling": accuracy(chosen, rejected) / ceiling,
                       "ece": calibration_error(chosen, rejected)}
    return found


def make(seed):
    """Train both models of this seed, and measure them: (supervised, reward, measures)."""
    torch.set_num_threads(1)
    begin = time.process_time()
    supervised = train_supervised(seed)
    seconds = time.process_time() - begin
    reward = train_reward(supervised, seed)
    found = measure(supervised, reward, seed) | {"supervised_cpu_s": round(seconds, 1)}
    print(json.dumps(found), flush=True)
    return supervised, reward, found


def make_and_keep(seed):
    """As `make`; the other experiments start from these models."""
    supervised, reward, found = make(seed)
    models.keep(f"supervised-{seed}", supervised)
    models.keep(f"reward-{seed}-4000", reward)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        committed, (_, _, found) = json.loads(RESULTS.read_text())["runs"][0], make(0)
        near = {"gold": abs(found["gold"] - committed["gold"]) < 0.5,
                "accuracy": abs(found["test"]["accuracy"] - committed["test"]["accuracy"]) < 0.03,
                "ece": found["test"]["ece"] < 0.05}
        print(near)
        return int(not all(near.values()))
    runs = models.run_jobs(make_and_keep, models.SEEDS)
    save(models.supervised(0), FOLDER / "supervised.safetensors")
    save(models.reward(0), FOLDER / "reward.safetensors")
    write_text(RESULTS, json.dumps({"version": coursekit.__version__, "torch": torch.__version__, "runs": runs},
                                   indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
