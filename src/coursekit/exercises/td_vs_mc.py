"""Exercises of chapter 1: TD errors, Monte Carlo returns, n steps, and what their errors are made of."""

import numpy as np

from coursekit import advantages as library
from coursekit.exercises.base import Case, Exercise, Misconception, draw_gamma, rollout_cases

NOTEBOOK = "01_td_vs_mc"


def _next_row(values):
    """V of the next row, 0 after the last: what code without next_values reads."""
    return np.append(values[1:], 0.0)


def _sum_back(x, stop, factor):
    """y_t = x_t + factor·[not stop_t]·y_{t+1}"""
    total, sums = 0.0, []
    for gain, ended in zip(x[::-1], stop[::-1]):
        total = gain + factor * (0.0 if ended else total)
        sums.append(total)
    return np.array(sums[::-1])


TD_ERROR = Exercise(
    id="td.error", notebook=NOTEBOOK, title="TD errors",
    function="td_error", points=1, difficulty="easy", minutes=5,
    task="""Return the TD error of every step. All arrays have shape `(T,)`. `next_values[t]` is the critic's
value of the state that really followed step t; `terminated[t]` says that the episode ended there by itself,
and then nothing follows, whatever `next_values[t]` says.""",
    hints=("δ_t = r_t + γ·V(s_{t+1}) − V(s_t). `next_values` already is V(s_{t+1}): shift nothing.",
           "`np.where(terminated, 0.0, next_values)` is the bootstrap."),
    cases=lambda seed: rollout_cases(seed, ["rewards", "values", "next_values", "terminated"], gamma=draw_gamma),
    reference=lambda r, v, nv, te, g: library.td_errors(r, v, nv, te, gamma=g),
    refuses=("advantages.td_errors", "advantages.gae", "advantages.n_step_advantages", "advantages._td_errors"),
    misconceptions=(
        Misconception("a TD error with γ forgotten", "The next state is one step away: discount it.",
                      lambda r, v, nv, te, g: r + np.where(te, 0, nv) - v),
        Misconception("a TD error that looks past the end", "What follows a terminated step?",
                      lambda r, v, nv, te, g: r + g * nv - v),
        Misconception("a TD error whose last step has no bootstrap, and whose others read the next row",
                      "The next row may belong to another episode; `next_values` knows the true successor.",
                      lambda r, v, nv, te, g: r + g * np.where(te, 0, _next_row(v)) - v),
        Misconception("a TD error that discounts the old promise as well", "Which state is one step away?",
                      lambda r, v, nv, te, g: r + g * (np.where(te, 0, nv) - v)),
        Misconception("a TD error masked by multiplication", "What is 0 times NaN? Choose with `np.where`.",
                      lambda r, v, nv, te, g: r + g * nv * (1 - te) - v),
        Misconception("a TD error set to 0 at the end", "The last step is a step: it pays, and V was promised.",
                      lambda r, v, nv, te, g: np.where(te, 0, r + g * nv - v)),
        Misconception("the TD error with its sign turned round", "A pleasant surprise is positive.",
                      lambda r, v, nv, te, g: v - r - g * np.where(te, 0, nv)),
    ))


def _bootstrap_cases(seed):
    cases = rollout_cases(seed, ["next_values", "terminated", "truncated"])
    nan = dict(next_values=np.array([1.5, np.nan, 2.5]), terminated=np.array([False, True, False]),
               truncated=np.array([False, False, True]))
    both = dict(next_values=np.array([1.5, 7.0]), terminated=np.array([False, True]),
                truncated=np.array([False, True]))
    return cases + [Case("a dead state whose value is not a number", nan), Case("dead at the time limit", both)]


BOOTSTRAP = Exercise(
    id="td.bootstrap", notebook=NOTEBOOK, title="What follows the last step",
    function="bootstrap", points=1, difficulty="easy", minutes=5,
    task="""An episode can end in two ways. `terminated`: the world stopped. `truncated`: a time limit stopped
us. Return what the critic should say about the future of each step, shape `(T,)`: `next_values` where there is
a future, 0 where there is none. Where both flags are set the world did stop: `terminated` wins. The value of a
dead state may be anything, even NaN; it must not show.""",
    hints=("After a time limit the world goes on, only without us.",
           "0 times NaN is NaN: choose with `np.where`, don't multiply."),
    cases=_bootstrap_cases,
    reference=lambda nv, te, tr: np.where(te, 0.0, nv),
    misconceptions=(
        Misconception("a bootstrap that takes a time limit for a death", "Did the world stop, or did we?",
                      lambda nv, te, tr: np.where(te | tr, 0.0, nv)),
        Misconception("a mask by multiplication", "What is 0 times NaN?", lambda nv, te, tr: nv * (1 - te)),
        Misconception("a bootstrap that looks past every end", "Is a terminated step followed by anything?",
                      lambda nv, te, tr: nv),
        Misconception("a bootstrap that lets truncated win", "Dead at the time limit is dead.",
                      lambda nv, te, tr: np.where(te & ~tr, 0.0, nv)),
        Misconception("the two flags exchanged", "Which of the two leaves a future?",
                      lambda nv, te, tr: np.where(tr, 0.0, nv)),
    ))


def _last(flags):
    return np.arange(len(flags)) == len(flags) - 1


def _cut(te, tr):
    """Steps whose future is not in the array although there is one."""
    return (tr | _last(te)) & ~te


MC_RETURNS = Exercise(
    id="td.mc_returns", notebook=NOTEBOOK, title="Monte Carlo returns, cuts included",
    function="mc_return", points=2, difficulty="medium", minutes=10,
    task="""Return the Monte Carlo return of every step, shape `(T,)`. A terminated episode pays nothing more.
Where an episode is cut, by a time limit (`truncated`) or because the array stops, the rewards we no longer see
are replaced by the critic's word: the last step takes γ·`next_values`. No reward of a later episode may count.""",
    hints=("Walk backwards: G_t = r_t + γ·G_{t+1}, and decide at each step what G_{t+1} is.",
           "Three cases: terminated → 0; truncated, or the last row → next_values[t]; else the G you "
           "have just computed."),
    cases=lambda seed: rollout_cases(seed, ["rewards", "next_values", "terminated", "truncated"], gamma=draw_gamma),
    reference=lambda r, nv, te, tr, g: library.mc_returns(r, nv, te, tr, gamma=g),
    refuses=("advantages.mc_returns", "advantages.lambda_returns",),
    misconceptions=(
        Misconception("a Monte Carlo return that ignores the cut", "What becomes of an episode cut short?",
                      lambda r, nv, te, tr, g: _sum_back(r, te | tr, g)),
        Misconception("a return that lets truncated win", "Dead at the time limit is dead.",
                      lambda r, nv, te, tr, g: _sum_back(
                          r + g * np.where(tr | _last(te) & ~te, nv, 0), te | tr, g)),
        Misconception("a return that never stops at an end", "Where must the sum start anew?",
                      lambda r, nv, te, tr, g: _sum_back(r, np.zeros(len(r), bool), g)),
        Misconception("a return that leaks across a time limit", "Whose rewards follow a truncated step?",
                      lambda r, nv, te, tr, g: _sum_back(
                          r + g * np.where(_last(te) & ~te, nv, 0), te, g)),
        Misconception("a return that takes the end of the array for a death",
                      "The array may stop where the episode goes on: what is that future worth?",
                      lambda r, nv, te, tr, g: _sum_back(r + g * np.where(tr & ~te, nv, 0), te | tr, g)),
        Misconception("a return that asks the critic after a death", "A terminated step may stand last.",
                      lambda r, nv, te, tr, g: _sum_back(
                          r + g * np.where(_cut(te, tr) | _last(te), nv, 0), te | tr, g)),
        Misconception("the right returns in reverse order", "You walked backwards: turn the list round.",
                      lambda r, nv, te, tr, g: library.mc_returns(r, nv, te, tr, gamma=g)[::-1]),
        Misconception("a return with γ forgotten", "A reward k steps away counts γ^k.",
                      lambda r, nv, te, tr, g: library.mc_returns(r, nv, te, tr, gamma=1.0)),
        Misconception("a return with γ applied twice", "One step costs one γ, not γ².",
                      lambda r, nv, te, tr, g: library.mc_returns(r, nv, te, tr, gamma=g * g)),
        Misconception("a return whose cut pays V without γ", "The successor is one step away as well.",
                      lambda r, nv, te, tr, g: _sum_back(r + np.where(_cut(te, tr), nv, 0), te | tr, g)),
    ))


def _n_step(r, v, n, g, *, rewards=0, power=None, after_end=0.0, baseline=True, drop=False, absolute=False):
    """n-step advantages of one episode that terminates at its last step, with the usual mistakes."""
    out, steps = [], len(r)
    for t in range(steps):
        stop = min(t + n, steps)
        if drop:  # the last state is taken for the end
            stop = min(t + n, steps - 1)
        count = stop - t if drop else min(n + rewards, steps - t)
        total = sum(g ** (k + t * absolute) * r[t + k] for k in range(count))
        future = v[stop] if stop < steps else after_end * v[-1]
        discount = g ** (stop - t * (not absolute)) if power is None else g ** power(n)
        out.append(total + discount * future - baseline * v[t])
    return np.array(out)


def _n_step_cases(seed):
    rng = np.random.default_rng(seed)
    return [Case(f"n = {n}, {steps} steps", dict(
        rewards=rng.integers(-2, 4, steps).astype(float), values=rng.uniform(0.5, 3, steps).round(1),
        n=n, gamma=draw_gamma(rng))) for n, steps in ((1, 4), (2, 5), (3, 5), (5, 4))]


N_STEP = Exercise(
    id="td.n_step", notebook=NOTEBOOK, title="n-step advantages",
    function="n_step_advantage", points=2, difficulty="medium", minutes=10,
    task="""One episode of T steps that terminates at its last step: `rewards` and `values` have shape `(T,)`.
Return the n-step advantage of every step, `(T,)`: n rewards, then the critic's word for the state n steps on,
less the value of the state itself. Near the end there are fewer than n rewards and then nothing.""",
    hints=("For step t the window is t, …, min(t + n, T) − 1.",
           "The state n steps on counts γ^n, and only where t + n < T: `values[t + n]`."),
    cases=_n_step_cases, reference=_n_step,
    refuses=("advantages.n_step_advantages", "advantages.n_step_returns",),
    misconceptions=(
        Misconception("an n-step advantage whose bootstrap costs a single γ", "How far away is that state?",
                      lambda r, v, n, g: _n_step(r, v, n, g, power=lambda n: 1)),
        Misconception("an n-step advantage whose bootstrap costs one γ too few", "Count the steps to that state.",
                      lambda r, v, n, g: _n_step(r, v, n, g, power=lambda n: n - 1)),
        Misconception("an n-step advantage that discounts from step 0", "Each step counts from itself.",
                      lambda r, v, n, g: _n_step(r, v, n, g, absolute=True)),
        Misconception("an n-step advantage without the last reward",
                      "The last step pays as well; after it nothing follows.",
                      lambda r, v, n, g: _n_step(r, v, n, g, drop=True)),
        Misconception("an n-step advantage with one reward too many", "Count them: r_t to r_{t+n−1}.",
                      lambda r, v, n, g: _n_step(r, v, n, g, rewards=1)),
        Misconception("an n-step return: the baseline is missing", "How much better than promised?",
                      lambda r, v, n, g: _n_step(r, v, n, g, baseline=False)),
        Misconception("an estimate that lets the dead state be worth the last value",
                      "What does the critic's word count after the end?",
                      lambda r, v, n, g: _n_step(r, v, n, g, after_end=1.0)),
    ))


def _bias_cases(seed):
    rng = np.random.default_rng(seed)
    return [Case("the same error everywhere", dict(errors=np.full(4, 0.5), gamma=0.9)),
            *[Case("random errors", dict(errors=rng.normal(size=5).round(1), gamma=draw_gamma(rng)))
              for _ in range(2)]]


TD_BIAS = Exercise(
    id="td.bias", notebook=NOTEBOOK, title="Where TD's bias comes from",
    function="td_bias", points=2, difficulty="medium", minutes=10,
    task="""An episode visits T states and then terminates. The critic is wrong by `errors[t]` = V_critic − V at
the state of step t, shape `(T,)`. Return by how much the TD error of each step is wrong on that account: δ with
this critic less δ with the exact one, `(T,)`.""",
    hints=("Write δ twice, once with V + e and once with V, and subtract.",
           "The error of the state after the end is 0."),
    cases=_bias_cases, reference=lambda b, g: g * _next_row(b) - b,
    misconceptions=(
        Misconception("the bias of Monte Carlo", "TD asks the critic twice: here, and about the next state.",
                      lambda b, g: -b),
        Misconception("the bias with its sign turned round", "A critic that promises too much makes δ small.",
                      lambda b, g: b - g * _next_row(b)),
        Misconception("a bias with γ forgotten", "The next state's word is discounted.",
                      lambda b, g: _next_row(b) - b),
        Misconception("a bias set to 0 at the end", "The last δ still subtracts the critic's word.",
                      lambda b, g: np.where(_last(b), 0.0, g * _next_row(b) - b)),
        Misconception("a bias that looks back instead of ahead", "δ asks about the next state.",
                      lambda b, g: g * np.append(0.0, b[:-1]) - b),
        Misconception("a bias with γ on both terms", "Which of the two states is one step away?",
                      lambda b, g: g * (_next_row(b) - b)),
        Misconception("a bias that wraps around the end", "What comes after the last state?",
                      lambda b, g: g * np.roll(b, -1) - b),
    ))


def _parts_cases(seed):
    rng = np.random.default_rng(seed)
    return [Case("four estimates", dict(estimates=np.array([1.0, 2.0, 2.0, 3.0]), truth=1.5)),
            *[Case(f"estimates too {side}", dict(estimates=x, truth=float(x.mean().round(1) + shift)))
              for side, shift in (("low", 1.0), ("high", -2.0)) for x in [rng.normal(1, 2, 5).round(1)]]]


ERROR_PARTS = Exercise(
    id="td.error_parts", notebook=NOTEBOOK, title="Bias, variance, mean squared error",
    function="error_parts", points=1, difficulty="easy", minutes=5,
    task="""`estimates` of shape `(N,)` all estimate one number, `truth`. Return the tuple
`(bias, variance, mse)`. Divide by N in the variance, so that mse = bias² + variance holds exactly.""",
    hints=("The bias keeps its sign: mean of the estimates less the truth.",
           "`np.var` is the variance around the mean of the estimates; the MSE is around the truth."),
    cases=_parts_cases,
    reference=lambda x, truth: (x.mean() - truth, x.var(), ((x - truth) ** 2).mean()),
    misconceptions=(
        Misconception("an MSE that adds the bias without squaring it", "Which units does each part have?",
                      lambda x, truth: (x.mean() - truth, x.var(), x.mean() - truth + x.var())),
        Misconception("a standard deviation in place of the variance", "Square it: the parts must add up.",
                      lambda x, truth: (x.mean() - truth, x.std(), ((x - truth) ** 2).mean())),
        Misconception("a variance around the truth", "Variance asks how the estimates scatter, not how far "
                      "off they are.", lambda x, truth: (x.mean() - truth, *[((x - truth) ** 2).mean()] * 2)),
        Misconception("a variance divided by N − 1", "Divide by N here: then the parts add up exactly.",
                      lambda x, truth: (x.mean() - truth, x.var(ddof=1), ((x - truth) ** 2).mean())),
        Misconception("a bias without its sign", "Too high and too low are different findings.",
                      lambda x, truth: (abs(x.mean() - truth), x.var(), ((x - truth) ** 2).mean())),
    ))

EXERCISES = (TD_ERROR, BOOTSTRAP, MC_RETURNS, N_STEP, TD_BIAS, ERROR_PARTS)
