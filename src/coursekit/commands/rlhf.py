"""`coursekit rlhf`: PPO, with a critic or without, on the help desk, alone or under torchrun; it can be resumed."""

import os
import signal
import sys
from pathlib import Path

from coursekit.commands.common import (
    NOTHING_SAVED,
    SEEDS,
    add_force,
    at_least,
    check_resume,
    need,
    resumable,
    say,
    target_files,
)

EVERY, UPDATES = 5, 40  # updates between two saves; and in all, unless --updates says otherwise
ROOM = 4_000_000  # bytes of a saved run; 2.7 MB without its history
GROUP = 8  # replies to each prompt, for the estimators that compare them, unless --group says otherwise
KEPT = ("beta", "batch", "estimator", "group", "kl", "normalisation", "warm_up", "clip_high")  # saved with the run
GONE = "a process of this run is gone, and the run has ended"


def add_command(commands):
    """Register `rlhf` with the parser of the command line."""
    parser = commands.add_parser("rlhf", help="PPO with four models on the help desk",
                                 epilog="example: coursekit rlhf --beta 0.3 --out stronger.safetensors --plot",
                                 description="Tune the help desk's language model on its reward model's score.")
    parser.add_argument("--beta", type=at_least(0, kind=float), help="KL coefficient, reward per nat (default 0.1)")
    parser.add_argument("--updates", type=at_least(1), help="updates in all (default 40, about 7 seconds)")
    parser.add_argument("--batch", type=at_least(1), help="replies per update and process (default 64)")
    parser.add_argument("--estimator", choices=("gae", "rloo", "grpo", "batch-mean"),
                        help="of advantages: gae with a critic (default), the others without")
    parser.add_argument("--group", type=at_least(1),
                        help="replies to each prompt (default 8 for rloo and grpo, else 1)")
    parser.add_argument("--kl", choices=("reward", "k2", "k3"),
                        help="where the KL penalty is: in the reward (default), or in the loss as k2 or k3")
    parser.add_argument("--normalisation", choices=("batch", "sequence", "group", "constant"),
                        help="what the loss of a token is divided by (default batch: the tokens of the batch)")
    parser.add_argument("--clip-high", type=at_least(1e-9, kind=float),
                        help="how far a ratio may exceed 1 before it is clipped (default 0.2, as below 1)")
    parser.add_argument("--warm-up", type=at_least(0),
                        help="updates over which the learning rate rises (default 0)")
    parser.add_argument("--seed", type=at_least(0, SEEDS), help="of prompts and sampling (default 0)")
    parser.add_argument("--out", type=Path, default=Path("rlhf.safetensors"),
                        help="the run, saved every 5 updates (default rlhf.safetensors)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    add_force(parser)
    parser.add_argument("--plot", type=Path, nargs="?", const=Path("rlhf.png"), help="draw the history (rlhf.png)")
    parser.set_defaults(run=run, extra="torch", interrupted=NOTHING_SAVED)


def run(options):
    """Train, report, save. Returns 0, or 1 if a process of the run is lost."""
    need("torch", "safetensors", "tqdm")
    target_files(options, options.plot, room=ROOM)
    if options.resume:
        check_resume(options, options.out, (*KEPT, "seed"))
    with resumable(options.out, options.resume):
        return _tune(options, options.out)


def _tune(options, out):
    import torch

    from coursekit import distributed

    many, device = "RANK" in os.environ, torch.device("cpu")
    saved: list[int] = []
    if many:
        signal.signal(signal.SIGTERM, lambda *_: _leave(out, saved))  # torchrun's, once a rank is lost
        device = distributed.start()
    first = distributed.rank() == 0
    torch.set_num_threads(1)  # the model is tiny: more threads only wait for each other
    state, history = _begin(options, out, device)
    saved += [state.update] if history else []
    updates = options.updates or max(UPDATES, state.update)
    if updates < state.update:
        raise ValueError(f"--updates {updates}: the run in {out} has made {state.update} already; ask for more")
    if first and not history:
        _show(state.models.actor, "before")
    complete = state.update == updates
    _learn(state, history, saved, out, updates, device)
    if first:
        _show(state.models.actor, "after")
        print(f"{out} holds all {updates} updates; --updates asks for more" if complete else f"saved {out}")
        if options.plot:
            _draw(history, options.plot)
    if many:
        torch.distributed.destroy_process_group()
    return 0


def _begin(options, out, device):
    from coursekit import checkpoints, rlhf
    from coursekit.resume import load_run

    models = checkpoints.help_desk_models()
    for model in (models.actor, models.critic, models.reference, models.reward):
        model.to(device)
    if options.resume:
        return load_run(models, out)
    given = {name: value for name in KEPT if (value := getattr(options, name)) is not None}
    if "estimator" in given:
        given["estimator"] = given["estimator"].replace("-", " ")
    if given.get("estimator") in ("rloo", "grpo"):
        given.setdefault("group", GROUP)
    return rlhf.start(models, rlhf.Config(**given), seed=options.seed or 0), []


def _learn(state, history, saved, out, updates, device):
    """Train and save; `history` grows, and `saved`, the updates after which a save was made."""
    from coursekit import checkpoints, distributed, helpdesk, rlhf
    from coursekit.resume import save_run

    def sample_prompts(rng, n):
        complaints, *tensors = checkpoints.sample_prompts(rng, n)
        return complaints, *(x.to(device) for x in tensors)

    first = distributed.rank() == 0
    try:
        for metrics in rlhf.train(state, sample_prompts, updates=updates, end=helpdesk.END,
                                  gold_fn=checkpoints.gold, progress=None if first else False):
            history.append(metrics)
            if state.update % EVERY == 0 or state.update == updates:
                save_run(state, history, out)
                saved.append(state.update)
                if first:
                    print(_line(metrics), flush=True)
    except RuntimeError as error:
        if not (distributed.active() and distributed.is_peer_failure(error)):
            raise
        _leave(out, saved)


def _leave(out, saved):
    """End this process at once: to leave the group in order, it would have to wait for the member that is lost."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    advice = NOTHING_SAVED
    if saved:
        advice = f"`--resume` goes on from {out}, saved after update {saved[-1]}"
    try:
        say(f"rank {os.environ['RANK']}: {GONE}; {advice}")
        sys.stdout.flush()
    finally:
        os._exit(1)


def _line(m):
    more = {"explained_variance": "explained variance", "group_sd": "sd within groups"}
    last = "".join(f"  {name} {m[key]:5.2f}" for key, name in more.items() if key in m)
    return (f"update {m['update'] + 1:4d}  gold {m['gold']:5.2f}  proxy {m['proxy']:5.2f}  KL {m['kl']:6.2f}  "
            f"length {m['length']:4.1f}{last}")


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
    from coursekit.saved import atomic

    figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
    for ax, key, unit in zip(axes, ("gold", "proxy", "kl"), ("points", "sd", "nats a reply")):
        ax.plot([m["update"] + 1 for m in history], [m[key] for m in history], color=figures.COLOURS[0])
        ax.set(xlabel="updates", ylabel=f"{key} ({unit})")
    figures.style(axes)
    with atomic(path) as partial:
        figure.savefig(partial, format=path.suffix[1:], dpi=120, facecolor="white")
    plt.close(figure)
    print(f"drawn {path}")
