"""Two remedies for a time limit on CartPole: the time in the observation, and starts in more places.

`clock`, by treatment and seed, limit 500, 50 updates: V, averaged over 200 games of sampled play, at the steps
`at`, and the discounted reward that still came before the limit (null: no game got so far); `greedy`, mean return
of 100 greedy episodes. Treatments: "death" calls the limit a termination; "death, time seen" does so too and adds
the share of the limit that is used up to the observation.
`starts`, by range and seed, limit 20, 30 updates, the limit recorded as a truncation: `greedy` under the usual
limit of 500. The four numbers of a first state are drawn from ± range; CartPole's own range is 0.05.

    python experiments/time_remedies.py      about 2 CPU minutes; writes results/time_remedies.json
"""

import json
from dataclasses import asdict
from pathlib import Path

import gymnasium
import numpy as np
import torch
from time_limits import Death

import coursekit
from coursekit.actor_critic import evaluate
from coursekit.advantages import mc_returns
from coursekit.classic_ppo import CARTPOLE, start, train
from coursekit.env_rollouts import begin, collect_env
from coursekit.saved import write_text

RESULTS, SEEDS, LIMIT = Path(__file__).parent / "results" / "time_remedies.json", range(5), 500
AT, RANGES = list(range(0, LIMIT, 20)) + [LIMIT - 1], [0.05, 0.2]


class Clock(gymnasium.vector.VectorWrapper):
    """Adds the share of the time limit that is used up to each observation."""

    def __init__(self, env):
        super().__init__(env)
        low, high = (np.append(x, y).astype(np.float32) for x, y in
                     ((env.single_observation_space.low, 0), (env.single_observation_space.high, 1)))
        self.single_observation_space = gymnasium.spaces.Box(low, high)

    def _with_time(self, observations):
        base = self.env.unwrapped
        used = base.steps / base.max_episode_steps
        return np.column_stack([observations, used]).astype(np.float32)

    def reset(self, **how):
        observations, info = self.env.reset(**how)
        return self._with_time(observations), info

    def step(self, actions):
        observations, *rest = self.env.step(actions)
        return self._with_time(observations), *rest


class Starts(gymnasium.vector.VectorWrapper):
    """Draws first states from a range of one's own."""

    def __init__(self, env, reach):
        super().__init__(env)
        self.reach = reach

    def reset(self, *, seed=None, options=None):
        return self.env.reset(seed=seed, options={"low": -self.reach, "high": self.reach})


WRAP = {"death": Death, "death, time seen": lambda env: Clock(Death(env))}


def copies(count, wrap, limit=LIMIT):
    return wrap(gymnasium.make_vec(CARTPOLE.env, count, max_episode_steps=limit))


def greedy_mean(agent, wrap):
    """Mean return of 100 greedy episodes under the limit of 500."""
    env = copies(100, wrap)
    observations, _ = env.reset(seed=1)
    returns, running = np.zeros(100), np.ones(100, bool)
    while running.any():
        observations, rewards, terminated, truncated, _ = env.step(agent.greedy(observations))
        returns += rewards * running
        running &= ~(terminated | truncated)
    return round(returns.mean())


def by_the_clock(treatment, seed):
    wrap = WRAP[treatment]
    run = start(CARTPOLE, seed=seed, env=copies(CARTPOLE.num_envs, wrap))
    list(train(run))
    rollout = collect_env(begin(copies(200, wrap), seed=1), run.agent.sampler(np.random.default_rng(1)),
                          run.agent.critic_of, steps=LIMIT)
    rewards, values, next_values, terminated, truncated = rollout.steps
    returns = mc_returns(rewards, np.zeros_like(next_values), terminated, truncated, gamma=CARTPOLE.gamma)
    ended = np.cumsum(terminated | truncated, -1)
    first = ended - (terminated | truncated) == 0  # the first game of each copy
    said, came = ([round(float(x[:, t][first[:, t]].mean()), 2) if first[:, t].any() else None for t in AT]
                  for x in (values, returns))
    report = {"treatment": treatment, "seed": seed, "said": said, "came": came,
              "greedy": greedy_mean(run.agent, wrap)}
    print(report, flush=True)
    return report


def from_wider_starts(reach, seed):
    run = start(CARTPOLE, seed=seed, env=copies(CARTPOLE.num_envs, lambda env: Starts(env, reach), limit=20))
    list(train(run, updates=30))
    report = {"range": reach, "seed": seed, "greedy": round(evaluate(run.agent, CARTPOLE.env, seed=1).mean())}
    print(report, flush=True)
    return report


def main():
    torch.set_num_threads(1)
    facts = {"version": coursekit.__version__, "numpy": np.__version__, "torch": torch.__version__,
             "gymnasium": gymnasium.__version__, "at": AT, "config": asdict(CARTPOLE)}
    starts = ",\n".join(json.dumps(from_wider_starts(reach, seed)) for reach in RANGES for seed in SEEDS)
    clock = ",\n".join(json.dumps(by_the_clock(treatment, seed)) for treatment in WRAP for seed in SEEDS)
    write_text(RESULTS, json.dumps(facts, indent=1)[:-2] + ',\n "starts": [\n' + starts + '\n],\n "clock": [\n'
                        + clock + "\n]}\n")


if __name__ == "__main__":
    main()
