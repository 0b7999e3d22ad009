"""Save a PPO run between two updates and go on later as if nothing had happened.

Safetensors only: no pickle.
"""

import hashlib
from dataclasses import asdict

import torch
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_state_dict,
    set_state_dict,
)

from coursekit import distributed
from coursekit.rlhf import Config, start
from coursekit.saved import check_whole, from_moments, read, to_moments, with_prefix, write

FULL = StateDictOptions(full_state_dict=True, cpu_offload=True)


def save_run(run, history, path):
    """Write run and history atomically: the file is the old one or the new one, never half of either.

    Under torchrun every rank must call it; rank 0 writes.

    Args: run: rlhf.Run. history: list of dicts of numbers. path: ends in .safetensors.
    """
    weights, adam = get_state_dict(_learning(run.models), run.optimiser, options=FULL)
    frozen = fingerprint(run.models)
    if distributed.rank() > 0:
        return
    tensors = {f"model.{key}": weight for key, weight in weights.items()}
    tensors |= from_moments(adam["state"])
    metadata = {"update": run.update,
                "seed": run.seed,
                "config": asdict(run.config),
                "history": history,
                "frozen": frozen}
    write(tensors, metadata, path)


def load_run(models, path):
    """Continue a saved run: (Run, history).

    Weights of actor and critic are overwritten in `models`.

    Args: models: FourModels with the same reference and reward model as the run had.
    Raises: ValueError: no such file, not a saved run, or other frozen models.
    """
    tensors, metadata = read(path, Config)
    if metadata["frozen"] != fingerprint(models):
        raise ValueError(
            "models must have the reference and reward model that the run began with; "
            "these differ")
    run = start(models, metadata["config"], seed=metadata["seed"])
    models = run.models
    # without FULL: with it rank 0 alone would get groups
    weights, adam = get_state_dict(_learning(models), run.optimiser)
    moments = from_moments(adam["state"])
    shapes = {f"model.{key}": tuple(weight.shape) for key, weight in weights.items()}
    shapes |= {key: tuple(moment.shape) for key, moment in moments.items()}
    check_whole(tensors, shapes, path)
    adam = {"state": to_moments(tensors), "param_groups": adam["param_groups"]}
    set_state_dict(
        _learning(models), run.optimiser, options=FULL,
        model_state_dict=with_prefix(tensors, "model"), optim_state_dict=adam)
    run.update = metadata["update"]
    return run, metadata["history"]


def _learning(models):
    learning = {"actor": models.actor, "critic": models.critic}
    there = {name: model for name, model in learning.items() if model is not None}
    return torch.nn.ModuleDict(there)


def fingerprint(models):
    """A short hash of the frozen weights; a verifier has none."""
    digest = hashlib.sha256()
    for model in (models.reference, models.reward):
        if not isinstance(model, torch.nn.Module):
            continue
        for weight in model.state_dict().values():
            weight = distributed.full_tensor(weight).cpu().contiguous()
            digest.update(weight.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
