"""500 tokens, 1 reward: which estimates find the five tokens that earned it, and what a policy learns from each.

Per seed, which draws the positions: `credit`, the measures of every estimate on 300 answers, uniform policy;
`learning`, by length, method and learning rate: [episodes to 90 % of the best score or null, drift, score], both
read there or at the cap; `adam`, the same at T = 200 with Adam in place of plain steps; `gradient`, at T = 200 and
the uniform policy, the error of the gradient at the tokens that do not matter; `curves`, at T = 200 and rate 0.1;
`gamma`, how much credit of five even decisions arrives under a discount; `shaping`, final scores.

    python experiments/credit.py      about 4 minutes on two cores; writes results/credit.json
"""

import json
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

import coursekit
from coursekit.arrays import whiten
from coursekit.credit import (
    World,
    after,
    answer_gae,
    discounts,
    draw_world,
    exact_advantages,
    exact_values,
    fit_critic,
    fit_redistribution,
    measure,
    play,
    shape,
)
from coursekit.credit_learning import METHODS, learn, policy_gradient
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "credit.json"
LENGTHS, RATES, BATCH, CAP, TARGET = [20, 50, 100, 200, 500], [0.03, 0.1, 0.3, 1.0, 3.0], 20, 20_000, 0.9
LAMBDAS, FITS = [0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0], [30, 300, 3000]


def progress(world, tokens, prizes):
    """Potential before each token: what the words written at the decisions so far earn by this list, (N, T)."""
    earned = np.zeros(tokens.shape)
    columns = list(world.positions)
    earned[:, columns] = np.take_along_axis(np.asarray(prizes)[None], tokens[:, columns][:, None], 1)[:, 0]
    return np.cumsum(earned, 1) - earned, earned


def true_prizes(world):
    """(words, decisions): the weight for word 0."""
    return np.outer(np.arange(world.words) == 0, world.weights)


def false_prizes(world):
    """(words, decisions): 2 for word 1, which is wrong."""
    return np.outer(np.arange(world.words) == 1, np.full(len(world.weights), 2.0))


def centred(rewards):
    return rewards - rewards.mean(0)


def critic_everywhere(world, training):
    return fit_critic(world, *training, positions=range(world.length), ridge=10 * world.length)


def redistribution_everywhere(world, training):
    return fit_redistribution(world, *training, positions=range(world.length), ridge=30)


def credit_table(length, seed, answers=300):
    world, rng = draw_world(length, seed=seed), np.random.default_rng([seed, length])
    policy = world.uniform_policy()
    tokens, rewards = play(world, policy, answers, rng)
    exact = exact_advantages(world, policy, tokens)
    flat, nothing = np.full(rewards.shape, rewards.sum(1).mean()), np.zeros(rewards.shape)
    estimates = {"return": answer_gae(rewards, nothing, lam=1.0),
                 "return - batch mean": answer_gae(rewards, flat, lam=1.0)}
    critics = {"no critic": flat, "exact critic": exact_values(world, policy, tokens)}
    for n in FITS:
        training = play(world, policy, n, rng)
        critics[f"critic {n}"] = fit_critic(world, *training)(tokens)
        estimates[f"redistribution {n}"] = centred(fit_redistribution(world, *training)(tokens))
        if n > 30:
            critics[f"critic {n}, looks everywhere"] = critic_everywhere(world, training)(tokens)
            redistributed = redistribution_everywhere(world, training)(tokens)
            estimates[f"redistribution {n}, looks everywhere"] = centred(redistributed)
    estimates |= {f"{name}, λ {lam:g}": answer_gae(rewards, values, lam=lam)
                  for name, values in critics.items() for lam in LAMBDAS}
    potentials, _ = progress(world, tokens, true_prizes(world))
    shaped = shape(rewards, potentials, after(potentials), gamma=1.0)
    estimates |= {f"shaped, no critic, λ {lam:g}": answer_gae(shaped, nothing, lam=lam) for lam in (0.0, 0.95, 1.0)}
    return {name: measure(estimate, exact, world) for name, estimate in estimates.items()}


def not_centred(advantages):
    return advantages / advantages.std()


# whitening makes "return" and "mean baseline" one method, so the return is also run with its mean left in
RUNS = {name: {"method": name} for name in METHODS if name != "return"}
RUNS["return, not centred"] = {"method": "return", "scale": not_centred}
EVERYWHERE = {
    f"GAE {lam:g}, looks everywhere": {"method": lambda world, tokens, rewards, recent, lam=lam: answer_gae(
        rewards, critic_everywhere(world, recent)(tokens), lam=lam)} for lam in (0.0, 0.95, 1.0)}
EVERYWHERE |= {
    "redistribution, looks everywhere": {"method": lambda world, tokens, rewards, recent: centred(
        redistribution_everywhere(world, recent)(tokens))}}


def adam(lr, beta1=0.9, beta2=0.999):
    mean = square = updates = 0

    def step(gradient):
        nonlocal mean, square, updates
        updates += 1
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
        return lr * mean / (1 - beta1**updates) / (np.sqrt(square / (1 - beta2**updates)) + 1e-8)
    return step


def time_to_target(length, seed, options, lr, step=None):
    world = draw_world(length, seed=seed)
    for state in learn(world, lr=lr, batch=BATCH, updates=CAP // BATCH, step=step,
                       rng=np.random.default_rng([seed, length, 1]), **options):
        if state["score"] >= TARGET * world.best_score:
            return [state["episodes"], state["drift"], state["score"]]
    return [None, state["drift"], state["score"]]


def gradient_error(seed, method, length=200, scale=whiten, batches=45, memory=5):
    """How far the gradient is off at the tokens that do not matter, for one policy that does not change.

    A gradient is compared with its useful part: the component along the true gradient, which lies on the decisions.
    once: squared error of one gradient, relative to the square of the useful part. lasting: the same for the sum of
    many gradients in a row, per gradient; larger than `once` where the errors of successive gradients agree.
    agree: correlation of successive errors.
    """
    world, rng = draw_world(length, seed=seed), np.random.default_rng([seed, 7])
    policy, credit = world.uniform_policy(), METHODS.get(method, method)
    true = np.zeros(policy.shape)
    true[list(world.positions)] = np.outer(world.weights, (np.arange(world.words) == 0) - policy[0])
    recent, gradients = deque(maxlen=memory), []
    for _ in range(batches):
        tokens, rewards = play(world, policy, BATCH, rng)
        recent.append((tokens, rewards))
        advantages = credit(world, tokens, rewards, [np.concatenate(arrays) for arrays in zip(*recent)])
        gradients.append(policy_gradient(policy, tokens, scale(advantages)))
    gradients = np.array(gradients[memory - 1:])
    useful = (gradients * true).sum((1, 2)).mean() / np.sqrt((true**2).sum())
    errors = np.delete(gradients, list(world.positions), 1).reshape(len(gradients), -1)
    square = (errors**2).sum(1).mean()
    return {"once": square / useful**2, "lasting": (errors.sum(0) ** 2).sum() / len(errors) / useful**2,
            "agree": (errors[1:] * errors[:-1]).sum(1).mean() / max(square, 1e-300)}


def curves(seed, length=200, lr=0.1, updates=250):
    kept = sorted({0, *np.geomspace(1, updates, 50).round().astype(int).tolist()})
    found = {"length": length, "lr": lr, "episodes": [BATCH * update for update in kept]}
    for name, options in RUNS.items():
        states = list(learn(draw_world(length, seed=seed), lr=lr, batch=BATCH, updates=updates,
                            rng=np.random.default_rng([seed, length, 1]), **options))
        found[name] = {key: [states[update][key] for update in kept] for key in ("score", "drift")}
    return found


def under_a_discount(seed, length=500, answers=3000):
    world, rng = World(length, (49, 149, 249, 349, 449), (1.0,) * 5), np.random.default_rng([seed, 2])
    policy = world.uniform_policy()
    tokens, rewards = play(world, policy, answers, rng)
    exact, learned = exact_advantages(world, policy, tokens), fit_critic(world, *play(world, policy, 3000, rng))
    found = {"positions": world.positions}
    for gamma in (1.0, 0.99, 0.95):
        critics = {"no critic": np.zeros(rewards.shape), "critic 3000": discounts(world, gamma) * learned(tokens),
                   "exact critic": exact_values(world, policy, tokens, gamma=gamma)}
        for (name, values), lam in ((c, lam) for c in critics.items() for lam in (0.95, 1.0)):
            estimate = answer_gae(rewards, values, lam=lam, gamma=gamma)
            each = [measure(estimate, exact, World(length, (p,), (1.0,))) for p in world.positions]
            found[f"{name}, λ {lam:g}, γ {gamma:g}"] = {key: [m[key] for m in each] for key in ("share", "slope")}
    return found


def shaped_learning(seed, length=50, lr=0.3, updates=300):
    """Scores in the end, per estimate and reward: plain, shaped by true and by false progress, a false bonus.

    The baseline is the batch's mean reward, one number; or, "a mean for each token", the mean return from there on.
    """
    world, found = draw_world(length, seed=seed), {}
    estimates = {"λ 1, no critic": lambda r, v: answer_gae(r, v, lam=1.0),
                 "λ 0.95, no critic": lambda r, v: answer_gae(r, v, lam=0.95),
                 "λ 1, a mean for each token": lambda r, v: centred(answer_gae(r, 0 * v, lam=1.0))}

    def changed(kind, tokens, rewards):
        if kind == "plain":
            return rewards
        potentials, earned = progress(world, tokens, (true_prizes if "true" in kind else false_prizes)(world))
        return rewards + earned if "bonus" in kind else shape(rewards, potentials, after(potentials), gamma=1.0)
    for kind in ("plain", "true progress", "false progress", "false bonus"):
        for name, estimate in estimates.items():
            def credit(world, tokens, rewards, recent, kind=kind, estimate=estimate):
                rewards = changed(kind, tokens, rewards)
                return estimate(rewards, np.full(rewards.shape, rewards.sum(1).mean()))
            *_, last = learn(world, credit, lr=lr, batch=BATCH, updates=updates,
                             rng=np.random.default_rng([seed, 3]))
            found[f"{kind}, {name}"] = last["score"]
    return found


def one_seed(seed):
    found = {"seed": seed, "credit": {length: credit_table(length, seed) for length in (20, 100, 500)}}
    found["learning"] = {
        length: {name: {lr: time_to_target(length, seed, options, lr) for lr in RATES}
                 for name, options in (RUNS | EVERYWHERE if length == 200 else RUNS).items()} for length in LENGTHS}
    found["adam"] = {name: {lr: time_to_target(200, seed, options, lr, step=adam(lr)) for lr in RATES}
                     for name, options in (RUNS | EVERYWHERE).items()}
    found["gradient"] = {name: gradient_error(seed, **options) for name, options in (RUNS | EVERYWHERE).items()}
    found |= {"curves": curves(seed), "gamma": under_a_discount(seed), "shaping": shaped_learning(seed)}
    print(seed, {name: found["learning"][200][name][0.1] for name in RUNS}, flush=True)
    return found


def rounded(x, decimals=6):
    """The same with floats to four significant digits, and so many decimals (None: all of them)."""
    if isinstance(x, dict):
        return {str(key): rounded(value, decimals) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [rounded(value, decimals) for value in x]
    if not isinstance(x, float):
        return x
    return float(f"{x:.4g}") if decimals is None else round(float(f"{x:.4g}"), decimals)


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        runs = rounded(list(pool.map(one_seed, range(5))))
    head = {"version": coursekit.__version__, "numpy": np.__version__, "batch": BATCH, "cap": CAP, "target": TARGET}
    lines = ",\n".join(json.dumps(run, ensure_ascii=False) for run in runs)
    write_text(RESULTS, json.dumps(head, indent=1)[:-2] + f',\n "runs": [\n{lines}\n]}}\n')
