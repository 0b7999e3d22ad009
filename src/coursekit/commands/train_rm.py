"""`coursekit train-rm PAIRS`: train a reward model on a file of comparisons, and say what it is worth."""

import gzip
import json
import sys
from pathlib import Path

from coursekit.commands.common import (
    SEEDS,
    add_force,
    at_least,
    known_model,
    need,
    size_of_model,
    target_file,
    target_model,
)

ROOM = 2_200_000  # bytes of a linear model


def add_command(commands):
    """Register `train-rm` with the parser of the command line."""
    parser = commands.add_parser("train-rm", help="train a reward model on a file of preferences",
                                 epilog="example: coursekit train-rm pairs.jsonl.gz --out reward.safetensors",
                                 description="Train a reward model on comparisons and judge it on held-out ones.")
    parser.add_argument("pairs", type=Path, help="JSONL, JSON, CSV or parquet, also packed, or a folder of these: "
                                                   "HH-RLHF, TRL, UltraFeedback, HelpSteer, SHP, ShareGPT")
    parser.add_argument("--example", action="store_true",
                        help="first write comparisons of film reviews to PAIRS, a new file that ends in .jsonl.gz")
    parser.add_argument("--out", type=Path, help="target (default reward.safetensors, with --model reward)")
    parser.add_argument("--folds", type=at_least(2), help="parts of the cross-validation (default 5)")
    parser.add_argument("--epochs", type=at_least(1), help="passes over the pairs (default 5; with --model 1)")
    parser.add_argument("--seed", type=at_least(0, SEEDS), default=0, help="of the order of the pairs (default 0)")
    parser.add_argument("--model", help="a transformers model to fine-tune, by name or folder, instead of the "
                                        "linear model on words")
    add_force(parser)
    parser.set_defaults(run=run, extra="train", interrupted="nothing was saved")


def run(options):
    """Train, print the table, save."""
    out = options.out or Path("reward" if options.model else "reward.safetensors")
    if options.example:
        _write_example(options.pairs)
    _check(options, out)
    if options.model:
        options.extra = "hf"
        need("torch", "transformers")
        known_model(options.model)
        return _transformer(options, out)
    need("sklearn", "scipy", "safetensors")
    return _linear(options, out)


def _write_example(path):
    """Of every two sentences the one that a rater of its own rates higher; equal ratings are left out."""
    import numpy as np

    from coursekit.preferences import film_ratings
    from coursekit.saved import atomic

    if path.exists():
        raise ValueError(f"{path} is there already; leave out --example to learn from it, or name another file")
    if not path.name.endswith(".jsonl.gz"):
        raise ValueError(f"{path} must end in .jsonl.gz with --example")
    rng, lines = np.random.default_rng(0), []
    texts, ratings = film_ratings()
    for pair in rng.permutation(len(texts) // 2 * 2).reshape(-1, 2):
        said = [rng.choice(ratings[i]) for i in pair]
        if said[0] != said[1]:
            rejected, chosen = (texts[i] for i in pair[np.argsort(said)])
            lines.append(json.dumps({"chosen": chosen, "rejected": rejected}) + "\n")
    with atomic(path) as partial:
        partial.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))
    print(f"{path}: {len(lines):,} comparisons of film reviews, each by two people")


def _check(options, out):
    if not options.pairs.exists():
        raise ValueError(f"no file at {options.pairs}")
    if not options.model:
        return target_file("--out", out, inputs=[options.pairs], room=ROOM, replace=options.force)
    if not (options.pairs.is_file() or options.pairs.is_dir()):
        raise ValueError(f"{options.pairs} is no file; --model reads the pairs more than once")
    if options.folds is not None:
        raise ValueError("--folds is for the linear model; --model holds out the last tenth of the pairs")
    model = Path(options.model)
    room = size_of_model(options.model)
    target_model("--out", out, inputs=[options.pairs, model], room=room, replace=options.force)


def _linear(options, out):
    from coursekit import linear_reward
    from coursekit.preference_data import load_pairs
    from coursekit.preferences import calibration_error

    folds = options.folds or 5
    model, held_out = linear_reward.train(load_pairs(options.pairs), folds=folds, epochs=options.epochs or 5,
                                          seed=options.seed)
    linear_reward.save(model, out)
    groups = held_out.groups
    _print_pairs(len(held_out.margins), held_out.skipped, groups, held_out.repeated)
    low, _ = _print_accuracy(f"accuracy, {folds} folds", held_out.margins, groups, crossed=True)
    _, high = _print_accuracy("length alone", held_out.length, groups)
    _print_accuracy("shuffled labels", held_out.shuffled, groups, crossed=True)
    print(f"{'calibration error':20} {calibration_error(held_out.margins, 0 * held_out.margins):6.3f}")
    if low <= high:
        print("warning: the interval of the model is not above that of length alone: nothing shows that it learned "
              "more than length")
    print(f"saved as {out}")
    return 0


def _transformer(options, out):
    from transformers.utils import logging

    from coursekit import hf

    logging.set_verbosity_error()
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    margins, groups, held_out, skipped, repeated = hf.train_rm(
        options.model, options.pairs, out, epochs=options.epochs or 1, seed=options.seed)
    _print_pairs(len(groups), skipped, groups, repeated)
    _print_accuracy("accuracy, held out", margins, groups[held_out])
    print(f"saved as {out}")
    return 0


def _print_pairs(count, skipped, groups, repeated):
    print(f"{'pairs':20} {count:6,}" + (f"  ({skipped:,} skipped: both texts are equal)" if skipped else ""))
    print(f"{'groups':20} {groups.max() + 1:6,}  of equal prompts or texts, each held out whole"
          + (f"; {repeated:,} pairs came before" if repeated else ""))


def _print_accuracy(name, margins, groups, crossed=False):
    """A line with the share of pairs on the right side of 0 and its 95 % interval, which is returned.

    crossed: the models of two folds have learned from each other's pairs. Where the labels say nothing, that
    doubles the variance of the share: a pair that misleads the model of another fold is misled by it in turn.
    """
    import numpy as np

    from coursekit.preferences import effective_count, wilson_interval

    wins = (np.sign(margins) + 1) / 2
    share = wins.mean()
    groups = np.unique(groups, return_inverse=True)[1]
    low, high = wilson_interval(share, effective_count(wins, groups) / (2 if crossed else 1))
    print(f"{name:20} {share:6.3f}  [{low:.3f}, {high:.3f}]")
    return low, high
