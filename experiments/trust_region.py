"""What does the clip of PPO's policy loss do to the size of an update? CartPole, 30 updates, five seeds.

`runs`, by variant and seed, after the updates on each rollout: `kl`, KL of the policy that played to the new one,
in nats a step, exact and averaged over the rollout's steps; `ratio`, the largest ratio; `clipped`, the share of
steps whose ratio has left 1 ± 0.2; `greedy`, mean return of 100 greedy episodes. Variants: "clip 0.2" as in
CARTPOLE; "no clip"; "one step", no clip and a single step of Adam on the whole rollout; "not standardised", clip
0.2 and the advantages as GAE gives them.

    python experiments/trust_region.py      about 90 CPU seconds; writes results/trust_region.json
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import gymnasium
import numpy as np
import torch

import coursekit
from coursekit import classic_ppo
from coursekit.actor_critic import evaluate
from coursekit.arrays import whiten
from coursekit.classic_ppo import CARTPOLE, learn, start
from coursekit.env_rollouts import collect_env
from coursekit.saved import write_text

RESULTS, SEEDS, UPDATES = Path(__file__).parent / "results" / "trust_region.json", range(5), 30
NO_CLIP = 1e9
VARIANTS = {"clip 0.2": {}, "no clip": {"clip": NO_CLIP},
            "one step": {"clip": NO_CLIP, "epochs": 1, "minibatch": 1024}, "not standardised": {}}


@torch.no_grad()
def distance(before, agent, rollout):
    """(mean KL, largest ratio, share outside 1 ± 0.2) over the steps of a rollout."""
    observations = torch.from_numpy(rollout.observations[rollout.valid])
    actions = torch.from_numpy(rollout.actions[rollout.valid])
    new = torch.log_softmax(agent.actor(observations), -1)
    kl = (before.exp() * (before - new)).sum(-1)
    ratio = (new - before).gather(1, actions[:, None]).exp()
    return kl.mean().item(), ratio.max().item(), ((ratio - 1).abs() > 0.2).float().mean().item()


def one_run(variant, seed):
    config = replace(CARTPOLE, **VARIANTS[variant])
    classic_ppo.whiten = (lambda x, valid: x) if variant == "not standardised" else whiten
    run, curves = start(config, seed=seed), {"kl": [], "ratio": [], "clipped": [], "greedy": []}
    while run.update < UPDATES:
        rng = run.generator()
        rollout = collect_env(run.play, run.agent.sampler(rng), run.agent.critic_of, steps=config.num_steps)
        with torch.no_grad():
            before = torch.log_softmax(run.agent.actor(torch.from_numpy(rollout.observations[rollout.valid])), -1)
        run.optimiser.param_groups[0]["lr"] = config.lr * (1 - run.update / config.updates)
        learn(run.agent, run.optimiser, rollout, config, rng=rng)
        run.update += 1
        for name, x in zip(curves, distance(before, run.agent, rollout)):
            curves[name].append(round(x, 5))
        curves["greedy"].append(round(evaluate(run.agent, config.env, seed=1).mean()))
    print(f"{variant}, seed {seed}: KL {np.mean(curves['kl']):.4f}, largest {max(curves['kl']):.4f}, "
          f"greedy at the end {curves['greedy'][-1]}", flush=True)
    return {"variant": variant, "seed": seed, **curves}


def main():
    torch.set_num_threads(1)
    facts = {"version": coursekit.__version__, "numpy": np.__version__, "torch": torch.__version__,
             "gymnasium": gymnasium.__version__, "config": asdict(CARTPOLE)}
    runs = ",\n".join(json.dumps(one_run(variant, seed)) for variant in VARIANTS for seed in SEEDS)
    write_text(RESULTS, json.dumps(facts, indent=1)[:-2] + ',\n "runs": [\n' + runs + "\n]}\n")


if __name__ == "__main__":
    main()
