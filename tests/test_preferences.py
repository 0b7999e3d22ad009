"""Bradley-Terry, annotators, ceilings, calibration, best-of-n, and real files."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from coursekit.preferences import (
    Annotator,
    Pairs,
    accuracy,
    agreement,
    best_of_n,
    best_of_n_kl,
    bradley_terry_probability,
    calibration_error,
    effective_count,
    film_ratings,
    label_pairs,
    noise_ceiling,
    preference_of_raters,
    rao_kupper,
    reliability,
    wilson_interval,
)

scores = st.lists(st.floats(-50, 50), min_size=1, max_size=5).map(np.array)


@given(scores, st.floats(-1e3, 1e3))
def test_only_differences_count(s, shift):
    p = bradley_terry_probability(s, np.zeros_like(s))
    assert_allclose(bradley_terry_probability(s + shift, np.zeros_like(s) + shift), p, atol=1e-9)
    assert_allclose(p + bradley_terry_probability(np.zeros_like(s), s), 1.0)


def test_it_never_overflows_and_matches_torch():
    gaps = np.array([-1e4, -89.0, -1.0, 0.0, 1.0, 89.0, 1e4])
    with np.errstate(all="raise", under="ignore"):
        p = bradley_terry_probability(gaps, np.zeros(7))
    assert_allclose(p, torch.sigmoid(torch.as_tensor(gaps)).numpy(), atol=1e-15)
    t = bradley_terry_probability(torch.as_tensor(gaps), torch.zeros(7, dtype=torch.float64))
    assert_allclose(t.numpy(), p)


@given(scores, st.floats(0, 3))
def test_rao_kupper_is_bradley_terry_with_room_for_ties(s, threshold):
    wins, ties, loses = rao_kupper(s, np.zeros_like(s), threshold=threshold)
    assert_allclose(wins + ties + loses, 1.0)
    assert (ties >= -1e-12).all()
    if threshold == 0:
        assert_allclose(ties, 0.0, atol=1e-12)
        assert_allclose(wins, bradley_terry_probability(s, np.zeros_like(s)))


def test_an_annotator_has_temperature_lapses_and_taste():
    assert_allclose(Annotator(temperature=2.0).probability(2.0), 1 / (1 + np.exp(-1)))
    assert Annotator(lapse=1.0).probability(100.0) == 0.5
    assert_allclose(Annotator(lapse=0.2).probability(100.0), 0.9)
    assert_allclose(Annotator(length_bias=0.1).probability(0.0, words_gap=10), 1 / (1 + np.exp(-1)))
    assert_allclose(Annotator(tone_bias=-1.0).probability(0.0, boasts_gap=1), 1 / (1 + np.exp(1)))


def test_labels_follow_the_annotator_and_gaps_follow_the_labels():
    rng, n = np.random.default_rng(0), 20_000
    pairs = label_pairs(rng, ["p"] * n, ["good"] * n, ["bad"] * n, np.ones(n), np.zeros(n))
    share = np.mean([c == "good" for c in pairs.chosen])
    assert abs(share - 1 / (1 + np.exp(-1))) < 4 * 0.5 / n**0.5
    assert all((gap == 1) == (c == "good") for gap, c in zip(pairs.gaps, pairs.chosen))
    half = pairs.take(np.arange(10))
    assert len(half.prompts) == len(half.gaps) == 10 and isinstance(half, Pairs)


def test_pairs_without_gold_are_taken_without():
    assert Pairs(["p", "q"], ["a", "b"], ["c", "d"]).take([1]) == Pairs(["q"], ["b"], ["d"])


@pytest.mark.parametrize("taste, first, second, gold", [
    (Annotator(temperature=0.01), ["good", "bad"], ["bad", "good"], ([1, 0], [0, 1])),
    (Annotator(length_bias=50), ["a good one", "bad"], ["bad", "a good one"], ([0, 0], [0, 0])),
    (Annotator(tone_bias=50), ["good good", "bad good"], ["good bad", "good good"], ([0, 0], [0, 0]))])
def test_what_an_annotator_likes_wins_on_either_side(taste, first, second, gold):
    """Log-odds of 50 or more leave nothing to chance. The texts have one length where length is not the point."""
    pairs = label_pairs(np.random.default_rng(0), ["p"] * 2, first, second, *gold, taste, boast="good")
    assert all(text.count("good") > other.count("good") for text, other in zip(pairs.chosen, pairs.rejected))
    assert (pairs.gaps == np.subtract(*gold)[0]).all()


def test_the_ceiling_is_what_the_best_guesser_reaches():
    rng = np.random.default_rng(0)
    p = rng.random(50_000)
    hits = np.where(p > 0.5, rng.random(p.size) < p, rng.random(p.size) > p).mean()
    assert abs(hits - noise_ceiling(p)) < 4 * 0.5 / p.size**0.5
    both = rng.random((2, 50_000)) < 0.836
    assert abs((both[0] == both[1]).mean() - agreement(0.836)) < 4 * 0.5 / 50_000**0.5


def test_ties_count_one_half():
    assert accuracy([1.0, 0.0, 2.0, 5.0], [0.0, 1.0, 2.0, 5.0]) == 0.5
    assert accuracy([3.0, 2.0, 1.0], [1.0, 1.0, 1.0]) == pytest.approx(2.5 / 3)


@pytest.mark.parametrize("share, count, low, high", [
    (81 / 263, 263, 0.2553, 0.3662), (15 / 148, 148, 0.0624, 0.1605), (0.0, 20, 0.0, 0.1611),
    (1 / 29, 29, 0.0061, 0.1718),
])
def test_wilson_intervals_as_published(share, count, low, high):
    """Newcombe 1998, table I, method 3."""
    assert_allclose(wilson_interval(share, count), (low, high), atol=6e-5)
    assert_allclose(wilson_interval(1 - share, count), (1 - high, 1 - low), atol=6e-5)


def test_calibration_is_0_for_the_truth_and_known_for_a_boaster():
    rng = np.random.default_rng(0)
    gap = rng.normal(0, 2, 40_000)
    wins = rng.random(gap.size) < bradley_terry_probability(gap, np.zeros_like(gap))
    chosen, rejected = np.where(wins, gap, 0.0), np.where(wins, 0.0, gap)
    assert calibration_error(chosen, rejected) < 0.01
    assert calibration_error(3 * chosen, 3 * rejected) > 0.1
    # everybody certain, half of them wrong: the error is one half
    certain = np.full(1000, 50.0)
    assert calibration_error(np.append(certain, -certain), np.zeros(2000)) == pytest.approx(0.5)


def test_reliability_by_hand():
    said, came, count = reliability([0.05, 0.15, 0.17, 1.0], [False, True, False, True], bins=10)
    assert_allclose(said, [0.05, 0.16, 1.0])
    assert_allclose(came, [0.0, 0.5, 1.0])
    assert count.tolist() == [1, 2, 1]
    said, came, count = reliability([0.85, 0.95, 1], [True, False, True], bins=10)  # 1 is in the last bin
    assert_allclose(said, [0.85, 0.975])
    assert_allclose(came, [1.0, 0.5])
    assert count.tolist() == [1, 2]
    assert reliability([0.05, 0.095], [1, 0])[2].tolist() == [2]  # ten bins by default
    assert reliability([0, 1], [0, 1])[2].tolist() == [1, 1]


def test_calibration_has_ten_bins_or_as_many_as_wanted():
    """Two answers preferred at 0.05 and at 0.905: from both sides, each outer bin of ten has one hit in two."""
    scores = np.log([0.05 / 0.95, 0.905 / 0.095])
    assert calibration_error(scores, np.zeros(2)) == pytest.approx(0.5 - (0.05 + 0.095) / 2)
    assert calibration_error(scores, np.zeros(2), bins=1) == pytest.approx(0)


def test_best_of_n_equals_the_mean_over_all_subsets():
    rng = np.random.default_rng(0)
    proxy, gold = rng.normal(size=(2, 6)), rng.normal(size=(2, 6))
    for n in range(1, 7):
        subsets = list(combinations(range(6), n))
        brute = [np.mean([gold[p, max(s, key=lambda k: proxy[p, k])] for s in subsets]) for p in range(2)]
        assert_allclose(best_of_n(proxy, gold, [n])[0], brute)


def test_best_of_n_kl_by_enumeration():
    """Uniform over M distinct answers the best of n has mass (k^n − (k−1)^n)/M^n on the k-th worst."""
    for n in (1, 2, 4, 16):
        k = np.arange(1, 20_001)
        mass = (k / 20_000.0) ** n - ((k - 1) / 20_000.0) ** n
        kl = (mass * np.log(np.maximum(mass, 1e-300) * 20_000)).sum()
        assert_allclose(best_of_n_kl(n), kl, atol=1e-3)
    with pytest.raises(ValueError, match="n must be at least 1"):
        best_of_n_kl(0)


def test_pairs_that_hang_together_count_as_fewer():
    """Each comparison k times over tells as much as one; independent ones in groups tell as much as they are."""
    rng = np.random.default_rng(0)
    wins = rng.random(4000) < 0.7
    alone = np.arange(4000)
    assert_allclose(effective_count(wins, alone), 4000, rtol=1e-3)
    assert_allclose(effective_count(np.tile(wins, 3), np.tile(alone, 3)), 4000, rtol=1e-3)
    assert_allclose(effective_count(wins, alone // 4), 4000, rtol=0.1)
    assert effective_count([1, 0, 1, 1], [0, 1, 2, 3]) == pytest.approx(3)  # p(1 − p) = 3/16, Var = 3/4/16·4/3
    assert effective_count([1, 0], [0, 1]) == pytest.approx(1)
    assert effective_count(np.ones(30), np.arange(30) // 3) == 10  # all right: as many as there are groups
    assert effective_count([0.5, 0.5, 0.5, 1.0], [0, 1, 2, 3]) == 4  # ties vary less, and count no more than once


def test_equal_proxies_share_what_they_bring():
    """All tied: any may be the best, so that the mean is that of all."""
    assert_allclose(best_of_n([[1.0, 1, 1, 1]], [[0.0, 1, 2, 3]], [1, 2, 4]), 1.5)
    rng = np.random.default_rng(0)
    proxy, gold = rng.integers(3, size=(2, 6)).astype(float), rng.normal(size=(2, 6))
    for n in range(1, 7):
        subsets = [list(s) for s in combinations(range(6), n)]
        brute = [np.mean([gold[p, s][proxy[p, s] == proxy[p, s].max()].mean() for s in subsets]) for p in range(2)]
        assert_allclose(best_of_n(proxy, gold, [n])[0], brute)


def test_a_tie_is_likelier_the_larger_the_threshold():
    """Rao and Kupper's P(first wins) is e^s / (e^s + e^(t + h)): of 2 and 0 at a threshold of 1, σ(1) and σ(−3)."""
    wins, ties, loses = rao_kupper(np.array([2.0]), np.array([0.0]), threshold=1.0)
    first, second = 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(3))
    assert_allclose([wins, ties, loses], [[first], [1 - first - second], [second]])


def test_every_film_sentence_has_its_ratings():
    texts, ratings = film_ratings()
    assert len(texts) == len(ratings) == 10_605 and all(text.strip() for text in texts)
    assert {len(each) for each in ratings} <= set(range(15, 30))
    assert {int(x) for each in ratings for x in each} == set(range(-4, 5))


def test_random_raters_prefer_by_all_their_pairs():
    assert_allclose(preference_of_raters([3, 0], [0, 1, 3, 4]), (2 / 8, 2 / 8, 4 / 8))
    first = preference_of_raters([1, 2, 3], [2])
    assert_allclose(first, preference_of_raters([2], [1, 2, 3])[::-1])


@pytest.mark.parametrize("call, message", [
    (lambda: rao_kupper(np.zeros(1), np.zeros(1), threshold=-0.1), "threshold must be at least 0 and finite"),
    (lambda: bradley_terry_probability(np.zeros(2, int), np.zeros(2)), "^first_scores must be floating"),
    (lambda: bradley_terry_probability(np.zeros(2), np.zeros(2, int)), "^second_scores must be floating"),
    (lambda: reliability([0.5, -0.1], [True, False]), r"probabilities must lie in \[0, 1\]"),
    (lambda: best_of_n([[1.0, 2]], [[0.0, 1]], [1, 3]), r"ns must lie in 1 … 2, .* got \[1, 3\]"),
    (lambda: best_of_n([[1.0, 2]], [[0.0, 1]], [2, 0]), r"ns must lie in 1 … 2, .* got \[2, 0\]"),
    (lambda: best_of_n_kl([4, 0.5]), "n must be at least 1, got 0.5"),
    (lambda: best_of_n([[1.0, np.nan]], [[0.0, 1]], [1]), "proxy must be finite, got nan in prompt 0"),
    (lambda: best_of_n([[1.0, 2]], [[0.0, 1, 2]], [1]), "other must have the shape of proxy"),
    (lambda: best_of_n([[1, 2]], [[0, 1]], [0]), r"ns must lie in 1 … 2, the samples there are, got \[0\]"),
    (lambda: best_of_n([[1, 2]], [[0, 1]], [3]), r"ns must lie in 1 … 2, the samples there are, got \[3\]"),
    (lambda: accuracy(np.ones((3, 1)), np.ones(3)), "rejected_scores must have the shape"),
    (lambda: reliability([0.5, 1.5], [True, False]), r"probabilities must lie in \[0, 1\]"),
    (lambda: reliability([0.5, 0.5], [True]), "outcomes must have the shape"),
    (lambda: best_of_n([[1.0, 2]], [[0.0, np.nan]], [1]), "other must be finite, got nan in prompt 0"),
    (lambda: accuracy(np.array([np.nan, 1]), np.zeros(2)), "scores must be numbers, got NaN"),
    (lambda: Pairs(["p"], ["a", "b"], ["c"]), "must be of one length, got .'prompts': 1, 'chosen': 2"),
    (lambda: Pairs(["p"], ["a"], ["c"], np.zeros(2)), "must be of one length"),
    (lambda: noise_ceiling([1.5]), r"probabilities must lie in \[0, 1\]"),
    (lambda: label_pairs(np.random.default_rng(0), ["p"], ["a"], ["b"], [np.nan], [0]), "gold must be finite"),
    (lambda: wilson_interval(0.5, 0), "count must be more than 0"),
    (lambda: wilson_interval(float("nan"), 9), "share must be a number, got nan"),
    (lambda: Annotator(temperature=0), "temperature must be more than 0"),
    (lambda: Annotator(lapse=1.5), "lapse must be at least 0 and at most 1, got 1.5"),
    (lambda: Annotator(tone_bias=float("nan")), "tone_bias must be a number, got nan"),
    (lambda: label_pairs(np.random.default_rng(0), ["p"] * 3, ["a"] * 3, ["b"] * 2, [0, 0, 0], [0, 0, 0]),
     "must be of one length, got 3, 3, 2, 3, 3"),
])
def test_what_does_not_fit_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
