"""The file of a saved run, for `resume` and `classic_resume`: tensors and metadata in one safetensors file."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

FORMER_NAMES = {  # in files of version 0.1.0
    "recipe": "config", "dice": "env_generator", "missing_end": "missing_eos_penalty", "bonus": "ent_coef",
    "max_norm": "max_grad_norm", "copies": "num_envs", "rows": "num_steps"}


def write(tensors, metadata, path):
    """Save atomically: the file is the old one or the new one, never half of either.

    Args: tensors: {name: tensor}. metadata: dict for JSON, with the config as a dict. path: ends in .safetensors.
    """
    partial = Path(path).with_suffix(".partial")
    save_file({key: x.contiguous() for key, x in tensors.items()}, partial, metadata={"run": json.dumps(metadata)})
    partial.replace(path)


def read(path, config, *, kind="saved run"):
    """What `write` wrote: (tensors, metadata), the config being a `config` again.

    Args: path: file. config: the dataclass that knows which numbers a run of this kind has. kind: for the message.
    Raises: ValueError: no such file, not a saved run, or one of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"path must be a saved run, and there is no file {path}; save_run writes one")
    try:
        with safe_open(path, "pt") as file:
            metadata = _renamed(json.loads((file.metadata() or {})["run"]))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return tensors, metadata | {"config": config(**_renamed(metadata["config"]))}
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError):
        raise ValueError(f"path must be a {kind}, and {path} is not; save_run writes one") from None


def with_prefix(tensors, name):
    """The tensors called `name.…`, without that beginning."""
    return {key.removeprefix(f"{name}."): x for key, x in tensors.items() if key.startswith(f"{name}.")}


def _renamed(named):
    return {FORMER_NAMES.get(name, name): value for name, value in named.items()}
