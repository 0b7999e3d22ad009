"""`coursekit dpo PAIRS --model NAME`: DPO on a file of comparisons, alone or under torchrun; it can be resumed."""

import os
import sys
from pathlib import Path

from coursekit.commands.common import (
    NOTHING_SAVED,
    SEEDS,
    add_force,
    at_least,
    check_resume,
    known_model,
    need,
    resumable,
    size_of_model,
    target_folder,
    target_model,
)

NUMBERS = {  # option: (its type, help); the defaults are those of hf_direct.Config
    "beta": (at_least(1e-9, kind=float), "reward per nat (default 0.1)"),
    "label-smoothing": (at_least(0, 0.499, kind=float), "chance that a label is wrong (default 0)"),
    "nll": (at_least(0, kind=float), "weight of the chosen replies' negative log-likelihood (default 0)"),
    "epochs": (at_least(1), "passes over the pairs (default 1)"),
    "batch": (at_least(1), "pairs of a step, on all processes (default 8)"),
    "lr": (at_least(0, kind=float), "learning rate (default 5e-6)"),
    "max-tokens": (at_least(1), "length limit of the replies that are shown (default 64)"),
    "seed": (at_least(0, SEEDS), "of the order of the pairs and of sampling (default 0)")}


def add_command(commands):
    """Register `dpo` with the parser of the command line."""
    parser = commands.add_parser("dpo", help="train a language model on a file of preferences",
                                 epilog="example: coursekit dpo pairs.jsonl.gz --model gpt2 --out tuned",
                                 description="DPO on comparisons, judged on held-out ones and by its own replies.")
    parser.add_argument("pairs", type=Path, help="as train-rm reads them: JSONL, JSON, CSV, parquet, or a folder")
    parser.add_argument("--model", help="a transformers language model, by name or folder; not with --resume")
    for name, (kind, text) in NUMBERS.items():
        parser.add_argument(f"--{name}", type=kind, help=text)
    parser.add_argument("--every", type=at_least(1), default=20, help="steps between two reports, each saved "
                                                                      "(default 20)")
    parser.add_argument("--out", type=Path, default=Path("dpo"), help="folder for model and run (default dpo)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    add_force(parser)
    parser.set_defaults(run=run, extra="hf", interrupted=NOTHING_SAVED)


def run(options):
    """Train, report, save."""
    need("torch", "transformers", "safetensors", "tqdm")
    _check(options)
    from coursekit.hf_direct import RUN

    with resumable(options.out / RUN, options.resume):
        return _tune(options, options.out)


def _check(options):
    if not options.pairs.exists():
        raise ValueError(f"no file at {options.pairs}")
    if not (options.pairs.is_file() or options.pairs.is_dir()):
        raise ValueError(f"{options.pairs} is neither a file nor a folder; the pairs are read more than once")
    names = [name.replace("-", "_") for name in NUMBERS]
    saved = options.out / "run.safetensors"
    if options.resume:
        target_folder("--out", options.out, inputs=[options.pairs])
        return check_resume(options, saved, ["model", *names])
    if options.model is None:
        raise ValueError("--model must name a transformers language model, or a folder with one; or --resume a run")
    model = Path(options.model)
    room = 4 * size_of_model(options.model)  # the model, and a run of weights and Adam's two moments
    if saved.is_file():
        target_folder("--out", options.out, inputs=[options.pairs, model], room=room)
        if not options.force:
            raise ValueError(f"--out {options.out} holds a run already; --resume goes on with it, --force replaces "
                             "it, or name another")
    else:
        target_model("--out", options.out, inputs=[options.pairs, model], room=room, replace=options.force)
    known_model(options.model)


def _tune(options, out):
    import torch
    from transformers.utils import logging

    from coursekit import distributed, hf_direct

    logging.set_verbosity_error()
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    many = "RANK" in os.environ
    if many:
        distributed.start()
    first = distributed.rank() == 0
    if options.resume:
        state = hf_direct.load_run(out)
    else:
        given = {name.replace("-", "_"): value for name in NUMBERS
                 if (value := getattr(options, name.replace("-", "_"))) is not None}
        state = hf_direct.start(hf_direct.Config(options.model, **given))
    began = state.step
    for metrics in hf_direct.train(state, options.pairs, every=options.every):
        state.history.append(metrics)
        hf_direct.save_run(state, out)
        if first:
            _show(metrics)
    hf_direct.save_model(state, out)
    if first:
        if options.resume and state.step == began:
            print(f"the run in {out} was done already, after {began} steps")
        print(f"saved in {out}")
    if many:
        torch.distributed.destroy_process_group()
    return 0


def _show(m):
    learned = ""
    if m["step"]:
        learned = f"  loss {m['loss']:6.3f}  margin {m['margin']:6.2f}  held-out accuracy {m['accuracy']:.3f}"
    print(f"step {m['step']:5d}  KL {m['kl']:6.2f}  length {m['length']:5.1f}{learned}", flush=True)
    for prompt, reply in m["replies"]:
        print(f"    {' '.join(prompt.split())[-60:]} →  {' '.join(reply.split())[:160]}")
