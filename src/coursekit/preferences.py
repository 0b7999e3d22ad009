"""Bradley-Terry without torch: probabilities, pairs, annotators, and the accuracy that is possible.

A comparison says only which of two answers to one prompt was preferred. Scores are in
the model's own unit; differences of scores under the same prompt are log-odds.
"""

import gzip
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coursekit.arrays import (
    as_arrays,
    check_numbers,
    finite,
    fraction,
    not_negative,
    positive,
    positive_int,
    shares,
)


def bradley_terry_probability(first_scores, second_scores):
    """Chance that the first answer is preferred.

        P(first ≻ second) = σ(s₁ − s₂) = 1 / (1 + e^(s₂ − s₁))             (book: eq-bt)

    Args: (N,) floats each, scores under the same prompt. Returns: (N,) probabilities.
    Raises: ValueError: shapes or dtypes differ. Source: Bradley and Terry 1952.
    """
    xp, (first, second) = as_arrays(
        floating=["first_scores", "second_scores"],
        first_scores=first_scores, second_scores=second_scores)
    gap = first - second
    smaller = xp.exp(-xp.abs(gap))  # never overflows
    return xp.where(gap >= 0, 1.0, smaller) / (1.0 + smaller)


def rao_kupper(first_scores, second_scores, *, threshold):
    """Chances that the first wins, that they tie, that the second wins: three (N,) arrays that sum to 1.

    A tie is called when the answers are closer than `threshold` >= 0, in log-odds; 0 is
    Bradley-Terry.
    Source: Rao and Kupper 1967.
    """
    not_negative(threshold=threshold)
    wins = bradley_terry_probability(first_scores, second_scores + threshold)
    loses = bradley_terry_probability(second_scores, first_scores + threshold)
    return wins, 1.0 - wins - loses, loses


@dataclass(frozen=True)
class Pairs:
    """N comparisons: texts of prompts, preferred and other answers.

    gaps: (N,) gold, chosen − rejected, or None.
    """

    prompts: list
    chosen: list
    rejected: list
    gaps: np.ndarray | None = None

    def __post_init__(self):
        columns = {name: len(x) for name, x in vars(self).items() if x is not None}
        if len(set(columns.values())) > 1:
            raise ValueError(
                f"prompts, chosen, rejected and gaps must be of one length, got {columns}")

    def take(self, rows):
        """The comparisons of these row numbers."""
        columns = self.prompts, self.chosen, self.rejected
        gaps = None if self.gaps is None else self.gaps[rows]
        return Pairs(*([texts[i] for i in rows] for texts in columns), gaps)


@dataclass(frozen=True)
class Annotator:
    """Judges two answers by their gold, with noise and taste.

    temperature: gold points per unit of log-odds, > 0.
    lapse: chance of a coin toss in [0, 1].
    length_bias: log-odds per word more.
    tone_bias: log-odds for each boast more.
    """

    temperature: float = 1.0
    lapse: float = 0.0
    length_bias: float = 0.0
    tone_bias: float = 0.0

    def __post_init__(self):
        any_number = float, -math.inf, math.inf, True
        check_numbers(
            self, temperature=(float, 0, math.inf, False), lapse=(float, 0, 1, True),
            length_bias=any_number, tone_bias=any_number)

    def probability(self, gold_gap, words_gap=0.0, boasts_gap=0.0):
        """Chance to prefer the first answer, given how much more gold, words and boasts it has."""
        odds = (np.asarray(gold_gap, float) / self.temperature
                + self.length_bias * np.asarray(words_gap, float)
                + self.tone_bias * np.asarray(boasts_gap, float))
        odds = np.atleast_1d(odds)
        attentive = bradley_terry_probability(odds, np.zeros_like(odds))
        return self.lapse / 2 + (1 - self.lapse) * attentive


def label_pairs(
        rng, prompts, first, second, gold_first, gold_second, annotator=None, *,
        boast=None):
    """Have an annotator choose: Pairs.

    gold_*: (N,).
    boast: the phrase that tone_bias counts, or None.
    """
    annotator = annotator or Annotator()
    lengths = [len(x) for x in (prompts, first, second, gold_first, gold_second)]
    if len(set(lengths)) > 1:
        raise ValueError(
            "prompts, first, second, gold_first and gold_second must be of one length, "
            f"got {', '.join(map(str, lengths))}")
    gap = np.asarray(gold_first, float) - np.asarray(gold_second, float)
    finite("gold", gap, "pair")
    words = [len(a.split()) - len(b.split()) for a, b in zip(first, second)]
    words = np.array(words, float)
    boasts = np.zeros(len(gap))
    if boast:
        boasts += [a.count(boast) - b.count(boast) for a, b in zip(first, second)]
    wins = rng.random(len(gap)) < annotator.probability(gap, words, boasts)
    chosen = [a if win else b for a, b, win in zip(first, second, wins)]
    rejected = [b if win else a for a, b, win in zip(first, second, wins)]
    return Pairs(list(prompts), chosen, rejected, gaps=np.where(wins, gap, -gap))


def accuracy(chosen_scores, rejected_scores):
    """Share of pairs in which the preferred answer scores higher; a tie counts one half."""
    _, (chosen, rejected) = as_arrays(
        chosen_scores=chosen_scores, rejected_scores=rejected_scores)
    if (chosen != chosen).any() or (rejected != rejected).any():
        raise ValueError(
            "scores must be numbers, got NaN; look at the model that gave them")
    wins = (chosen > rejected) + 0.5 * (chosen == rejected)
    return float(wins.mean())


def wilson_interval(share, count):
    """Where the true share lies, at 95 %, when `share` of `count` independent trials came true: (low, high).

    Solves |share − p| = 1.96 √(p(1 − p)/count) for p: it stays in [0, 1] and never has
    width 0.
    Source: Wilson 1927.
    """
    share, count, z = fraction(share=share), positive(count=count), 1.959964
    centre = share + z * z / (2 * count)
    width = z * (share * (1 - share) / count + (z / (2 * count)) ** 2) ** 0.5
    scale = 1 + z * z / count
    return (centre - width) / scale, (centre + width) / scale


def effective_count(wins, groups):
    """How many independent comparisons tell as much about the mean of `wins` as these do: p(1 − p) / Var(mean).

    The variance is that of the sums within groups, times G/(G − 1) for G groups. Where
    all are equal, G.

    Args: wins: (N,), 1 right, 0 wrong, 0.5 a tie. groups: (N,) ints from 0.
    """
    wins = np.asarray(wins, float)
    count = int(np.max(groups)) + 1
    share = wins.mean()
    sums = np.bincount(groups, wins - share)
    variance = (sums ** 2).sum() / len(wins) ** 2 * count / max(count - 1, 1)
    if variance > 0:
        return min(share * (1 - share) / variance, len(wins))
    return count


def noise_ceiling(probabilities):
    """The accuracy of a model that knows every probability: E max(p, 1 − p).

    None does better on fresh labels.
    """
    probabilities = shares(probabilities=probabilities)
    return float(np.maximum(probabilities, 1 - probabilities).mean())


def agreement(annotator_accuracy):
    """How often two independent annotators agree who are each right with this chance: 2a² − 2a + 1."""
    a = fraction(annotator_accuracy=annotator_accuracy)
    return 2 * a * a - 2 * a + 1


def reliability(probabilities, outcomes, *, bins=10):
    """Calibration: (mean probability, share that came true, count) of each non-empty bin of equal width.

    Args: probabilities: (N,) in [0, 1]. outcomes: (N,) bools.
    """
    probabilities = shares(probabilities=probabilities)
    _, (probabilities, outcomes) = as_arrays(
        probabilities=probabilities, outcomes=np.asarray(outcomes, float))
    bins = positive_int(bins=bins)
    which = np.minimum((probabilities * bins).astype(int), bins - 1)
    count = np.bincount(which, minlength=bins)
    kept = count > 0
    predicted = np.bincount(which, probabilities, bins)[kept] / count[kept]
    happened = np.bincount(which, outcomes, bins)[kept] / count[kept]
    return predicted, happened, count[kept]


def calibration_error(chosen_scores, rejected_scores, *, bins=10):
    """Expected calibration error of σ(score difference) on pairs, each seen from both sides; 0 is perfect.

    Source: Naeini et al. 2015 (ECE).
    """
    wins = bradley_terry_probability(
        np.asarray(chosen_scores), np.asarray(rejected_scores))
    probabilities = np.concatenate([wins, 1 - wins])
    outcomes = np.arange(len(probabilities)) < len(wins)
    predicted, happened, count = reliability(probabilities, outcomes, bins=bins)
    return float((count * np.abs(predicted - happened)).sum() / count.sum())


def best_of_n_kl(n):
    """At most this far, in nats of KL, is the best of n replies from the policy that wrote them: log n − (n − 1)/n.

    Close to the true KL as long as each single reply is rare; above it where replies or
    their scores coincide.

    Source: Stiennon et al. 2020, appendix G.3; that it is an upper bound: Beirami et
        al. 2024.
    """
    n = np.asarray(n, float)
    if (n < 1).any():
        raise ValueError(f"n must be at least 1, got {n.min():g}")
    return np.log(n) - (n - 1) / n


def best_of_n(proxy, other, ns):
    """Mean of `other` for the best of n by `proxy`, over all subsets of M samples: no resampling noise.

        E = Σ_k C(k − 1, n − 1) / C(M, n) · other of the k-th lowest proxy   (book: eq-best-of-n)

    Of samples with equal proxies any may be the best: each counts with the mean of
    their `other`.

    Args: proxy, other: (prompts, M) scores, finite. ns: ints in 1 … M.
    Returns: (len(ns), prompts).
    Source: Nakano et al. 2021, appendix I.
    """
    _, (proxy, other) = as_arrays(
        proxy=np.asarray(proxy, float), other=np.asarray(other, float))
    finite("proxy", proxy, "prompt")
    finite("other", other, "prompt")
    other = np.array([_mean_over_ties(*rows) for rows in zip(proxy, other)])
    samples = proxy.shape[-1]
    if min(ns) < 1 or max(ns) > samples:
        raise ValueError(
            f"ns must lie in 1 … {samples}, the samples there are, got {list(ns)}")
    ordered = np.take_along_axis(other, proxy.argsort(-1), -1)
    rank = np.arange(1, samples + 1)
    logs = np.append(0.0, np.cumsum(np.log(rank)))  # log k!

    def log_choose(n, k):
        return logs[n] - logs[k] - logs[n - k]

    result = []
    for n in ns:
        # the best of n may be the n-th lowest or any above it
        log_ways = log_choose(rank[n - 1:] - 1, n - 1)
        weights = np.zeros(samples)
        weights[n - 1:] = np.exp(log_ways - log_choose(samples, n))
        result.append(ordered @ weights)
    return np.array(result)


def _mean_over_ties(proxy, other):
    values, place, count = np.unique(proxy, return_inverse=True, return_counts=True)
    if len(values) == len(proxy):
        return other
    means = np.bincount(place, other) / count
    return means[place]


def film_ratings():
    """10,605 sentences of film reviews, each rated −4 … 4 by 15 to 29 people: (texts, list of rating arrays).

    Source: Hutto and Gilbert 2014; made by tools/make_film_ratings.py.
    """
    packed = (Path(__file__).parent / "film_ratings.tsv.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()
    rows = [line.split("\t") for line in lines]
    texts = [text for _, text in rows]
    return texts, [np.array(ratings.split(), int) for ratings, _ in rows]


def preference_of_raters(first, second):
    """Two sets of ratings: chances that a random rater of the first is above, level with, below the second's."""
    gaps = np.asarray(first)[:, None] - np.asarray(second)
    return (gaps > 0).mean(), (gaps == 0).mean(), (gaps < 0).mean()
