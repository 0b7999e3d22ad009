"""Save a run of classic PPO between two updates and go on later.

Safetensors only: no pickle. CartPole's native vector environment is saved with its
running episodes: a run killed anywhere and resumed ends bit-identical. Box2D can't be
saved: LunarLander begins new episodes, from a seed of the update. A wrapper is code,
which no file holds: a run on an environment of your own needs that environment again.
"""

from dataclasses import asdict

import numpy as np
import torch

from coursekit.classic_ppo import Config, start
from coursekit.env_rollouts import begin
from coursekit.saved import check_whole, from_moments, read, to_moments, with_prefix, write

# what gymnasium's CartPoleVectorEnv remembers, besides its generator
STATE = ("state", "steps", "prev_done")
# what a Play remembers
PLAY = ("observations", "dead", "running")


def save_run(run, history, path):
    """Write run and history atomically: the file is the old one or the new one, never half of either.

    Args:
        run: classic_ppo.Run. What a wrapper of its environment remembers (a running
            mean, say) is not saved.
        history: list of dicts of numbers. path: ends in .safetensors.
    """
    env = run.play.env.unwrapped
    agent = run.agent.state_dict()
    tensors = {f"agent.{name}": weight for name, weight in agent.items()}
    tensors |= from_moments(run.optimiser.state_dict()["state"])
    metadata = {"update": run.update,
                "seed": run.seed,
                "config": asdict(run.config),
                "history": history,
                "env": _described(run.play.env)}
    if _savable(env):
        for name, x in _arrays(run.play).items():
            tensors[f"play.{name}"] = torch.from_numpy(x.copy())
        metadata["env_generator"] = env.np_random.bit_generator.state
    write(tensors, metadata, path)


def load_run(path, *, env=None):
    """Continue a saved run: (Run, history).

    Args:
        path: file.
        env: a vector environment like the one given to `start`; None: that of the
            config.
    Raises:
        ValueError: no such file, not a saved run of classic PPO, or env differs from
            the run's in its wrappers, its copies or its time limit.
    """
    tensors, metadata = read(path, Config, kind="saved run of `train`")
    run = start(metadata["config"], seed=metadata["seed"], env=env)
    found = _described(run.play.env)
    if metadata["env"] != found:
        raise ValueError(
            f"env must be like the run's, {metadata['env']}, got {found}; "
            "make one as for `start`, and pass load_run(path, env=...)")
    run.update = metadata["update"]
    check_whole(tensors, _shapes(run, "env_generator" in metadata), path)
    run.agent.load_state_dict(with_prefix(tensors, "agent"))
    optimiser = run.optimiser.state_dict() | {"state": to_moments(tensors, int)}
    run.optimiser.load_state_dict(optimiser)
    if "env_generator" in metadata:
        _put_back(run.play, with_prefix(tensors, "play"), metadata["env_generator"])
    else:
        run.play = begin(run.play.env, seed=int(run.generator().integers(2**31)))
    return run, metadata["history"]


def _shapes(run, playing):
    """{name: shape} of all that `save_run` writes of this run."""
    agent = run.agent.state_dict()
    shapes = {f"agent.{name}": tuple(weight.shape) for name, weight in agent.items()}
    learned = run.agent.parameters() if run.update else ()  # Adam has moments of these
    for number, weight in enumerate(learned):
        shape = tuple(weight.shape)
        shapes[f"adam.{number}.step"] = ()
        shapes[f"adam.{number}.exp_avg"] = shape
        shapes[f"adam.{number}.exp_avg_sq"] = shape
    if playing:
        shapes |= {f"play.{name}": x.shape for name, x in _arrays(run.play).items()}
    return shapes


def _arrays(play):
    """{name: array} of the running episodes, as the environment and `play` hold them."""
    arrays = {name: getattr(play.env.unwrapped, name) for name in STATE}
    return arrays | {name: getattr(play, name) for name in PLAY}


def _put_back(play, arrays, generator_state):
    env = play.env.unwrapped
    for name, x in arrays.items():
        setattr(env if name in STATE else play, name, x.numpy().copy())
    env.np_random.bit_generator.state = generator_state


def _savable(env):
    return all(isinstance(getattr(env, name, None), np.ndarray) for name in STATE)


def _described(env):
    """Wrappers, name, copies, and the time limit where the environment states it."""
    limit = env.spec.kwargs.get("max_episode_steps") if env.spec else None
    limited = f" with a limit of {limit} steps" if limit else ""
    return f"{env}{limited}"
