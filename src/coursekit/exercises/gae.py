"""Exercises of chapter 2: the mixture, the two targets, and what λ does to the error."""

import numpy as np

from coursekit.exercises.base import Case, Exercise, Misconception, draw_gamma
from coursekit.exercises.gae_recursion import LAMBDA_RETURN, NOTEBOOK, RECURSION


def _weights(lam, steps):
    return np.append((1 - lam) * lam ** np.arange(steps - 1), lam ** (steps - 1))


def _drawn(seed):
    """An error, a λ, a number of steps and a γ."""
    rng = np.random.default_rng(seed)
    error, steps = float(rng.integers(1, 5)), int(rng.integers(2, 7))
    return error, round(rng.uniform(0.2, 0.9), 2), steps, draw_gamma(rng)


WEIGHTS = Exercise(
    id="gae.weights", notebook=NOTEBOOK, title="The weights of the mixture",
    function="mixture_weights", points=1, difficulty="easy", minutes=5,
    task="""An episode has `steps` steps left. GAE mixes the n-step advantages for n = 1, …, `steps`. Return
their weights, shape `(steps,)`. The last one, Monte Carlo, takes all the weight that is left.""",
    hints=("Weights of n = 1, 2, 3, …: (1 − λ), (1 − λ)λ, (1 − λ)λ², …",
           "They must sum to 1: the last one is λ^(steps − 1)."),
    cases=lambda seed: [Case(f"λ = {lam}, {steps} steps", dict(lam=lam, steps=steps))
                        for lam, steps in ((0.5, 4), (0.9, 5), (0.0, 3), (1.0, 3), (0.5, 1), _drawn(seed)[1:3])],
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
        Misconception("a target computed from whitened advantages", "In which units must the critic learn?",
                      lambda a, v: (_white(a, 0), _white(a, 0) + v)),
        Misconception("the two answers exchanged", "First the whitened advantages, then the returns.",
                      lambda a, v: (a + v, _white(a))),
        Misconception("whitening with the population's standard deviation", "Use N − 1: `ddof=1`.",
                      lambda a, v: (_white(a, 0), a + v)),
        Misconception("scaling without shifting", "The mean should become 0 as well.",
                      lambda a, v: (a / a.std(ddof=1), a + v)),
        Misconception("the advantages as their own value target", "Â is a difference from V: what is the sum?",
                      lambda a, v: (_white(a), a)),
    ))


def _constant(c, steps, g, lam, *, last=None):
    off = np.append(np.full(steps - 1, g * c - c), -c if last is None else last)
    return np.array([sum((g * lam) ** k * off[t + k] for k in range(steps - t)) for t in range(steps)])


CONSTANT_ERROR = Exercise(
    id="gae.constant_error", notebook=NOTEBOOK, title="A critic that is wrong by a constant",
    function="constant_error_bias", points=2, difficulty="hard", minutes=10,
    task="""An episode has `steps` steps and then terminates. The critic says V + `error` in each of its states, and
after the end it is right: 0. Return by how much the GAE advantage of each step is wrong on that account, shape
`(steps,)`, from `error`, `steps`, `gamma` and `lam`. (The formula in the text is for a world that never ends.)""",
    hints=("By how much is one TD error off? In the middle, and at the last step?",
           "γc − c in the middle, −c at the end. Sum them up with weights (γλ)^k."),
    cases=lambda seed: [Case(f"λ = {lam}", dict(error=error, steps=steps, gamma=gamma, lam=lam))
                        for error, steps, gamma, lam in
                        ((2.0, 3, 0.9, 0.0), (2.0, 3, 0.9, 1.0), (1.0, 5, 0.95, 0.5), (-3.0, 4, 0.8, 0.9),
                         (_drawn(seed)[0], _drawn(seed)[2], _drawn(seed)[3], _drawn(seed)[1]))],
    reference=_constant,
    misconceptions=(
        Misconception("the bias in a world that never ends", "What is the critic's error after the last step?",
                      lambda c, steps, g, lam: np.full(steps, -c * (1 - g) / (1 - g * lam))),
        Misconception("a bias whose last δ looks past the end", "After the end the critic is right.",
                      lambda c, steps, g, lam: _constant(c, steps, g, lam, last=g * c - c)),
        Misconception("the bias of TD, whatever λ", "Later TD errors are off as well.",
                      lambda c, steps, g, lam: _constant(c, steps, g, 0.0)),
        Misconception("the bias of Monte Carlo, whatever λ", "With λ < 1 the critic is asked again later.",
                      lambda c, steps, g, lam: np.full(steps, -c)),
        Misconception("the bias with its sign turned round", "A critic that promises too much disappoints.",
                      lambda c, steps, g, lam: -_constant(c, steps, g, lam)),
    ))


def _lambda_cases(seed):
    rng = np.random.default_rng(seed)
    lams = np.array([0.0, 0.5, 0.9, 1.0])
    # made so that the four usual mistakes choose differently: 0.5, 1.0, 0.9, 0.0 in the first case
    small = dict(lams=lams, bias=np.array([[3.0, -3.0], [0.9, 0.7], [1.2, -1.2], [0.1, 0.1]]),
                 variance=np.array([[0.0, 0.0], [0.4, 0.4], [0.2, 0.2], [4.0, 4.0]]))
    cases = [Case("two states whose errors differ in sign", small)]
    # variance in one state only: its mean, not the mean of its roots, decides
    cases.append(Case("noise in a single state", dict(
        lams=lams, bias=np.zeros((4, 2)), variance=np.array([[4.0, 0.0], [1.5, 1.5], [2.0, 1.6], [3.0, 1.2]]))))
    cases.append(Case("a bias below 1", dict(  # whose square is smaller than itself
        lams=lams, bias=np.array([[0.5, 0.5], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]),
        variance=np.array([[0.5, 0.5], [0.9, 0.9], [2.0, 2.0], [3.0, 3.0]]))))
    while len(cases) < 14:
        bias = (rng.normal(size=(4, 3)) * np.array([[1.5], [1.0], [0.8], [0.5]])).round(1)
        variance = np.sort(rng.uniform(0, 2, (4, 3)), axis=0).round(1)
        best, second = np.sort((bias**2 + variance).mean(1))[:2]
        if second - best > 0.05:  # no ties: every right program chooses the same
            cases.append(Case("random errors", dict(lams=lams, bias=bias, variance=variance)))
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
        Misconception("a mean of standard deviations, squared", "Average the variances themselves.",
                      _choose(lambda b, var: (b**2).mean(1) + np.sqrt(var).mean(1) ** 2)),
        Misconception("the position of the best λ, not the λ", "Which entry of `lams` is it?",
                      lambda lams, b, var: np.argmin((b**2 + var).mean(1))),
        Misconception("a bias averaged before it is squared", "Errors of opposite sign do not cancel in an MSE.",
                      _choose(lambda b, var: b.mean(1) ** 2 + var.mean(1))),
        Misconception("a bias added without its square", "Bias and variance have different units.",
                      _choose(lambda b, var: (np.abs(b) + var).mean(1))),
    ))

EXERCISES = (WEIGHTS, RECURSION, LAMBDA_RETURN, TARGETS, CONSTANT_ERROR, BEST_LAMBDA)
