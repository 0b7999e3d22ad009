"""A linear Bradley-Terry reward model on words and word pairs, trained from a stream of real comparisons.

score(reply) = w · tf-idf(reply). A linear score can't use the prompt: it is the same on both sides and cancels.
The texts are hashed chunk by chunk and what is left of them waits on disk, so a file of any length fits.
"""

import json
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

import coursekit
from coursekit.arrays import positive_int
from coursekit.preferences import bradley_terry_probability
from coursekit.progress import bar
from coursekit.saved import atomic

NGRAMS, BUCKETS = (1, 2), 2**18
CHUNK, BATCH = 1000, 64  # pairs in memory at a time; pairs in one step


@dataclass(frozen=True)
class LinearReward:
    """weights: (buckets,) floats, score per unit of tf-idf. idf: (buckets,). Both float32."""

    weights: np.ndarray
    idf: np.ndarray
    ngrams: tuple = NGRAMS
    seed: int = 0

    def score(self, prompts, replies):
        """(N,) float64 scores, in log-odds. The prompts are not looked at: they would cancel."""
        return tf_idf(count_words(replies, self.ngrams, len(self.idf)), self.idf) @ self.weights.astype(float)


@dataclass(frozen=True)
class HeldOut:
    """Chosen − rejected, (N,) each, of every pair under models that were trained on the other folds.

    margins: of the model. shuffled: of one trained and judged on randomly swapped labels. length: of "the longer
    wins", or "the shorter" where that does better on the other folds. skipped: pairs of two equal texts, left out.
    """

    margins: np.ndarray
    shuffled: np.ndarray
    length: np.ndarray
    skipped: int


def count_words(texts, ngrams=NGRAMS, buckets=BUCKETS):
    """(N, buckets) sparse float32 counts: words and word pairs fall into buckets by their hash (no vocabulary)."""
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(ngram_range=ngrams, n_features=buckets, norm=None, alternate_sign=False,
                             token_pattern=r"\w+", dtype=np.float32).transform(texts)


def inverse_frequency(texts_with, texts):
    """How telling a bucket is: 1 + ln((1 + texts) / (1 + texts_with)), by the (buckets,) texts that hold it."""
    return (1 + np.log((1 + texts) / (1 + texts_with))).astype(np.float32)


def tf_idf(counts, idf):
    """(N, buckets) counts to (1 + ln count) · idf, each row scaled to length 1 (a row without words stays 0)."""
    from sklearn.preprocessing import normalize

    values = counts.copy()
    values.data = (1 + np.log(values.data)) * idf[values.indices]
    return normalize(values, copy=False)


def pair_loss(differences, weights, labels):
    """Bradley-Terry loss of M models at once and its gradient.

        L_m = −Σ_i |y_im| · log σ(y_im · x_i·w_m),   ∂L_m/∂w_m = −Σ_i y_im · σ(−y_im · x_i·w_m) · x_i

    Every pair is seen from its chosen side only, so there is one class and no intercept: it would cancel.

    Args:
        differences: (B, F) sparse, tf-idf of chosen − rejected. weights: (F, M).
        labels: (B, M): 1 as labelled, −1 swapped, 0 hidden from this model.
    Returns:
        (M,) sums of losses in nats, and the (F, M) gradient.
    """
    margins = labels * (differences @ weights)
    surprise = bradley_terry_probability(np.zeros_like(margins), margins)  # σ(−margin)
    return (np.abs(labels) * np.logaddexp(0, -margins)).sum(0), -(differences.T @ (labels * surprise))


def ada_grad(weights, squares, differences, labels, *, lr=0.5):
    """One AdaGrad step in place: w ← w − lr · g / √(1 + Σ g²), for the buckets of this batch only.

    The 1 holds back words met once, which is all the regularisation there is. squares: (F, M), Σ g² so far.
    Source: Duchi et al. 2011.
    """
    buckets, where = np.unique(differences.indices, return_inverse=True)
    narrow = type(differences)((differences.data, where, differences.indptr), (len(labels), len(buckets)))
    _, gradient = pair_loss(narrow, weights[buckets], labels)
    squares[buckets] += gradient**2
    weights[buckets] -= lr * gradient / np.sqrt(1 + squares[buckets])


def train(pairs, *, folds=5, epochs=5, seed=0, progress=None):
    """Train a linear reward model, and judge it by cross-validation in the same passes.

    Pair i (of those that differ) belongs to fold i mod `folds`. One matrix of weights holds a model for each
    held-out fold, the same with swapped labels, and the final one that sees everything.

    Args:
        pairs: iterable of (prompt, chosen, rejected) texts, as preferences.load_pairs gives; read once.
        folds: at least 2. epochs: passes over the pairs. seed: of their order and of the swaps.
        progress: show a bar: None on a terminal, True, False.
    Returns:
        LinearReward, HeldOut.
    Raises:
        ValueError: fewer pairs than folds, or no pair whose texts differ in a word; whatever `pairs` raises.
    """
    if positive_int(folds=folds) < 2:
        raise ValueError("folds must be at least 2, got 1: a pair is judged by models that have not seen it")
    positive_int(epochs=epochs)
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        chunks, length, idf, skipped = _write_chunks(pairs, Path(folder), progress)
        if len(length) < folds:
            raise ValueError(f"{len(length)} pairs to learn from are fewer than the {folds} folds; "
                             "bring more pairs or ask for fewer folds")
        fold = np.arange(len(length)) % folds
        swaps = rng.choice(np.array([-1, 1], np.float32), len(fold))
        weights = _fit(chunks, _labels(fold, swaps, folds), len(idf), epochs, rng, progress)
        margins, shuffled = _judge(chunks, weights, fold, folds)
    return (LinearReward(weights[:, -1].copy(), idf, seed=seed),
            HeldOut(margins, swaps * shuffled, by_length(length, fold), skipped))


def by_length(words, fold):
    """A model that sees only (N,) differences of length: ± words, by what wins more often in the other folds."""
    wins = np.sign(words)
    elsewhere = wins.sum() - np.bincount(fold, wins)
    return np.where(elsewhere >= 0, 1, -1)[fold] * words


def save(model, path):
    """Write a LinearReward as safetensors, atomically. Equal models give equal bytes."""
    from safetensors import numpy as safetensors

    facts = {"ngrams": model.ngrams, "buckets": len(model.idf), "seed": model.seed,
             "coursekit": coursekit.__version__}
    with atomic(path) as partial:  # one entry of metadata: safetensors writes several in random order
        partial.write_bytes(safetensors.save({"weights": model.weights, "idf": model.idf},
                                             {"linear_reward": json.dumps(facts)}))


def load(path):
    """Read a LinearReward that `save` wrote. Raises ValueError for any other file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            facts = json.loads(file.metadata()["linear_reward"])
            return LinearReward(file.get_tensor("weights"), file.get_tensor("idf"), tuple(facts["ngrams"]),
                                facts["seed"])
    except (SafetensorError, KeyError, TypeError):
        raise ValueError(f"{path} is no linear reward model; pass a file that `coursekit train-rm` wrote") from None


def _write_chunks(pairs, folder, progress):
    """Hash the pairs into chunks on disk: (_Chunks, (N,) differences of length in words, idf, pairs skipped)."""
    from scipy.sparse import load_npz, save_npz, vstack

    texts_with, lengths, skipped, pairs = np.zeros(BUCKETS), [], 0, iter(pairs)
    with bar(progress=progress, desc="reading", unit=" pairs") as shown:
        while chunk := list(islice(pairs, CHUNK)):
            shown.update(len(chunk))
            differing = [(chosen, rejected) for _, chosen, rejected in chunk if chosen != rejected]
            skipped += len(chunk) - len(differing)
            if differing:
                counts = vstack([count_words(side) for side in zip(*differing)], "csr")
                texts_with += np.bincount(counts.indices, minlength=BUCKETS)
                save_npz(folder / f"{len(lengths)}.npz", counts, compressed=False)
                lengths.append(np.array([len(a.split()) - len(b.split()) for a, b in differing]))
    idf, words = inverse_frequency(texts_with, 2 * sum(map(len, lengths))), 0
    for number, length in enumerate(lengths):
        values = tf_idf(load_npz(folder / f"{number}.npz"), idf)
        difference = values[:len(length)] - values[len(length):]
        words += difference.count_nonzero()
        save_npz(folder / f"{number}.npz", difference, compressed=False)
    if not words:
        raise ValueError("nothing to learn: no pair whose chosen and rejected texts differ in a word")
    return _Chunks(folder, np.cumsum([0, *map(len, lengths)])), np.concatenate(lengths), idf, skipped


@dataclass(frozen=True)
class _Chunks:
    """tf-idf differences in 0.npz, 1.npz, …; starts: the first pair of each chunk, and one past the last."""

    folder: Path
    starts: np.ndarray

    def read(self, number):
        """(numbers of the pairs, differences) of one chunk."""
        from scipy.sparse import load_npz

        return np.arange(*self.starts[number:number + 2]), load_npz(self.folder / f"{number}.npz")

    def shuffled(self, rng):
        """One epoch: batches of one chunk after another, both in random order."""
        for number in rng.permutation(len(self.starts) - 1):
            rows, differences = self.read(number)
            for batch in np.array_split(rng.permutation(len(rows)), -(-len(rows) // BATCH)):
                yield rows[batch], differences[batch]


def _labels(fold, swaps, folds):
    """(N, 2 · folds + 1) labels for pair_loss: as they are without each fold, swapped without each fold, all."""
    seen = (fold[:, None] != np.arange(folds)).astype(np.float32)
    return np.hstack([seen, seen * swaps[:, None], np.ones((len(fold), 1), np.float32)])


def _fit(chunks, labels, buckets, epochs, rng, progress):
    weights = np.zeros((buckets, labels.shape[1]), np.float32)
    squares = np.zeros_like(weights)
    with bar(epochs * len(labels), progress=progress, desc="training", unit=" pairs") as shown:
        for _ in range(epochs):
            for rows, differences in chunks.shuffled(rng):
                ada_grad(weights, squares, differences, labels[rows])
                shown.update(len(rows))
    return weights


def _judge(chunks, weights, fold, folds):
    """(N,) margins of every pair under the models that have not seen it: true labels, swapped labels."""
    both = np.empty((2, len(fold)))
    for number in range(len(chunks.starts) - 1):
        rows, differences = chunks.read(number)
        margins = differences @ weights
        for which, column in enumerate((fold[rows], folds + fold[rows])):
            both[which, rows] = margins[np.arange(len(rows)), column]
    return both

