"""`coursekit train cartpole|lunarlander`: PPO in the open, from random play to a solved task; to be resumed."""

from dataclasses import replace
from pathlib import Path

from coursekit.commands.common import (
    NOTHING_SAVED,
    SEEDS,
    add_force,
    at_least,
    check_resume,
    need,
    resumable,
    target_files,
)
from coursekit.saved import atomic

SOLVED = {"cartpole": 475, "lunarlander": 200}  # mean return of 100 episodes, as gymnasium's makers count it
ROOM = 1_000_000  # bytes of a saved run, its history included; 0.12 MB after one update
LINES = 15  # printed in a whole run; each comes with a save


def add_command(commands):
    """Register `train` with the parser of the command line."""
    parser = commands.add_parser("train", help="PPO on CartPole or LunarLander",
                                 epilog="example: coursekit train cartpole --seed 1 --out one.safetensors",
                                 description="Train a policy with PPO and GAE, and draw what it learned.")
    parser.add_argument("task", choices=SOLVED, help="cartpole (about 5 seconds) or lunarlander (2 to 4 minutes)")
    parser.add_argument("--seed", type=at_least(0, SEEDS), help="of weights, environments and sampling (default 0)")
    parser.add_argument("--updates", type=at_least(1), help="updates in all (default 50, lunarlander 100)")
    parser.add_argument("--out", type=Path, help="the run, saved on the way (default TASK.safetensors)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    add_force(parser)
    parser.add_argument("--plot", type=Path, help="learning curve and film strips (default: --out, ending in .png)")
    parser.set_defaults(run=run, extra="gym", interrupted=NOTHING_SAVED)


def run(options):
    """Train, report, save, draw."""
    out = options.out = options.out or Path(f"{options.task}.safetensors")
    plot = options.plot or out.with_suffix(".png")
    need("torch", "gymnasium", "safetensors", *["Box2D"] * (options.task == "lunarlander"))
    target_files(options, plot, room=ROOM)
    if options.resume:
        check_resume(options, out, ("seed", "updates"))
    with resumable(out, options.resume):
        return _train(options, out, plot)


def _train(options, out, plot):
    import torch

    from coursekit.actor_critic import evaluate, film
    from coursekit.classic_ppo import CARTPOLE, LUNARLANDER, start, train
    from coursekit.classic_resume import load_run, save_run

    torch.set_num_threads(1)  # the nets are tiny: more threads only wait for each other
    config, seed = {"cartpole": CARTPOLE, "lunarlander": LUNARLANDER}[options.task], options.seed or 0
    if options.resume:
        state, history = load_run(out)
        if state.config.env != config.env:
            raise ValueError(f"--out {out} is a run on {state.config.env}, not {options.task}; name another file")
    else:
        state, history = start(replace(config, updates=options.updates or config.updates), seed=seed), []
    config, every = state.config, max(1, state.config.updates // LINES)
    complete = state.update >= config.updates
    before = film(start(config, seed=state.seed).agent, config.env)
    for metrics in train(state):
        history.append(metrics)
        if state.update % every == 0 or state.update == config.updates:
            save_run(state, history, out)
            print(_line(history), flush=True)
    returns = evaluate(state.agent, config.env)
    solved = "solved" if returns.mean() >= SOLVED[options.task] else "not solved"
    print(f"greedy: {returns.mean():.1f} over {len(returns)} episodes, lowest {returns.min():.1f}: {solved} "
          f"(from {SOLVED[options.task]})")
    print(f"{out} holds all {config.updates} updates" if complete else f"saved {out}")
    _draw(history, [("before", before), ("after", film(state.agent, config.env))], plot)
    return 0


def _line(history):
    import numpy as np

    m = history[-1]
    recent = [total for h in history[-5:] for total in h["returns"]]
    mean = f"{np.mean(recent):6.1f}" if recent else "   ---"
    return (f"update {m['update'] + 1:3d}  steps {sum(h['steps'] for h in history):8,}  return {mean}  "
            f"entropy {m['entropy']:.2f}  KL {m['k3']:.4f}  clipped {m['clip_fraction']:.2f}  "
            f"explained variance {m['explained_variance']:5.2f}")


def _draw(history, films, path):
    import matplotlib.pyplot as plt
    import numpy as np

    from coursekit import figures

    figure = plt.figure(figsize=(10, 6.5), layout="constrained")
    grid = figure.add_gridspec(3, 2, height_ratios=[2, 1.2, 1.2])
    axes, steps = [figure.add_subplot(grid[0, i]) for i in (0, 1)], np.cumsum([h["steps"] for h in history])
    ended = [bool(h["returns"]) for h in history]
    axes[0].plot(steps[ended], [np.mean(h["returns"]) for h in history if h["returns"]], color=figures.COLOURS[0])
    axes[1].plot(steps, [h["explained_variance"] for h in history], color=figures.COLOURS[1])
    for ax, label in zip(axes, ("return (reward)", "explained variance")):
        ax.set(xlabel="environment steps", ylabel=label)
    figures.style(axes)
    for row, (name, pictures) in enumerate(films, 1):
        figures.plot_film(figure.add_subplot(grid[row, :]), pictures, name)
    with atomic(path) as partial:
        figure.savefig(partial, format=path.suffix[1:], dpi=120, facecolor="white")
    plt.close(figure)
    print(f"drawn {path}")
