"""Exercises of chapter 1: TD errors, Monte Carlo returns, n steps, and what their errors are made of."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from coursekit import advantages as library
from coursekit.exercises.base import Case, Choice, Exercise, Misconception, Slot, draw_gamma, episode, rollout_cases
from coursekit.exercises.slots import (
    BOOTSTRAP,
    DELTA,
    FLAGS,
    LATE,
    NEXT_ROW,
    SCANS,
    STOP,
    shifted,
    sum_back,
    with_flags,
    without_limits,
)

NOTEBOOK = "01_td_vs_mc"


def _rollout_cases(seed, *names, **extra):
    """Those of `rollout_cases`, and two in which the critic expects less than nothing."""
    mixed = dict(rewards=np.array([1.0, -2.0, 3.0, -1.0]), values=np.array([-0.7, -1.6, 0.4, 1.8]),
                 next_values=np.array([-1.6, -5.2, 1.8, -0.9]), terminated=np.arange(4) == 1,
                 truncated=np.arange(4) == 3, gamma=0.7)
    drawn = episode(np.random.default_rng(seed), 4, end="open", split=(1, "truncated"))
    below = drawn | dict(values=-drawn["values"], next_values=-drawn["next_values"], gamma=0.85)
    return [*rollout_cases(seed, names, **extra), *(
        Case(label, {name: value for name, value in given.items() if name in names or name in extra})
        for label, given in (("values of either sign", mixed), ("values below 0", below)))]


TD_ERROR = Exercise(
    id="td.error", notebook=NOTEBOOK, title="TD errors",
    function="td_error", points=1, difficulty="easy", minutes=5,
    task="""Return the TD error of every step. All arrays have shape `(T,)`. `next_values[t]` is the critic's
value of the state that actually followed step t. `terminated[t]` is True where the episode reached a terminal
state: then nothing follows, and `next_values[t]` may be anything, even NaN. The arrays hold a rollout: consecutive
steps, often from several episodes, the last of which may be unfinished.""",
    hints=("δ_t = r_t + γ·V(s_{t+1}) − V(s_t). `next_values` already is V(s_{t+1}): shift nothing.",
           "What is the bootstrap of a terminated step? Choose it with `np.where`: a product would keep NaN."),
    cases=lambda seed: _rollout_cases(seed, "rewards", "values", "next_values", "terminated", gamma=draw_gamma),
    reference=lambda r, v, nv, te, g: library.td_errors(r, v, nv, te, gamma=g),
    refuses=("advantages.td_errors", "advantages.gae", "advantages.n_step_advantages", "advantages._td_errors",
             "advantages.lambda_returns", "advantages.n_step_returns"),
    compose=lambda g, flags, bootstrap, delta: delta(flags(g), bootstrap(flags(g))),
    slots=(
        without_limits(FLAGS),
        without_limits(BOOTSTRAP)._replace(wrong=without_limits(BOOTSTRAP).wrong + NEXT_ROW),
        without_limits(DELTA),
    ))


BOOTSTRAP_VALUE = Exercise(
    id="td.bootstrap", notebook=NOTEBOOK, title="What follows the last step",
    function="bootstrap", points=1, difficulty="easy", minutes=5,
    task="""An episode can end in two ways: it terminates (`terminated`), or a time limit cuts it (`truncated`).
Return the critic's value of the future of each step, shape `(T,)`: `next_values` where there is a future, 0 where
there is none. Where both flags are set, `terminated` wins. The value of a terminal state may be anything, even
NaN; it must not affect the result. You need not use every argument.""",
    hints=("After a time limit the world goes on, only without us.",
           "0 times NaN is NaN: choose with `np.where`, don't multiply."),
    cases=lambda seed: _rollout_cases(seed, "next_values", "terminated", "truncated"),
    refuses=("_scans.zeroed", "advantages._td_errors"),
    reference=lambda nv, te, tr: np.array([0.0 if dead else value for value, dead in zip(nv, te)]),
    compose=lambda g, flags, bootstrap, future: future(bootstrap(flags(g))),
    slots=(
        FLAGS, BOOTSTRAP,
        Slot("future", lambda future: future, (  # 0 stands where there is none: no value that is given is 0
            Choice("a future that is cut off at 0", "May the future be worth less than nothing?",
                   lambda future: np.maximum(future, 0)),
            Choice("NaN where there is no future", "What is wanted where there is no future?",
                   lambda future: np.where(future == 0, np.nan, future)),
            Choice("an answer without the steps that have no future", "How many entries are wanted?",
                   lambda future: future[future != 0]),
            Choice("a future as it is seen from one step before", "Which entry belongs to step t?",
                   lambda future: np.append(0.0, future[:-1])))),
    ),
    misconceptions=(
        Misconception("1 where there is a future, in the place of its value", "What does the critic say of it?",
                      lambda nv, te, tr: 1 - te),
        Misconception("1 at every end, in the place of the values", "What does the critic say of each step?",
                      lambda nv, te, tr: te | tr),
    ))


def _discounted(g, flags, bootstrap, stop, gains, decay):
    g = flags(g)
    ends, future = stop(g), bootstrap(g)
    cut = ends | (np.arange(len(ends)) == len(ends) - 1)
    return decay(g, gains(g, np.where(cut, future, 0.0), future), ends)


def _from_the_first_step(g, gains, ends):
    """The return of each episode's first step, at all of its steps."""
    sums, first = sum_back(gains, ends, g.gamma), np.append(True, ends[:-1])
    return sums[np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))]


def _so_far(g, gains, ends):
    """The discounted sum of what came before, and not of what follows."""
    return sum_back(gains[::-1], np.append(True, ends[:-1])[::-1], g.gamma)[::-1]


MC_RETURNS = Exercise(
    id="td.mc_returns", notebook=NOTEBOOK, title="Monte Carlo returns, cuts included",
    function="mc_return", points=2, difficulty="medium", minutes=10,
    task="""Return the Monte Carlo return of every step, shape `(T,)`. Nothing follows a termination.
Where an episode is cut, by a time limit (`truncated`) or because the array stops, the critic's value stands in for
the rewards that we no longer see: the last step takes γ·`next_values`. Where both flags are set, `terminated` wins.
After a terminated step `next_values` may be anything, even NaN. No reward of a later episode may count.""",
    hints=("Walk backwards: G_t = r_t + γ·G_{t+1}, and decide at each step what G_{t+1} is.",
           "Three cases: terminated → 0; truncated, or the last step → next_values[t]; else the G you "
           "have just computed."),
    cases=lambda seed: _rollout_cases(seed, "rewards", "next_values", "terminated", "truncated", gamma=draw_gamma),
    reference=lambda r, nv, te, tr, g: library.mc_returns(r, nv, te, tr, gamma=g),
    refuses=("advantages.mc_returns", "advantages.lambda_returns", "advantages.mc_advantages",
             "advantages.n_step_returns", *SCANS),
    compose=_discounted,
    slots=(
        FLAGS._replace(wrong=FLAGS.wrong + (
            Choice(*LATE, lambda g: with_flags(type(g)(**vars(g) | dict(
                next_values=np.append(g.next_values[1:], g.next_values[-1]))), lambda flags: shifted(flags, 1))),)),
        BOOTSTRAP._replace(wrong=(
            *(c for c in BOOTSTRAP.wrong if not c.name.endswith("alone") or "NaN" in c.name),
            Choice("a test for a cut that comes before the test for a death",
                   "Which of the two counts, where both are true?",
                   lambda g: np.append(np.where(g.terminated & ~g.truncated, 0, g.next_values)[:-1],
                                       g.next_values[-1])))),
        STOP._replace(wrong=STOP.wrong + (
            Choice("the one-step target, without what follows", "What of the rewards that follow?",
                   lambda g: np.ones(len(g.terminated), bool)),)),
        Slot("gains", lambda g, at_cuts, future: g.rewards + g.gamma * at_cuts, (
            Choice("a cut whose value is not discounted", "How many steps away is the state that followed the cut?",
                   lambda g, at_cuts, future: g.rewards + at_cuts),
            Choice("a cut whose value is not discounted", "How many steps away is the state that followed the cut?",
                   lambda g, at_cuts, future: g.rewards + np.where(g.truncated, 1.0, g.gamma) * at_cuts),
            Choice("a cut whose value is discounted twice",
                   "How many steps away is the state that followed the cut?",
                   lambda g, at_cuts, future: g.rewards + g.gamma**2 * at_cuts),
            Choice("a cut whose value is discounted twice",
                   "How many steps away is the state that followed the cut?",
                   lambda g, at_cuts, future: g.rewards + np.where(g.truncated, g.gamma**2, g.gamma) * at_cuts),
            Choice("a value at a cut in the place of its reward",
                   "Did the last step before the cut bring a reward?",
                   lambda g, at_cuts, future: np.where(at_cuts != 0, at_cuts, g.rewards)),
            Choice("a value at a cut in the place of its reward",
                   "Did the last step before the cut bring a reward?",
                   lambda g, at_cuts, future: np.where(at_cuts != 0, g.gamma * at_cuts, g.rewards)),
            Choice("a return without its reward at a death", "Was the last step before the end played, or not?",
                   lambda g, at_cuts, future: np.where(g.terminated, 0, g.rewards) + g.gamma * at_cuts),
            Choice("the critic's value at every step, beside the rewards that follow",
                   "Is the future of a step in the middle seen, or not?",
                   lambda g, at_cuts, future: g.rewards + g.gamma * future),
            Choice("a reward that is discounted as well", "When does the reward of a step come?",
                   lambda g, at_cuts, future: g.gamma * (g.rewards + at_cuts)))),
        Slot("decay", lambda g, gains, ends: sum_back(gains, ends, g.gamma), (
            Choice("a sum without γ", "How much is a reward worth one step earlier?",
                   lambda g, gains, ends: sum_back(gains, ends, 1.0)),
            Choice("a sum with γ twice", "What does one step cost?",
                   lambda g, gains, ends: sum_back(gains, ends, g.gamma**2)),
            Choice("a reward discounted from the first row of the array", "From which step does γ count?",
                   lambda g, gains, ends: g.gamma ** np.arange(len(gains)) * sum_back(gains, ends, g.gamma)),
            Choice("the discounted future alone, without the reward of the step", "Which rewards belong to step t?",
                   lambda g, gains, ends: sum_back(gains, ends, g.gamma) - g.rewards),
            Choice("the future alone, without the reward of the step", "Which rewards belong to step t?",
                   lambda g, gains, ends: (sum_back(gains, ends, g.gamma) - g.rewards) / g.gamma),
            Choice("the return of an episode at all of its steps", "Which rewards follow step t?",
                   _from_the_first_step),
            Choice("a sum of what came before", "Which rewards follow step t?", _so_far))),
    ),
    misconceptions=(
        Misconception("a sum without γ", "How much is a reward worth one step earlier?",
                      lambda r, nv, te, tr, g: library.mc_returns(r, nv, te, tr, gamma=1.0)),
        Misconception("a sum with γ twice", "What does one step cost?",
                      lambda r, nv, te, tr, g: library.mc_returns(r, nv, te, tr, gamma=g * g)),
        Misconception("a sum that leaks across a time limit",
                      "Whose steps follow the one at which the limit struck?",
                      lambda r, nv, te, tr, g: sum_back(
                          r + g * np.where(~te & (tr | (np.arange(len(r)) == len(r) - 1)), nv, 0), te, g)),
    ))


def _n_step_cases(seed):
    rng = np.random.default_rng(seed)

    def drawn(n, steps, gamma=None):
        return Case(f"n = {n}, {steps} step{'s' * (steps > 1)}", dict(
            rewards=rng.permutation([-2.0, -1.0, 1.0, 2.0, 3.0, 4.0])[:steps],
            values=rng.choice(np.arange(5, 30), steps, replace=False) / 10 * rng.choice([1, 1, -1], steps),
            n=n, gamma=draw_gamma(rng) if gamma is None else gamma))

    return [Case("n = 3, 5 steps", dict(rewards=np.array([2.0, -1.0, 3.0, 1.0, 4.0]),
                                        values=np.array([1.3, 0.6, 2.2, 1.7, 0.9]), n=3, gamma=0.9)),
            drawn(1, 4), drawn(2, 5), drawn(4, 4), drawn(6, 3), drawn(2, 6, 1.0), drawn(1, 1), drawn(3, 1),
            drawn(2, 4, 0.0)]


def _windows(g, window, discount, reduce, state, price, baseline):
    """n-step advantages from their parts. window, state: of a step t, its rewards and the position of the state to
    be asked. price: what that state's value is multiplied by."""
    found = []
    for t in range(len(g.rewards)):
        seen, asked = window(g, t), state(g, t)
        future = g.values[asked] if asked < len(g.values) else 0.0
        found.append(reduce(discount(g, len(seen), t) * seen, g) + price(g, t) * future)
    return baseline(np.array(found), g.values, g)


def _as_an_end(r, v, n, g):
    """The last state taken for the end of the episode: its reward is never seen."""
    last = len(r) - 1
    return np.array([(g ** np.arange(min(n, last - t)) * r[t:min(t + n, last)]).sum()
                     + g ** min(n, last - t) * v[min(t + n, last)] for t in range(len(r))]) - v


_WINDOW, _AWAY = "Which rewards does the window of step t hold?", "How many steps away is the state that is asked?"
_ASKED = "Which state follows the n rewards?"

N_STEP = Exercise(
    id="td.n_step", notebook=NOTEBOOK, title="n-step advantages",
    function="n_step_advantage", points=2, difficulty="medium", minutes=10,
    task="""You are given one episode of T steps that terminates at its last step: `rewards` and `values` are
arrays of floats, `(T,)`; `n` is an int, at least 1, and may be larger than T. Return the n-step advantage of every
step, `(T,)`: n discounted rewards, then the critic's value of the state n steps later, minus the value of the
state itself. Near the end there are fewer than n rewards, and nothing follows them.""",
    hints=("For step t the window is t, …, min(t + n, T) − 1.",
           "The value of the state n steps later is weighted by γ^n, and only where t + n < T: `values[t + n]`."),
    cases=_n_step_cases,
    reference=lambda r, v, n, g: library.n_step_advantages(
        r, v, np.append(v[1:], 0.0), np.arange(len(r)) == len(r) - 1, np.zeros(len(r), bool), gamma=g, n=n),
    refuses=("advantages.n_step_advantages", "advantages.n_step_returns"),
    compose=_windows,
    slots=(
        Slot("window", lambda g, t: g.rewards[t:t + g.n], (
            Choice("one reward too many", _WINDOW, lambda g, t: g.rewards[t:t + g.n + 1]),
            Choice("one reward too few", _WINDOW, lambda g, t: g.rewards[t:t + g.n - 1]),
            Choice("a single reward, whatever n is", _WINDOW, lambda g, t: g.rewards[t:t + 1]),
            Choice("all rewards that follow, whatever n is", _WINDOW, lambda g, t: g.rewards[t:]),
            Choice("a window that begins one step late", _WINDOW, lambda g, t: g.rewards[t + 1:t + g.n + 1]),
            Choice("a window that begins one step late", _WINDOW,
                   lambda g, t: g.gamma * g.rewards[t + 1:t + g.n + 1]),
            Choice("a window that never holds the last reward", "Does the last step bring a reward?",
                   lambda g, t: g.rewards[t:min(t + g.n, len(g.rewards) - 1)]),
            Choice("a window that is empty where it leaves the episode",
                   "What of the rewards that are left near the end?",
                   lambda g, t: g.rewards[t:t + g.n if t + g.n <= len(g.rewards) else t]))),
        Slot("discount", lambda g, k, t: g.gamma ** np.arange(k), (
            Choice("a first reward that is discounted as well", "When does the reward of a step come?",
                   lambda g, k, t: g.gamma ** np.arange(1, k + 1)),
            Choice("rewards without γ", "How much is a later reward worth?", lambda g, k, t: np.ones(k)),
            Choice("rewards discounted from step 0 on", "From which step does γ count?",
                   lambda g, k, t: g.gamma ** np.arange(t, t + k)),
            Choice("a single γ for every later reward", "How much is a later reward worth?",
                   lambda g, k, t: np.where(np.arange(k) == 0, 1.0, g.gamma)),
            Choice("a single γ for every reward", "How much is a later reward worth?",
                   lambda g, k, t: np.full(k, g.gamma)),
            Choice("rewards whose powers of γ stand in reverse order", "Which reward comes first?",
                   lambda g, k, t: g.gamma ** np.arange(k)[::-1]))),
        Slot("reduce", lambda x, g: x.sum(), (
            Choice("a mean of the rewards in the place of their sum", "Is a sum wanted, or a mean?",
                   lambda x, g: x.mean() if len(x) else 0.0),
            Choice("a mean of the rewards in the place of their sum", "Is a sum wanted, or a mean?",
                   lambda x, g: x.sum() / g.n),
            Choice("the last reward of the window alone", "How many rewards count?",
                   lambda x, g: x[-1] if len(x) else 0.0))),
        Slot("state", lambda g, t: t + g.n, (
            Choice("the state one step before the one that is asked", _ASKED, lambda g, t: t + g.n - 1),
            Choice("the state one step after the one that is asked", _ASKED, lambda g, t: t + g.n + 1),
            Choice("the next state, whatever n is", _ASKED, lambda g, t: t + 1),
            Choice("the state itself in the place of the one n steps later", _ASKED, lambda g, t: t),
            Choice("a last state that is never asked", "Is the last state visited, or is it the end?",
                   lambda g, t: t + g.n if t + g.n < len(g.values) - 1 else len(g.values)),
            Choice("the last state asked where nothing follows", "What is the future worth after the end?",
                   lambda g, t: min(t + g.n, len(g.values) - 1)),
            Choice("an index that wraps around the end", "What is the future worth after the end?",
                   lambda g, t: (t + g.n) % len(g.values)))),
        Slot("price", lambda g, t: g.gamma**g.n, (
            Choice("a bootstrap that is discounted by a single γ", _AWAY, lambda g, t: g.gamma),
            Choice("a bootstrap with one γ too few", _AWAY, lambda g, t: g.gamma ** (g.n - 1)),
            Choice("a bootstrap with one γ too many", _AWAY, lambda g, t: g.gamma ** (g.n + 1)),
            Choice("a bootstrap without γ", _AWAY, lambda g, t: 1.0),
            Choice("a bootstrap discounted by n·γ", _AWAY, lambda g, t: g.n * g.gamma),
            Choice("a bootstrap discounted from step 0 on", "From which step does γ count?",
                   lambda g, t: g.gamma ** (t + g.n)),
            Choice("an answer without any bootstrap", "What stands in for the rewards after the window?",
                   lambda g, t: 0.0),
            Choice("a bootstrap that is subtracted", "Is it good or bad, if much is to follow?",
                   lambda g, t: -(g.gamma**g.n)))),
        Slot("baseline", lambda returns, values, g: returns - values, (
            Choice("n-step returns: the baseline is missing", "What is an advantage measured against?",
                   lambda returns, values, g: returns),
            Choice("a baseline that is added", "What is an advantage measured against?",
                   lambda returns, values, g: returns + values),
            Choice("a baseline that is discounted", "Which of the two states is n steps away?",
                   lambda returns, values, g: returns - g.gamma * values),
            Choice("a baseline that is discounted n times", "Which of the two states is n steps away?",
                   lambda returns, values, g: returns - g.gamma**g.n * values),
            Choice("the next state's value as the baseline", "Of which state is the value subtracted?",
                   lambda returns, values, g: returns - np.append(values[1:], 0.0)),
            Choice("the first state's value as the baseline of all", "Of which state is the value subtracted?",
                   lambda returns, values, g: returns - values[0]),
            Choice("only the steps whose window is full", "How many entries are wanted?",
                   lambda returns, values, g: (returns - values)[:max(0, len(values) - g.n + 1)]),
            Choice("only the steps whose window is full, with a state after it", "How many entries are wanted?",
                   lambda returns, values, g: (returns - values)[:max(0, len(values) - g.n)]))),
    ),
    misconceptions=(
        Misconception("the last state taken for the end", "Does the last step bring a reward?", _as_an_end),
        Misconception("the one-step advantage, whatever n is", "Is every argument used?",
                      lambda r, v, n, g: r + g * np.append(v[1:], 0) - v),
        Misconception("a sum of the n TD errors, without γ",
                      "How much is a later TD error worth?",
                      lambda r, v, n, g: np.array([(r + g * np.append(v[1:], 0) - v)[t:t + n].sum()
                                                   for t in range(len(r))])),
    ))


def _bias_cases(seed):
    rng = np.random.default_rng(seed)

    def drawn(steps, gamma=None):
        errors = rng.choice(np.arange(2, 25), steps, replace=False) / 10 * rng.choice([-1, 1], steps)
        return Case(f"{steps} errors", dict(errors=errors, gamma=draw_gamma(rng) if gamma is None else gamma))

    return [Case("four errors", dict(errors=np.array([0.7, -1.2, 0.4, 1.5]), gamma=0.9)), drawn(5), drawn(3),
            Case("a single step", dict(errors=np.array([0.6]), gamma=0.8)),
            Case("the same error everywhere", dict(errors=np.full(4, 0.5), gamma=0.9)),
            Case("γ = 1", dict(errors=np.array([1.1, 0.3, -0.8]), gamma=1.0)), drawn(4, 0.0)]


_AFTER, _TWO = "What is the critic's error after the end?", "Of which two states does δ ask the critic?"

TD_BIAS = Exercise(
    id="td.bias", notebook=NOTEBOOK, title="Where TD's bias comes from",
    function="td_bias", points=2, difficulty="medium", minutes=10,
    task="""An episode visits T ≥ 1 states and then terminates. The critic is wrong by `errors[t]` = V_critic − V at
the state of step t: `errors` is an array of floats, `(T,)`. Return by how much the TD error of each step is off
as a result: δ with this critic minus δ with the exact one, `(T,)`.""",
    hints=("Write δ twice, once with V + e and once with V, and subtract.",
           "The error of the state after the end is 0."),
    cases=_bias_cases,
    reference=lambda e, gamma: np.array([(gamma * e[t + 1] if t + 1 < len(e) else 0.0) - e[t]
                                         for t in range(len(e))]),
    compose=lambda g, after, delta: delta(g, after(g.errors)),
    slots=(
        Slot("after", lambda errors: np.append(errors[1:], 0.0), (
            Choice("an error after the end that is the last one's", _AFTER,
                   lambda errors: np.append(errors[1:], errors[-1])),
            Choice("an error after the end that is the first one's", _AFTER, lambda errors: np.roll(errors, -1)),
            Choice("a look back in the place of a look ahead", _TWO, lambda errors: np.append(0.0, errors[:-1])),
            Choice("a look back in the place of a look ahead", _TWO, lambda errors: np.roll(errors, 1)),
            Choice("the same state twice", _TWO, lambda errors: errors))),
        Slot("delta", lambda g, after: g.gamma * after - g.errors, (
            Choice("the bias of a Monte Carlo advantage", _TWO, lambda g, after: -g.errors),
            Choice("a bias without γ", "How many steps away is the next state?",
                   lambda g, after: after - g.errors),
            Choice("a bias with γ on both errors", "Which of the two states is one step away?",
                   lambda g, after: g.gamma * (after - g.errors)),
            Choice("a bias with γ on the error of the state itself", "Which of the two states is one step away?",
                   lambda g, after: after - g.gamma * g.errors),
            Choice("a bias with γ twice", "How many steps away is the next state?",
                   lambda g, after: g.gamma**2 * after - g.errors),
            Choice("a bias with its sign turned", "If the critic says too much of a state, is δ there too large?",
                   lambda g, after: g.errors - g.gamma * after),
            Choice("a bias with both errors added", "Of the two states of δ, which one is subtracted?",
                   lambda g, after: g.gamma * after + g.errors),
            Choice("a bias with both errors subtracted", "Of the two states of δ, which one is subtracted?",
                   lambda g, after: -g.gamma * after - g.errors),
            Choice("a bias without the error of the state itself", _TWO, lambda g, after: g.gamma * after),
            Choice("errors without their sign", "Do too much and too little have the same effect?",
                   lambda g, after: g.gamma * np.abs(after) - np.abs(g.errors)),
            Choice("a bias set to 0 at the last step", "Of which states does the last δ ask the critic?",
                   lambda g, after: np.append((g.gamma * after - g.errors)[:-1], 0.0)),
            Choice("a bias whose last step is lost", "How many entries are wanted?",
                   lambda g, after: (g.gamma * after - g.errors)[:-1]),
            Choice("a bias discounted by the number of its step", "How many steps lie between the two states of δ?",
                   lambda g, after: g.gamma ** np.arange(len(after)) * (g.gamma * after - g.errors)),
            Choice("a mean over the steps", "How many numbers are wanted?",
                   lambda g, after: (g.gamma * after - g.errors).mean()))),
    ))


def _parts_cases(seed):
    rng = np.random.default_rng(seed)
    given = [("four estimates", [1.0, 2.5, 2.0, 3.5], 1.5), ("estimates that are too low", [-0.6, 0.9, 0.3], 1.4),
             ("two estimates of a negative number", [-2.3, -0.4], -3.1)]
    for side, shift in (("low", -1.3), ("high", 0.8)):
        x = rng.choice(np.arange(-30, 31), 5, replace=False) / 10
        given.append((f"estimates that are too {side}", x, round(float(x.mean()) - shift, 1)))
    return [Case(label, dict(estimates=np.array(x), truth=truth)) for label, x, truth in given]


class _Part(NamedTuple):
    """The bias or the variance as it is returned. used: whether the MSE is made of it, or directly."""

    of: Callable
    used: bool = False


def _both(name, hint, of):
    return Choice(name, hint, _Part(of)), Choice(name, hint, _Part(of, True))


def _parts(g, bias, variance, mse, order):
    computed = [part.of(g.estimates, g.truth) for part in (bias, variance)]
    right = g.estimates.mean() - g.truth, g.estimates.var()
    used = [mine if part.used else other for part, mine, other in zip((bias, variance), computed, right)]
    return order(*computed, mse(g, *used))


_SPREAD, _FAR = "From where does a variance count?", "From where does the MSE count?"
_ORDER = "In which order are the three wanted?"

ERROR_PARTS = Exercise(
    id="td.error_parts", notebook=NOTEBOOK, title="Bias, variance, mean squared error",
    function="error_parts", points=1, difficulty="easy", minutes=5,
    task="""`estimates`, an array of floats `(N,)`, holds N estimates of the same number, `truth`. Return the tuple
`(bias, variance, mse)`. Divide by N in the variance, so that mse = bias² + variance holds exactly.""",
    hints=("The bias keeps its sign: mean of the estimates minus the truth.",
           "`np.var` is the variance around the mean of the estimates; the MSE is around the truth."),
    cases=_parts_cases,
    reference=lambda x, truth: (np.mean(x - truth), np.mean(x**2) - np.mean(x) ** 2, np.mean((x - truth) ** 2)),
    compose=_parts,
    slots=(
        Slot("bias", _Part(lambda x, truth: x.mean() - truth), (
            Choice("a bias with its sign turned", "Which sign has the bias of estimates that are too high?",
                   _Part(lambda x, truth: truth - x.mean())),
            Choice("a bias without its sign", "Are too high and too low the same?",
                   _Part(lambda x, truth: abs(x.mean() - truth))),
            Choice("a bias for each estimate", "How many numbers is the bias?", _Part(lambda x, truth: x - truth)),
            *_both("the mean of the estimates in the place of their bias", "With what are estimates compared?",
                   lambda x, truth: x.mean()),
            *_both("a bias that is squared", "In which units is the bias?",
                   lambda x, truth: (x.mean() - truth) ** 2),
            *_both("a sum in the place of the mean in the bias", "Does a bias grow with N?",
                   lambda x, truth: (x - truth).sum()),
            *_both("the median in the place of the mean in the bias", "Which average is the expected value?",
                   lambda x, truth: np.median(x) - truth),
            *_both("a mean distance in the place of the bias", "Are too high and too low the same?",
                   lambda x, truth: np.abs(x - truth).mean()))),
        Slot("variance", _Part(lambda x, truth: x.var()), (
            *_both("a variance divided by N − 1", "By what is the sum of squares divided here?",
                   lambda x, truth: x.var(ddof=1)),
            *_both("a standard deviation in the place of the variance", "In which units is the variance?",
                   lambda x, truth: x.std()),
            *_both("a variance around the truth", _SPREAD, lambda x, truth: ((x - truth) ** 2).mean()),
            *_both("a sum of squares in the place of the variance", "Does a variance grow with N?",
                   lambda x, truth: x.var() * len(x)),
            *_both("a mean of squares in the place of the variance", _SPREAD, lambda x, truth: (x**2).mean()),
            *_both("a variance of the mean: divided by N once more", "Of what is the variance asked?",
                   lambda x, truth: x.var() / len(x)),
            *_both("a mean distance in the place of the variance", "In which units is the variance?",
                   lambda x, truth: np.abs(x - x.mean()).mean()))),
        Slot("mse", lambda g, bias, variance: bias**2 + variance, (
            Choice("an MSE that adds the bias without squaring it", "In which units is each part?",
                   lambda g, bias, variance: bias + variance),
            Choice("an MSE without the bias", _FAR, lambda g, bias, variance: variance),
            Choice("an MSE without the variance", "Of which two parts does the MSE consist?",
                   lambda g, bias, variance: bias**2),
            Choice("an MSE in which the variance is squared", "In which units is each part?",
                   lambda g, bias, variance: bias**2 + variance**2),
            Choice("the square of bias plus variance", "In which units is each part?",
                   lambda g, bias, variance: (bias + variance) ** 2),
            Choice("a difference of bias² and variance", "Of which two parts does the MSE consist?",
                   lambda g, bias, variance: bias**2 - variance),
            Choice("a difference of bias² and variance", "Of which two parts does the MSE consist?",
                   lambda g, bias, variance: variance - bias**2),
            Choice("a root of the MSE", "In which units is the MSE?",
                   lambda g, bias, variance: np.sqrt(bias**2 + variance)),
            Choice("a sum of squared errors in the place of their mean", "Does an MSE grow with N?",
                   lambda g, bias, variance: ((g.estimates - g.truth) ** 2).sum()),
            Choice("a sum of squared errors divided by N − 1", "By what is the sum of squares divided here?",
                   lambda g, bias, variance: ((g.estimates - g.truth) ** 2).sum() / (len(g.estimates) - 1)),
            Choice("a mean distance in the place of the MSE", "In which units is the MSE?",
                   lambda g, bias, variance: np.abs(g.estimates - g.truth).mean()),
            Choice("a squared error for each estimate", "How many numbers is the MSE?",
                   lambda g, bias, variance: (g.estimates - g.truth) ** 2))),
        Slot("order", lambda bias, variance, mse: (bias, variance, mse), (
            Choice("an exchange of bias and variance", _ORDER, lambda bias, variance, mse: (variance, bias, mse)),
            Choice("an exchange of variance and MSE", _ORDER, lambda bias, variance, mse: (bias, mse, variance)),
            Choice("the three in reverse order", _ORDER, lambda bias, variance, mse: (mse, variance, bias)))),
    ))

EXERCISES = (TD_ERROR, TD_BIAS, ERROR_PARTS, N_STEP, BOOTSTRAP_VALUE, MC_RETURNS)
