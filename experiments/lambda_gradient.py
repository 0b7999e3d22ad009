"""Which λ makes PPO's policy gradient least wrong, from the first update to a solved CartPole.

At snapshots of one run the policy is held still. `gradient`, for each λ: squared distance of the policy gradient of
one batch of 1024 rows, cut as in training, from the true one, in units of the true one's square, as [bias²,
variance]. The truth is the mean of 400 batches with λ = 1 from other rollouts, cut by their far end only, without a
time limit; `noise`, the part of its square that is chance (taken off above). `critic`, over the states of these:
mean of V minus the return, sd of the return, share of the return's variance that the critic explains.

    python experiments/lambda_gradient.py      about 2 CPU minutes; writes results/lambda_gradient.json
"""

import json
from dataclasses import asdict
from pathlib import Path

import gymnasium
import numpy as np
import torch

import coursekit
from coursekit.advantages import gae, mc_returns
from coursekit.classic_ppo import CARTPOLE, start, train
from coursekit.env_rollouts import begin, collect_env

RESULTS = Path(__file__).parent / "results" / "lambda_gradient.json"
LAMS, SNAPSHOTS, BATCHES, TRUTH = [0.0, 0.5, 0.9, 0.95, 0.98, 0.99, 1.0], [1, 3, 6, 9, 12, 15], 200, 400


def long_rollout(agent, seed, batches):
    """(N, batches·T): nothing is cut but by the far end, no time limit."""
    env = gymnasium.make_vec(CARTPOLE.env, CARTPOLE.num_envs, max_episode_steps=10**9)
    play = begin(env, seed=seed)
    policy, critic = agent.sampler(np.random.default_rng(seed)), agent.critic_of
    collect_env(play, policy, critic, steps=500)  # away from the first reset
    return collect_env(play, policy, critic, steps=batches * CARTPOLE.num_steps)


def gradients(agent, rollout, advantages):
    """Policy gradient of each batch of T rows: (batches, parameters)."""
    parameters, found = list(agent.actor.parameters()), []
    for t in range(0, rollout.valid.shape[1], CARTPOLE.num_steps):
        part = slice(t, t + CARTPOLE.num_steps)
        valid = rollout.valid[:, part]
        observations, actions, weights = (torch.from_numpy(x[:, part][valid]) for x in
                                          (rollout.observations, rollout.actions, advantages))
        losses = torch.nn.functional.cross_entropy(agent.actor(observations), actions, reduction="none")
        gradient = torch.autograd.grad((losses * weights).mean(), parameters)
        found.append(torch.cat([g.flatten() for g in gradient]).numpy())
    return np.array(found, float)


def cut_gae(steps, lam):
    """GAE as in training: every T rows the rollout is cut."""
    parts = [gae(*(x[:, t:t + CARTPOLE.num_steps] for x in steps), gamma=CARTPOLE.gamma, lam=lam)
             for t in range(0, steps.rewards.shape[1], CARTPOLE.num_steps)]
    return np.concatenate(parts, 1)


def snapshot(agent, update):
    first, second = long_rollout(agent, 100 * update, BATCHES), long_rollout(agent, 100 * update + 1, TRUTH)
    rewards, values, next_values, terminated, truncated = second.steps
    returns = mc_returns(rewards, next_values, terminated, truncated, gamma=CARTPOLE.gamma)
    truth = gradients(agent, second, returns - values)
    noise = truth.var(0, ddof=1).sum() / TRUTH
    truth = truth.mean(0)
    size, found = (truth**2).sum() - noise, {}
    for lam in LAMS:
        each = gradients(agent, first, cut_gae(first.steps, lam))
        variance = each.var(0, ddof=1).sum()
        bias2 = ((each.mean(0) - truth) ** 2).sum() - noise - variance / BATCHES
        found[lam] = [round(float(x / size), 4) for x in (bias2, variance)]
    valid = second.valid
    error, returns = (values - returns)[valid], returns[valid]
    critic = [error.mean(), returns.std(), 1 - error.var() / returns.var()]
    report = {"update": update, "critic": [round(float(x), 3) for x in critic],
              "noise": round(float(noise / size), 4), "gradient": found}
    print(report, flush=True)
    return report


def main():
    torch.set_num_threads(1)
    facts = {"version": coursekit.__version__, "numpy": np.__version__, "torch": torch.__version__,
             "gymnasium": gymnasium.__version__, "seed": 0, "batches": BATCHES, "config": asdict(CARTPOLE)}
    run, snapshots = start(CARTPOLE, seed=0), []
    for metrics in train(run, updates=max(SNAPSHOTS)):
        if metrics["update"] + 1 in SNAPSHOTS:
            snapshots.append(json.dumps(snapshot(run.agent, metrics["update"] + 1)))
    RESULTS.write_text(json.dumps(facts, indent=1)[:-2] + ',\n "snapshots": [\n' + ",\n".join(snapshots) + "\n]}\n")


if __name__ == "__main__":
    main()
