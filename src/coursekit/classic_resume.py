"""Save a run of classic PPO between two updates and go on later. Safetensors only: no pickle.

CartPole's native vector environment is saved with its running episodes: a run killed anywhere and resumed ends
bit-identical. Box2D can't be saved: LunarLander begins new episodes, from a seed of the update. A wrapper is code,
and no file holds it: who trained on an environment of his own hands it over again.
"""

from dataclasses import asdict

import numpy as np
import torch

from coursekit.classic_ppo import Recipe, start
from coursekit.env_rollouts import begin
from coursekit.saved import part, read, write

STATE = ("state", "steps", "prev_done")  # what gymnasium's CartPoleVectorEnv remembers, besides its generator


def save_run(run, history, path):
    """Write run and history atomically: the file is the old one or the new one, never half of either.

    Args:
        run: classic_ppo.Run. What a wrapper of its environment remembers (a running mean, say) is not saved.
        history: list of dicts of numbers. path: ends in .safetensors.
    """
    env = run.play.env.unwrapped
    tensors = {f"agent.{name}": weight for name, weight in run.agent.state_dict().items()}
    tensors |= {f"adam.{number}.{name}": x for number, moments in run.optimiser.state_dict()["state"].items()
                for name, x in moments.items()}
    facts = {"update": run.update, "seed": run.seed, "recipe": asdict(run.recipe), "history": history,
             "env": _described(run.play.env)}
    if _savable(env):
        arrays = {name: getattr(env, name) for name in STATE}
        arrays |= {name: getattr(run.play, name) for name in ("observations", "dead", "running")}
        tensors |= {f"play.{name}": torch.from_numpy(x.copy()) for name, x in arrays.items()}
        facts["dice"] = env.np_random.bit_generator.state
    write(tensors, facts, path)


def load_run(path, *, env=None):
    """Continue a saved run: (Run, history).

    Args: path: file. env: a vector environment like the one given to `start`; None: that of the recipe.
    Raises: ValueError: no such file, not a saved run of classic PPO, or env differs from the run's in its wrappers,
        its copies or its time limit.
    """
    tensors, facts = read(path, Recipe, kind="saved run of `train`")
    run = start(facts["recipe"], seed=facts["seed"], env=env)
    if facts["env"] != (found := _described(run.play.env)):
        raise ValueError(f"env must be like the run's, {facts['env']}, got {found}; make one as for `start`, and "
                         "pass load_run(path, env=...)")
    run.update = facts["update"]
    run.agent.load_state_dict(part(tensors, "agent"))
    moments = {}
    for key, x in part(tensors, "adam").items():
        number, name = key.split(".")
        moments.setdefault(int(number), {})[name] = x
    run.optimiser.load_state_dict(run.optimiser.state_dict() | {"state": moments})
    if "dice" in facts:
        _put_back(run.play, part(tensors, "play"), facts["dice"])
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


def _described(env):
    """Wrappers, name, copies, and the time limit where the environment states it."""
    limit = env.spec.kwargs.get("max_episode_steps") if env.spec else None
    return f"{env}" + (f" with a limit of {limit} steps" if limit else "")
