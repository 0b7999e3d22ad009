"""How wrong is the policy gradient of one batch of 1024 rows, for each λ, at six moments of five runs on CartPole?

At each snapshot policy and critic are held still. `gradient`, for each λ: squared distance of the policy gradient
of one batch, estimated as in training but with the advantages not standardised, from the true one, in units of the
true one's square, as [bias², variance]. The truth is the mean of 200 batches with Monte Carlo returns that are
followed 900 steps beyond the batch, from other rollouts, without a time limit. `noise`: the part of the truth's
square that is chance (taken off above). Variants, each as [bias², variance] by λ:
- `centred`: the batch's mean is subtracted from the advantages, which is the shift that standardising makes.
- `uncut`: the sum of GAE goes on beyond the batch's last row. `no_mean_error`: V minus the critic's mean error.
`worth`: how many independent rows have the variance of this batch, 1024 · (variance of batches of shuffled rows) /
(variance of batches as they are), by λ, for the gradient and for the batch's mean advantage. `critic`: mean of V
minus the return, sd of the return, share of the return's variance that the critic explains. `eighths`: states
sorted by V and cut in eight: means of V and of the return.

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
from coursekit.rollouts import Steps
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "lambda_gradient.json"
LAMS, SNAPSHOTS, SEEDS = [0.0, 0.5, 0.9, 0.95, 0.98, 0.99, 1.0], [1, 3, 6, 9, 12, 15], range(5)
BATCHES, TRUTH, TAIL = 96, 200, 900  # γ^900 = 0.0001: beyond it nothing counts
ROWS, SIDE = CARTPOLE.num_steps, 8  # batches are played SIDE by side, one after the other


def long_rollout(agent, seed, batches):
    """(8 · SIDE, T) without a time limit, TAIL rows longer than the batches."""
    env = gymnasium.make_vec(CARTPOLE.env, CARTPOLE.num_envs * SIDE, max_episode_steps=10**9)
    play = begin(env, seed=seed)
    policy, critic = agent.sampler(np.random.default_rng(seed)), agent.critic_of
    collect_env(play, policy, critic, steps=500)  # away from the first reset
    return collect_env(play, policy, critic, steps=batches // SIDE * ROWS + TAIL)


def in_batches(x):
    """(8 · SIDE, T, ...) to (batches, 1024, ...), without the tail."""
    x = x[:, :x.shape[1] - TAIL]
    x = x.reshape(SIDE, CARTPOLE.num_envs, -1, ROWS, *x.shape[2:]).swapaxes(1, 2)
    return x.reshape(-1, CARTPOLE.num_envs * ROWS, *x.shape[4:])


def gradients(agent, observations, actions, valid, weights):
    """Policy gradient of each batch, for each row of weights: (K, batches, parameters)."""
    parameters, found = list(agent.actor.parameters()), []
    for i in range(len(valid)):
        rows = valid[i]
        losses = torch.nn.functional.cross_entropy(
            agent.actor(torch.from_numpy(observations[i][rows])), torch.from_numpy(actions[i][rows]),
            reduction="none")
        of_batch = [torch.autograd.grad((losses * torch.from_numpy(w[i][rows])).mean(), parameters,
                                        retain_graph=True) for w in weights]
        found.append([torch.cat([g.flatten() for g in gradient]).numpy() for gradient in of_batch])
    return np.array(found, float).swapaxes(0, 1)


def cut_gae(steps, lam):
    """GAE as in training: every 128 rows the rollout is cut."""
    parts = [gae(*(x[:, t:t + ROWS] for x in steps), gamma=CARTPOLE.gamma, lam=lam)
             for t in range(0, steps.rewards.shape[1], ROWS)]
    return np.concatenate(parts, 1)


def returns_of(steps):
    return mc_returns(steps.rewards, *steps[2:], gamma=CARTPOLE.gamma)


def less(steps, error):
    """The same steps, and a critic whose values are smaller by `error`, but 0 after a termination."""
    return Steps(steps.rewards, steps.values - error,
                 np.where(steps.terminated, 0, steps.next_values - error).astype(np.float32), *steps[3:])


def snapshot(agent, seed, update):
    chance = 1000 * seed + 10 * update
    first, second = (long_rollout(agent, chance + i, batches) for i, batches in enumerate((BATCHES, TRUTH)))
    batch = [in_batches(x) for x in (second.observations, second.actions, second.valid)]
    returns, values = returns_of(second.steps), second.steps.values
    truth = gradients(agent, *batch, [in_batches(returns - values)])[0]
    noise = truth.var(0, ddof=1).sum() / TRUTH
    truth = truth.mean(0)
    size = (truth**2).sum() - noise

    def error(each):
        variance = each.var(0, ddof=1).sum()
        bias2 = ((each.mean(0) - truth) ** 2).sum() - noise - variance / BATCHES
        return [round(float(x / size), 4) for x in (bias2, variance)]

    valid = in_batches(second.valid)
    V, G = in_batches(values)[valid], in_batches(returns)[valid]
    mean_error, short = (V - G).mean(), [0.0, 0.95, 1.0]
    advantages = {("gradient", lam): cut_gae(first.steps, lam) for lam in LAMS}
    for lam in short:
        advantages["uncut", lam] = gae(*first.steps, gamma=CARTPOLE.gamma, lam=lam)
        advantages["no_mean_error", lam] = cut_gae(less(first.steps, mean_error), lam)
    weights = [in_batches(x) for x in (*advantages.values(), np.ones_like(first.steps.rewards))]
    batch = [in_batches(x) for x in (first.observations, first.actions, first.valid)]
    *found, ones = gradients(agent, *batch, weights)
    report = {"seed": seed, "update": update, "gradient": {}, "centred": {}, "uncut": {}, "no_mean_error": {}}
    for (name, lam), each, weight in zip(advantages, found, weights):
        report[name][lam] = error(each)
        if name == "gradient":  # the gradient is linear in the advantages
            means = np.array([w[v].mean() for w, v in zip(weight, batch[2])])
            report["centred"][lam] = error(each - means[:, None] * ones)
    order = np.random.default_rng(chance).permutation(batch[2].size)
    shuffled = [x.reshape(-1, *x.shape[2:])[order].reshape(x.shape) for x in batch]
    mixed_weights = [w.reshape(-1)[order].reshape(w.shape) for w in weights[:len(LAMS)]]
    mixed = gradients(agent, *shuffled, mixed_weights)
    means = [[np.array([w[v].mean() for w, v in zip(weight, valid)])[:, None] for weight in x]
             for x, valid in ((mixed_weights, shuffled[2]), (weights, batch[2]))]
    report["worth"] = {name: {lam: round(float(1024 * a.var(0).sum() / b.var(0).sum()), 1)
                              for lam, a, b in zip(LAMS, *pair)}
                       for name, pair in (("gradient", (mixed, found)), ("mean", means))}
    report["critic"] = [round(float(x), 3) for x in (mean_error, G.std(), 1 - (V - G).var() / G.var())]
    report["noise"] = round(float(noise / size), 4)
    report["eighths"] = [[round(float(x[part].mean()), 2) for part in np.array_split(np.argsort(V), 8)]
                         for x in (V, G)]
    print({k: report[k] for k in ("seed", "update", "gradient", "worth", "critic", "noise")}, flush=True)
    return report


def main():
    torch.set_num_threads(1)
    facts = {"version": coursekit.__version__, "numpy": np.__version__, "torch": torch.__version__,
             "gymnasium": gymnasium.__version__, "batches": BATCHES, "truth": TRUTH, "config": asdict(CARTPOLE)}
    snapshots = []
    for seed in SEEDS:
        run = start(CARTPOLE, seed=seed)
        for metrics in train(run, updates=max(SNAPSHOTS)):
            if metrics["update"] + 1 in SNAPSHOTS:
                snapshots.append(json.dumps(snapshot(run.agent, seed, metrics["update"] + 1)))
    write_text(RESULTS, json.dumps(facts, indent=1)[:-2] + ',\n "snapshots": [\n' + ",\n".join(snapshots)
               + "\n]}\n")


if __name__ == "__main__":
    main()
