"""CartPole under time limits: what bootstrapping at the limit changes, the critic or the policy.

`runs`, per limit, treatment and seed, after 98 updates (100k rows): `critic`, on states met within the limit, mean
of V, of the discounted return that really follows (played on without a limit) and the root mean square of their
difference; `greedy`, mean return under the usual limit of 500. Treatments: "cut" tells `truncated`; "death" calls
it `terminated`. `solved`, per treatment and seed under the usual limit: rows to a greedy mean of 475, or null.

    python experiments/time_limits.py      about 7 CPU minutes; writes results/time_limits.json
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import gymnasium
import numpy as np
import torch

import coursekit
from coursekit.actor_critic import evaluate
from coursekit.advantages import mc_returns
from coursekit.classic_ppo import CARTPOLE, start, train
from coursekit.env_rollouts import begin, collect_env
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "time_limits.json"
LIMITS, SEEDS, FAR = [20, 50, 500], range(5), 1500  # γ^1500 = 3e-7: beyond it nothing counts
CONFIG = replace(CARTPOLE, updates=98)


class Death(gymnasium.vector.VectorWrapper):
    """Says that an episode cut by the time limit ended by itself."""

    def step(self, actions):
        observations, rewards, terminated, truncated, info = self.env.step(actions)
        return observations, rewards, terminated | truncated, np.zeros_like(truncated), info


WRAP = {"cut": lambda env: env, "death": Death}


def begin_run(treatment, seed, limit, config):
    env = gymnasium.make_vec(config.env, config.num_envs, max_episode_steps=limit)
    return start(config, seed=seed, env=WRAP[treatment](env))


def critic_and_truth(agent, limit, *, copies=200, seed=1):
    """(M,) V and discounted return at states met within `limit` steps of a start, by sampled play."""
    env = gymnasium.make_vec(CONFIG.env, copies, max_episode_steps=10**9)
    rollout = collect_env(begin(env, seed=seed), agent.sampler(np.random.default_rng(seed)), agent.critic_of,
                          steps=limit + FAR)
    rewards, values, next_values, terminated, truncated = rollout.steps
    returns = mc_returns(rewards, np.zeros_like(next_values), terminated, truncated, gamma=CONFIG.gamma)
    ended = np.cumsum(terminated, -1)
    met = (ended - terminated == 0)[:, :limit]  # of the first episode, its last step included
    return values[:, :limit][met], returns[:, :limit][met]


def one_run(limit, treatment, seed):
    run = begin_run(treatment, seed, limit, CONFIG)
    list(train(run))
    values, returns = critic_and_truth(run.agent, limit)
    critic = values.mean(), returns.mean(), np.sqrt(((values - returns) ** 2).mean())
    report = {"limit": limit, "treatment": treatment, "seed": seed, "critic": [round(float(x), 2) for x in critic],
              "greedy": round(evaluate(run.agent, CONFIG.env, seed=1).mean())}
    print(report, flush=True)
    return report


def solved(treatment, seed):
    run = begin_run(treatment, seed, 500, CARTPOLE)
    for _ in train(run):
        if evaluate(run.agent, CARTPOLE.env, seed=1).mean() >= 475:
            return run.update * CARTPOLE.num_envs * CARTPOLE.num_steps
    return None


def main():
    torch.set_num_threads(1)
    facts = {"version": coursekit.__version__, "numpy": np.__version__, "torch": torch.__version__,
             "gymnasium": gymnasium.__version__, "config": asdict(CONFIG),
             "solved": {name: [solved(name, seed) for seed in SEEDS] for name in WRAP}}
    print(facts["solved"])
    runs = ",\n".join(json.dumps(one_run(limit, name, seed))
                      for limit in LIMITS for name in WRAP for seed in SEEDS)
    write_text(RESULTS, json.dumps(facts, indent=1)[:-2] + ',\n "runs": [\n' + runs + "\n]}\n")


if __name__ == "__main__":
    main()
