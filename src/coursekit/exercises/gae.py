"""Exercises of chapter 2: the mixture, the two targets, and what λ does to the error."""

import numpy as np

from coursekit import advantages as library
from coursekit.exercises.base import (
    Case,
    Choice,
    Exercise,
    Misconception,
    Slot,
    draw_gamma,
    draw_lam,
    rollout_cases,
    varied,
)
from coursekit.exercises.slots import BOOTSTRAP, DECAY, DELTA, FLAGS, NEXT_ROW, SCANS, STOP, sum_back

NOTEBOOK = "02_gae"


def _with_last(weights, last):
    return np.append(weights[:-1], last)


def _weight_cases(seed):
    rng = np.random.default_rng(seed)
    drawn, (share, more) = (round(rng.uniform(0.2, 0.9), 2), int(rng.integers(2, 7))), varied(seed)
    return [Case(f"λ = {lam}, {steps} steps", dict(lam=lam, steps=steps))
            for lam, steps in ((round(0.5 * share + 0.3 * (not seed), 3), 3 + more), (0.3, 5), drawn,
                               (0.0, 2 + more), (1.0, 2 + more), (round(0.6 * share, 3), 1))]


def _mixture(g, lam, share, powers, rest):
    lam = lam(g)
    return rest(share(lam) * powers(lam, np.arange(g.steps)), lam)


WEIGHTS = Exercise(
    id="gae.weights", notebook=NOTEBOOK, title="The weights of the mixture",
    function="mixture_weights", points=1, difficulty="easy", minutes=5,
    task="""`steps` is the number of steps that remain in an episode. GAE averages the n-step advantages for
n = 1, …, `steps`. Return their weights, shape `(steps,)`. The last one, Monte Carlo, takes all the weight left.""",
    hints=("Weights of n = 1, 2, 3, …: (1 − λ), (1 − λ)λ, (1 − λ)λ², …",
           "They must sum to 1: the last one is λ^(steps − 1)."),
    cases=_weight_cases,
    reference=lambda lam, steps: np.append((1 - lam) * lam ** np.arange(steps - 1), lam ** (steps - 1)),
    compose=_mixture,
    slots=(
        Slot("lam", lambda g: g.lam, (
            Choice("an exchange of λ and 1 − λ", "Which estimator is left at λ = 0?", lambda g: 1 - g.lam),)),
        Slot("share", lambda lam: 1 - lam, (
            Choice("a mixture without its factor 1 − λ", "What do your weights sum to?", lambda lam: 1.0),)),
        Slot("powers", lambda lam, k: lam**k, (
            Choice("a mixture whose exponents start at 1", "Which estimator is left at λ = 0?",
                   lambda lam, k: lam ** (k + 1)),
            Choice("a multiple of λ in the place of a power",
                   "By which factor does a weight shrink from n to n + 1?",
                   lambda lam, k: lam * k))),
        Slot("rest", lambda w, lam: _with_last(w, lam ** (len(w) - 1)), (
            Choice("an endless mixture, cut off", "What do your weights sum to?", lambda w, lam: w),
            Choice("a mixture scaled to sum to 1", "Who should take the weight that is left: all, or one?",
                   lambda w, lam: w / w.sum()),
            Choice("a remainder that is smaller by the last estimator's own weight",
                   "What do your weights sum to?", lambda w, lam: _with_last(w, lam ** len(w))),
            Choice("a remainder that is added to the last estimator's own weight", "What do your weights sum to?",
                   lambda w, lam: w + _with_last(0 * w, lam ** (len(w) - 1))),
            Choice("a remainder that goes to the first estimator", "Which estimator takes what is left?",
                   lambda w, lam: np.append(w[0] + 1 - w.sum(), w[1:])),
            Choice("λ itself as the last weight", "What do your weights sum to?",
                   lambda w, lam: _with_last(w, lam)))),
    ),
    misconceptions=(
        Misconception("a mixture whose exponents start at 1", "Which estimator is left at λ = 0?",
                      lambda lam, steps: _with_last(lam ** np.arange(1, steps + 1) * (1 - lam),
                                                    1 - ((1 - lam) * lam ** np.arange(1, steps)).sum())),
        Misconception("a multiple of λ in the place of a power",
                      "By which factor does a weight shrink from n to n + 1?",
                      lambda lam, steps: _with_last((1 - lam) * lam * np.arange(steps),
                                                    1 - ((1 - lam) * lam * np.arange(steps - 1)).sum())),
        Misconception("a mixture scaled to sum to 1", "Who should take the weight that is left: all, or one?",
                      lambda lam, steps: lam ** np.arange(steps) / (lam ** np.arange(steps)).sum()),
        Misconception("a plain mean of all estimators", "What does λ do?",
                      lambda lam, steps: np.ones(steps) / steps),
    ))


def _gae(g, flags, bootstrap, stop, delta, decay, first):
    g = flags(g)
    deltas = delta(g, bootstrap(g))
    return sum_back(first(g) * deltas, stop(g), decay(g))


def _first_weighed(deltas, stop, gamma, lam):
    """Each δ weighed by λ where it is added, and not where it is handed back."""
    sums = sum_back(deltas, stop, gamma * lam)
    return sums - (1 - lam) * deltas


RECURSION = Exercise(
    id="gae.recursion", notebook=NOTEBOOK, title="GAE by the recursion",
    function="gae_recursion", points=3, difficulty="medium", minutes=15,
    task="""Return the GAE advantages of a rollout, `(T,)`; one backward pass is enough. All arrays have shape
`(T,)`. The rollout may hold several episodes; each ends by termination (`terminated`, which wins where both flags
are set), at a time limit (`truncated`), or at the end of the array. `next_values[t]` is the critic's value
of the state that actually followed step t; for a terminal state it may be anything, even NaN.""",
    hints=("Two questions at each step: what is the future worth (bootstrap), and does the sum go on (trace)?",
           "`terminated` sets the bootstrap to 0. `terminated or truncated` stops the sum."),
    cases=lambda seed: rollout_cases(seed, ["rewards", "values", "next_values", "terminated", "truncated"],
                                     gamma=draw_gamma, lam=draw_lam),
    reference=lambda r, v, nv, te, tr, g, lam: library.gae(r, v, nv, te, tr, gamma=g, lam=lam),
    refuses=("advantages.gae", "advantages.gae_by_recursion", "advantages.lambda_returns", "_kernels.gae", *SCANS),
    compose=_gae,
    slots=(
        FLAGS,
        BOOTSTRAP._replace(wrong=BOOTSTRAP.wrong + NEXT_ROW),
        STOP, DELTA, DECAY,
        Slot("first", lambda g: 1, (
            Choice("a sum in which λ is applied to the first δ as well", "What is left at λ = 0?",
                   lambda g: g.lam),)),
    ),
    misconceptions=(
        Misconception("the λ-return in the place of the advantage",
                      "What is an advantage measured against?",
                      lambda r, v, nv, te, tr, g, lam: library.gae(r, v, nv, te, tr, gamma=g, lam=lam) + v),
        Misconception("a sum in which λ is applied to the first δ as well", "What is left at λ = 0?",
                      lambda r, v, nv, te, tr, g, lam: _first_weighed(
                          r + g * np.where(te, 0, nv) - v, te | tr, g, lam)),
    ))


def _lambda_return(g, flags, bootstrap, stop, mix, close):
    g = flags(g)
    future, ends = bootstrap(g), stop(g)
    following, returns = None, []
    for t in reversed(range(len(g.rewards))):
        if following is None or ends[t]:
            mixed = close(g, future[t], ends[t])
        else:
            mixed = mix(g, future[t], following)
        following = g.rewards[t] + g.gamma * mixed
        returns.append(following)
    return np.array(returns[::-1])


def _beyond_the_array(g, future, ended):
    if not ended:
        raise IndexError
    return future


LAMBDA_RETURN = Exercise(
    id="gae.lambda_return", notebook=NOTEBOOK, title="The critic's target",
    function="lambda_return", points=2, difficulty="medium", minutes=10,
    task="""Return the λ-return of every step, `(T,)`, by its own recursion, without computing advantages.
The arrays are those of the last exercise, and episode ends are handled the same way.""",
    hints=("Inside an episode: r_t + γ·((1 − λ)·V(next state) + λ·G_{t+1}).",
           "At an end there is no G_{t+1}: all the weight goes to the bootstrap, which is 0 after a termination."),
    cases=lambda seed: rollout_cases(seed, ["rewards", "next_values", "terminated", "truncated"],
                                     gamma=draw_gamma, lam=draw_lam),
    reference=lambda r, nv, te, tr, g, lam: library.lambda_returns(r, nv, te, tr, gamma=g, lam=lam),
    refuses=("advantages.lambda_returns", "advantages.gae", "advantages.gae_by_recursion", "_kernels.gae", *SCANS),
    compose=_lambda_return,
    slots=(
        FLAGS, BOOTSTRAP, STOP,
        Slot("mix", lambda g, v, following: (1 - g.lam) * v + g.lam * following, (
            Choice("an exchange of λ and 1 − λ", "Which of the two is left at λ = 1?",
                   lambda g, v, following: g.lam * v + (1 - g.lam) * following),
            Choice("a mixture without λ, which is Monte Carlo", "What does the critic say in between?",
                   lambda g, v, following: following),
            Choice("the one-step target, without what follows", "What of the rewards that follow?",
                   lambda g, v, following: v),
            Choice("a mixture whose return has lost its weight λ", "What do the two weights sum to?",
                   lambda g, v, following: (1 - g.lam) * v + following),
            Choice("a mixture whose value has lost its weight 1 − λ", "What do the two weights sum to?",
                   lambda g, v, following: v + g.lam * following),
            Choice("a mixture without γ on the value", "How many steps away is the next state?",
                   lambda g, v, following: (1 - g.lam) * v / g.gamma + g.lam * following),
            Choice("a mixture without γ on the return that follows", "How many steps away is the next return?",
                   lambda g, v, following: (1 - g.lam) * v + g.lam * following / g.gamma),
            Choice("a mixture without γ", "How many steps away is all of this?",
                   lambda g, v, following: ((1 - g.lam) * v + g.lam * following) / g.gamma),
        )),
        Slot("close", lambda g, v, ended: v, (
            Choice("an end that gives only (1 − λ)·V", "Where does the other share go, where no return follows?",
                   lambda g, v, ended: (1 - g.lam) * v),
            Choice("a last row that gets only (1 − λ)·V",
                   "What follows the last row: nothing, or what we do not see?",
                   lambda g, v, ended: v if ended else (1 - g.lam) * v),
            Choice("an index beyond the last row", "What follows the last row?", _beyond_the_array),
            Choice("an end without γ", "How many steps away is the next state?",
                   lambda g, v, ended: v / g.gamma),
        )),
    ))


def _target_cases(seed):
    rng = np.random.default_rng(seed)
    tenths = np.arange(-50, 90)  # drawn without replacement: advantages that are all equal have no deviation
    drawn = [Case(f"{n} steps", dict(advantages=rng.choice(tenths, n, replace=False) / 10,
                                     values=rng.uniform(0, 3, n).round(1)))
             for n in (3, 5, 2)]
    return [*drawn, Case("the running example", dict(advantages=np.array([0.9, 0.8, 0.7, 0.5, 0.2]),
                                                     values=np.array([0.1, 0.2, 0.3, 0.5, 0.8])))]


def _two_targets(g, centre, scale, learnt, target):
    a = g.advantages
    white = (a - centre(a)) / scale(a)
    return white, target(learnt(a, white), g.values, a)


def _white(x):
    return (x - x.mean()) / x.std(ddof=1)


TARGETS = Exercise(
    id="gae.targets", notebook=NOTEBOOK, title="Two uses of one estimate",
    function="targets", points=2, difficulty="easy", minutes=5,
    task="""The policy wants `advantages` standardised (mean 0, standard deviation 1, with N − 1 in its
denominator; they are not all equal, so no ε is needed); the critic wants its value targets, the returns, in units
of reward. Both arrays have shape `(N,)`. Return the tuple `(standardised, returns)`.""",
    hints=("Returns are advantages + values. Which advantages?",
           "Compute the returns first; standardise afterwards, with `advantages.std(ddof=1)`."),
    cases=_target_cases, reference=lambda a, v: (_white(a), a + v),
    compose=_two_targets,
    slots=(
        Slot("centre", np.mean, (
            Choice("scaling without shifting", "What is the mean of what you return?", lambda a: 0),
            Choice("the sum taken away in the place of the mean", "What is the mean of what you return?", np.sum))),
        Slot("scale", lambda a: a.std(ddof=1), (
            Choice("the standard deviation of a whole population", "What does your deviation divide by?", np.std),
            Choice("shifting without scaling", "What is the standard deviation of what you return?", lambda a: 1),
            Choice("the variance in the place of the standard deviation", "In which units is what you divide by?",
                   lambda a: a.var(ddof=1)),
            Choice("the variance of a whole population in the place of the standard deviation",
                   "In which units is what you divide by?", np.var),
            Choice("the range in the place of the standard deviation", "What is the deviation of what you return?",
                   lambda a: a.max() - a.min()))),
        Slot("learnt", lambda a, white: a, (
            Choice("a target made from standardised advantages", "In which units must the critic learn?",
                   lambda a, white: white),)),
        Slot("target", lambda a, v, raw: a + v, (
            Choice("the advantages as their own target", "What is an advantage measured against?",
                   lambda a, v, raw: a),
            Choice("the old values as the target", "What did the rollout teach the critic?", lambda a, v, raw: v),
            Choice("a target with the advantages taken away from the values", "If it went better than V, where "
                   "should V move?", lambda a, v, raw: v - a),
            Choice("a target with the values taken away from the advantages",
                   "What is an advantage measured against?", lambda a, v, raw: a - v),
            Choice("a target that is standardised as well", "In which units must the critic learn?",
                   lambda a, v, raw: _white(a + v)))),
    ),
    misconceptions=(
        Misconception("the two answers exchanged", "Which of the two comes first?",
                      lambda a, v: (a + v, _white(a))),
        Misconception("the advantages as they came", "What are their mean and their deviation?",
                      lambda a, v: (a, a + v)),
        Misconception("scaling to the range from 0 to 1", "What are the mean and the deviation of what you return?",
                      lambda a, v: ((a - a.min()) / (a.max() - a.min()), a + v)),
        Misconception("a mean that is divided by the deviation before it is taken away",
                      "What stands in the bracket, and what outside?",
                      lambda a, v: (a - a.mean() / a.std(ddof=1), a + v)),
    ))


def _constant_cases(seed):
    rng = np.random.default_rng(seed)
    drawn = (float(rng.integers(1, 5)), int(rng.integers(2, 7)), draw_gamma(rng), round(rng.uniform(0.2, 0.9), 2))
    given = ((2.0, 4, 0.9, 0.8), (-3.0, 3, 0.8, 0.3), drawn, (2.0, 3, 0.9, 0.0), (2.0, 3, 0.9, 1.0),
             (1.5, 1, 0.95, 0.7), (1.0, 3, 1.0, 1.0), (2.0, 3, 1.0, 0.6))
    return [Case(f"γ = {gamma}, λ = {lam}, {steps} step{'s' * (steps > 1)}",
                 dict(error=error * varied(seed)[0], steps=steps, gamma=gamma, lam=lam))
            for error, steps, gamma, lam in given]


def _bias(g, inner, last, decay):
    deltas = np.append(np.full(g.steps - 1, 1.0 * inner(g)), last(g))
    return sum_back(deltas, np.zeros(g.steps, bool), decay(g))


def _closed(c, steps, g, lam):
    """The bias by the chapter's formula: −c, and what the critic says later on."""
    return np.array([-c + (1 - lam) * g * c * sum((g * lam) ** k for k in range(steps - 1 - t))
                     for t in range(steps)])


CONSTANT_ERROR = Exercise(
    id="gae.constant_error", notebook=NOTEBOOK, title="A critic that is wrong by a constant",
    function="constant_error_bias", points=2, difficulty="hard", minutes=10,
    task="""An episode has `steps` steps and then terminates. The critic's value is V + `error` in each of its
states, and the value after the end is 0. Return by how much the GAE advantage of each step is off as a result,
shape `(steps,)`, from `error`, `steps`, `gamma` and `lam`; γ and λ may be anything from 0 to 1. (The formula in
the text is for a world that never ends.)""",
    hints=("By how much is one TD error off? In the middle, and at the last step?",
           "γc − c in the middle, −c at the end. Sum them up with weights (γλ)^k."),
    cases=_constant_cases, reference=_closed,
    compose=_bias,
    slots=(
        Slot("inner", lambda g: g.gamma * g.error - g.error, (
            Choice("a δ in the middle whose sign is turned",
                   "If the critic says too much, is the surprise good or bad?",
                   lambda g: g.error - g.gamma * g.error),
            Choice("a δ in the middle that forgets the next state", "Of which two states does δ ask the critic?",
                   lambda g: -g.error),
            Choice("a δ in the middle without γ", "How many steps away is the next state?", lambda g: 0),
            Choice("a δ in the middle that forgets the state itself", "Of which two states does δ ask the critic?",
                   lambda g: g.gamma * g.error),
            Choice("a δ in the middle with both errors added", "Of the two states of δ, which one is taken away?",
                   lambda g: g.gamma * g.error + g.error))),
        Slot("last", lambda g: -g.error, (
            Choice("a last δ that looks past the end", "What is the critic's error after the end?",
                   lambda g: g.gamma * g.error - g.error),
            Choice("a last δ whose sign is turned", "If the critic says too much, is the surprise good or bad?",
                   lambda g: g.error),
            Choice("a last δ without any error", "Of which states does the last δ ask the critic?", lambda g: 0),
            Choice("a last δ that forgets the state itself", "Of which states does the last δ ask the critic?",
                   lambda g: g.gamma * g.error))),
        DECAY,
    ),
    misconceptions=(
        Misconception("the bias in a world that never ends", "What is the critic's error after the last step?",
                      lambda c, steps, g, lam: np.full(
                          steps, -c * (1 - g) / (1 - g * lam) if g * lam < 1 else np.nan)),
        Misconception("a sum with one term too many", "How many δ follow the last step?",
                      lambda c, steps, g, lam: _closed(c, steps + 1, g, lam)[:-1]),
        Misconception("a geometric series that divides by 1 − γλ", "What of γλ = 1?",
                      lambda c, steps, g, lam: _closed(c, steps, g, lam) * (np.nan if g * lam == 1 else 1)),
        Misconception("a geometric series that divides by 1 − γλ", "What of γλ = 1?",
                      lambda c, steps, g, lam: _closed(c, steps, g, lam) / (1.0 if g * lam != 1 else 1 // 0)),
    ))


def _lambda_cases(seed):
    """Candidates out of order, for which the usual costs choose differently, and no near ties."""
    rng = np.random.default_rng(seed)
    cases = [Case("errors that differ in sign", dict(
        lams=np.array([0.9, 0.0, 1.0, 0.5]),
        bias=np.array([[1.2, -1.2], [3.0, -3.0], [0.1, 0.1], [0.9, 0.7]]),
        variance=np.array([[0.2, 0.2], [0.0, 0.0], [4.0, 4.0], [0.4, 0.4]]))),
        Case("noise in a single state", dict(
            lams=np.array([1.0, 0.5, 0.9, 0.0]), bias=np.zeros((4, 2)),
            variance=np.array([[3.0, 1.2], [1.5, 1.5], [2.0, 1.6], [4.0, 0.0]]))),
        Case("little bias, much noise", dict(
            lams=np.array([0.95, 0.3, 0.7]), bias=np.array([[0.5, 0.4], [0.1, 0.2], [0.6, 0.7]]),
            variance=np.array([[0.1, 0.2], [0.8, 0.7], [1.5, 1.6]])))]
    for usual in [*_USUAL, *_USUAL]:  # a case against each of them
        while True:
            lams = rng.permutation([0.0, 0.3, 0.7, 0.9, 0.95, 1.0])[:rng.integers(4, 7)]
            states, size = int(rng.integers(2, 4)), len(lams)
            bias = rng.normal(size=(size, states)).round(1)
            variance = rng.uniform(0, 2, (size, states)).round(1)
            cost = (bias**2 + variance).mean(1)
            best, second = np.sort(cost)[:2]
            if second - best > 0.05 and usual(bias, variance).argmin() != cost.argmin():
                cases.append(Case("random errors", dict(lams=lams, bias=bias, variance=variance)))
                break
    return cases


_USUAL = (lambda b, v: (abs(b) + v).mean(1), lambda b, v: (b**2 + v**2).mean(1), lambda b, v: (b**2 + v).max(1),
          lambda b, v: (b**2 + np.sqrt(v)).mean(1), lambda b, v: (b**2).mean(1) + np.sqrt(v).mean(1) ** 2,
          lambda b, v: np.sqrt(b**2 + v).mean(1))


BEST_LAMBDA = Exercise(
    id="gae.best_lambda", notebook=NOTEBOOK, title="Choose λ",
    function="best_lambda", points=2, difficulty="medium", minutes=10,
    task="""For K candidate λs you are given `lams`, `(K,)`, in any order, and the `bias` and `variance` of the
estimate in each of S states, `(K, S)` each. Return the candidate with the smallest mean squared error, averaged
over states: the criterion for a single estimate, not for a gradient. No two candidates have the same error.""",
    hints=("MSE of one state: bias² + variance. Square before you average.",
           "`argmin` of the averaged errors is a position in `lams`, not yet a λ."),
    cases=_lambda_cases,
    reference=lambda lams, bias, variance: lams[np.argmin((bias**2 + variance).mean(1))],
    compose=lambda g, biases, noise, average, pick: pick(g, average(biases, noise, g)),
    slots=(
        Slot("biases", np.square, (
            Choice("a bias without its square", "In which units are bias and variance?", np.abs),
            Choice("a bias added with its sign", "In which units are bias and variance?", lambda b: b),
            Choice("a choice without the bias", "Of which two parts does the squared error consist?",
                   np.zeros_like))),
        Slot("noise", lambda v: v, (
            Choice("a choice without the variance", "Of which two parts does the squared error consist?",
                   np.zeros_like),
            Choice("a variance that is subtracted", "Does noise make the error smaller?", np.negative),
            Choice("a variance that is squared", "In which units are bias and variance?", np.square),
            Choice("a standard deviation in the place of the variance", "In which units are bias and variance?",
                   np.sqrt))),
        Slot("average", lambda b, v, g: (b(g.bias) + v(g.variance)).mean(1), (
            Choice("a bias averaged before it is squared", "Do errors of opposite sign cancel in an MSE?",
                   lambda b, v, g: b(g.bias.mean(1)) + v(g.variance.mean(1))),
            Choice("a mean of standard deviations, squared", "What is averaged over states?",
                   lambda b, v, g: b(g.bias).mean(1) + np.sqrt(v(g.variance)).mean(1) ** 2),
            Choice("a mean of roots", "What is averaged over states?",
                   lambda b, v, g: np.sqrt(np.abs(b(g.bias) + v(g.variance))).mean(1)),
            Choice("an average over candidates instead of states", "Which axis holds the states?",
                   lambda b, v, g: (b(g.bias) + v(g.variance)).mean(0)),
            Choice("the worst state in the place of the average", "What should be averaged, over what?",
                   lambda b, v, g: (b(g.bias) + v(g.variance)).max(1)),
            Choice("the best state in the place of the average", "What should be averaged, over what?",
                   lambda b, v, g: (b(g.bias) + v(g.variance)).min(1)))),
        Slot("pick", lambda g, cost: g.lams[np.argmin(cost)], (
            Choice("the position of the best λ, not the λ", "Which entry of `lams` is it?",
                   lambda g, cost: np.argmin(cost)),
            Choice("the worst candidate", "Is a large squared error good?",
                   lambda g, cost: g.lams[np.argmax(cost)]),
            Choice("the smallest error, not the λ that has it", "Which entry of `lams` is it?",
                   lambda g, cost: cost.min()),
            Choice("the error of every candidate", "Which candidate has the smallest?", lambda g, cost: cost),
            Choice("a choice from the sorted candidates", "In which order do bias and variance come?",
                   lambda g, cost: np.sort(g.lams)[np.argmin(cost)]))),
    ),
    misconceptions=(
        Misconception("a choice for each state", "How many λ are wanted?",
                      lambda lams, b, var: lams[(b**2 + var).argmin(0)]),
        Misconception("the mean of a choice for each state", "What should be averaged, over what?",
                      lambda lams, b, var: lams[(b**2 + var).argmin(0)].mean()),
    ))

EXERCISES = (WEIGHTS, RECURSION, LAMBDA_RETURN, TARGETS, CONSTANT_ERROR, BEST_LAMBDA)
