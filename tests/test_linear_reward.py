"""The linear reward model: what it learns, what it costs, and `coursekit train-rm` from outside."""

import fcntl
import gzip
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.sparse import csr_array, vstack
from sklearn.feature_extraction.text import TfidfTransformer

from coursekit import linear_reward
from coursekit.commands.train_rm import _print_accuracy
from coursekit.distribution import install
from coursekit.linear_reward import (
    LinearReward,
    by_length,
    count_words,
    inverse_frequency,
    load,
    save,
    tf_idf,
    train,
)
from coursekit.preferences import Annotator, accuracy, label_pairs, noise_ceiling
from notebooks import run

WORDS = np.array([f"word{i}" for i in range(30)])


def triples(pairs):
    return list(zip(pairs.prompts, pairs.chosen, pairs.rejected))


def planted(count, seed=0, words=6, **taste):
    """Replies of `words` words whose gold is the sum of fixed values: the triples, and the best accuracy."""
    rng = np.random.default_rng(seed)
    values, drawn = np.linspace(-2, 2, len(WORDS)), rng.integers(len(WORDS), size=(2, count, words))
    first, second = ([" ".join(WORDS[row]) for row in side] for side in drawn)
    gold, annotator = values[drawn].sum(-1), Annotator(**taste)
    return (triples(label_pairs(rng, ["p"] * count, first, second, *gold, annotator)),
            noise_ceiling(annotator.probability(gold[0] - gold[1])))


def write(path, pairs):
    path.write_text("\n".join(json.dumps(dict(zip(("prompt", "chosen", "rejected"), pair))) for pair in pairs))
    return path


def share(margins):
    return accuracy(margins, np.zeros(len(margins)))


def test_tf_idf_by_hand():
    counts = count_words(["cat cat dog", "", "the dog"])
    assert counts.toarray().sum(1).tolist() == [5, 0, 3]  # words and pairs of words
    idf = inverse_frequency(np.array([0, 1, 3]), 3)
    assert_allclose(idf, [1 + np.log(4), 1 + np.log(2), 1], rtol=1e-6)
    rows = tf_idf(csr_array(np.array([[0, 2.0, 1], [0, 0, 0]])), idf).toarray()
    expected = np.array([0, (1 + np.log(2)) ** 2, 1])
    assert_allclose(rows, [expected / np.linalg.norm(expected), [0, 0, 0]], rtol=1e-6)


def test_tf_idf_chunk_by_chunk_is_that_of_all_texts_at_once():
    rng = np.random.default_rng(0)
    counts = count_words([" ".join(rng.choice(WORDS, 9)) for _ in range(40)])
    parts = [counts[:7], counts[7:40]]
    idf = inverse_frequency(sum(np.bincount(part.indices, minlength=part.shape[1]) for part in parts), 40)
    at_once = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    assert_allclose(vstack([tf_idf(part, idf) for part in parts]).toarray(), at_once.toarray(), rtol=1e-6)


def test_a_planted_preference_is_learned_to_near_its_ceiling():
    pairs, ceiling = planted(8000)
    model, held_out = train(pairs)
    assert 0.8 < ceiling < 0.9 and abs(share(held_out.margins) - ceiling) < 0.03
    assert abs(share(held_out.shuffled) - 0.5) < 0.03
    assert abs(share(held_out.length) - 0.5) < 0.03
    fresh, _ = planted(4000, seed=1)
    prompts, chosen, rejected = zip(*fresh)
    assert abs(accuracy(model.score(prompts, chosen), model.score(prompts, rejected)) - ceiling) < 0.03


def test_no_pair_is_judged_by_a_model_that_saw_it():
    """Every pair has words of its own and the label says nothing: who saw the pair is always right."""
    rng = np.random.default_rng(0)
    pairs = [("", *rng.permutation([f"left{i}", f"right{i}"])) for i in range(600)]
    model, held_out = train(pairs)
    prompts, chosen, rejected = zip(*pairs)
    assert accuracy(model.score(prompts, chosen), model.score(prompts, rejected)) == 1.0
    assert (held_out.margins == 0).mean() > 0.97  # words never met weigh 0; a few share a bucket by accident


def test_the_shuffled_model_is_trained_and_judged_on_swapped_labels():
    """One pair of replies to 200 prompts: sure by its label; unsure and right half the time by swapped ones."""
    held_out = train([(f"p{i}", "good", "bad") for i in range(200)])[1]
    assert (held_out.margins > 2).all() and (abs(held_out.shuffled) < 1).all()
    for fold in range(5):
        margins = held_out.shuffled[fold::5]
        assert np.ptp(abs(margins)) < 1e-6 and abs((margins > 0).mean() - 0.5) < 4 * 0.5 / 40**0.5


def coin_tosses(kind, seed):
    """Replies of 30 words out of 200, and labels that say nothing: what can be learned is which pair was seen."""
    rng = np.random.default_rng(seed)
    replies = iter(" ".join(f"w{j}" for j in rng.integers(200, size=30)) for _ in range(10_000))
    if kind == "each line twice":
        return [(f"p{i}", next(replies), next(replies)) for i in range(60)] * 2
    if kind == "one against three":
        chosen = [next(replies) for _ in range(40)]
        return [(f"p{i}", chosen[i], next(replies)) for i in range(40) for _ in range(3)]
    if kind == "one against three, no prompt":
        return [("", *pair) for _, *pair in coin_tosses("one against three", seed)]
    return [(f"p{i}", next(replies), next(replies)) for i in range(300)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [
    "each line twice", "one against three", "one against three, no prompt", "300 pairs"])
def test_where_labels_say_nothing_the_interval_holds_one_half(kind):
    """Of model and shuffled labels alike, on 18 of 20 seeds or more, as 95 % intervals should; and the mean over
    the seeds is 1/2. Folds by line gave 1.000 for the first three."""
    shares, holds = np.empty((2, 20, 2))
    for seed in range(20):
        held_out = train(coin_tosses(kind, seed), folds=3, epochs=2, seed=seed)[1]
        for i, margins in enumerate((held_out.margins, held_out.shuffled)):
            low, high = _print_accuracy("", margins, held_out.groups, crossed=True)
            shares[seed, i], holds[seed, i] = share(margins), low < 0.5 < high
            if kind == "300 pairs":
                assert 0.15 < high - low < 0.17  # and says something: of 300 independent trials it is 0.11
    print(shares.mean(0), shares.min(0), shares.max(0), holds.sum(0))
    assert (holds.sum(0) >= 18).all() and (abs(shares.mean(0) - 0.5) < 0.04).all()


def test_a_text_that_comes_three_times_counts_once_in_the_idf_of_its_words():
    """Else its words would weigh less, and tell that it was the preferred one of four."""
    model, _ = train([(f"p{i}", f"left{i}", f"right{i}{j}") for i in range(20) for j in range(3)])
    once, thrice = (model.idf[count_words([word]).indices[0]] for word in ("right00", "left0"))
    assert once == thrice == inverse_frequency(1, 80)


def test_scripts_without_spaces_and_emoji_have_words():
    for reply, words in (("今天天气", 4 + 3), ("good 天气 👍", 4 + 3), ("ดี", 2 + 1), ("naïve Straße", 2 + 1)):
        assert count_words([reply]).sum() == words


@pytest.mark.parametrize("sign", [1, -1])
def test_the_length_baseline_finds_either_taste(sign):
    rng = np.random.default_rng(0)
    words = sign * np.where(rng.random(1000) < 0.8, 1, -1) * rng.integers(1, 9, 1000)
    assert abs(share(by_length(words, np.arange(1000) % 5)) - 0.8) < 0.03


def test_the_length_baseline_chooses_on_the_other_folds():
    """Fold 0 likes it short and fold 1 long, so that each learns the wrong thing from the other."""
    words, fold = np.repeat([-1, 1], 10), np.repeat([0, 1], 10)
    assert share(by_length(words, fold)) == 0.0


def test_equal_texts_are_skipped_and_counted():
    pairs, _ = planted(100)
    same = [("p", "word1 word2", "word1 word2")] * 7
    model, held_out = train(pairs)
    again, mixed = train([*same[:3], *pairs, *same[3:]])
    assert (held_out.skipped, mixed.skipped) == (0, 7)
    assert_allclose(mixed.margins, held_out.margins)
    assert_allclose(again.weights, model.weights)


def test_a_saved_model_scores_the_same_and_equal_seeds_give_equal_files(tmp_path):
    pairs, _ = planted(300)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        model = train(pairs, seed=seed)[0]
        save(model, tmp_path / name)
    a, b, c = (tmp_path / name for name in "abc")
    assert a.read_bytes() == b.read_bytes() != c.read_bytes()
    replies = [chosen for _, chosen, _ in pairs]
    again = load(c)
    assert_allclose(again.score(None, replies), model.score(None, replies), rtol=0)
    assert again.score(None, replies).shape == (300,) and again.seed == 1 and again.ngrams == (1, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "reward.safetensors"
    path.write_text("old")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save(LinearReward(np.zeros(4, np.float32), np.ones(4, np.float32)), path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name] and path.read_text() == "old"


def test_other_files_are_no_models(tmp_path):
    (tmp_path / "x").write_text("not safetensors at all")
    with pytest.raises(ValueError, match="is no linear reward model"):
        load(tmp_path / "x")
    save(LinearReward(np.ones(8, np.float32), np.ones(8, np.float32)), tmp_path / "short")
    with safe_open(tmp_path / "short", "np") as file:
        tensors, facts = {"weights": np.ones(8), "idf": np.ones(5)}, file.metadata()
    save_file(tensors, tmp_path / "short", metadata=facts)
    with pytest.raises(ValueError, match=r"weights and idf must have one shape, got \(8,\) and \(5,\)"):
        load(tmp_path / "short")
    with pytest.raises(ValueError, match="buckets must be an integer of at least 1, got 0"):
        count_words(["a"], buckets=0)  # ended the process: scikit-learn takes a remainder by it


@pytest.mark.parametrize("pairs, options, message", [
    ([(str(i), "a b", "c d") for i in range(3)], {}, "3 pairs to learn from, in 3 groups .* too few for 5 folds"),
    ([("p", "a b", "c d")] * 30, {}, "30 pairs to learn from, in 1 groups .* too few for 5 folds"),
    ([("p", "same", "same")] * 9, {}, "nothing to learn"), ([("p", "!!!", "???")] * 9, {}, "nothing to learn"),
    ([], {}, "nothing to learn"), ([("p", "a", "b")] * 9, {"folds": 1}, "folds must be an integer of at least 2"),
    ([("p", "a", "b")] * 9, {"epochs": 0}, "epochs must be an integer of at least 1"),
    ([("p", "a", "b")] * 9, {"seed": -1}, "seed must be an integer of at least 0"),
])
def test_what_cannot_be_trained_is_refused(pairs, options, message):
    with pytest.raises(ValueError, match=message):
        train(pairs, **options)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_texts(monkeypatch):
    """2,000 pairs of 40 kB each are 80 MB; a chunk of 50 is 2 MB."""
    monkeypatch.setattr(linear_reward, "CHUNK", 50)

    def peak(count):
        tracemalloc.start()
        pairs = (("", "x" * 20_000 + f" good{i}", "y" * 20_000 + f" bad{i}") for i in range(count))
        train(pairs, folds=2, epochs=1)
        megabytes = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        return megabytes

    assert peak(2000) < peak(200) + 4


def command(*arguments, folder, **environment):
    return run(["coursekit.cli", "train-rm", *map(str, arguments)], folder=folder, **environment)


@pytest.mark.slow
def test_the_command_trains_reports_and_saves(tmp_path):
    pairs, ceiling = planted(1500)
    path = tmp_path / "pairs.jsonl.gz"
    path.write_bytes(gzip.compress(write(tmp_path / "x", [*pairs, ("p", "same", "same")]).read_bytes()))
    code, output = command(path.name, folder=tmp_path)
    assert code == 0
    assert re.search(r"^pairs +1,500  \(1 skipped: both texts are equal\)$", output, re.M), output
    assert re.search(r"^groups +1,500  of equal prompts or texts, each held out whole$", output, re.M), output
    rows = {name: [float(x) for x in numbers] for name, *numbers in re.findall(
        r"^(accuracy, 5 folds|length alone|shuffled labels) +(\S+)  \[(\S+), (\S+)\]$", output, re.M)}
    held_out = train(pairs)[1]
    for name, margins in zip(rows, (held_out.margins, held_out.length, held_out.shuffled), strict=True):
        assert rows[name][0] == round(share(margins), 3) and rows[name][1] < rows[name][0] < rows[name][2]
    assert re.search(r"^calibration error +0\.\d\d\d$", output, re.M) and "warning" not in output
    assert output.endswith("saved as reward.safetensors\n") and len(output.splitlines()) == 7  # no progress bar
    _, chosen, rejected = zip(*pairs)
    model = load(tmp_path / "reward.safetensors")
    assert accuracy(model.score(None, chosen), model.score(None, rejected)) > ceiling - 0.02


@pytest.mark.slow
def test_the_example_needs_no_file_of_the_readers_own(tmp_path):
    code, output = command("films.jsonl.gz", "--example", folder=tmp_path)
    shares = dict(re.findall(r"^(accuracy, 5 folds|length alone) +(\S+)", output, re.M))
    assert code == 0 and float(shares["accuracy, 5 folds"]) > 0.65
    assert abs(float(shares["length alone"]) - 0.5) < 0.03
    for name, way_out in (("films.jsonl.gz", "leave out --example"), ("films.csv", "must end in .jsonl.gz")):
        code, output = command(name, "--example", folder=tmp_path)
        assert code == 2 and way_out in output and len(output.splitlines()) == 1


@pytest.mark.slow
def test_a_terminal_shows_how_far_it_is(tmp_path):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))  # a new one has no width: no bar
    subprocess.run([sys.executable, "-m", "coursekit.cli", "train-rm", write(tmp_path / "pairs", planted(50)[0])],
                   cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=theirs, check=True, timeout=60)
    os.set_blocking(ours, False)  # nothing shown is an error, not a wait
    shown = os.read(ours, 10_000).decode()
    os.close(ours), os.close(theirs)
    assert "reading: 0 pairs" in shown and "training:   0%" in shown


@pytest.mark.slow
def test_the_command_warns_where_length_explains_as_much(tmp_path):
    rng = np.random.default_rng(0)
    pairs = [("p", " ".join(rng.choice(WORDS, 9)), " ".join(rng.choice(WORDS, 8))) for _ in range(300)]
    code, output = command(write(tmp_path / "pairs.jsonl", pairs), "--folds", 3, "--epochs", 2, folder=tmp_path)
    assert code == 0 and "accuracy, 3 folds" in output and re.search(r"length alone +1\.000", output)
    assert "warning: the interval of the model is not above that of length alone" in output


GOOD = '{"prompt": "p", "chosen": "good words", "rejected": "bad words"}\n'


@pytest.mark.slow
@pytest.mark.parametrize("content, options, message", [
    (None, [], "no file at pairs.jsonl"), ("", [], "pairs.jsonl is empty"),
    (GOOD * 9, [], "9 pairs to learn from, in 1 groups of equal prompts or texts, are too few for 5 folds"),
    (GOOD.replace("bad", "good") * 9, [], "nothing to learn"),
    (GOOD * 9 + '{"chosen": 1}', [], 'pairs.jsonl, line 10: a record needs "chosen" and "rejected", or'),
    (GOOD * 9, ["--out", "no/such.safetensors"], "there is no folder no; make it first"),
    (GOOD * 9, ["--out", "."], "is a folder; name a file in it"),
    (GOOD * 9, ["--folds", "1"], "--folds must be at least 2, got 1"),
    (GOOD * 9, ["--epochs", "0"], "--epochs must be at least 1, got 0"),
    (GOOD * 9, ["--seed", "-1"], "--seed must be at least 0, got -1"),
    (b"\xff\xfe", [], "pairs.jsonl is not UTF-8 text"),
])
def test_the_command_says_in_one_line_what_stands_in_the_way(content, options, message, tmp_path):
    if content is not None:
        (tmp_path / "pairs.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    code, output = command("pairs.jsonl", *options, folder=tmp_path)
    assert code == 2 and message in output and len(output.splitlines()) == 1, output
    assert [path.name for path in tmp_path.iterdir()] in ([], ["pairs.jsonl"])


@pytest.mark.slow
def test_a_damaged_archive_is_named(tmp_path):
    (tmp_path / "pairs.jsonl.gz").write_bytes(gzip.compress((GOOD * 99).encode())[:-12])
    code, output = command("pairs.jsonl.gz", folder=tmp_path)
    assert code == 2 and "pairs.jsonl.gz is damaged" in output and len(output.splitlines()) == 1


@pytest.mark.slow
def test_a_missing_library_is_named_with_its_extra(tmp_path):
    (tmp_path / "sklearn.py").write_text("raise ModuleNotFoundError(\"No module named 'sklearn'\", name='sklearn')")
    (tmp_path / "pairs.jsonl").write_text(GOOD * 9)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    code, output = command("pairs.jsonl", folder=tmp_path, PYTHONPATH=path)
    assert code == 2 and output == f"coursekit: train-rm needs sklearn; install it with: {install('train')}\n"


@pytest.mark.slow
def test_an_interrupted_training_saves_nothing(tmp_path):
    """It reads from a pipe that stays open, so that it is interrupted while it reads."""
    work, scratch, pipe = tmp_path / "work", tmp_path / "scratch", tmp_path / "pairs.jsonl"
    work.mkdir(), scratch.mkdir(), os.mkfifo(pipe)
    process = subprocess.Popen([sys.executable, "-m", "coursekit.cli", "train-rm", str(pipe)], cwd=work,
                               env=os.environ | {"TMPDIR": str(scratch)}, stderr=subprocess.PIPE, text=True)
    with pipe.open("w") as file:  # waits until the command has opened the other end
        file.write(GOOD * 1500)
        file.flush()
        while not list(scratch.glob("*/0.npz")):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors == "coursekit: interrupted; nothing was saved\n"
    assert not list(work.iterdir()) and not list(scratch.iterdir())


@pytest.mark.slow
def test_the_list_of_commands_names_both_and_starts_without_sklearn(tmp_path):
    code, output = run(["coursekit.cli", "--help"], folder=tmp_path)
    assert code == 0 and all(re.search(rf"^ +{name} ", output, re.M) for name in ("check", "train-rm"))
    code, output = command("--help", folder=tmp_path)
    assert code == 0 and all(flag in output for flag in ("--out", "--folds", "--epochs", "--seed", "--model"))
    program = ("import sys; from coursekit.cli import main; main(['check', 'lost.ipynb']);"
               "sys.exit(bool({'sklearn', 'scipy', 'torch', 'transformers', 'tqdm'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, stderr=subprocess.DEVNULL).returncode == 0
