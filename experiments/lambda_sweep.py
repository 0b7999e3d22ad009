"""λ and γ on CartPole: how fast PPO learns with each, the other number as in CARTPOLE.

By "lam" or "gamma", value and seed: "greedy", mean return of 100 episodes after every third of 30 updates of 1024
rows; "sampled", that of the training episodes that ended in each update (null: none).

    python experiments/lambda_sweep.py      about 3 CPU minutes; writes results/lambda_sweep.json
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import gymnasium
import numpy as np
import torch

import coursekit
from coursekit.actor_critic import evaluate
from coursekit.classic_ppo import CARTPOLE, start, train
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "lambda_sweep.json"
SWEEPS = {"lam": [0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0], "gamma": [0.9, 0.98, 0.99, 0.999]}
SEEDS, UPDATES = range(6), 30


def curve(config, seed):
    run, greedy, sampled = start(config, seed=seed), [], []
    for metrics in train(run, updates=UPDATES):
        sampled.append(round(float(np.mean(metrics["returns"])), 1) if metrics["returns"] else None)
        if run.update % 3 == 0:
            greedy.append(round(evaluate(run.agent, config.env, seed=1).mean()))
    return {"greedy": greedy, "sampled": sampled}


def main():
    torch.set_num_threads(1)
    facts = {"version": coursekit.__version__, "numpy": np.__version__, "torch": torch.__version__,
             "gymnasium": gymnasium.__version__, "episodes": 100, "config": asdict(CARTPOLE)}
    curves = {}
    for name, values in SWEEPS.items():
        for value in values:
            config = replace(CARTPOLE, **{name: value})
            if config == CARTPOLE and ("lam", CARTPOLE.lam) in curves:
                curves[name, value] = curves["lam", CARTPOLE.lam]
                continue
            curves[name, value] = [curve(config, seed) for seed in SEEDS]
            print(name, value, np.mean([c["greedy"] for c in curves[name, value]], 0).round(), flush=True)
    blocks = [f' "{name}": {{\n' + ",\n".join(
        f'"{value}": {json.dumps(curves[name, value])}' for value in values)
              + "}" for name, values in SWEEPS.items()]
    write_text(RESULTS, json.dumps(facts, indent=1)[:-2] + ',\n "curves": {\n' + ",\n".join(blocks) + "}\n}\n")


if __name__ == "__main__":
    main()
