"""LunarLander-v3: PPO from classic_ppo, three seeds, each judged by 100 greedy episodes that training never saw.

`runs`, per seed: `steps` and `returns`, mean return of the sampled episodes that ended in each update (null: none);
`greedy`, mean, sd and lowest of the 100; `cpu_s`, of training alone, one thread.

    python experiments/lunarlander.py      about 2 CPU minutes a seed; writes results/lunarlander.json
"""

import json
import time
from dataclasses import asdict
from pathlib import Path

import gymnasium
import numpy as np
import torch

import coursekit
from coursekit.actor_critic import evaluate
from coursekit.classic_ppo import LUNARLANDER, start, train
from coursekit.saved import write_text

RESULTS, SEEDS = Path(__file__).parent / "results" / "lunarlander.json", range(3)


def one_run(seed):
    run, since = start(LUNARLANDER, seed=seed), time.process_time()
    history = list(train(run))
    spent = time.process_time() - since
    returns = evaluate(run.agent, LUNARLANDER.env, seed=10_000)
    means = [round(float(np.mean(m["returns"])), 1) if m["returns"] else None for m in history]
    print(f"seed {seed}: greedy {returns.mean():.1f}, lowest {returns.min():.1f}, {spent:.0f} CPU s", flush=True)
    return {"seed": seed, "steps": np.cumsum([m["steps"] for m in history]).tolist(), "returns": means,
            "greedy": [round(float(x), 1) for x in (returns.mean(), returns.std(), returns.min())],
            "cpu_s": round(spent)}


def main():
    torch.set_num_threads(1)
    facts = {"version": coursekit.__version__, "numpy": np.__version__, "torch": torch.__version__,
             "gymnasium": gymnasium.__version__, "episodes": 100, "config": asdict(LUNARLANDER)}
    runs = ",\n".join(json.dumps(one_run(seed)) for seed in SEEDS)
    write_text(RESULTS, json.dumps(facts, indent=1)[:-2] + ',\n "runs": [\n' + runs + "\n]}\n")


if __name__ == "__main__":
    main()
