"""A Bradley-Terry model of real people's judgements: which of two film-review sentences is the kinder?

One random rater judges each sentence; the higher rating wins, ties are dropped. TF-IDF of words and word pairs,
a linear score, logistic loss on differences. Three repetitions on fresh pairs, sentences split between training
and test. Beside it a score by hand-made rules (VADER; Hutto and Gilbert 2014), which has seen no comparison.

    python experiments/film_ratings.py       about 2 minutes; writes results/film_ratings.json
"""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

import coursekit
from coursekit.preferences import accuracy, film_ratings, preference_of_raters
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "film_ratings.json"
SIZES = [100, 300, 1000, 3000, 10_000, 30_000]
SPENT = [(3000, 1), (1000, 3), (600, 5), (300, 9)]  # pairs × raters, about 3,000 judgements each


def judge(rng, ratings, rows, count, raters=1):
    """Draw `count` untied pairs of sentences; `raters` people judge each side, the higher mean wins."""
    first, second = np.empty((2, 0), int)
    while len(first) < count:
        a, b = rng.choice(rows, (2, 2 * count))
        means = [np.array([rng.choice(ratings[i], raters, replace=False).mean() for i in side]) for side in (a, b)]
        keep = (means[0] != means[1]) & (a != b)
        first = np.append(first, np.where(means[0] > means[1], a, b)[keep])
        second = np.append(second, np.where(means[0] > means[1], b, a)[keep])
    return first[:count], second[:count]


def fit(features, chosen, rejected):
    """A linear Bradley-Terry score: logistic regression on feature differences, no intercept."""
    difference = features[chosen] - features[rejected]
    sign = np.where(np.arange(len(chosen)) % 2, 1, -1)  # both classes must occur
    model = LogisticRegression(fit_intercept=False, C=10.0, max_iter=300)
    return model.fit(difference.multiply(sign[:, None]).tocsr(), sign).coef_[0]


def main():
    texts, ratings = film_ratings()
    analyser, runs = SentimentIntensityAnalyzer(), []
    rules = np.array([analyser.polarity_scores(text)["compound"] for text in texts])
    for seed in range(3):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(texts))
        test_rows, train_rows = order[:2600], order[2600:]
        features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2).fit(
            [texts[i] for i in train_rows]).transform(texts)
        test = judge(rng, ratings, test_rows, 5000)
        chances = np.array([preference_of_raters(ratings[a], ratings[b]) for a, b in zip(*test)])
        untied = chances[:, [0, 2]] / chances[:, [0, 2]].sum(1, keepdims=True)
        run = {"seed": seed, "ceiling": float(untied.max(1).mean()),
               "two_raters_agree": float((untied**2).sum(1).mean()),
               "ties": float(chances[:, 1].mean()), "rules": accuracy(rules[test[0]], rules[test[1]]),
               "by_size": [], "by_raters": []}

        def measure(chosen, rejected, features=features, test=test):
            scores = features @ fit(features, chosen, rejected)
            return accuracy(scores[test[0]], scores[test[1]])

        everything = judge(rng, ratings, train_rows, max(SIZES))
        for size in SIZES:
            run["by_size"].append({"pairs": size, "accuracy": measure(*(side[:size] for side in everything))})
        for pairs, raters in SPENT:
            run["by_raters"].append({"pairs": pairs, "raters": raters,
                                     "accuracy": measure(*judge(rng, ratings, train_rows, pairs, raters))})
        print(json.dumps(run), flush=True)
        runs.append(run)
    write_text(RESULTS, json.dumps({"version": coursekit.__version__, "sklearn": sklearn.__version__, "runs": runs},
                                   indent=1) + "\n")


if __name__ == "__main__":
    main()
