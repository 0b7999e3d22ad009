"""CartPole-v1, from first weights to a greedy mean of 475 over 100 episodes: the course's trainer and SB3's PPO.

Both look after every 1024 environment steps; looking is not timed. SB3 runs with rl-zoo's settings. The two take
turns, one thread each, in one process; CPU seconds, since others may use the machine.

`runs` in the JSON, per seed: for "ours" and "sb3" environment steps (null: not within 100,000) and CPU seconds.

    pip install -r requirements-bench.txt
    python benchmarks/cartpole.py [--seeds 10] [--json experiments/results/cartpole_speed.json]     about 2 minutes
"""

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median

import gymnasium
import stable_baselines3
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from coursekit.actor_critic import evaluate
from coursekit.classic_ppo import CARTPOLE, start, train
from coursekit.saved import write_text

TARGET, EVERY, GIVE_UP = 475, 1024, 100_000
ZOO = dict(n_steps=32, batch_size=256, gae_lambda=0.8, gamma=0.98, n_epochs=20, ent_coef=0.0,
           learning_rate=lambda left: 1e-3 * left, clip_range=lambda left: 0.2 * left)  # rl-baselines3-zoo, ppo.yml


class Look(BaseCallback):
    """Stop at the target; `spent` holds the CPU seconds between the looks."""

    def __init__(self):
        super().__init__()
        self.spent, self.since, self.solved = 0.0, time.process_time(), None

    def _on_step(self):
        return self.solved is None

    def _on_rollout_start(self):  # the updates of the rollout before are done
        if self.num_timesteps and self.num_timesteps % EVERY == 0:
            self.spent += time.process_time() - self.since
            if evaluate(Greedy(self.model), "CartPole-v1").mean() >= TARGET:
                self.solved = self.num_timesteps
            self.since = time.process_time()


class Greedy:
    def __init__(self, model):
        self.model = model

    def greedy(self, observations):
        return self.model.predict(observations, deterministic=True)[0]


def sb3(seed):
    """(environment steps or None, CPU seconds) to the target."""
    look = Look()
    model = stable_baselines3.PPO("MlpPolicy", make_vec_env("CartPole-v1", 8, seed=seed), seed=seed, device="cpu",
                                  **ZOO)
    model.learn(GIVE_UP, callback=look)
    return look.solved, look.spent


def ours(seed):
    """(environment steps, resets counted, or None, CPU seconds) to the target."""
    since = time.process_time()
    spent, run = 0.0, start(CARTPOLE, seed=seed)
    for _ in train(run):
        spent += time.process_time() - since
        if evaluate(run.agent, "CartPole-v1").mean() >= TARGET:
            return run.update * CARTPOLE.num_envs * CARTPOLE.num_steps, spent
        since = time.process_time()
    return None, spent


def turns(seeds):
    """One row a seed, printed as it comes: {"seed", "ours": [steps, CPU s], "sb3": the same}; they take turns."""
    print("seed   ours: steps  CPU s    SB3: steps  CPU s   CPU ratio")
    for seed in range(seeds):
        order = {"ours": ours, "sb3": sb3} if seed % 2 else {"sb3": sb3, "ours": ours}
        found = {name: program(seed) for name, program in order.items()}
        (a, spent), (b, theirs) = found["ours"], found["sb3"]
        print(f"{seed:4}   {a!s:>11}  {spent:5.2f}    {b!s:>10}  {theirs:5.2f}   {spent / theirs:.2f}", flush=True)
        yield {"seed": seed} | {name: [found[name][0], round(found[name][1], 2)] for name in ("ours", "sb3")}


def main(seeds, path):
    torch.set_num_threads(1)
    ours(99), sb3(99)  # first calls are slow
    versions = {name: module.__version__ for name, module in (
        ("gymnasium", gymnasium), ("torch", torch), ("stable-baselines3", stable_baselines3))}
    print(versions)
    runs = list(turns(seeds))
    steps, cpu = ([median(run[name][i] or GIVE_UP for run in runs) for name in ("ours", "sb3")] for i in (0, 1))
    print(f"median {steps[0]:11.0f}  {cpu[0]:5.2f}    {steps[1]:10.0f}  {cpu[1]:5.2f}   {cpu[0] / cpu[1]:.2f}")
    if path:
        facts = {"versions": versions, "target": TARGET, "every": EVERY}
        rows = ",\n".join(map(json.dumps, runs))
        write_text(path, json.dumps(facts, indent=1)[:-2] + ',\n "runs": [\n' + rows + "\n]}\n")
    worst = max(run["ours"][0] or GIVE_UP for run in runs)
    bars = {"median steps <= 30k": steps[0] <= 30_000, "no seed beyond 60k": worst <= 60_000,
            "CPU <= 0.4 of SB3": cpu[0] <= 0.4 * cpu[1]}
    print("; ".join(f"{name}: {'met' if met else 'MISSED'}" for name, met in bars.items()))
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sys.exit(main(options.seeds, options.json))
