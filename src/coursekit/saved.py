"""The file of a saved run, for `resume` and `classic_resume`: tensors and facts in one safetensors file."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file


def write(tensors, facts, path):
    """Save atomically: the file is the old one or the new one, never half of either.

    Args: tensors: {name: tensor}. facts: dict for JSON, with the recipe as a dict. path: ends in .safetensors.
    """
    partial = Path(path).with_suffix(".partial")
    save_file({key: x.contiguous() for key, x in tensors.items()}, partial, metadata={"run": json.dumps(facts)})
    partial.replace(path)


def read(path, recipe, *, kind="saved run"):
    """What `write` wrote: (tensors, facts), the recipe being a `recipe` again.

    Args: path: file. recipe: the dataclass that knows which numbers a run of this kind has. kind: for the message.
    Raises: ValueError: no such file, not a saved run, or one of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"path must be a saved run, and there is no file {path}; save_run writes one")
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})["run"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return tensors, facts | {"recipe": recipe(**facts["recipe"])}
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError):
        raise ValueError(f"path must be a {kind}, and {path} is not; save_run writes one") from None


def part(tensors, name):
    """The tensors called `name.…`, without that beginning."""
    return {key.removeprefix(f"{name}."): x for key, x in tensors.items() if key.startswith(f"{name}.")}
