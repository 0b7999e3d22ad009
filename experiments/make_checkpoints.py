"""Make the two checkpoints that ship, and measure the pipeline on three seeds.

    python experiments/make_checkpoints.py           measure, write results/checkpoints.json and the weights
    python experiments/make_checkpoints.py --check   remake seed 0 and compare its metrics with the committed ones
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

import coursekit
from coursekit import helpdesk
from coursekit.checkpoints import FOLDER, compare, train_reward, train_supervised, write
from coursekit.lm import save
from coursekit.preferences import Annotator, accuracy, calibration_error, noise_ceiling
from coursekit.reward_model import score_pairs

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
    begin = time.process_time()
    supervised = train_supervised(seed)
    middle = time.process_time()
    reward = train_reward(supervised, seed)
    found = measure(supervised, reward, seed)
    found |= {"supervised_cpu_s": round(middle - begin, 1)}
    print(json.dumps(found), flush=True)
    return supervised, reward, found


def main():
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        committed, (_, _, found) = json.loads(RESULTS.read_text())["runs"][0], make(0)
        near = {"gold": abs(found["gold"] - committed["gold"]) < 0.5,
                "accuracy": abs(found["test"]["accuracy"] - committed["test"]["accuracy"]) < 0.03,
                "ece": found["test"]["ece"] < 0.05}
        print(near)
        return int(not all(near.values()))
    runs = []
    for seed in range(3):
        supervised, reward, found = make(seed)
        runs.append(found)
        if seed == 0:
            save(supervised, FOLDER / "supervised.safetensors")
            save(reward, FOLDER / "reward.safetensors")
    RESULTS.write_text(json.dumps({"version": coursekit.__version__, "torch": torch.__version__, "runs": runs},
                                  indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
