"""`coursekit rlhf`: PPO with four models on the help desk, alone or under torchrun; stopped, it can go on."""

import os
import signal
import sys
from pathlib import Path

from coursekit.commands.common import complain

EVERY = 5  # updates between two saves
GONE = "a process of this run is gone, and the run has ended"


def add_command(commands):
    """Register `rlhf` with the parser of the command line."""
    parser = commands.add_parser("rlhf", help="PPO with four models on the help desk",
                                 description="Tune the help desk's language model on its reward model's score.")
    parser.add_argument("--beta", type=float, default=0.1, help="KL coefficient, reward per nat (default 0.1)")
    parser.add_argument("--updates", type=int, default=40, help="updates in all (default 40, about 7 seconds)")
    parser.add_argument("--batch", type=int, default=64, help="replies per update and process (default 64)")
    parser.add_argument("--seed", type=int, default=0, help="of prompts and sampling (default 0)")
    parser.add_argument("--out", type=Path, default=Path("rlhf.safetensors"),
                        help="the run, saved every 5 updates (default rlhf.safetensors)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--plot", type=Path, nargs="?", const=Path("rlhf.png"), help="draw the history (rlhf.png)")
    parser.set_defaults(run=run)


def run(options):
    """Train, report, save. Returns 0, 2 if something stands in the way, 130 if interrupted, 1 if a rank is lost."""
    try:
        if not options.out.parent.is_dir():
            raise ValueError(f"--out {options.out}: there is no folder {options.out.parent}; make it first")
        return _tune(options)
    except KeyboardInterrupt:
        _complain(f"interrupted; `--resume` goes on from {options.out}")
        return 130
    except ModuleNotFoundError as error:
        return _complain(f"rlhf needs {error.name}; install it with: pip install 'coursekit[torch]'")
    except ValueError as error:
        return _complain(error)


def _complain(message):
    """What every process of the run has to say, one says."""
    return complain(message) if os.environ.get("RANK", "0") == "0" else 2


def _tune(options):
    import torch

    from coursekit import distributed

    many, device, saved = "RANK" in os.environ, torch.device("cpu"), []
    if many:
        signal.signal(signal.SIGTERM, lambda *_: _leave(options, saved))  # so torchrun stops a lost rank's fellows
        device = distributed.start()
    first = distributed.rank() == 0
    torch.set_num_threads(1)  # the model is tiny: more threads only wait for each other
    state, history = _begin(options, device)
    if first and not history:
        _show(state.models.actor, "before")
    saved += [state.update] if history else []
    _learn(options, state, history, saved, device)
    if first:
        _show(state.models.actor, "after")
        print(f"saved {options.out}")
        if options.plot:
            _draw(history, options.plot)
    if many:
        torch.distributed.destroy_process_group()
    return 0


def _begin(options, device):
    from coursekit import checkpoints, rlhf
    from coursekit.resume import load_run

    models = checkpoints.help_desk_models()
    for model in (models.actor, models.critic, models.reference, models.reward):
        model.to(device)
    if options.resume:
        return load_run(models, options.out)
    return rlhf.start(models, rlhf.Config(beta=options.beta, batch=options.batch), seed=options.seed), []


def _learn(options, state, history, saved, device):
    """Train and save; `history` grows, and `saved`, the updates after which a save was made."""
    from coursekit import checkpoints, distributed, helpdesk, rlhf
    from coursekit.resume import save_run

    def sample_prompts(rng, n):
        complaints, *tensors = checkpoints.sample_prompts(rng, n)
        return complaints, *(x.to(device) for x in tensors)

    first = distributed.rank() == 0
    try:
        for metrics in rlhf.train(state, sample_prompts, updates=options.updates, end=helpdesk.END,
                                  gold_fn=checkpoints.gold, progress=first and sys.stderr.isatty()):
            history.append(metrics)
            if state.update % EVERY == 0 or state.update == options.updates:
                save_run(state, history, options.out)
                saved.append(state.update)
                if first:
                    print(_line(metrics), flush=True)
    except RuntimeError as error:
        if not (distributed.active() and distributed.lost(error)):
            raise
        _leave(options, saved)


def _leave(options, saved):
    """End this process at once: a group that lost a member can't be left in order, the others would wait for it."""
    from coursekit import distributed

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    advice = "nothing was saved yet, start it again"
    if saved:
        advice = f"`--resume` goes on from {options.out}, saved after update {saved[-1]}"
    try:
        if distributed.first_to_say("gone"):
            complain(f"{GONE}; {advice}")
        sys.stdout.flush()
    finally:
        os._exit(1)


def _line(m):
    return (f"update {m['update'] + 1:4d}  gold {m['gold']:5.2f}  proxy {m['proxy']:5.2f}  KL {m['kl']:6.2f}  "
            f"length {m['length']:4.1f}  explained variance {m['explained_variance']:5.2f}")


def _show(actor, when):
    import numpy as np

    from coursekit import helpdesk
    from coursekit.checkpoints import write

    rng = np.random.default_rng(7)
    complaints = [helpdesk.sample_complaint(rng) for _ in range(3)]
    print(f"-- replies {when}")
    for complaint, reply in zip(complaints, write(actor, complaints)):
        print(f"{complaint.text()}\n  {helpdesk.rubric(complaint, reply):5.2f}  {reply}")


def _draw(history, path):
    import matplotlib.pyplot as plt

    from coursekit import figures

    figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
    for ax, key, unit in zip(axes, ("gold", "proxy", "kl"), ("points", "sd", "nats a reply")):
        ax.plot([m["update"] + 1 for m in history], [m[key] for m in history], color=figures.COLOURS[0])
        ax.set(xlabel="updates", ylabel=f"{key} ({unit})")
    figures.style(axes)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"drawn {path}")
