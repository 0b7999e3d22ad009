"""GAE against other libraries: CPU seconds for the same steps, and beside them the time to move the bytes.

Everybody gets the same rewards, values and ends (1 % of steps, and the last two of every row) in its own layout,
prepared beforehand, float32, on one thread, and gives advantages and returns. They take turns; a time is the median
over turns. No advantage may differ by more than 1e-3. Bytes that each must move per element:

    22  coursekit: rewards, values, next_values and two flags in, advantages and returns out; it checks its input
    20  SB3, CleanRL: one float flag, values[t+1] for next_values; PufferLib too, which knows no end of a row
    66  tianshou: the same in float64, with next_values          22  torchrl: as coursekit          20  rlax
    22  stream, the floor: a loop without memory of the step before, over the bytes that coursekit moves

    pip install -e '.[torch,fast]' -r requirements-bench.txt     without some of them, their rows are missing
    python benchmarks/gae.py [--turns 7] [--json run.json] [--plot gae.png]
    python benchmarks/gae.py --merge run1.json run2.json run3.json --json experiments/results/gae_speed.json
    python benchmarks/gae.py --strategies                            the table at the head of coursekit/_scans.py
"""

import argparse
import importlib.metadata
import json
import os
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from coursekit import _dispatch, figures  # noqa: E402
from coursekit.advantages import gae, gae_by_recursion  # noqa: E402
from coursekit.saved import write_text  # noqa: E402
from peers import GAMMA, LAM, PEERS  # noqa: E402

SHAPES = ((128, 8), (2048, 1), (2048, 64), (128, 4096), (1024, 4096), (1_000_000, 1))  # (time, rows)
LENGTHS = tuple((10**k, 1) for k in range(2, 8))
SEED = 0
SLICE, PATIENCE = 0.005, 4.5  # seconds: a turn takes at least so long; what would take longer is left out


def draw(steps, rows):
    """Time-major float32 buffers (T, N), values (T + 1, N); nothing is truncated, so that all mean the same."""
    rng = np.random.default_rng(SEED)
    values = rng.normal(size=(steps + 1, rows)).astype(np.float32)
    terminated = rng.random((steps, rows)) < 0.01
    terminated[-2:] = True  # two: PufferLib gives nothing for the last step
    starts = np.concatenate([np.zeros((1, rows)), terminated[:-1]]).astype(np.float32)
    rewards = rng.normal(size=(steps, rows)).astype(np.float32)
    return SimpleNamespace(rewards=rewards, values=values[:-1], next_values=values[1:], starts=starts,
                           terminated=terminated, never=np.zeros_like(terminated))


def ours(layout, kernel, convert=lambda x: x):
    def prepare(data):
        load = _dispatch._kernel if kernel else lambda: None
        if kernel and (data.rewards.size < _dispatch.COMPILED or load() is None):
            raise ImportError("the same as without the extra")
        given = [convert(layout(x)) for x in (
            data.rewards, data.values, data.next_values, data.terminated, data.never)]

        def call():
            _dispatch._kernel = load
            advantages = gae(*given, gamma=GAMMA, lam=LAM)
            _dispatch._kernel = LOAD
            return advantages, advantages + given[1]
        return call, lambda advantages: np.from_dlpack(advantages).T
    return prepare


LOAD = _dispatch._kernel
METHODS = {}
LAYOUTS = {"time first": lambda x: x.T, "time last": lambda x: np.ascontiguousarray(x.T)}
for order, layout in LAYOUTS.items():
    METHODS[f"coursekit, {order}"] = ours(layout, kernel=False)
    METHODS[f"coursekit[fast], {order}"] = ours(layout, kernel=True)
METHODS["coursekit on torch, time first"] = ours(LAYOUTS["time first"], False, torch.as_tensor)
METHODS |= PEERS


def seconds(call, calls):
    start = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - start) / calls


def measure(shape, turns, expected):
    """{method: median CPU seconds}; methods that would take too long, or are not installed, are left out."""
    data, calls, laps, truth = draw(*shape), {}, {}, None
    for name, prepare in METHODS.items():
        if expected.get((name, shape[1]), 0.0) * shape[0] > PATIENCE:
            continue
        try:
            call, advantages = prepare(data)
        except ImportError:
            continue
        start = time.process_time()
        result = call()[0]
        once = time.process_time() - start  # compiling included, where that is done on the first call
        if advantages is not None:
            result = advantages(result)
            truth = result if truth is None else truth
            gap = np.abs(result - truth[:len(result)]).max()
            assert gap <= 1e-3, f"{name} is off by {gap:.2g} at {shape}"
        laps[name] = [once] if once > PATIENCE / 2 else []
        if not laps[name]:
            once = seconds(call, 1)
        calls[name] = call, max(1, round(SLICE / max(once, 1e-7)))
    for _ in range(turns):
        for name, (call, times) in calls.items():
            if sum(laps[name]) < PATIENCE / 2:
                laps[name].append(seconds(call, times))
    medians = {name: float(np.median(times)) for name, times in laps.items()}
    expected |= {(name, shape[1]): t / shape[0] for name, t in medians.items()}
    return medians


def share_of_cartpole(updates=10):
    """CPU seconds of an update of PPO on CartPole, and of the call of `gae` in it; None without that trainer."""
    try:
        from coursekit import classic_ppo
    except ImportError:
        return None
    spent = []

    def timed(*args, **options):
        start = time.process_time()
        result = gae(*args, **options)
        spent.append(time.process_time() - start)
        return result
    run = classic_ppo.start(classic_ppo.CARTPOLE, seed=SEED)
    with patch.object(classic_ppo, "gae", timed):
        start = time.process_time()
        list(classic_ppo.train(run, updates=updates))
        total = (time.process_time() - start) / updates
    return {"update": total, "gae": float(np.median(spent)), "steps": run.config.num_steps,
            "rows": run.config.num_envs}


STRATEGIES = [  # name, library, memory order, shapes (time, rows)
    ("doubling in blocks", "numpy", "time last", ((5, 1), (128, 8), (128, 256), (1_000_000, 1))),
    ("step by step", "numpy", "time first", ((128, 4096), (1024, 1024))),
    ("transposed", "numpy", "time last", ((128, 4096), (1024, 1024))),
    ("in parts", "numpy", "time first", ((1024, 4096), (4096, 4096))),
    ("compiled", "numba", "time first", ((128, 4096), (1024, 4096))),
    ("compiled", "numba", "time last", ((128, 4096), (1024, 4096))),
    ("doubling, with gradients", "torch", "time last", ((128, 8), (128, 256), (1024, 1024))),
]


def strategies(turns):
    """Print how often faster `gae` is than `gae_by_recursion`, on arrays that take each of its ways."""
    for name, library, order, shapes in STRATEGIES:
        for shape in shapes:
            data = draw(*shape)
            given = [LAYOUTS[order](x) for x in (
                data.rewards, data.values, data.next_values, data.terminated, data.never)]
            if library == "torch":
                given = [torch.as_tensor(x) for x in given]
                given[0].requires_grad_()
            laps = {gae: [], gae_by_recursion: []}
            with patch.object(_dispatch, "_kernel", LOAD if library == "numba" else lambda: None):
                for _ in range(turns):
                    for function, times in laps.items():
                        call = partial(function, *given, gamma=GAMMA, lam=LAM)
                        times.append(seconds(call, max(1, round(SLICE / max(seconds(call, 1), 1e-6)))))
            fast, loop = (float(np.median(times)) for times in laps.values())
            print(f"{name:26}{library:7}{order:12}{str(shape):14}{1e6 * loop:12,.0f} µs {1e6 * fast:12,.0f} µs "
                  f"{loop / fast:7.1f} times faster", flush=True)


def print_table(table):
    names = [name for name in METHODS if any(name in row["seconds"] for row in table)]
    print("µs (SB3's time / this)".ljust(32), *(f"({r['steps']}, {r['rows']})".rjust(19) for r in table))
    for name in names:
        cells = []
        for times in (row["seconds"] for row in table):
            t, peer = times.get(name), times.get("SB3")
            ratio = f" ({peer / t:6.3g})" if t and peer else ""
            cells.append((f"{1e6 * t:,.1f}{ratio}" if t else "-").rjust(19))
        print(name.ljust(32), *cells)


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "unknown")


def versions():
    packages = ("numpy", "torch", "numba", "stable-baselines3", "tianshou", "torchrl", "pufferlib", "rlax", "jax")
    found = {d.metadata["Name"].lower().replace("_", "-") for d in importlib.metadata.distributions()}
    return {name: importlib.metadata.version(name) for name in packages if name in found}


def run(turns):
    torch.set_num_threads(1)
    expected, found, loads = {}, {}, []
    for shape in sorted({*SHAPES, *LENGTHS}, key=lambda shape: (shape[1], shape[0])):
        found[shape] = measure(shape, turns, expected)
        loads.append(os.getloadavg()[0])
        print(shape, "done", flush=True)
    parts = {part: [{"steps": shape[0], "rows": shape[1], "seconds": found[shape]} for shape in shapes]
             for part, shapes in (("table", SHAPES), ("growth", LENGTHS))}
    return {"machine": machine(), "load": float(np.mean(loads)), "seed": SEED, "turns": turns,
            "versions": versions(), "cartpole": share_of_cartpole()} | parts


def merge(runs):
    """The run on the calmest machine; of the others, how busy it was and their tables."""
    calmest, *others = sorted(runs, key=lambda run: run["load"])
    return calmest | {"others": [{"load": run["load"], "table": run["table"]} for run in others]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--merge", type=Path, nargs="+", help="measure nothing; keep the calmest of these")
    parser.add_argument("--strategies", action="store_true", help="measure only how each way compares to a loop")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if options.strategies:
        torch.set_num_threads(1)
        return strategies(options.turns)
    results = merge([json.loads(p.read_text()) for p in options.merge]) if options.merge else run(options.turns)
    print_table(results["table"])
    print_table(results["growth"])
    if options.json:
        short = json.loads(json.dumps(results), parse_float=lambda x: float(f"{float(x):.4g}"))
        write_text(options.json, json.dumps(short, indent=1) + "\n")
    if options.plot:
        fig, ax = plt.subplots(figsize=(7, 4.5))
        figures.plot_growth(ax, results["growth"])
        fig.savefig(options.plot, dpi=150)


if __name__ == "__main__":
    main()
