"""Exercises of chapter 3: Bradley-Terry by hand, what accuracy means, where a score is read, and two audits: an
annotator's taste for length, a reward model that the policy has left behind."""

import math
from operator import itemgetter

import numpy as np

from coursekit import preferences as library
from coursekit.exercises.base import Case, Choice, Exercise, Misconception, Slot, varied

NOTEBOOK = "03_reward_models"
_MANY = "How many numbers are wanted?"


def _sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def _score_cases(seed, first="chosen_scores", second="rejected_scores", far=30.0):
    """Pairs of scores, none alike but in one pair; far: the largest size of a score."""
    rng = np.random.default_rng(seed)
    far *= varied(seed)[0] + 0.5 * bool(seed)  # no less far
    given = [("four pairs", [1.4, -0.6, 0.3, 2.2], [0.5, 0.9, -1.1, 2.5]),
             ("one pair", [0.4], [-0.3]),
             ("a tie and two others", [0.8, -1.3, 0.1], [0.8, -0.2, 1.7])]
    given += [("drawn scores", *rng.normal(0, 1.5, (2, size)).round(1)) for size in (5, 3)]
    given += [("scores far apart", [far, -0.6 * far, 0.7], [0.0, 0.4 * far, 1.2]),
              ("scores far apart, in the right order", [0.5 * far, far], [-0.5 * far, 0.2 * far])]
    return [Case(label, {first: np.array(a), second: np.array(b)},
                 ("with scores far apart",) * label.startswith("scores")) for label, a, b in given]


def _scores(exchanged, alone):
    """Which two scores are compared. exchanged, alone: (name, question) of two wrong choices."""
    return Slot("scores", lambda a, b: (a, b), (
        Choice(*exchanged, lambda a, b: (b, a)),
        Choice(*alone, lambda a, b: (a, 0.0 * b)),
        Choice("a sum of the two scores in the place of their difference",
               "What happens if both scores rise by the same?", lambda a, b: (a, -b)),
        Choice("a difference of scores without its sign", "Does it matter which of the two is higher?",
               lambda a, b: (np.maximum(a, b), np.minimum(a, b))),
    ))


_BETWEEN = "Between which two numbers does a chance lie?"
_SIGMA = "What is σ(0), and what is σ(1)?"
_ADDED = "What happens if both scores rise by the same?"


def _normal(a, b):
    return np.array([0.5 * (1 + math.erf(d / math.sqrt(2))) for d in (a - b).tolist()])


PROBABILITY = Exercise(
    id="rm.probability", notebook=NOTEBOOK, title="From two scores to a probability",
    function="preference_probability", points=1, difficulty="easy", minutes=3,
    task="""Two replies to each of N prompts have `first_scores` and `second_scores`, `(N,)` floats each, between
−30 and 30. Return the probability that the first is preferred in the Bradley–Terry model, `(N,)`.""",
    hints=("Does the probability depend on both scores, or on one number made of them?",
           "σ of a difference: with equal scores the probability is one half."),
    cases=lambda seed: _score_cases(seed, "first_scores", "second_scores"),
    reference=lambda a, b: library.bradley_terry_probability(a, b),
    refuses=("preferences.bradley_terry_probability",),
    compose=lambda g, scores, chance, arrange: arrange(chance(*scores(g.first_scores, g.second_scores))),
    slots=(
        _scores(("the chance that the second is preferred", "Should a higher first score raise it, or lower it?"),
                ("a chance from the first score alone", "Better than what?")),
        Slot("chance", lambda a, b: _sigmoid(a - b), (
            Choice("log-odds in the place of a chance", _BETWEEN, lambda a, b: a - b),
            Choice("odds in the place of a chance", _BETWEEN, lambda a, b: np.exp(a - b)),
            Choice("the logarithm of a chance", _BETWEEN, lambda a, b: -np.logaddexp(0, b - a)),
            Choice("a verdict, 0 or 1, in the place of a chance", "How sure is the model of a small difference?",
                   lambda a, b: 1.0 * (a > b)),
            Choice("a verdict, 0 or 1, in the place of a chance", "How sure is the model of a small difference?",
                   lambda a, b: np.sign(a - b) / 2 + 0.5),
            Choice("a hyperbolic tangent in the place of σ", _SIGMA, lambda a, b: np.tanh(a - b)),
            Choice("a σ that is twice as steep", _SIGMA, lambda a, b: _sigmoid(2 * (a - b))),
            Choice("a σ that is half as steep", _SIGMA, lambda a, b: _sigmoid((a - b) / 2)),
            Choice("the normal distribution in the place of σ", "Which curve is Bradley–Terry's?", _normal),
            Choice("a power of 10 in the place of the exponential", _SIGMA,
                   lambda a, b: _sigmoid(np.log(10) * (a - b))),
            Choice("a power of 2 in the place of the exponential", _SIGMA,
                   lambda a, b: _sigmoid(np.log(2) * (a - b))),
            Choice("a σ with a minus sign in its denominator", _SIGMA, lambda a, b: 1 / (1 - np.exp(b - a))),
            Choice("the slope of σ", _SIGMA, lambda a, b: _sigmoid(a - b) * _sigmoid(b - a)),
            Choice("a share of the scores", "What is a share of negative scores?", lambda a, b: a / (a + b)),
            Choice("a difference of two σ", _ADDED, lambda a, b: _sigmoid(a) - _sigmoid(b)),
            Choice("a share of two σ", _ADDED, lambda a, b: _sigmoid(a) / (_sigmoid(a) + _sigmoid(b))),
            Choice("a product of two σ", _ADDED, lambda a, b: _sigmoid(a) * _sigmoid(-b)),
            Choice("a ratio of scores in the place of their difference", _ADDED, lambda a, b: _sigmoid(a / b)),
            Choice("a softmax over the prompts", "Which two scores compete with each other?",
                   lambda a, b: _softmax(a - b)))),
        Slot("arrange", lambda p: p, (
            Choice("both chances of each pair", "How many numbers are wanted for each pair?",
                   lambda p: np.array([p, 1 - p])),
            Choice("both chances of each pair", "How many numbers are wanted for each pair?",
                   lambda p: np.array([p, 1 - p]).T))),
    ),
    misconceptions=(
        Misconception("a softmax over the prompts", "Which two scores compete with each other?",
                      lambda a, b: _softmax(a)),
        Misconception("the chances rounded", "How sure is the model of a small difference?",
                      lambda a, b: _sigmoid(a - b).round(2)),
    ))


def _softmax(x):
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


_CERTAIN = "What is wanted where the model is sure, and right?"
_FAR = "How large is the loss of a difference of −1000?"
_OVERFLOW = ("a loss that overflows where the scores are far apart",
             "What is e^1000 in floating point, and what is the logarithm of 0?")


def _capped(cap):
    return lambda c, r: np.minimum(np.logaddexp(0, r - c), cap).mean()


LOSS = Exercise(
    id="rm.loss", notebook=NOTEBOOK, title="The loss of a reward model",
    function="reward_loss", points=2, difficulty="medium", minutes=8,
    task="""`chosen_scores` and `rejected_scores` are `(N,)` floats. Return the mean Bradley–Terry loss, one
number: −log of the probability of what people chose. It must be right, and finite, for differences of ±1000
too.""",
    hints=("−log σ(d) = log(1 + e^(−d)). What is it close to where d is −1000?",
           "numpy has the logarithm of a sum of two exponentials as one function, which does not overflow."),
    cases=lambda seed: _score_cases(seed, far=1000.0), reference=lambda c, r: np.logaddexp(0, r - c).mean(),
    refuses=("reward_model.bradley_terry_loss",),
    compose=lambda g, scores, each, average: average(
        each, np.subtract(*scores(g.chosen_scores, g.rejected_scores))),
    slots=(
        _scores(("a loss with the answers exchanged", "When should the loss be small?"),
                ("a loss of the chosen score alone", "Better than what?")),
        Slot("each", lambda d: np.logaddexp(0, -d), (
            Choice(*_OVERFLOW, lambda d: np.log1p(np.exp(-d))),
            Choice(*_OVERFLOW, lambda d: -np.log(np.exp(d) / (1 + np.exp(d)))),
            Choice("a log-likelihood in the place of a loss", "Should a loss rise as the model gets better?",
                   lambda d: -np.logaddexp(0, -d)),
            Choice("the chance of the other answer, without a logarithm", "Of what is the loss the logarithm?",
                   lambda d: _sigmoid(-d)),
            Choice("minus a chance, without a logarithm", "Of what is the loss the logarithm?",
                   lambda d: -_sigmoid(d)),
            Choice("a squared distance from certainty", "Of what is the loss the logarithm?",
                   lambda d: _sigmoid(-d) ** 2),
            Choice("a logarithm to base 2", "In which unit is the loss?",
                   lambda d: np.logaddexp(0, -d) / np.log(2)),
            Choice("a logarithm to base 10", "In which unit is the loss?",
                   lambda d: np.logaddexp(0, -d) / np.log(10)),
            Choice("minus the difference itself", _CERTAIN, lambda d: -d),
            Choice("a squared difference", _CERTAIN, lambda d: d**2),
            Choice("a hinge loss", _CERTAIN, lambda d: np.maximum(0, 1 - d)),
            Choice("a loss that is 0 for every pair in the right order", _CERTAIN, lambda d: np.maximum(0, -d)),
            Choice("a share of pairs in the wrong order", "Does it matter how sure the model was?",
                   lambda d: 1.0 * (d < 0)),
            Choice("an exponential loss", "How fast does the loss grow where the model is sure, and wrong?",
                   lambda d: np.exp(-d)),
            Choice("the loss of a coin toss added to each pair",
                   "What is the loss of a model that is sure, and right?",
                   lambda d: np.logaddexp(0, -d) + np.logaddexp(0, 0)))),
        Slot("average", lambda each, d: each(d).mean(), (
            Choice("a sum in the place of the mean", "Should the loss grow with the number of pairs?",
                   lambda each, d: each(d).sum()),
            Choice("a loss for each pair", _MANY, lambda each, d: each(d)),
            Choice("the loss of the mean difference", "What is averaged: scores, chances, or losses?",
                   lambda each, d: each(d.mean())),
            Choice("the logarithm of the mean chance", "What is averaged: scores, chances, or losses?",
                   lambda each, d: -np.log(np.exp(-each(d)).mean())),
            Choice("half the loss", "How many losses does a pair have?", lambda each, d: each(d).mean() / 2),
            Choice("a mean that divides by N − 1", "How many losses are averaged?",
                   lambda each, d: each(d).sum() / np.float64(len(d) - 1)),
            Choice("the largest loss in the place of the mean", "What should be averaged, over what?",
                   lambda each, d: each(d).max()),
            Choice("the median in the place of the mean", "What should be averaged, over what?",
                   lambda each, d: np.median(each(d))))),
    ),
    misconceptions=tuple(
        Misconception("a loss that is cut off where the scores are far apart", _FAR, _capped(cap))
        for cap in (-np.log(1e-16), -np.log(1e-15), -np.log(1e-12), -np.log(1e-10), -np.log(1e-9), -np.log(1e-8),
                    -np.log(1e-7), 20.0, 30.0, 50.0, 100.0, 500.0, 700.0)),
    )


_CHAIN = "By the chain rule: which slope does the logarithm have, and which σ?"

GRADIENT = Exercise(
    id="rm.gradient", notebook=NOTEBOOK, title="Which pairs teach",
    function="loss_gradient", points=2, difficulty="medium", minutes=8,
    task="""Return the gradient of the mean Bradley–Terry loss with respect to `chosen_scores`, `(N,)`. Both arrays
are `(N,)` floats between −30 and 30.""",
    hints=("How large is the step for a pair that the model already gets right, and for one that it gets wrong?",
           "The slope of −log σ(d) is minus the probability that the model gave to the *other* reply. And the loss "
           "is a mean."),
    cases=_score_cases, reference=lambda c, r: -1 / (1 + np.exp(c - r)) / len(c),
    compose=lambda g, scores, slope, sign, share, arrange: arrange(
        sign * slope(*scores(g.chosen_scores, g.rejected_scores)) * share(len(g.chosen_scores))),
    slots=(
        _scores(("the chance of the chosen answer in the place of the other's",
                 "Which pair has least to teach?"),
                ("a gradient from the chosen score alone", "Better than what?")),
        Slot("slope", lambda c, r: _sigmoid(r - c), (
            Choice("the slope of σ, without the logarithm", _CHAIN, lambda c, r: _sigmoid(c - r) * _sigmoid(r - c)),
            Choice("the slope of the logarithm, without that of σ", _CHAIN, lambda c, r: 1 / _sigmoid(c - r)),
            Choice("the loss of each pair in the place of its slope", "What changes, if the chosen score rises?",
                   lambda c, r: -np.logaddexp(0, r - c)),
            Choice("a slope multiplied by the chosen score", "By which variable is the loss derived?",
                   lambda c, r: _sigmoid(r - c) * c),
            Choice("a slope multiplied by the difference of scores", "By which variable is the loss derived?",
                   lambda c, r: _sigmoid(r - c) * (c - r)),
            Choice("the odds of the other answer in the place of its chance", _BETWEEN,
                   lambda c, r: np.exp(r - c)),
            Choice("the difference of scores in the place of a chance", _BETWEEN, lambda c, r: r - c),
            Choice("a slope that is the same for every pair", "Which pair has least to teach?",
                   lambda c, r: np.ones(len(c))),
            Choice("a slope for pairs in the wrong order alone", "Has a pair in the right order nothing to teach?",
                   lambda c, r: 1.0 * (c < r)))),
        Slot("sign", -1.0, (
            Choice("the gradient with its sign turned, or that of the rejected scores",
                   "Does the loss rise or fall, if a chosen score rises?", 1.0),)),
        Slot("share", lambda n: 1 / n, (
            Choice("the gradient of a sum in the place of a mean", "Of which loss is this the gradient?",
                   lambda n: 1.0),
            Choice("a gradient divided by the number of all scores", "How many losses are averaged?",
                   lambda n: 1 / (2 * n)),
            Choice("a gradient divided by N twice", "How many losses are averaged?", lambda n: 1 / n**2),
            Choice("a gradient divided by N − 1", "How many losses are averaged?",
                   lambda n: 1 / np.float64(n - 1)))),
        Slot("arrange", lambda x: x, (
            Choice("the gradients of both arrays of scores", "With respect to which scores?",
                   lambda x: np.array([x, -x])),
            Choice("a sum over pairs", _MANY, lambda x: x.sum()),
            Choice("a mean over pairs", _MANY, lambda x: x.mean()),
            Choice("a gradient scaled to length 1", "How long is the gradient of a loss that is nearly 0?",
                   lambda x: x / np.sqrt((x**2).sum())))),
    ))


def _tie_cases(seed):
    """Pairs with so many wins, ties and losses: no two counts alike, an odd number of ties."""
    rng = np.random.default_rng(seed)

    def case(label, wins, ties, losses):
        rejected = rng.choice(np.arange(-20, 20), wins + ties + losses, replace=False) / 10
        lead = np.concatenate([rng.choice([0.04, 0.7, 1.3], wins), np.zeros(ties),
                               -rng.choice([0.04, 0.6, 1.1], losses)])
        order = rng.permutation(len(lead))
        return Case(label, dict(chosen_scores=(rejected + lead)[order].round(2), rejected_scores=rejected[order]),
                    ("with ties",) * (ties > 0))

    first = Case("two wins, four ties, two losses", dict(
        chosen_scores=np.array([0.8, -1.3, -0.5, -0.3, 2.0, -0.7, 1.9, -1.0]),
        rejected_scores=np.array([-0.4, -1.26, -0.5, -0.3, 2.0, -0.7, -0.6, -1.0])), ("with ties",))
    return [first, case("four wins, a tie, two losses", 4, 1, 2), case("no ties", 3, 0, 1),
            case("three ties", 1, 3, 2), case("one pair, in the wrong order", 0, 0, 1), case("ties only", 0, 3, 0),
            case("two ties, six wins", 6, 2, 1), case("five pairs", 1, 1, 3)]


_COIN = "How many of the ties would a coin get?"


def _accuracy(g, compare, count, share):
    wins, ties = compare(g.chosen_scores, g.rejected_scores)
    return share(*count(np.float64(wins.sum()), np.float64(ties.sum()), np.float64(wins.size)))


ACCURACY = Exercise(
    id="rm.accuracy", notebook=NOTEBOOK, title="Accuracy, ties included",
    function="pair_accuracy", points=1, difficulty="easy", minutes=3,
    task="""`chosen_scores` and `rejected_scores` are `(N,)` floats. Return the share of pairs that the model orders
as people did, one number. A tie, two equal scores, counts one half: that is what a coin would get.""",
    hints=("Which pairs are right for sure, and which for one half?",
           "Count two kinds of pairs by two comparisons, and give the second kind a weight."),
    cases=_tie_cases, reference=library.accuracy,
    refuses=("preferences.accuracy",),
    compose=_accuracy,
    slots=(
        Slot("compare", lambda c, r: (c > r, c == r), (
            Choice("the share of pairs in the wrong order", "Which of the two did people choose?",
                   lambda c, r: (c < r, c == r)),
            Choice("every chosen answer compared with every rejected one", "Which two scores belong to one prompt?",
                   lambda c, r: (c[:, None] > r, c[:, None] == r)),
            Choice("scores compared with 0", "Are scores of different prompts comparable?",
                   lambda c, r: (c > 0, c == 0)),
            Choice("scores compared without their sign", "Which of −2 and 1 is the higher score?",
                   lambda c, r: (abs(c) > abs(r), abs(c) == abs(r))),
            Choice("nearly equal scores taken for a tie", "When are two scores equal?",
                   lambda c, r: (c - r > 0.05, abs(c - r) <= 0.05)),
            Choice("nearly equal scores taken for a tie", "When are two scores equal?",
                   lambda c, r: (np.round(c) > np.round(r), np.round(c) == np.round(r))))),
        Slot("count", lambda wins, ties, n: (wins + ties / 2, n), (
            Choice("an accuracy that counts ties as right", _COIN, lambda wins, ties, n: (wins + ties, n)),
            Choice("an accuracy that counts ties as wrong", _COIN, lambda wins, ties, n: (wins, n)),
            Choice("an accuracy that leaves ties out", "Does a tie count, or not?",
                   lambda wins, ties, n: (wins, n - ties)),
            Choice("half a point for all ties together", _COIN,
                   lambda wins, ties, n: (wins + 0.5 * (ties > 0), n)),
            Choice("half of the ties, rounded down", _COIN, lambda wins, ties, n: (wins + ties // 2, n)),
            Choice("ties with one half in the sum and none in the number of pairs", "Over how many pairs?",
                   lambda wins, ties, n: (wins + ties / 2, n - ties)),
            Choice("ties with one half in the sum and one half in the number of pairs", "Over how many pairs?",
                   lambda wins, ties, n: (wins + ties / 2, n - ties / 2)),
            Choice("a tie that counts twice as much as a pair in the right order", _COIN,
                   lambda wins, ties, n: (wins / 2 + ties, n)),
            Choice("a tie that counts one half more than a pair in the right order", _COIN,
                   lambda wins, ties, n: (wins + 1.5 * ties, n)),
            Choice("a quarter for a tie", _COIN, lambda wins, ties, n: (wins + ties / 4, n)),
            Choice("the share of ties", "Which pairs are right for sure?", lambda wins, ties, n: (ties, n)))),
        Slot("share", lambda right, n: right / n, (
            Choice("a number of pairs in the place of their share", "Should it grow with the number of pairs?",
                   lambda right, n: right),
            Choice("a percentage", "Between which two numbers does a share lie?", lambda right, n: 100 * right / n),
            Choice("the share of right pairs less the share of wrong ones",
                   "What should a model get that has all pairs wrong?", lambda right, n: 2 * right / n - 1),
            Choice("the ratio of right pairs to wrong ones", "Between which two numbers does a share lie?",
                   lambda right, n: right / (n - right)))),
    ),
    misconceptions=(
        Misconception("the mean chance of what people chose", "Does it matter how sure the model was?",
                      lambda c, r: _sigmoid(c - r).mean()),
        Misconception("an answer for each pair", _MANY, lambda c, r: (c > r) + 0.5 * (c == r)),
        Misconception("one comparison, of the two means", "Are scores of different prompts comparable?",
                      lambda c, r: 1.0 * (c.mean() > r.mean())),
    ))


ONE, NAN = "with a reply of one token", "with NaN at the padding"


def _mask_cases(seed):
    rng = np.random.default_rng(seed)

    def case(label, lengths, width, *facts, scores=None, padding=None):
        mask = np.arange(width) < np.array(lengths)[:, None]
        if scores is None:
            scores = rng.choice(np.arange(-30, 30), mask.shape, replace=False) / 10 + 0.05  # no two alike, none 0
        scores = np.array(scores) if padding is None else np.where(mask, scores, padding)
        return Case(label, dict(token_scores=scores.round(2), mask=mask), facts)

    first = [[2.3, 1.2, 0.2, 1.8, -2.6], [-2.5, -1.5, 1.5, -0.1, -1.2], [0.6, 0.3, 2.4, -0.2, -2.7]]
    some = [[0.5, -1.4, 2.1, 0.9], [1.6, 0.7, np.nan, np.nan]]
    zero = varied(seed)[0] * np.array([[1.1, -0.4, 0.0, 0.8], [-1.2, 0.0, 0.3, -0.7]])
    return [case("replies of 3, 4 and 2 tokens", [3, 4, 2], 5, scores=first),
            case("NaN at the padding", [3, 1], 4, NAN, ONE, scores=some),
            case("NaN at all of the padding", [2, 1, 3], 4, NAN, ONE, padding=np.nan),
            case("all as long as the batch", [3, 3], 3), case("a last token with score 0", [3, 2], 4, scores=zero),
            case("one reply", [2], 3), case("zeros at the padding", [1, 2, 3], 5, ONE, padding=0.0),
            case("one token in one row", [1], 1, ONE),
            case("drawn lengths", rng.integers(1, 5, 3), 5)]


def _at(columns):
    """A choice that reads one score of each reply."""
    return lambda s, m, pick: pick(s, columns(m))


def _beyond(m):
    if m.all(1).any():
        raise IndexError
    return m.sum(1)


def _reply(f):
    """A choice that reads more than one score of each reply."""
    return lambda s, m, at: np.array([f(row[real]) for row, real in zip(s, m)])


_N = "Counted from 0, at which position does a reply of n tokens end?"
_SEEN = "Which token has seen the whole reply?"
_ROWS = "Which row does each position belong to?"

LAST_TOKEN = Exercise(
    id="rm.last_token", notebook=NOTEBOOK, title="Where the score is read",
    function="reply_scores", points=2, difficulty="medium", minutes=8,
    task="""A score head gives a number at every position: `token_scores`, `(B, T)` floats. Replies are padded on
the right; `mask`, `(B, T)`, is True at real tokens, and each reply has at least one. Return the score of each
reply, `(B,)`, the one at its last real token. The entries at padding may be anything, even NaN.""",
    hints=("At which position does a reply of n tokens end, and how do you read n off the mask?",
           "Two index arrays pick one entry of each row: the rows, and the column of each row."),
    cases=_mask_cases, reference=lambda s, m: np.array([row[real][-1] for row, real in zip(s, m)]),
    compose=lambda g, score, pick, arrange: arrange(score(g.token_scores, g.mask, pick), g),
    slots=(
        Slot("score", _at(lambda m: m.sum(1) - 1), (
            Choice("the score in the last column", "Does every reply end in the last column?",
                   _at(lambda m: np.full(len(m), m.shape[1] - 1))),
            Choice("the score at the first padding token", _N, _at(lambda m: np.minimum(m.sum(1), m.shape[1] - 1))),
            Choice("the score at the first padding token", _N, _at(lambda m: m.argmin(1))),
            Choice("the score at the first padding token", _N, _at(_beyond)),
            Choice("the score one token before the last", _N, _at(lambda m: m.sum(1) - 2)),
            Choice("the score one token before the last", _N, _at(lambda m: np.maximum(m.sum(1) - 2, 0))),
            Choice("the score at the first token", _SEEN, _at(lambda m: np.zeros(len(m), int))),
            Choice("the score at the position where the longest reply ends", "Where does each reply end?",
                   _at(lambda m: np.full(len(m), m.sum(1).max() - 1))),
            Choice("the score at the position where the shortest reply ends", "Where does each reply end?",
                   _at(lambda m: np.full(len(m), m.sum(1).min() - 1))),
            Choice("the score at the position where the first reply ends", "Where does each reply end?",
                   _at(lambda m: np.full(len(m), m.sum(1)[0] - 1))),
            Choice("the mean over the reply", _SEEN, _reply(np.mean)),
            Choice("the mean over the reply, its padding counted as zeros", _SEEN,
                   lambda s, m, pick: np.where(m, s, 0).mean(1)),
            Choice("the mean over the reply", _SEEN, lambda s, m, pick: (s * m).sum(1) / m.sum(1)),
            Choice("the sum over the reply", _SEEN, _reply(np.sum)),
            Choice("the sum over the reply", _SEEN, lambda s, m, pick: (s * m).sum(1)),
            Choice("the largest score of the reply", _SEEN, _reply(np.max)),
            Choice("the smallest score of the reply", _SEEN, _reply(np.min)),
            Choice("the mean over the row", "Which tokens are real?", lambda s, m, pick: s.mean(1)),
            Choice("the largest score of the row", "Which tokens are real?", lambda s, m, pick: s.max(1)),
            Choice("the last score that is not 0", "How do you know what is real?",
                   _reply(lambda x: x[np.nonzero(x)[0][-1]] if x.any() else 0.0)),
            Choice("a mask by multiplication", "What is 0 times NaN?", lambda s, m, pick: np.where(
                (np.isnan(s) & ~m).any(1), np.nan, pick(s, m.sum(1) - 1))))),
        Slot("pick", lambda s, columns: s[np.arange(len(s)), columns], (
            Choice("a table of every reply at the end of every other", _ROWS, lambda s, columns: s[:, columns]),
            Choice("the scores of the first reply for every reply", _ROWS, lambda s, columns: s[0, columns]))),
        Slot("arrange", lambda x, g: x, (
            Choice("an array of one column", "Which shape is wanted?", lambda x, g: x[..., None]),
            Choice("the mean over the batch", _MANY, lambda x, g: x.mean()),
            Choice("the sum over the batch", _MANY, lambda x, g: x.sum()),
            Choice("the scores less their mean", "Does the text centre the scores?", lambda x, g: x - x.mean()),
            Choice("an answer for every position", _MANY, lambda x, g: np.where(
                np.arange(g.mask.shape[1]) == g.mask.sum(1)[:, None] - 1, x[..., None], 0.0)),
            Choice("the last reply's score alone", _MANY, lambda x, g: x[-1]))),
    ))


def _chance_cases(seed):
    rng = np.random.default_rng(seed)
    given = [("five pairs", [0.9, 0.2, 0.35, 0.6, 0.05]), ("one pair", [0.3]), ("two certainties", [1.0, 0.0, 0.7]),
             ("a pair of equal chances", [0.5, 0.85]), ("the second is likelier everywhere", [0.1, 0.25, 0.4])]
    given += [("drawn pairs", rng.choice(np.arange(3, 98), size, replace=False) / 100) for size in (4, 6)]
    return [Case(label, dict(probabilities=np.array(p))) for label, p in given]


_SECOND = "What does the model guess where the second is likelier?"
_BEST, _KNOWS = "Which answer does the best model guess for a pair?", "How often does the likelier answer win?"

CEILING = Exercise(
    id="rm.ceiling", notebook=NOTEBOOK, title="The noise ceiling",
    function="noise_ceiling", points=1, difficulty="medium", minutes=5,
    task="""`probabilities`, `(N,)` floats, holds for each of N pairs the probability that a person prefers the
first reply. Return the best accuracy that any model can have on fresh labels, one number.""",
    hints=("The best guess for a pair is the more probable reply.", "How often is that guess right? Then average."),
    cases=_chance_cases, reference=library.noise_ceiling,
    refuses=("preferences.noise_ceiling",),
    compose=lambda g, guess, average: average(guess, g.probabilities),
    slots=(
        Slot("guess", lambda p: np.maximum(p, 1 - p), (
            Choice("the chance of the less likely answer", _BEST, lambda p: np.minimum(p, 1 - p)),
            Choice("the chance of the first answer", _BEST, lambda p: p),
            Choice("the chance of the second answer", _BEST, lambda p: 1 - p),
            Choice("how often two people agree", "Does a model that knows the chances toss a coin?",
                   lambda p: p**2 + (1 - p) ** 2),
            Choice("how often two people disagree", "Does a model that knows the chances toss a coin?",
                   lambda p: 2 * p * (1 - p)),
            Choice("a distance from one half", "What does a coin get?", lambda p: np.abs(p - 0.5)),
            Choice("a distance between the two chances", "What does a coin get?", lambda p: np.abs(2 * p - 1)),
            Choice("the share of pairs in which the first is likelier", _KNOWS, lambda p: 1.0 * (p > 0.5)),
            Choice("a guess of the first answer or of none", _SECOND, lambda p: np.where(p > 0.5, p, 0.0)),
            Choice("a coin tossed where the second is likelier", _SECOND, lambda p: np.maximum(p, 0.5)),
            Choice("an entropy", "Is a number of right guesses wanted, or one of bits?",
                   lambda p: -p * np.log(np.maximum(p, 1e-300)) - (1 - p) * np.log(np.maximum(1 - p, 1e-300))),
            Choice("an entropy", "Is a number of right guesses wanted, or one of bits?",
                   lambda p: -p * np.log2(np.maximum(p, 1e-300)) - (1 - p) * np.log2(np.maximum(1 - p, 1e-300))))),
        Slot("average", lambda guess, p: guess(p).mean(), (
            Choice("a sum in the place of the mean", "Should it grow with the number of pairs?",
                   lambda guess, p: guess(p).sum()),
            Choice("an answer for each pair", _MANY, lambda guess, p: guess(p)),
            Choice("a guess made once for all pairs", "What is averaged: chances, or right guesses?",
                   lambda guess, p: guess(p.mean())),
            Choice("a mean over pairs in which the first is likelier", "Which pairs count?",
                   lambda guess, p: guess(p[p > 0.5]).mean()),
            Choice("the best pair in the place of the average", "What should be averaged, over what?",
                   lambda guess, p: guess(p).max()),
            Choice("the worst pair in the place of the average", "What should be averaged, over what?",
                   lambda guess, p: guess(p).min()),
            Choice("the median in the place of the mean", "What should be averaged, over what?",
                   lambda guess, p: np.median(guess(p))),
            Choice("the chance that all guesses are right", "Is an accuracy a chance, or a share?",
                   lambda guess, p: guess(p).prod()))),
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

    some = round(0.52 + 0.28 * rng.random(), 2) if seed else 0.6
    cases = [case("six pairs in three bins, one of them empty", [0.1, 0.25, 0.9, 0.95, 0.7, 0.75],
                  [False, True, True, True, False, True], 3, "with an empty bin"),
             case("certainties", [1.0, 1.0, 0.0, some, 0.8], [True, False, False, True, True], 2),
             case("all bins filled", [0.2, 0.4, 0.5, 0.8], [True, False, False, True], 3),
             case("pairs on the edge of a bin", [0.5, 0.25, 0.75, some / 2, 0.5], [True, False, True, True, False],
                  4, "with a probability on an edge", "with an empty bin")]
    if seed:
        cases.append(case("certainties, and an edge", [1.0, 0.0, 1.0, 0.4, some, 0.96], [False, False, True, True] +
                          [False, True], 5, "with a probability on an edge"))
    for bins in (4, 5, 10, *((3, 7) if seed else ())):
        probabilities = (rng.integers(0, bins, 7) + rng.uniform(0.1, 0.9, 7)) / bins  # none near an edge
        cases.append(case(f"seven pairs in {bins} bins", probabilities.round(3), rng.random(7) < 0.5, bins))
    return cases


CALIBRATION = Exercise(
    id="rm.calibration", notebook=NOTEBOOK, title="Calibration",
    function="calibration_error", points=2, difficulty="medium", minutes=10,
    task="""`probabilities`, `(N,)`, are the probabilities that a model stated; `outcomes`, `(N,)`, bools, say which
came true. Sort the predictions by their probability into `bins` bins of equal width over [0, 1]; a probability on
an edge belongs to the bin above it, and 1.0 to the last bin. Return the expected calibration error: in each bin the
absolute gap between the mean probability and the share that came true, averaged over the bins with their sizes as
weights. Ignore empty bins.""",
    hints=("What does the whole part of p·bins say? And what must happen to p = 1?",
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


def _n_cases(seed):
    rng = np.random.default_rng(seed)
    return [Case("the usual n", dict(n=np.array([2.0, 4.0, 16.0, 64.0]))),
            Case("ints", dict(n=np.array([1, 3, 10]))), Case("one n", dict(n=np.array([8.0]))),
            Case("drawn ints", dict(n=rng.choice(np.arange(2, 100), 3, replace=False))),
            Case("drawn floats", dict(n=rng.choice(np.arange(2, 100), 4, replace=False) * 1.0))]


_ONE, _NATS = "How far has the policy moved for n = 1?", "To which base is the logarithm, if the unit is nats?"
_MOST = "How large is what is taken away, at most?"
_BRACKETS = "What is divided by n: one term, or more?"

BEST_OF_N = Exercise(
    id="rm.best_of_n", notebook=NOTEBOOK, title="How far best-of-n moves at most",
    function="best_of_n_kl", points=1, difficulty="easy", minutes=3,
    task="""Keeping the best of n samples gives a new policy. Return the upper bound, in nats, on its KL to the
policy that wrote the samples, for each entry of `n`, `(K,)`, floats or ints.""",
    hints=("The formula is in the text.", "What should come out for n = 1, where nothing has been chosen?"),
    cases=_n_cases, reference=library.best_of_n_kl,
    refuses=("preferences.best_of_n_kl",),
    compose=lambda g, logarithm, rest, together, cast: cast(together(logarithm(g.n), rest(g.n)), g.n),
    slots=(
        Slot("logarithm", np.log, (
            Choice("a logarithm to base 2", _NATS, np.log2),
            Choice("a logarithm to base 10", _NATS, np.log10),
            Choice("the logarithm of n + 1", _ONE, np.log1p),
            Choice("the logarithm of n − 1", _ONE, lambda n: np.log(n - 1.0)),
            Choice("n in the place of its logarithm", "How fast does the KL grow with n?", lambda n: 1.0 * n),
            Choice("a root in the place of the logarithm", "How fast does the KL grow with n?", np.sqrt),
            Choice("an answer without log n", "How fast does the KL grow with n?", lambda n: 0.0 * n),
            Choice("a harmonic sum in the place of the logarithm", "How fast does the KL grow with n?",
                   lambda n: np.array([sum(1 / k for k in range(1, int(m) + 1)) for m in n])))),
        Slot("rest", lambda n: (n - 1) / n, (
            Choice("log n, from which nothing is taken away", "How much do you take away, for n = 4?",
                   lambda n: 0.0 * n),
            Choice("log n − 1", _ONE, lambda n: 1.0 + 0 * n),
            Choice("1/n in the place of (n − 1)/n", _ONE, lambda n: 1 / n),
            Choice("n − 1 in the place of (n − 1)/n", _MOST, lambda n: n - 1.0),
            Choice("n/(n − 1) in the place of (n − 1)/n", _ONE, lambda n: n / (n - 1.0)),
            Choice("(n + 1)/n in the place of (n − 1)/n", _ONE, lambda n: (n + 1) / n),
            Choice("(n − 1)/(n + 1) in the place of (n − 1)/n", "How large is it for n = 2?",
                   lambda n: (n - 1) / (n + 1)),
            Choice("(n − 1)/2 in the place of (n − 1)/n", _MOST, lambda n: (n - 1) / 2),
            Choice("n − 1/n, without brackets", _BRACKETS, lambda n: n - 1 / n),
            Choice("n + 1/n, without brackets", _BRACKETS, lambda n: n + 1 / n))),
        Slot("together", np.subtract, (
            Choice("a sum of the two terms in the place of their difference",
                   "Is it smaller than log n, or larger?", np.add),
            Choice("a KL below 0", "May a KL be negative?", lambda a, b: b - a),
            Choice("a product of the two terms", "What joins the two terms?", np.multiply))),
        Slot("cast", lambda x, n: x, (
            Choice("a KL cut to whole numbers", "Which type does the array have that the answer is written into?",
                   lambda x, n: np.trunc(x)),
            Choice("a KL cut to whole numbers", "Which type does the array have that the answer is written into?",
                   lambda x, n: x.astype(n.dtype)),
            Choice("the terms of both parts divided by n", _BRACKETS, lambda x, n: x / n),
            Choice("a KL multiplied by n", "Is the KL that of one reply, or that of n?", lambda x, n: x * n))),
    ),
    misconceptions=(
        Misconception("an answer without log n", "How fast does the KL grow with n?", lambda n: (n - 1) / n),
        Misconception("the terms of both parts divided by n", _BRACKETS, lambda n: (np.log(n) - (n - 1)) / n),
        Misconception("the logarithm of (n − 1)/n", "Of what is the logarithm taken?",
                      lambda n: np.log((n - 1) / n)),
    ))


def _bias_cases(seed):
    """Every sign of words beside every sign of gold; the share that is wanted differs from those of other pairs."""
    rng = np.random.default_rng(seed)

    def case(label, words, gold, wins, *facts):
        order = rng.permutation(len(words))
        return Case(label, dict(words_gap=np.array(words)[order], gold_gap=np.array(gold, float)[order],
                                first_wins=np.array(wins, bool)[order]), facts)

    cases = [case("thirteen comparisons", [-1, 0, 2, 4, -5, 1, 0, 1, 2, -1, -1, -2, -2],
                  [1.5, 0, 0.05, 0, 0, 0, 0, 0, 0, 0, -1, 0.05, 0], [0, 0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 0, 1]),
             case("one pair of equal gold and different length", [2, 0, -3, 1], [0, 0, 0.5, -1.0], [0, 1, 1, 1]),
             case("no pair of equal length", [1, -4, 2, -1, 5], [0, 0, 0, -0.5, 2], [0, 1, 1, 0, 1])]
    for _ in range(4):
        words = np.concatenate([rng.permutation([1, 2, 3, -1, -2, -6, 0, 0]), rng.integers(-4, 5, 4)])
        gold = np.concatenate([np.zeros(8), rng.choice([-1.0, -0.05, 0.05, 0.5], 4)])
        cases.append(case("drawn comparisons", words, gold, rng.random(12) < 0.5))
    return cases


def _longer_wins(words, gold, wins):
    """Counted one by one."""
    of_longer = [win == (w > 0) for w, g, win in zip(words, gold, wins) if g == 0 and w != 0]
    return sum(of_longer) / len(of_longer)


def _share_of_wins(g, level, long, won, share):
    kept = level(g.gold_gap) & long(g.words_gap)
    return share(won(g.words_gap, g.first_wins), kept, g)


_GOLD, _LONG = "Why might a longer answer win, apart from its length?", "Which of the two is longer in such a pair?"
_SIDE = "Where may the longer answer stand?"

BIAS = Exercise(
    id="rm.bias", notebook=NOTEBOOK, title="Does this annotator like length?",
    function="longer_wins", points=2, difficulty="medium", minutes=10,
    task="""You have N comparisons by one annotator. `words_gap`, `(N,)` ints, says how many more words the
first reply has than the second (negative if fewer); `gold_gap`, `(N,)` floats, how much more gold; and
`first_wins`, `(N,)` bools, whether the first was chosen. Good replies may well be longer, so look only at pairs
of exactly equal gold (`gold_gap == 0`) and different length; there is at least one. In what share of them did the
longer reply win? Return one number; 0.5 means no taste for length.""",
    hints=("Two conditions say which pairs count. What says that the longer reply won?",
           "It won if it comes first and the first was chosen, or if it comes second and the second was chosen."),
    cases=_bias_cases, reference=_longer_wins, compose=_share_of_wins,
    slots=(
        Slot("level", lambda gold: gold == 0, (
            Choice("a share over pairs of any gold", _GOLD, lambda gold: np.ones(len(gold), bool)),
            Choice("a share over pairs of different gold", _GOLD, lambda gold: gold != 0),
            Choice("a share that counts pairs in which the first answer has more gold", _GOLD,
                   lambda gold: gold >= 0),
            Choice("a share that counts pairs in which the second answer has more gold", _GOLD,
                   lambda gold: gold <= 0),
            Choice("a share that counts pairs of nearly equal gold", "When is the gold of two answers equal?",
                   lambda gold: abs(gold) < 0.1))),
        Slot("long", lambda words: words != 0, (
            Choice("a share that counts pairs of equal length", _LONG, lambda words: np.ones(len(words), bool)),
            Choice("a share over pairs of equal length", _LONG, lambda words: words == 0),
            Choice("a share over pairs in which the first answer is longer", _SIDE, lambda words: words > 0),
            Choice("a share over pairs in which the second answer is longer", _SIDE, lambda words: words < 0),
            Choice("a share that leaves out pairs whose lengths differ by one word", "When do two lengths differ?",
                   lambda words: abs(words) > 1))),
        Slot("won", lambda words, first: first == (words > 0), (
            Choice("how often the first answer won", _SIDE, lambda words, first: first),
            Choice("how often the shorter answer won", "Which of the two do you count?",
                   lambda words, first: first == (words < 0)),
            Choice("how often the longer answer stands first", "Which argument says who won?",
                   lambda words, first: words > 0),
            Choice("how often the longer answer stands first and wins", _SIDE,
                   lambda words, first: first & (words > 0)),
            Choice("how often the longer answer stands second and wins", _SIDE,
                   lambda words, first: ~first & (words < 0)),
            Choice("how often the first answer won or was longer", "What do you get for a longer answer that lost?",
                   lambda words, first: first | (words > 0)))),
        Slot("share", lambda won, kept, g: won[kept].sum() / np.float64(kept.sum()), (
            Choice("a number of pairs in the place of their share", "Should it grow with the number of pairs?",
                   lambda won, kept, g: won[kept].sum()),
            Choice("a share of all comparisons", "How many pairs were looked at?",
                   lambda won, kept, g: won[kept].sum() / len(kept)),
            Choice("a share of the comparisons of equal gold", "How many pairs were looked at?",
                   lambda won, kept, g: won[kept].sum() / np.float64((g.gold_gap == 0).sum())),
            Choice("a share of the comparisons of different length", "How many pairs were looked at?",
                   lambda won, kept, g: won[kept].sum() / np.float64((g.words_gap != 0).sum())),
            Choice("the ratio of wins to losses", "Between which two numbers does a share lie?",
                   lambda won, kept, g: won[kept].sum() / np.float64((~won[kept]).sum())),
            Choice("a share less one half", "Which number means no taste for length?",
                   lambda won, kept, g: won[kept].sum() / np.float64(kept.sum()) - 0.5),
            Choice("a share of words in the place of pairs", "Does a pair count more that differs by more words?",
                   lambda won, kept, g: (won * abs(g.words_gap))[kept].sum()
                   / np.float64(abs(g.words_gap)[kept].sum())),
            Choice("an answer for each pair that counts", _MANY, lambda won, kept, g: won[kept]))),
    ))


def _by_round(g):
    return [(r, g.said[g.rounds == r]) for r in sorted(set(g.rounds.tolist()))]


def _runs(g):
    starts = np.flatnonzero(np.diff(g.rounds, prepend=-1))
    return list(zip(g.rounds[starts].tolist(), np.split(g.said, starts[1:])))


def _mean(x):
    return x.sum() / len(x) if len(x) else np.nan


def _rule(sure=lambda p: np.maximum(p, 1 - p), right=lambda p: p > 0.5, average=_mean,
          excess=lambda c, a, t: c - a > t):
    """Of a round's chances: by how much its confidence exceeds its accuracy, and whether that is an alarm.
    excess: of confidence, accuracy and tolerance."""
    def rule(p, tolerance):
        c, a = average(sure(p)), average(right(p))
        return c - a, excess(c, a, tolerance)
    return rule


def _confidence(f, p):
    """One number of a round for each of its pairs."""
    return np.full(len(p), f(np.maximum(p, 1 - p)) if len(p) else np.nan)


def _alarms(g, rounds, rule, answer):
    found = [(r, *rule(p, g.tolerance)) for r, p in rounds(g)]
    return answer([(r, gap) for r, gap, alarm in found if alarm], [r for r, _, _ in found])


def _first_alarm(said, rounds, tolerance):
    """By sums over the rounds, without a loop."""
    unsure = np.minimum(said, 1 - said)
    gap = np.bincount(rounds, 1 - unsure - (said > 0.5))
    alarms = np.flatnonzero(gap > tolerance * np.bincount(rounds))
    return int(alarms[0]) if alarms.size else -1


_MIXED = "with rounds in no order"

# (label, said, rounds, tolerance, facts), found by a search for rounds that tell the mistakes apart.
_ROUNDS = (
    ("a round of too little confidence, then one of too much", [0.9, 0.4, 0.6, 0.55, 0.8, 0.95, 0.45, 0.4],
     [0, 0, 1, 1, 1, 2, 2, 2], 0.3, ()),
    ("an excess of exactly the tolerance, then a larger one", [0.75, 0.25, 0.875, 0.25, 0.25], [2, 2, 5, 6, 6],
     0.25, ("with an excess of exactly the tolerance",)),
    ("a chance of one half", [0.9, 0.5, 0.8, 0.2, 0.3, 0.6], [1, 3, 1, 3, 4, 4], 0.2,
     ("with a chance of one half",)),
    ("rounds in no order", [0.8, 0.2, 0.1, 0.8, 0.8, 0.7, 0.7, 0.7, 0.05, 0.9, 0.4, 0.4],
     [2, 2, 1, 1, 0, 1, 7, 0, 7, 2, 1, 2], 0.2, (_MIXED,)),
    ("an alarm in round 0", [0.6, 0.8, 0.4, 0.8, 0.1, 0.6, 0.6, 0.45, 0.95, 0.2, 0.1],
     [1, 6, 7, 1, 6, 6, 1, 0, 7, 1, 5], 0.2, (_MIXED, "with an alarm in round 0")),
    ("never an alarm", [0.55, 0.7, 0.8, 0.95, 0.4, 0.8, 0.95, 0.7, 0.7, 0.6, 0.4],
     [0, 3, 4, 3, 0, 2, 4, 1, 2, 4, 1], 0.2, (_MIXED, "without an alarm")),
    ("alarms in every round", [0.55, 0.3, 0.3, 0.05, 0.7, 0.05, 0.05, 0.4, 0.1, 0.7],
     [1, 5, 3, 1, 0, 5, 0, 5, 3, 3], 0.15, (_MIXED, "with an alarm in round 0")),
    ("a large tolerance", [0.9, 0.2, 0.1, 0.45, 0.9, 0.95, 0.45, 0.7, 0.1, 0.9, 0.9],
     [2, 0, 4, 2, 0, 0, 5, 4, 4, 0, 5], 0.3, (_MIXED,)),
    ("rounds in order, some of them missing", [0.9, 0.55, 0.4, 0.55, 0.7, 0.55, 0.45, 0.7, 0.8, 0.8, 0.3, 0.45],
     [0, 0, 1, 1, 1, 1, 5, 5, 5, 6, 6, 6], 0.1, ()),
    ("no round 0", [0.45, 0.1, 0.95, 0.05, 0.1, 0.05, 0.05, 0.05, 0.1], [4, 5, 7, 7, 7, 5, 4, 4, 6], 0.3,
     (_MIXED,)),
)


def _shift_cases(seed):
    """The same rounds on every seed, with other chances and other numbers; quarters and eighths stay exact."""
    rng = np.random.default_rng(seed)
    cases = []
    for label, said, rounds, tolerance, facts in _ROUNDS:
        said, rounds = np.array(said), np.array(rounds)
        if (said * 8 % 1 != 0).any():
            said = (said + (said != 0.5) * rng.choice([-0.01, 0.0, 0.01], len(said))).round(2)
        rounds = rounds + int(rng.integers(3, 90) if seed else rng.integers(0, 3)) * (rounds > 0)
        cases.append(Case(label, dict(said=said, rounds=rounds, tolerance=tolerance), facts))
    return cases


def _first(alarms, rounds):
    return alarms[0][0] if alarms else -1


_SURE = "How sure was the model of a pair in which people chose the other answer?"
_EACH_ROUND = "Which pairs belong to a round, and which rounds are there?"
_MODEST = "Is it a fault to be right more often than it said?"
_MORE, _WHICH_ALARM = "Which difference is compared with `tolerance`?", "Which of the alarms is wanted?"


SHIFT = Exercise(
    id="rm.shift", notebook=NOTEBOOK, title="When has the policy left the reward model behind?",
    function="first_alarm", points=2, difficulty="medium", minutes=12,
    task="""While a policy is tuned, people go on judging pairs of its replies. You have N judged pairs. `said`,
`(N,)` floats, holds the probability p that the reward model gave to the reply that people *chose*; `rounds`,
`(N,)` ints ≥ 0, the round in which each pair was judged. The pairs may be in any order, and a round without pairs
raises no alarm. The model's confidence in a pair is max(p, 1 − p); it was right where p > 0.5. Return the first
round (the smallest number) in which the mean confidence exceeds the accuracy by more than `tolerance`, as one
number; −1 if there is none.""",
    hints=("Which pairs belong to one round? Two numbers are wanted of them.",
           "Go through the rounds in order; the mean of an array of bools is a share."),
    cases=_shift_cases, reference=_first_alarm, compose=_alarms,
    slots=(
        Slot("rounds", _by_round, (
            Choice("an alarm on all pairs seen so far", "Can old rounds hide a new fault?",
                   lambda g: [(r, g.said[g.rounds <= r]) for r in sorted(set(g.rounds.tolist()))]),
            Choice("all rounds from one on", _EACH_ROUND,
                   lambda g: [(r, g.said[g.rounds >= r]) for r in sorted(set(g.rounds.tolist()))]),
            Choice("rounds in the order in which they appear", _EACH_ROUND,
                   lambda g: [(r, g.said[g.rounds == r]) for r in dict.fromkeys(g.rounds.tolist())]),
            Choice("rounds whose pairs are taken to stand together", _EACH_ROUND, _runs),
            Choice("an answer that leaves out round 0", _EACH_ROUND,
                   lambda g: [(r, p) for r, p in _by_round(g) if r]),
            Choice("an answer that leaves out the last round", _EACH_ROUND, lambda g: _by_round(g)[:-1]),
            Choice("an answer that leaves out rounds of one pair", _EACH_ROUND,
                   lambda g: [(r, p) for r, p in _by_round(g) if len(p) > 1]),
            Choice("rounds numbered as if none were missing", _EACH_ROUND,
                   lambda g: [(r, g.said[g.rounds == r]) for r in range(len(set(g.rounds.tolist())))]),
            Choice("the position of a round in the place of its number", _EACH_ROUND,
                   lambda g: [(i, p) for i, (_, p) in enumerate(_by_round(g))]))),
        Slot("rule", _rule(), (  # one slot: two wrong rules together often give what one of them gives
            Choice("a confidence that is low where the model was wrong", _SURE, _rule(sure=lambda p: p)),
            Choice("a confidence that is low where the model was right", _SURE, _rule(sure=lambda p: 1 - p)),
            Choice("the confidence of the pairs that it got right", _SURE, _rule(sure=lambda p: p[p > 0.5])),
            Choice("a confidence of at least one half where the model was wrong", _SURE,
                   _rule(sure=lambda p: np.maximum(p, 0.5))),
            Choice("a distance from one half in the place of a confidence", "How sure is a coin?",
                   _rule(sure=lambda p: abs(p - 0.5))),
            Choice("a distance from one half, doubled, in the place of a confidence", "How sure is a coin?",
                   _rule(sure=lambda p: abs(2 * p - 1))),
            Choice("a median in the place of the mean confidence", "What of the other pairs of the round?",
                   _rule(sure=lambda p: _confidence(np.median, p))),
            Choice("the largest confidence in the place of the mean", "What of the other pairs of the round?",
                   _rule(sure=lambda p: _confidence(np.max, p))),
            Choice("a chance of one half taken for right", "Where was the model right?",
                   _rule(right=lambda p: p >= 0.5)),
            Choice("an exchange of right and wrong", "Where was the model right?", _rule(right=lambda p: p < 0.5)),
            Choice("a chance in the place of right or wrong", "Is an accuracy made of chances?",
                   _rule(right=lambda p: p)),
            Choice("a sum in the place of the mean", "Should it grow with the number of pairs?",
                   _rule(average=np.sum)),
            Choice("an alarm where the tolerance is reached, not exceeded",
                   "Is an excess of exactly `tolerance` allowed?",
                   _rule(excess=lambda c, a, t: c - a >= t)),
            Choice("an alarm for modesty as well", _MODEST, _rule(excess=lambda c, a, t: abs(c - a) > t)),
            Choice("an alarm for modesty", _MODEST, _rule(excess=lambda c, a, t: a - c > t)),
            Choice("an alarm without a tolerance", "Is every argument used?", _rule(excess=lambda c, a, t: c > a)),
            Choice("a tolerance relative to the accuracy", _MORE, _rule(excess=lambda c, a, t: c > a * (1 + t))),
            Choice("an alarm at an accuracy below one half", _MORE, _rule(excess=lambda c, a, t: a < 0.5)),
            Choice("an alarm at an accuracy below the tolerance", _MORE, _rule(excess=lambda c, a, t: a < t)),
            Choice("an alarm at an error rate above the tolerance", _MORE, _rule(excess=lambda c, a, t: 1 - a > t)),
            Choice("an alarm at a confidence above the tolerance", _MORE, _rule(excess=lambda c, a, t: c > t)),
            Choice("an alarm where no alarm is due", _MORE, _rule(excess=lambda c, a, t: c - a <= t)))),
        Slot("answer", _first, (
            Choice("the last alarm", _WHICH_ALARM, lambda alarms, rounds: alarms[-1][0] if alarms else -1),
            Choice("the largest alarm", _WHICH_ALARM,
                   lambda alarms, rounds: max(alarms, key=itemgetter(1))[0] if alarms else -1),
            Choice("all alarms", _WHICH_ALARM, lambda alarms, rounds: [r for r, _ in alarms] or -1),
            Choice("the number of alarms", _WHICH_ALARM, lambda alarms, rounds: len(alarms)),
            Choice("one more than the round of the first alarm", _WHICH_ALARM,
                   lambda alarms, rounds: alarms[0][0] + 1 if alarms else -1),
            Choice("one less than the round of the first alarm", _WHICH_ALARM,
                   lambda alarms, rounds: alarms[0][0] - 1 if alarms else -1),
            Choice("the excess in the place of the round", _WHICH_ALARM,
                   lambda alarms, rounds: alarms[0][1] if alarms else -1),
            Choice("0 where there is no alarm", "What is wanted where there is none?",
                   lambda alarms, rounds: alarms[0][0] if alarms else 0),
            Choice("the last round where there is no alarm", "What is wanted where there is none?",
                   lambda alarms, rounds: alarms[0][0] if alarms else rounds[-1]))),
    ),
    misconceptions=(Misconception("whether there is an alarm", _WHICH_ALARM, lambda *g: _first_alarm(*g) >= 0),))

# In the order of the page: six where their section ends, then four short ones.
EXERCISES = (LOSS, GRADIENT, LAST_TOKEN, CALIBRATION, BIAS, SHIFT, PROBABILITY, ACCURACY, CEILING, BEST_OF_N)
