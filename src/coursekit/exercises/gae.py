"""Exercises of chapter 2: the mixture, the recursion, the targets, and what λ does to the error."""

import numpy as np

from coursekit import advantages as library
from coursekit.exercises.base import Case, Exercise, Misconception, rollout_cases

NOTEBOOK = "02_gae"


def _gamma(rng):
    return float(rng.choice([0.8, 0.9, 0.95]))


def _lam(rng):
    return float(rng.choice([0.5, 0.7, 0.9]))


def _weights(lam, steps):
    return np.append((1 - lam) * lam ** np.arange(steps - 1), lam ** (steps - 1))


WEIGHTS = Exercise(
    id="gae.weights", notebook=NOTEBOOK, title="The weights of the mixture",
    function="mixture_weights", points=1, difficulty="easy", minutes=5,
    task="""An episode has `steps` steps left. GAE mixes the n-step advantages for n = 1, …, `steps`. Return
their weights, shape `(steps,)`. The last one, Monte Carlo, takes all the weight that is left.""",
    hints=("Weights of n = 1, 2, 3, …: (1 − λ), (1 − λ)λ, (1 − λ)λ², …",
           "They must sum to 1: the last one is λ^(steps − 1)."),
    cases=lambda seed: [Case(f"λ = {lam}, {steps} steps", dict(lam=lam, steps=steps))
                        for lam, steps in ((0.5, 4), (0.9, 5), (0.0, 3), (1.0, 3))],
    reference=_weights,
    misconceptions=(
        Misconception("an endless mixture, cut off", "Do your weights sum to 1?",
                      lambda lam, steps: (1 - lam) * lam ** np.arange(steps)),
        Misconception("a mixture without the factor 1 − λ", "Do your weights sum to 1?",
                      lambda lam, steps: lam ** np.arange(steps, dtype=float)),
        Misconception("a mixture with λ applied to the first estimator", "With λ = 0, which one is left?",
                      lambda lam, steps: (1 - lam) * lam ** np.arange(1, steps + 1)),
        Misconception("a mixture scaled to sum to 1", "Don't rescale: what is left goes to the last one.",
                      lambda lam, steps: np.ones(steps) / steps if lam == 1 else
                      (1 - lam) * lam ** np.arange(steps) / (1 - lam**steps)),
    ))


def _double_sum(deltas, decay, start=0):
    steps = len(deltas)
    return np.array([sum(decay ** (k + start) * deltas[t + k] for k in range(steps - t))
                     for t in range(steps)])


def _delta_cases(seed):
    rng = np.random.default_rng(seed)
    running = np.array([0.1, 0.1, 0.2, 0.3, 0.2])
    return [Case("the running example", dict(deltas=running, gamma=1.0, lam=0.95)),
            *[Case(f"{steps} steps", dict(deltas=rng.normal(size=steps).round(1), gamma=_gamma(rng),
                                          lam=_lam(rng))) for steps in (1, 4, 6)]]


DEFINITION = Exercise(
    id="gae.definition", notebook=NOTEBOOK, title="GAE by its definition",
    function="gae_definition", points=2, difficulty="easy", minutes=5,
    task="""The TD errors of one unbroken episode are given, `deltas` of shape `(T,)`. Return the GAE advantages,
`(T,)`, by the definition: a sum over k of (γλ)^k·δ_{t+k}. Quadratic time is fine.""",
    hints=("For step t there are T − t terms: k = 0, …, T − t − 1.",
           "`sum((gamma * lam)**k * deltas[t + k] for k in range(T - t))`"),
    cases=_delta_cases, reference=lambda d, g, lam: _double_sum(d, g * lam),
    misconceptions=(
        Misconception("GAE with λ forgotten, which is Monte Carlo", "What does λ do to a later δ?",
                      lambda d, g, lam: _double_sum(d, g)),
        Misconception("GAE with γ forgotten", "Both γ and λ shrink a later δ.",
                      lambda d, g, lam: _double_sum(d, lam)),
        Misconception("GAE with λ applied to the first δ", "What is the weight of k = 0?",
                      lambda d, g, lam: _double_sum(d, g * lam, start=1)),
        Misconception("a sum over the past", "A step is credited with what follows it.",
                      lambda d, g, lam: _double_sum(d[::-1], g * lam)[::-1]),
    ))


def _recursion(r, v, nv, te, tr, g, lam, *, bootstrap=None, stop=None, decay=None, first=1.0):
    """GAE with the usual mistakes: each keyword replaces one part of the right answer."""
    bootstrap = np.where(te, 0.0, nv) if bootstrap is None else bootstrap
    stop = te | tr if stop is None else stop
    decay = g * lam if decay is None else decay
    following, out = 0.0, []
    for t in reversed(range(len(r))):
        delta = r[t] + g * bootstrap[t] - v[t]
        following = first * delta + decay * (0.0 if stop[t] else following)
        out.append(following)
    return np.array(out[::-1])


def _last_zero(x):
    return np.append(x[:-1], 0.0)


def _late(flags):
    return np.append(flags[1:], False)


RECURSION = Exercise(
    id="gae.recursion", notebook=NOTEBOOK, title="GAE by the recursion",
    function="gae_recursion", points=3, difficulty="medium", minutes=15,
    task="""Return the GAE advantages of a rollout, `(T,)`, in one backward pass. All arrays have shape `(T,)`.
The rollout may hold several episodes; each ends by itself (`terminated`) or at a time limit (`truncated`).
`next_values[t]` is the critic's value of the state that really followed step t.""",
    hints=("Two questions at each step: what is the future worth (bootstrap), and does the sum go on (trace)?",
           "`terminated` sets the bootstrap to 0. `terminated or truncated` stops the sum."),
    cases=lambda seed: rollout_cases(seed, ["rewards", "values", "next_values", "terminated", "truncated"],
                                     gamma=_gamma, lam=_lam),
    reference=lambda r, v, nv, te, tr, g, lam: library.gae(r, v, nv, te, tr, gamma=g, lam=lam),
    misconceptions=(
        Misconception("GAE that lets credit leak across a time limit",
                      "Whose advantage do you add at the step where the limit struck?",
                      lambda *a: _recursion(*a, stop=a[3])),
        Misconception("GAE that takes a time limit for a death",
                      "`terminated or truncated` stops the sum, but what zeroes the bootstrap?",
                      lambda *a: _recursion(*a, bootstrap=np.where(a[3] | a[4], 0, a[2]))),
        Misconception("GAE that reads its flags one row late", "Does dones[t] end step t, or step t − 1?",
                      lambda *a: _recursion(*a, bootstrap=np.where(_late(a[3]), 0, a[2]),
                                            stop=_late(a[3] | a[4]))),
        Misconception("GAE with λ applied to the first δ", "With λ = 0 the answer is δ itself.",
                      lambda *a: _recursion(*a, first=a[6])),
        Misconception("GAE with γ forgotten in the trace", "How much smaller is a δ one step later?",
                      lambda *a: _recursion(*a, decay=a[6])),
        Misconception("GAE with γ applied twice in the trace", "One step costs one γλ.",
                      lambda *a: _recursion(*a, decay=a[5] ** 2 * a[6])),
        Misconception("the right advantages in reverse order", "You walked backwards: turn the list round.",
                      lambda *a: _recursion(*a)[::-1]),
        Misconception("GAE whose last step has no bootstrap",
                      "A rollout may stop where its episode goes on: what is that future worth?",
                      lambda *a: _recursion(*a, bootstrap=_last_zero(np.where(a[3], 0, a[2])))),
        Misconception("GAE that takes the next row for the next state",
                      "After an end the next row belongs to another episode; `next_values` knows better.",
                      lambda *a: _recursion(*a, bootstrap=np.where(a[3], 0, np.append(a[1][1:], a[2][-1])))),
        Misconception("GAE with the bootstrap of a cut added twice",
                      "Did you fold γV into the reward and then bootstrap as well?",
                      lambda *a: _recursion(a[0] + a[5] * np.where(a[4] & ~a[3], a[2], 0), *a[1:])),
        Misconception("GAE that never stops at an end", "Where must the sum start anew?",
                      lambda *a: _recursion(*a, stop=np.zeros(len(a[0]), bool))),
    ))


def _target_cases(seed):
    rng = np.random.default_rng(seed)
    return [Case("the running example", dict(advantages=np.array([0.9, 0.8, 0.7, 0.5, 0.2]),
                                             values=np.array([0.1, 0.2, 0.3, 0.5, 0.8]))),
            *[Case(f"{n} steps", dict(advantages=rng.normal(2, 3, n).round(1),
                                      values=rng.uniform(0, 3, n).round(1))) for n in (3, 5)]]


def _white(a, ddof=1):
    return (a - a.mean()) / a.std(ddof=ddof)


TARGETS = Exercise(
    id="gae.targets", notebook=NOTEBOOK, title="Two uses of one estimate",
    function="targets", points=2, difficulty="easy", minutes=5,
    task="""The policy wants `advantages` whitened (mean 0, standard deviation 1, with N − 1 in its denominator);
the critic wants its value targets, the returns, in units of reward. Both arrays have shape `(N,)`. Return the
tuple `(whitened, returns)`.""",
    hints=("Returns are advantages + values. Which advantages?",
           "Compute the returns first; whiten afterwards, with `advantages.std(ddof=1)`."),
    cases=_target_cases, reference=lambda a, v: (_white(a), a + v),
    misconceptions=(
        Misconception("a target computed from whitened advantages", "In which units must the critic learn?",
                      lambda a, v: (_white(a), _white(a) + v)),
        Misconception("whitening with the population's standard deviation", "Use N − 1: `ddof=1`.",
                      lambda a, v: (_white(a, 0), a + v)),
        Misconception("scaling without shifting", "The mean should become 0 as well.",
                      lambda a, v: (a / a.std(ddof=1), a + v)),
        Misconception("the advantages as their own value target", "Â is a difference from V: what is the sum?",
                      lambda a, v: (_white(a), a)),
    ))


CONSTANT_ERROR = Exercise(
    id="gae.constant_error", notebook=NOTEBOOK, title="A critic that is wrong by a constant",
    function="constant_error_bias", points=2, difficulty="hard", minutes=10,
    task="""In a world that never ends the critic says V + `error` everywhere: wrong by the same constant c in
every state. Return the bias of the GAE advantage, one number, from `error`, `gamma` and `lam`.""",
    hints=("What is the error of one TD error? The constant comes in twice.",
           "Each δ is off by γc − c. Sum (γλ)^k times that: a geometric series."),
    cases=lambda seed: [Case(f"λ = {lam}", dict(error=error, gamma=gamma, lam=lam)) for error, gamma, lam in
                        ((2.0, 0.9, 0.0), (2.0, 0.9, 1.0), (1.0, 0.95, 0.5), (-3.0, 0.8, 0.9))],
    reference=lambda c, g, lam: -c * (1 - g) / (1 - g * lam),
    misconceptions=(
        Misconception("the bias of TD, whatever λ", "Later TD errors are off as well.",
                      lambda c, g, lam: -c * (1 - g)),
        Misconception("the bias of Monte Carlo, whatever λ", "With λ < 1 the critic is asked again later.",
                      lambda c, g, lam: -c),
        Misconception("the bias with its sign turned round", "A critic that promises too much disappoints.",
                      lambda c, g, lam: c * (1 - g) / (1 - g * lam)),
        Misconception("a geometric series in λ alone", "By what is the δ of k steps later multiplied?",
                      lambda c, g, lam: -c * (1 - g) / (1 - lam) if lam < 1 else -c),
    ))


def _lambda_cases(seed):
    rng = np.random.default_rng(seed)
    lams = np.array([0.0, 0.5, 0.9, 1.0])
    # made so that the four usual mistakes choose differently: 0.5, 1.0, 0.9, 0.0 in the first case
    small = dict(lams=lams, bias=np.array([[3.0, -3.0], [0.9, 0.7], [1.2, -1.2], [0.1, 0.1]]),
                 variance=np.array([[0.0, 0.0], [0.4, 0.4], [0.2, 0.2], [4.0, 4.0]]))
    cases = [Case("two states whose errors differ in sign", small)]
    for _ in range(12):
        cases.append(Case("random errors", dict(
            lams=lams, bias=(rng.normal(size=(4, 3)) * np.array([[1.5], [1.0], [0.8], [0.5]])).round(1),
            variance=np.sort(rng.uniform(0, 2, (4, 3)), axis=0).round(1))))
    return cases


def _choose(cost):
    return lambda lams, bias, variance: lams[np.argmin(cost(bias, variance))]


BEST_LAMBDA = Exercise(
    id="gae.best_lambda", notebook=NOTEBOOK, title="Choose λ",
    function="best_lambda", points=2, difficulty="medium", minutes=10,
    task="""For each of K candidates `lams`, `(K,)`, you know `bias` and `variance` of the estimate in each of
S states, `(K, S)` each. Return the candidate with the smallest mean squared error, averaged over states.""",
    hints=("MSE of one state: bias² + variance. Square before you average.",
           "`lams[np.argmin((bias**2 + variance).mean(axis=1))]`"),
    cases=_lambda_cases,
    reference=_choose(lambda b, var: (b**2 + var).mean(1)),
    misconceptions=(
        Misconception("the λ of least variance", "The bias counts as well.", _choose(lambda b, var: var.mean(1))),
        Misconception("the λ of least bias", "The variance counts as well.",
                      _choose(lambda b, var: (b**2).mean(1))),
        Misconception("a bias averaged before it is squared", "Errors of opposite sign do not cancel in an MSE.",
                      _choose(lambda b, var: b.mean(1) ** 2 + var.mean(1))),
        Misconception("a bias added without its square", "Bias and variance have different units.",
                      _choose(lambda b, var: (np.abs(b) + var).mean(1))),
    ))

EXERCISES = (WEIGHTS, DEFINITION, RECURSION, TARGETS, CONSTANT_ERROR, BEST_LAMBDA)
