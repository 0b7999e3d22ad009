"""Save a PPO run between two updates and go on later as if nothing had happened. Safetensors only: no pickle."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict

from coursekit import distributed
from coursekit.rlhf import Recipe, start

FULL = StateDictOptions(full_state_dict=True, cpu_offload=True)


def save_run(run, history, path):
    """Write run and history atomically: the file is the old one or the new one, never half of either.

    Under torchrun every rank must call it; rank 0 writes.

    Args: run: rlhf.Run. history: list of dicts of numbers. path: ends in .safetensors.
    """
    path, (weights, adam) = Path(path), get_state_dict(_learning(run.models), run.optimiser, options=FULL)
    frozen = fingerprint(run.models)
    if distributed.rank() > 0:
        return
    tensors = {f"model.{key}": weight for key, weight in weights.items()}
    tensors |= {f"adam.{key}.{name}": x for key, moments in adam["state"].items() for name, x in moments.items()}
    facts = {"update": run.update, "seed": run.seed, "recipe": asdict(run.recipe), "history": history,
             "frozen": frozen}
    partial = path.with_suffix(".partial")
    save_file({key: x.contiguous() for key, x in tensors.items()}, partial, metadata={"run": json.dumps(facts)})
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
    run, state = start(models, Recipe(**facts["recipe"]), seed=facts["seed"]), {}
    for key, moment in _part(tensors, "adam").items():
        parameter, name = key.rsplit(".", 1)
        state.setdefault(parameter, {})[name] = moment
    groups = get_state_dict(_learning(models), run.optimiser)[1]["param_groups"]  # with FULL, rank 0's alone
    set_state_dict(_learning(models), run.optimiser, model_state_dict=_part(tensors, "model"),
                   optim_state_dict={"state": state, "param_groups": groups}, options=FULL)
    run.update = facts["update"]
    return run, facts["history"]


def _learning(models):
    return torch.nn.ModuleDict({"actor": models.actor, "critic": models.critic})


def fingerprint(models):
    """A short hash of the frozen weights."""
    digest = hashlib.sha256()
    for model in (models.reference, models.reward):
        for weight in model.state_dict().values():
            digest.update(distributed.whole(weight).cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _part(tensors, name):
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
