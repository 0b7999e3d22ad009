"""A linear Bradley-Terry reward model on words and word pairs, trained from a stream of real comparisons.

score(reply) = w · tf-idf(reply). A linear score cannot use the prompt: it is the same
on both sides and cancels. Bradley-Terry's likelihood of a linear score is logistic
regression without an intercept on the difference of the two tf-idf rows, so
scikit-learn does the hashing, the weighting and the fit. The hashed texts wait on disk,
chunk by chunk: a file of any length fits.
"""

import json
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

import coursekit
from coursekit.arrays import positive_int
from coursekit.preference_data import WORD, Groups, folds_of
from coursekit.progress import bar
from coursekit.saved import atomic

NGRAMS = (1, 2)  # words and word pairs
BUCKETS = 2**18
CHUNK = 1000  # pairs in memory at a time
# of the first pass; pass k has RATE / k. A few passes are all the regularisation there is
RATE = 1.0


@dataclass(frozen=True)
class LinearReward:
    """A linear reward model.

    weights: (buckets,) floats, score per unit of tf-idf.
    idf: (buckets,). Both float32.
    """

    weights: np.ndarray
    idf: np.ndarray
    ngrams: tuple = NGRAMS
    seed: int = 0

    def __post_init__(self):
        if self.weights.shape != self.idf.shape:
            raise ValueError(
                "weights and idf must have one shape, "
                f"got {self.weights.shape} and {self.idf.shape}")

    def score(self, prompts, replies):
        """(N,) float64 scores, in log-odds. The prompts are ignored: they would cancel."""
        counts = count_words(replies, self.ngrams, len(self.idf))
        return tf_idf(counts, self.idf) @ self.weights.astype(float)


@dataclass(frozen=True)
class HeldOut:
    """Chosen − rejected, (N,) each, of every pair under models that were trained on the other folds.

    margins: of the model.
    shuffled: of one trained and judged on randomly swapped labels.
    length: of "the longer wins", or "the shorter" where that does better on the other
    folds.
    groups: which pairs belong together.
    skipped: pairs of two equal texts, left out. repeated: pairs that came before.
    """

    margins: np.ndarray
    shuffled: np.ndarray
    length: np.ndarray
    groups: np.ndarray
    skipped: int
    repeated: int


def count_words(texts, ngrams=NGRAMS, buckets=BUCKETS):
    """(N, buckets) sparse float32 counts: words and word pairs fall into buckets by their hash (no vocabulary).

    In a script without spaces between its words each character counts as a word, and so
    does an emoji.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    positive_int(buckets=buckets)
    if len(texts) == 0:
        raise ValueError("texts must hold at least one text, got none")
    hashing = HashingVectorizer(
        ngram_range=ngrams, n_features=buckets, norm=None, alternate_sign=False,
        token_pattern=WORD, dtype=np.float32)
    return hashing.transform(texts)


def inverse_frequency(texts_with, texts):
    """How telling a bucket is: 1 + ln((1 + texts) / (1 + texts_with)), by the (buckets,) texts that hold it."""
    return (1 + np.log((1 + texts) / (1 + texts_with))).astype(np.float32)


def tf_idf(counts, idf):
    """(N, buckets) counts to (1 + ln count) · idf, each row scaled to length 1 (a row without words stays 0)."""
    from sklearn.feature_extraction.text import TfidfTransformer

    weighting = TfidfTransformer(sublinear_tf=True)
    # counted chunk by chunk, where `fit` would need all texts at once
    weighting.idf_ = idf
    return weighting.transform(counts)


def train(pairs, *, folds=5, epochs=5, seed=0, progress=None):
    """Train a linear reward model, and judge it by cross-validation in the same passes.

    Pairs that belong together (`preference_data.Groups`) lie in one fold. There is a
    model for each held-out fold, the same with swapped labels, and the final one that
    sees everything.

    Args:
        pairs: iterable of (prompt, chosen, rejected) texts, as
            preference_data.load_pairs gives; read once.
        folds: at least 2.
        epochs: passes over the pairs.
        seed: of their order and of the swaps.
        progress: show a bar: None on a terminal, True, False.
    Returns:
        LinearReward, HeldOut.
    Raises:
        ValueError: fewer groups than folds, or no pair whose texts differ in a word;
            whatever `pairs` raises.
    """
    positive_int(2, folds=folds)  # a pair is judged by models that have not seen it
    positive_int(epochs=epochs)
    positive_int(0, seed=seed)
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        together = Groups()
        chunks, length, skipped = _write_chunks(pairs, Path(folder), together, progress)
        groups = together.numbers()
        count = groups.max() + 1
        if count < folds:
            raise ValueError(
                f"{len(length)} pairs to learn from, in {count} groups of equal prompts "
                f"or texts, are too few for {folds} folds; "
                "bring more or ask for fewer folds")
        fold = folds_of(groups, folds)
        swaps = rng.choice(np.array([-1, 1], np.int8), len(fold))
        weights = _fit(chunks, _labels(fold, swaps, folds), epochs, rng, progress)
        margins, shuffled = _held_out(chunks, weights, fold, folds)
    model = LinearReward(weights[:, -1].copy(), chunks.idf, seed=seed)
    held_out = HeldOut(
        margins=margins,
        shuffled=swaps * shuffled,
        length=by_length(length, fold),
        groups=groups,
        skipped=skipped,
        repeated=together.repeated)
    return model, held_out


def by_length(words, fold):
    """A model that sees only (N,) differences of length: ± words, by what wins more often in the other folds."""
    wins = np.sign(words)
    elsewhere = wins.sum() - np.bincount(fold, wins)
    return np.where(elsewhere >= 0, 1, -1)[fold] * words


def save(model, path):
    """Write a LinearReward as safetensors, atomically. Equal models give equal bytes."""
    from safetensors import numpy as safetensors

    facts = {"ngrams": model.ngrams,
             "buckets": len(model.idf),
             "seed": model.seed,
             "coursekit": coursekit.__version__}
    # one entry of metadata: safetensors writes several in random order
    metadata = {"linear_reward": json.dumps(facts)}
    arrays = {"weights": model.weights, "idf": model.idf}
    with atomic(path) as partial:
        partial.write_bytes(safetensors.save(arrays, metadata))


def load(path):
    """Read a LinearReward that `save` wrote. Raises ValueError for any other file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            facts = json.loads(file.metadata()["linear_reward"])
            return LinearReward(
                weights=file.get_tensor("weights"),
                idf=file.get_tensor("idf"),
                ngrams=tuple(facts["ngrams"]),
                seed=facts["seed"])
    except (SafetensorError, KeyError, TypeError):
        raise ValueError(
            f"{path} is no linear reward model; "
            "pass a file that `coursekit train-rm` wrote") from None


def _write_chunks(pairs, folder, together, progress):
    """Hash the pairs into chunks on disk: (_Chunks, (N,) differences of length in words, pairs skipped)."""
    from scipy.sparse import save_npz, vstack

    texts = set()  # the hashes of those that have come
    texts_with = np.zeros(BUCKETS)  # how many of them hold a bucket
    words = skipped = 0
    lengths = []
    pairs = iter(pairs)
    with bar(progress=progress, desc="reading", unit=" pairs") as shown:
        while chunk := list(islice(pairs, CHUNK)):
            shown.update(len(chunk))
            differing = [pair for pair in chunk if pair[1] != pair[2]]
            skipped += len(chunk) - len(differing)
            for pair in differing:
                together.add(*pair)
            if not differing:
                continue
            _, chosen, rejected = zip(*differing)
            chosen_counts, rejected_counts = count_words(chosen), count_words(rejected)
            words += (chosen_counts - rejected_counts).count_nonzero()
            counts = vstack([chosen_counts, rejected_counts], "csr")
            # a text counts once: a preferred text that comes three times would make its
            # words look common
            new = []
            for i, text in enumerate([*chosen, *rejected]):
                key = hash(text)
                if key not in texts:
                    texts.add(key)
                    new.append(i)
            texts_with += np.bincount(counts[new].indices, minlength=BUCKETS)
            save_npz(folder / f"{len(lengths)}.npz", counts, compressed=False)
            length = [len(a.split()) - len(b.split()) for a, b in zip(chosen, rejected)]
            lengths.append(np.array(length))
    if not words:
        raise ValueError(
            "nothing to learn: no pair whose chosen and rejected texts differ in a word")
    starts = np.cumsum([0, *map(len, lengths)])
    idf = inverse_frequency(texts_with, len(texts))
    return _Chunks(folder, starts, idf), np.concatenate(lengths), skipped


@dataclass(frozen=True)
class _Chunks:
    """Counts of words in 0.npz, 1.npz, …: of the chosen texts, then of the rejected ones.

    starts: the first pair of each chunk, and one past the last.
    idf: (buckets,).
    """

    folder: Path
    starts: np.ndarray
    idf: np.ndarray

    def __len__(self):
        return len(self.starts) - 1

    def read(self, number):
        """(numbers of the pairs, (pairs, buckets) differences of tf-idf, chosen − rejected) of one chunk."""
        from scipy.sparse import load_npz

        values = tf_idf(load_npz(self.folder / f"{number}.npz"), self.idf)
        pairs = np.arange(*self.starts[number:number + 2])
        return pairs, values[:len(pairs)] - values[len(pairs):]


def _labels(fold, swaps, folds):
    """(N, 2 · folds + 1) labels: 1 as labelled, −1 swapped, 0 hidden from this model.

    The models in order: without each fold, swapped and without each fold, all.
    """
    seen = (fold[:, None] != np.arange(folds)).astype(np.int8)
    return np.hstack([seen, seen * swaps[:, None], np.ones((len(fold), 1), np.int8)])


def _fit(chunks, labels, epochs, rng, progress):
    """(buckets, models) float32 weights.

    A pair is seen from its chosen side: its class is its label, 1 or −1.
    """
    from sklearn.linear_model import SGDClassifier

    # scikit-learn's generator: of the pairs within a chunk
    order = np.random.RandomState(rng.integers(2**31))
    options = dict(loss="log_loss", penalty=None, fit_intercept=False,
                   learning_rate="constant", random_state=order)
    models = [SGDClassifier(**options) for _ in labels.T]
    total = epochs * len(labels)
    with bar(total, progress=progress, desc="training", unit=" pairs") as shown:
        for epoch in range(epochs):
            for model in models:
                model.set_params(eta0=RATE / (1 + epoch))
            for number in rng.permutation(len(chunks)):
                pairs, differences = chunks.read(number)
                for model, label in zip(models, labels[pairs].T):
                    seen = label != 0
                    if seen.any():
                        model.partial_fit(differences[seen], label[seen], classes=[-1, 1])
                shown.update(len(pairs))
    return np.stack([model.coef_[0] for model in models], axis=1)


def _held_out(chunks, weights, fold, folds):
    """(N,) margins of every pair under the models that have not seen it: true labels, swapped labels."""
    both = np.empty((2, len(fold)))
    for number in range(len(chunks)):
        pairs, differences = chunks.read(number)
        margins = differences @ weights
        for which, column in enumerate((fold[pairs], folds + fold[pairs])):
            both[which, pairs] = margins[np.arange(len(pairs)), column]
    return both
