"""GAE against other libraries: CPU seconds for the same steps, and beside them the time to move the bytes.

Everybody gets the same rewards, values and ends (1 % of steps, and the last two of every row) in its own layout,
prepared beforehand, float32, on one thread, and gives advantages and returns. They take turns; a time is the median
over turns. No advantage may differ by more than 1e-3. Bytes that each must move per element:

    22  coursekit: rewards, values, next_values and two flags in, advantages and returns out; it checks its input
    20  SB3, CleanRL: one float flag, values[t+1] for next_values; PufferLib too, which knows no end of a row
    66  tianshou: the same in float64, with next_values          22  torchrl: as coursekit          20  rlax
    22  stream, the floor: a loop without memory of the step before, over the bytes that coursekit moves

    pip install -e '.[torch,fast]' -r requirements-bench.txt     without some of them, their rows are missing
    python benchmarks/gae.py [--turns 7] [--json experiments/results/gae_speed.json] [--plot gae.png]
"""

import argparse
import importlib.metadata
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from coursekit import _scans, figures  # noqa: E402
from coursekit.advantages import gae  # noqa: E402

SHAPES = ((128, 8), (2048, 1), (2048, 64), (128, 4096), (1024, 4096), (1_000_000, 1))  # (time, rows)
LENGTHS = tuple((10**k, 1) for k in range(2, 8))
GAMMA, LAM, SEED = 0.99, 0.95, 0
SLICE, PATIENCE = 0.005, 4.5  # seconds: a turn takes at least so long; what would take longer is left out
METHODS = {}


def method(name):
    """Register a function of the data that gives a call without arguments, or raises ImportError."""
    def register(prepare):
        METHODS[name] = prepare
        return prepare
    return register


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
        load = _scans._kernel if kernel else lambda: None
        if kernel and (data.rewards.size < _scans.COMPILED or load() is None):
            raise ImportError("the same as without the extra")
        given = [convert(layout(x)) for x in (
            data.rewards, data.values, data.next_values, data.terminated, data.never)]

        def call():
            _scans._kernel = load
            advantages = gae(*given, gamma=GAMMA, lam=LAM)
            _scans._kernel = LOAD
            return advantages, advantages + given[1]
        return call, lambda advantages: np.from_dlpack(advantages).T
    return prepare


LOAD = _scans._kernel
LAYOUTS = {"time first": lambda x: x.T, "time last": lambda x: np.ascontiguousarray(x.T)}
for order, layout in LAYOUTS.items():
    METHODS[f"coursekit, {order}"] = ours(layout, kernel=False)
    METHODS[f"coursekit[fast], {order}"] = ours(layout, kernel=True)
METHODS["coursekit on torch, time first"] = ours(LAYOUTS["time first"], False, torch.as_tensor)


@method("SB3")
def sb3(data):
    from stable_baselines3.common.buffers import RolloutBuffer
    steps, rows = data.rewards.shape
    buffer = SimpleNamespace(
        buffer_size=steps, rewards=data.rewards, values=data.values, episode_starts=data.starts, gamma=GAMMA,
        gae_lambda=LAM, advantages=np.zeros_like(data.rewards))
    last_values, dones = torch.as_tensor(data.next_values[-1]), data.terminated[-1]

    def call():
        RolloutBuffer.compute_returns_and_advantage(buffer, last_values, dones)
        return buffer.advantages, buffer.returns
    return call, np.array


@method("CleanRL")
def cleanrl(data):
    """The loop of its ppo.py, on tensors."""
    rewards, values, dones = map(torch.as_tensor, (data.rewards, data.values, data.starts))
    next_value, next_done = torch.as_tensor(data.next_values[-1:]), torch.as_tensor(data.terminated[-1]).float()

    def call():
        advantages = torch.zeros_like(rewards)
        carried = 0
        for t in reversed(range(len(rewards))):
            if t == len(rewards) - 1:
                goes_on, after = 1.0 - next_done, next_value
            else:
                goes_on, after = 1.0 - dones[t + 1], values[t + 1]
            delta = rewards[t] + GAMMA * after * goes_on - values[t]
            advantages[t] = carried = delta + GAMMA * LAM * goes_on * carried
        return advantages, advantages + values
    return call, np.from_dlpack


@method("tianshou")
def tianshou(data):
    from tianshou.algorithm.algorithm_base import _gae
    rewards, values, after, ends = (np.ascontiguousarray(x.T, dtype=float).ravel() for x in (
        data.rewards, data.values, np.where(data.terminated, 0, data.next_values), data.terminated))
    ends = ends.astype(bool)

    def call():
        advantages = _gae(values, after, rewards, ends, GAMMA, LAM)
        return advantages, advantages + values
    return call, lambda x: x.reshape(data.rewards.shape[::-1]).T


@method("torchrl")
def torchrl(data):
    from torchrl.objectives.value.functional import generalized_advantage_estimate
    values, after, rewards, ends = (torch.as_tensor(np.ascontiguousarray(x.T))[..., None] for x in (
        data.values, data.next_values, data.rewards, data.terminated))
    return (lambda: generalized_advantage_estimate(GAMMA, LAM, values, after, rewards, ends, ends)), (
        lambda x: x[..., 0].T.numpy())


@method("PufferLib")
def pufferlib(data):
    """Its compiled kernel; rows one after the other, rewards and flags one step late, as it wants them."""
    from c_gae import compute_gae
    values = np.ascontiguousarray(data.values.T).ravel()
    late = [np.roll(x.T.ravel(), 1).astype(np.float32) for x in (data.terminated, data.rewards)]

    def call():
        advantages = compute_gae(late[0], values, late[1], GAMMA, LAM)
        return advantages, advantages + values
    return call, lambda x: x.reshape(data.rewards.shape[::-1]).T[:-1]  # it leaves the last one out


@method("rlax")
def rlax(data):
    import jax
    from rlax import truncated_generalized_advantage_estimation as estimate
    rewards, discounts, values = (jax.numpy.asarray(x.T) for x in (
        data.rewards, np.where(data.terminated, 0, GAMMA).astype(np.float32),
        np.concatenate([data.values, data.next_values[-1:]])))

    @jax.jit
    def both(rewards, discounts, values):
        advantages = jax.vmap(estimate, (0, 0, None, 0))(rewards, discounts, LAM, values)
        return advantages, advantages + values[:, :-1]
    return (lambda: jax.block_until_ready(both(rewards, discounts, values))), lambda x: np.asarray(x).T


@method("the source's loop")
def source(data):
    """Python numbers, one row after the other, each result put in front of a list."""
    columns = [x.T.tolist() for x in (data.rewards, data.values, data.terminated)]

    def call():
        both = [], []
        for rewards, values, dones in zip(*columns):
            advantages, carried = [], 0.0
            for t in reversed(range(len(rewards))):
                after = 0.0 if t == len(rewards) - 1 else values[t + 1]
                goes_on = 1.0 - float(dones[t])
                carried = rewards[t] + GAMMA * after * goes_on - values[t] + GAMMA * LAM * goes_on * carried
                advantages.insert(0, carried)
            both[0].append(advantages)
            both[1].append([a + v for a, v in zip(advantages, values)])
        return both
    return call, lambda x: np.array(x).T


@method("stream, same bytes")
def stream(data):
    from numba import njit

    @njit(error_model="numpy")
    def move(rewards, values, after, died, cut, first, second):
        for i in range(len(rewards)):
            x = rewards[i] + after[i]
            first[i] = x if died[i] | cut[i] else values[i]
            second[i] = x + values[i]
    given = [x.ravel() for x in (data.rewards, data.values, data.next_values, data.terminated, data.never)]
    results = np.empty_like(given[0]), np.empty_like(given[0])
    return (lambda: move(*given, *results) or results), None


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
    return {"update": total, "gae": float(np.median(spent)), "steps": run.recipe.rows, "rows": run.recipe.copies}


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


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    expected, found = {}, {}
    for shape in sorted({*SHAPES, *LENGTHS}, key=lambda shape: (shape[1], shape[0])):
        found[shape] = measure(shape, options.turns, expected)
        print(shape, "done", flush=True)
    parts = {part: [{"steps": shape[0], "rows": shape[1], "seconds": found[shape]} for shape in shapes]
             for part, shapes in (("table", SHAPES), ("growth", LENGTHS))}
    print_table(parts["table"])
    print_table(parts["growth"])
    results = {"machine": machine(), "seed": SEED, "turns": options.turns, "versions": versions(),
               "cartpole": share_of_cartpole()} | parts
    if options.json:
        short = json.loads(json.dumps(results), parse_float=lambda x: float(f"{float(x):.4g}"))
        options.json.write_text(json.dumps(short, indent=1) + "\n")
    if options.plot:
        fig, ax = plt.subplots(figsize=(7, 4.5))
        figures.plot_growth(ax, results["growth"])
        fig.savefig(options.plot, dpi=150)


if __name__ == "__main__":
    main()
