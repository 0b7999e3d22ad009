"""Save a run of classic PPO between two updates and go on later. Safetensors only: no pickle.

CartPole's native vector environment is saved with its running episodes: a run killed anywhere and resumed ends
bit-identical. Box2D can't be saved: LunarLander begins new episodes, from a seed of the update.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from coursekit.classic_ppo import Recipe, start
from coursekit.env_rollouts import begin

STATE = ("state", "steps", "prev_done")  # what gymnasium's CartPoleVectorEnv remembers, besides its generator


def save_run(run, history, path):
    """Write run and history atomically: the file is the old one or the new one, never half of either.

    Args:
        run: classic_ppo.Run on the environment of its recipe. history: list of dicts of numbers.
        path: ends in .safetensors.
    """
    path, env = Path(path), run.play.env.unwrapped
    tensors = {f"agent.{name}": weight for name, weight in run.agent.state_dict().items()}
    tensors |= {f"adam.{number}.{name}": x for number, moments in run.optimiser.state_dict()["state"].items()
                for name, x in moments.items()}
    facts = {"update": run.update, "seed": run.seed, "recipe": asdict(run.recipe), "history": history}
    if _savable(env):
        arrays = {name: getattr(env, name) for name in STATE}
        arrays |= {name: getattr(run.play, name) for name in ("observations", "dead", "running")}
        tensors |= {f"play.{name}": torch.from_numpy(x.copy()) for name, x in arrays.items()}
        facts["dice"] = env.np_random.bit_generator.state
    partial = path.with_suffix(".partial")
    save_file({key: x.contiguous() for key, x in tensors.items()}, partial, metadata={"run": json.dumps(facts)})
    partial.replace(path)


def load_run(path):
    """Continue a saved run: (Run, history).

    Raises: ValueError: no such file, or not a saved run of classic PPO.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"path must be a saved run, and there is no file {path}; save_run writes one")
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})["run"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        recipe = Recipe(**facts["recipe"])
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError):
        raise ValueError(f"path must be a saved run of `train`, and {path} is not; save_run writes one") from None
    run = start(recipe, seed=facts["seed"])
    run.update = facts["update"]
    run.agent.load_state_dict(_part(tensors, "agent"))
    moments = {}
    for key, x in _part(tensors, "adam").items():
        number, name = key.split(".")
        moments.setdefault(int(number), {})[name] = x
    run.optimiser.load_state_dict(run.optimiser.state_dict() | {"state": moments})
    if "dice" in facts:
        _put_back(run.play, _part(tensors, "play"), facts["dice"])
    else:
        run.play = begin(run.play.env, seed=int(run.dice().integers(2**31)))
    return run, facts["history"]


def _put_back(play, arrays, dice):
    env = play.env.unwrapped
    for name, x in arrays.items():
        setattr(env if name in STATE else play, name, x.numpy().copy())
    env.np_random.bit_generator.state = dice


def _savable(env):
    return all(isinstance(getattr(env, name, None), np.ndarray) for name in STATE)


def _part(tensors, name):
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
