"""Save a PPO run between two updates and go on later as if nothing had happened. Safetensors only: no pickle."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from coursekit.rlhf import Recipe, start

LEARNING = ("actor", "critic")


def save_run(run, history, path):
    """Write run and history atomically: the file is the old one or the new one, never half of either.

    Args: run: rlhf.Run. history: list of dicts of numbers. path: ends in .safetensors.
    """
    path = Path(path)
    tensors = {f"{name}.{key}": weight for name in LEARNING
               for key, weight in getattr(run.models, name).state_dict().items()}
    for i, moments in run.optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{i}.{key}": value for key, value in moments.items()}
    tensors["generator"] = run.generator.get_state()
    facts = {"update": run.update, "recipe": asdict(run.recipe), "rng": run.rng.bit_generator.state,
             "history": history, "frozen": fingerprint(run.models)}
    partial = path.with_suffix(".partial")
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, partial,
              metadata={"run": json.dumps(facts)})
    partial.replace(path)


def load_run(models, path):
    """Continue a saved run: (Run, history). Weights of actor and critic are overwritten in `models`.

    Args: models: FourModels with the same reference and reward model as the run had.
    Raises: ValueError: no such file, not a saved run, or other frozen models.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"path must be a saved run, and there is no file {path}; save_run writes one")
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})["run"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, json.JSONDecodeError):
        raise ValueError(f"path must be a saved run, and {path} is not; save_run writes one") from None
    if facts["frozen"] != fingerprint(models):
        raise ValueError("models must have the reference and reward model that the run began with; these differ")
    run = start(models, Recipe(**facts["recipe"]))
    for name in LEARNING:
        getattr(models, name).load_state_dict(_part(tensors, name))
    saved = run.optimiser.state_dict()
    for key, value in _part(tensors, "adam").items():
        i, moment = key.split(".")
        saved["state"].setdefault(int(i), {})[moment] = value
    run.optimiser.load_state_dict(saved)
    run.generator.set_state(tensors["generator"])
    run.rng.bit_generator.state = facts["rng"]
    run.update = facts["update"]
    return run, facts["history"]


def fingerprint(models):
    """A short hash of the frozen weights."""
    digest = hashlib.sha256()
    for model in (models.reference, models.reward):
        for weight in model.state_dict().values():
            digest.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _part(tensors, name):
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
