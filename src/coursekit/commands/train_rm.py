"""`coursekit train-rm PAIRS`: train a reward model on a file of comparisons, and say what it is worth."""

import sys
import zlib
from pathlib import Path

from coursekit.commands.common import complain


def add_command(commands):
    """Register `train-rm` with the parser of the command line."""
    parser = commands.add_parser("train-rm", help="train a reward model on a file of preferences",
                                 description="Train a reward model on comparisons and judge it on held-out ones.")
    parser.add_argument("pairs", type=Path, help="JSONL or JSONL.gz with chosen and rejected (HH-RLHF, TRL)")
    parser.add_argument("--out", type=Path, help="target (default reward.safetensors, with --model reward)")
    parser.add_argument("--folds", type=int, help="parts of the cross-validation (default 5)")
    parser.add_argument("--epochs", type=int, help="passes over the pairs (default 5; with --model 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the pairs (default 0)")
    parser.add_argument("--model", help="a transformers model to fine-tune, by name or folder, instead of the "
                                        "linear model on words")
    parser.set_defaults(run=run)


def run(options):
    """Train, print the table, save. Returns 0, 2 if something stands in the way, 130 if interrupted."""
    out = options.out or Path("reward" if options.model else "reward.safetensors")
    try:
        _check(options, out)
        return (_transformer if options.model else _linear)(options, out)
    except KeyboardInterrupt:
        print("coursekit: interrupted, nothing was saved", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        extra = "hf" if options.model else "train"
        return complain(f"train-rm needs {error.name}; install it with: pip install 'coursekit[{extra}]'")
    except UnicodeDecodeError as error:
        return complain(f"{options.pairs} is not UTF-8 text ({error.reason}); convert it")
    except (EOFError, zlib.error) as error:
        return complain(f"{options.pairs} is damaged: {error}")
    except (ValueError, OSError) as error:
        return complain(str(error).splitlines()[0])


def _check(options, out):
    if not options.pairs.exists():
        raise ValueError(f"no file at {options.pairs}")
    if not out.parent.is_dir():
        raise ValueError(f"--out {out}: there is no folder {out.parent}; make it first")
    if not options.model and out.is_dir():
        raise ValueError(f"--out {out} is a folder; name a file in it")
    if options.model and (out.is_file() or Path(options.model).resolve() == out.resolve()):
        raise ValueError(f"--out {out} is {'a file' if out.is_file() else 'the model itself'}; name a new folder")
    if options.model and not options.pairs.is_file():
        raise ValueError(f"{options.pairs} is no file; --model reads the pairs more than once")
    for name, least in (("folds", 2), ("epochs", 1), ("seed", 0)):
        if (value := getattr(options, name)) is not None and value < least:
            raise ValueError(f"--{name} must be at least {least}, got {value}")
    if options.model and options.folds is not None:
        raise ValueError("--folds is for the linear model; --model holds out the last tenth of the pairs")


def _linear(options, out):
    from coursekit import linear_reward
    from coursekit.preferences import calibration_error, load_pairs

    folds = options.folds or 5
    model, held_out = linear_reward.train(load_pairs(options.pairs), folds=folds, epochs=options.epochs or 5,
                                          seed=options.seed, progress=True)
    linear_reward.save(model, out)
    _print_pairs(len(held_out.margins), held_out.skipped)
    low, _ = _print_accuracy(f"accuracy, {folds} folds", held_out.margins)
    _, high = _print_accuracy("length alone", held_out.length)
    _print_accuracy("shuffled labels", held_out.shuffled)
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
    trained, skipped, margins = hf.train_rm(options.model, options.pairs, out, epochs=options.epochs or 1,
                                            seed=options.seed)
    _print_pairs(trained + len(margins), skipped)
    _print_accuracy("accuracy, last tenth", margins)
    print(f"saved as {out}")
    return 0


def _print_pairs(count, skipped):
    print(f"{'pairs':20} {count:6,}" + (f"  ({skipped:,} skipped: both texts are equal)" if skipped else ""))


def _print_accuracy(name, margins):
    """A line with the share of pairs on the right side of 0 and its 95 % interval, which is returned."""
    from coursekit.preferences import accuracy, wilson_interval

    share = accuracy(margins, 0 * margins)
    low, high = wilson_interval(share, len(margins))
    print(f"{name:20} {share:6.3f}  [{low:.3f}, {high:.3f}]")
    return low, high
