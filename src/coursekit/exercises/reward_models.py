"""Exercises of chapter 3: Bradley-Terry by hand, what accuracy means, and where a score is read."""

import numpy as np

from coursekit import preferences as library
from coursekit.exercises.base import Case, Choice, Exercise, Misconception, Slot

NOTEBOOK = "03_reward_models"


def _sigmoid(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def _score_cases(seed, first="chosen_scores", second="rejected_scores"):
    rng = np.random.default_rng(seed)
    pairs = [("three pairs", np.array([2.0, 0.5, 1.0]), np.array([1.0, 1.5, 1.0])),
             ("random scores", rng.normal(0, 2, 4).round(1), rng.normal(0, 2, 4).round(1)),
             ("far apart", np.array([900.0, -900.0]), np.array([-100.0, 100.0]))]
    return [Case(label, {first: a, second: b}) for label, a, b in pairs]


PROBABILITY = Exercise(
    id="rm.probability", notebook=NOTEBOOK, title="From two scores to a chance",
    function="preference_probability", points=1, difficulty="easy", minutes=3,
    task="""Two answers to each of N prompts have `first_scores` and `second_scores`, both `(N,)`. Return the chance
that the first is preferred under Bradley-Terry, `(N,)`.""",
    hints=("Only the difference of the two scores counts.", "σ(d) = 1 / (1 + e^(−d)), with d = first − second."),
    cases=lambda seed: _score_cases(seed, "first_scores", "second_scores"),
    reference=lambda a, b: library.bradley_terry_probability(a, b),
    refuses=("preferences.bradley_terry_probability",),
    misconceptions=(
        Misconception("the chance that the second is preferred", "A higher first score should raise it.",
                      lambda a, b: _sigmoid(b - a)),
        Misconception("a share of the scores", "Scores may be negative, and only differences count.",
                      lambda a, b: a / (a + b)),
        Misconception("the log-odds themselves", "A chance lies between 0 and 1.", lambda a, b: a - b),
        Misconception("σ of the first score alone", "Better than what?", lambda a, b: _sigmoid(a)),
    ))


LOSS = Exercise(
    id="rm.loss", notebook=NOTEBOOK, title="The loss of a reward model",
    function="reward_loss", points=2, difficulty="medium", minutes=8,
    task="""`chosen_scores` and `rejected_scores` have shape `(N,)`. Return the mean Bradley-Terry loss, one number:
−log of the chance of what people chose. It must be right, and finite, for differences of ±1000 too.""",
    hints=("−log σ(d) = log(1 + e^(−d)); for large −d that is −d itself.",
           "`np.logaddexp(0, -d)` is log(e⁰ + e^(−d)), computed without overflow."),
    cases=_score_cases, reference=lambda c, r: np.logaddexp(0, r - c).mean(),
    refuses=("reward_model.bradley_terry_loss",),
    misconceptions=(
        Misconception("log of σ in two steps", "σ(−1000) is 0 in floating point, and log 0 is −∞: use logaddexp.",
                      lambda c, r: _quiet(lambda: -np.log(_sigmoid(c - r)).mean())),
        Misconception("a loss with the answers exchanged", "When should the loss be small?",
                      lambda c, r: np.logaddexp(0, c - r).mean()),
        Misconception("a sum over pairs", "Divide by their number.", lambda c, r: np.logaddexp(0, r - c).sum()),
        Misconception("the log-likelihood, not a loss", "A loss should fall as the model gets better.",
                      lambda c, r: -np.logaddexp(0, r - c).mean()),
        Misconception("one minus the probability", "Likelihood is measured in logs.",
                      lambda c, r: (1 - _sigmoid(c - r)).mean()),
    ))


def _quiet(f):
    with np.errstate(divide="ignore"):
        return f()


GRADIENT = Exercise(
    id="rm.gradient", notebook=NOTEBOOK, title="Which pairs teach",
    function="loss_gradient", points=2, difficulty="medium", minutes=8,
    task="""Return the gradient of the mean Bradley-Terry loss with respect to `chosen_scores`, shape `(N,)`.""",
    hints=("The derivative of log(1 + e^(−d)) with respect to d is −σ(−d).",
           "σ(−d) is the chance that the model gave to the *other* answer. And the loss is a mean."),
    cases=_score_cases, reference=lambda c, r: -_sigmoid(r - c) / len(c),
    misconceptions=(
        Misconception("the gradient of a model that is surest where it is right", "Which pair has least to teach?",
                      lambda c, r: -_sigmoid(c - r) / len(c)),
        Misconception("the gradient of the sum", "The loss is a mean over N pairs.", lambda c, r: -_sigmoid(r - c)),
        Misconception("the gradient with its sign turned round", "A step against it should raise the chosen score.",
                      lambda c, r: _sigmoid(r - c) / len(c)),
        Misconception("the slope of σ", "log changes it: the slope of log σ(d) is σ(−d).",
                      lambda c, r: -_sigmoid(c - r) * _sigmoid(r - c) / len(c)),
    ))


def _tie_cases(seed):
    rng = np.random.default_rng(seed)
    return [Case("one right, one wrong, two ties", dict(chosen_scores=np.array([1.0, 0.0, 2.0, 2.0]),
                                                        rejected_scores=np.array([0.0, 1.0, 2.0, 2.0]))),
            *[Case("rounded scores", dict(chosen_scores=np.append(rng.integers(0, 3, 5) + 0.5, [1.0, 2.0]),
                                          rejected_scores=np.append(rng.integers(0, 3, 5) * 1.0, [1.0, 2.0])))
              for _ in range(3)]]


ACCURACY = Exercise(
    id="rm.accuracy", notebook=NOTEBOOK, title="Accuracy, ties included",
    function="pair_accuracy", points=1, difficulty="easy", minutes=3,
    task="""Return the share of pairs that the model orders as people did, one number. A tie in the scores counts
one half: that is what a coin would get.""",
    hints=("Count strict wins, then add half of the ties.", "`(chosen > rejected) + 0.5 * (chosen == rejected)`"),
    cases=_tie_cases, reference=library.accuracy,
    refuses=("preferences.accuracy",),
    misconceptions=(
        Misconception("an accuracy that counts ties as right", "A model that always says 0 would be perfect.",
                      lambda c, r: (c >= r).mean()),
        Misconception("an accuracy that counts ties as wrong", "A coin would get half of them.",
                      lambda c, r: (c > r).mean()),
        Misconception("an accuracy that leaves ties out", "They count one half each.",
                      lambda c, r: (c > r).sum() / (c != r).sum()),
        Misconception("the share of wrong pairs", "Which side did people choose?",
                      lambda c, r: ((c < r) + 0.5 * (c == r)).mean()),
    ))


def _mask_cases(seed):
    rng = np.random.default_rng(seed)
    cases = []
    for label, lengths in (("all as long as the batch", [4, 4]), ("replies of different lengths", [2, 4, 1])):
        mask = np.arange(4) < np.array(lengths)[:, None]
        cases.append(Case(label, dict(token_scores=rng.normal(0, 2, mask.shape).round(1), mask=mask)))
    garbage = np.array([[0.5, 1.0, np.nan, np.nan], [1.5, 2.0, 3.0, np.nan]])
    return [*cases, Case("padding that is not a number", dict(token_scores=garbage, mask=~np.isnan(garbage)))]


LAST_TOKEN = Exercise(
    id="rm.last_token", notebook=NOTEBOOK, title="Where the score is read",
    function="reply_scores", points=2, difficulty="medium", minutes=8,
    task="""A score head gives a number at every position: `token_scores`, `(B, T)`. Replies are padded on the
right; `mask`, `(B, T)`, is True at real tokens. Return the score of each reply, `(B,)`, the one at its
last real token. What stands at the padding may be anything, even NaN.""",
    hints=("A row with n real tokens has its last one at position n − 1.",
           "`token_scores[np.arange(B), mask.sum(axis=1) - 1]`"),
    cases=_mask_cases, reference=lambda s, m: s[np.arange(len(s)), m.sum(1) - 1],
    misconceptions=(
        Misconception("the score in the last column", "Is that a real token in every row?", lambda s, m: s[:, -1]),
        Misconception("the mean over the reply", "The last token is the one that has seen all of it.",
                      lambda s, m: np.where(m, s, 0).sum(1) / m.sum(1)),
        Misconception("the score at the first pad", "Count from 0: n tokens end at n − 1.",
                      lambda s, m: s[np.arange(len(s)), np.minimum(m.sum(1), s.shape[1] - 1)]),
        Misconception("the score at the first token", "It has seen nothing of the reply.", lambda s, m: s[:, 0]),
    ))


def _chance_cases(seed):
    rng = np.random.default_rng(seed)
    return [Case("clear and unclear pairs", dict(probabilities=np.array([0.9, 0.2, 0.5, 0.7]))),
            *[Case("random pairs", dict(probabilities=rng.uniform(0, 1, 5).round(2))) for _ in range(2)]]


CEILING = Exercise(
    id="rm.ceiling", notebook=NOTEBOOK, title="The noise ceiling",
    function="noise_ceiling", points=1, difficulty="medium", minutes=5,
    task="""For each of N pairs you know the chance `probabilities`, `(N,)`, that a person prefers the first answer.
Return the best accuracy that any model can have on fresh labels, one number.""",
    hints=("The best guess for a pair is the likelier answer.", "How often is that guess right? Then average."),
    cases=_chance_cases, reference=library.noise_ceiling,
    refuses=("preferences.noise_ceiling",),
    misconceptions=(
        Misconception("how often two people agree", "One of the two is a model that knows the chances.",
                      lambda p: (p**2 + (1 - p) ** 2).mean()),
        Misconception("the share of first answers preferred", "A model may guess the second.", lambda p: p.mean()),
        Misconception("a guess made once for all pairs", "Guess for each pair, then average.",
                      lambda p: max(p.mean(), 1 - p.mean())),
        Misconception("a perfect score", "Labels are noisy: the likelier answer does not always win.",
                      lambda p: np.ones(len(p)).mean()),
    ))


def _ece(g, place, said, distance, average):
    """A calibration error from its parts; of every bin that is not empty the gap and the number of pairs."""
    bins = place(g)
    filled = np.unique(bins)
    gaps = [distance(said(g, bins, b) - g.outcomes[bins == b].mean()) for b in filled]
    return average(g, np.array(gaps), np.array([(bins == b).sum() for b in filled]))


def _bins(g):
    return np.minimum((g.probabilities * g.bins).astype(int), g.bins - 1)


def _expected_calibration_error(probabilities, outcomes, bins):
    said, came, count = library.reliability(probabilities, outcomes, bins=bins)
    return (count / count.sum() * np.abs(said - came)).sum()


def _ece_cases(seed):
    rng = np.random.default_rng(seed)

    def case(label, probabilities, outcomes, bins, *facts):
        return Case(label, dict(probabilities=np.array(probabilities), outcomes=np.array(outcomes), bins=bins),
                    facts)

    cases = [case("six pairs in three bins, one of them empty", [0.1, 0.25, 0.9, 0.95, 0.7, 0.75],
                  [False, True, True, True, False, True], 3, "with an empty bin"),
             case("certainties", [1.0, 1.0, 0.0, 0.6, 0.8], [True, False, False, True, True], 2),
             case("all bins filled", [0.2, 0.4, 0.5, 0.8], [True, False, False, True], 3),
             case("pairs on the edge of a bin", [0.5, 0.25, 0.75, 0.3, 0.5], [True, False, True, True, False], 4,
                  "with a probability on an edge", "with an empty bin")]
    for bins in (4, 5, 10):
        probabilities = (rng.integers(0, bins, 7) + rng.uniform(0.1, 0.9, 7)) / bins  # none near an edge
        cases.append(case(f"seven pairs in {bins} bins", probabilities.round(3), rng.random(7) < 0.5, bins))
    return cases


CALIBRATION = Exercise(
    id="rm.calibration", notebook=NOTEBOOK, title="Calibration",
    function="calibration_error", points=2, difficulty="medium", minutes=10,
    task="""`probabilities`, `(N,)`, are what a model said; `outcomes`, `(N,)`, bools, are what came true. Sort the
pairs into `bins` bins of equal width over [0, 1] by what was said; a probability on an edge belongs to the bin
above it, and 1.0 to the last. Return the expected calibration error: the gap between mean probability and share
that came true, absolute, averaged over the bins weighted by their size. An empty bin counts nothing.""",
    hints=("Bin of p: `np.minimum((p * bins).astype(int), bins - 1)`.",
           "`np.bincount` with weights gives sums per bin; an empty bin counts nothing."),
    cases=_ece_cases, reference=_expected_calibration_error, compose=_ece,
    refuses=("preferences.reliability",),
    slots=(
        Slot("place", _bins, (
            Choice("a probability of 1 in a bin of its own", "To which bin does 1.0 belong?",
                   lambda g: (g.probabilities * g.bins).astype(int)),
            Choice("a probability on an edge put into the bin below", "To which bin does an edge belong?",
                   lambda g: np.maximum(np.ceil(g.probabilities * g.bins).astype(int) - 1, 0)),
            Choice("bins around rounded probabilities", "How wide are the first and the last bin?",
                   lambda g: np.round(g.probabilities * (g.bins - 1)).astype(int)))),
        Slot("said", lambda g, bins, b: g.probabilities[bins == b].mean(), (
            Choice("the centre of a bin in the place of its mean probability",
                   "What did the model say in this bin?",
                   lambda g, bins, b: (b + 0.5) / g.bins),)),
        Slot("distance", np.abs, (
            Choice("a calibration error whose gaps cancel", "Is too sure here and too modest there no error?",
                   lambda gap: gap),
            Choice("a squared gap", "In which units is the gap?", np.square))),
        Slot("average", lambda g, gaps, count: (gaps * count).sum() / count.sum(), (
            Choice("a mean in which all bins count the same", "How much does a bin of one pair know?",
                   lambda g, gaps, count: gaps.mean()),
            Choice("a mean in which empty bins count as well", "How much does a bin of no pair know?",
                   lambda g, gaps, count: gaps.sum() / g.bins),
            Choice("the worst bin in the place of the average", "What should be averaged, over what?",
                   lambda g, gaps, count: gaps.max()),
            Choice("a sum of gaps without weights", "How much does a bin of one pair know?",
                   lambda g, gaps, count: gaps.sum()),
            Choice("an empty bin that makes everything NaN", "What is the mean of no pair?",
                   lambda g, gaps, count: (gaps * count).sum() / count.sum() if len(gaps) == g.bins else np.nan))),
    ),
    misconceptions=(
        Misconception("an error that leaves out the pairs said to be certain", "To which bin does 1.0 belong?",
                      lambda p, y, b: _expected_calibration_error(p[p < 1], y[p < 1], b) * (p < 1).mean()),
        Misconception("the absolute value of all gaps together", "Is too sure here and too modest there no error?",
                      lambda p, y, b: abs(p.mean() - y.mean())),
        Misconception("the Brier score", "Which two averages should be compared?",
                      lambda p, y, b: ((p - y) ** 2).mean()),
        Misconception("the mean distance from what came true", "Which two averages should be compared?",
                      lambda p, y, b: np.abs(p - y).mean()),
    ))


BEST_OF_N = Exercise(
    id="rm.best_of_n", notebook=NOTEBOOK, title="What best-of-n costs",
    function="best_of_n_kl", points=1, difficulty="easy", minutes=3,
    task="""Return how far (KL, in nats) choosing the best of `n` samples moves from the policy that wrote them, for
an array `n` of shape `(K,)`.""",
    hints=("The formula is in the text.", "log n − (n − 1)/n; for n = 1 nothing has moved."),
    cases=lambda seed: [Case("the usual n", dict(n=np.array([1.0, 4.0, 16.0, 64.0]))),
                        Case("others", dict(n=np.random.default_rng(seed).integers(2, 100, 3).astype(float)))],
    reference=library.best_of_n_kl,
    refuses=("preferences.best_of_n_kl",),
    misconceptions=(
        Misconception("log n alone", "Right for n = 1; what is missing beyond?", np.log),
        Misconception("log n − 1", "For n = 1 nothing has moved.", lambda n: np.log(n) - 1),
        Misconception("a KL in bits", "Nats: use the natural logarithm.", lambda n: np.log2(n) - (n - 1) / n),
        Misconception("log n + (n − 1)/n", "Smaller than log n, or larger?", lambda n: np.log(n) + (n - 1) / n),
    ))

EXERCISES = (PROBABILITY, LOSS, GRADIENT, ACCURACY, LAST_TOKEN, CEILING, CALIBRATION, BEST_OF_N)
