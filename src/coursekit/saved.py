"""Files that are whole or absent, and the file of a saved run: tensors and metadata in one safetensors file."""

import contextlib
import json
import os
import shutil
from pathlib import Path

FORMER_NAMES = {  # in files of version 0.1.0
    "recipe": "config", "dice": "env_generator", "missing_end": "missing_eos_penalty",
    "bonus": "ent_coef", "max_norm": "max_grad_norm", "copies": "num_envs",
    "rows": "num_steps"}
HEADER = 100_000_000  # bytes: the longest header that safetensors reads


@contextlib.contextmanager
def atomic(path):
    """Write a file, or a folder of files, whole or not at all.

        with atomic("run.png") as partial:
            figure.savefig(partial, format="png")

    Yields a path beside `path`. What stands there in the end takes the place of `path`;
    after an exception it is removed, and `path` is as it was.

    Raises: OSError naming `path` where the system refuses to write.
    """
    unfinished = partial(path)
    path = Path(path).resolve()
    try:
        yield unfinished
        if unfinished.is_dir():
            path.mkdir(exist_ok=True)
            for file in unfinished.iterdir():
                file.replace(path / file.name)
        else:
            with open(unfinished, "rb+") as file:
                # a power cut after this leaves one of the two, not an empty file
                os.fsync(file.fileno())
            unfinished.replace(path)
    except Exception as error:
        hidden = type(error).__name__ == "SafetensorError"  # which hides an OSError
        if isinstance(error, OSError) or hidden:
            why = getattr(error, "strerror", None) or error
            raise OSError(
                f"{path} could not be written and is as it was ({why})") from error
        raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.unlink(missing_ok=True)


def partial(path):
    """Where `atomic` writes until all is there: another name for each file and each process."""
    path = Path(path).resolve()
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def write_text(path, text):
    """Write a text atomically, in UTF-8; makes the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as unfinished:
        # the text may hold names of files, which need not be valid text
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")


def write(tensors, metadata, path):
    """Save a run atomically.

    Args:
        tensors: {name: tensor}.
        metadata: dict for JSON, with the config as a dict.
        path: ends in .safetensors.
    """
    from safetensors.torch import save_file

    tensors = {key: x.contiguous() for key, x in tensors.items()}
    metadata = {"run": json.dumps(metadata)}
    with atomic(path) as unfinished:
        save_file(tensors, unfinished, metadata=metadata)


def read(path, config, *, kind="saved run"):
    """What `write` wrote: (tensors, metadata), the config being a `config` again.

    Args:
        path: file.
        config: the dataclass that knows which numbers a run of this kind has.
        kind: for the message.
    Raises: ValueError: no such file, not a saved run, or one of another kind.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f"path must be a saved run, and there is no file {path}; "
            "save_run writes one")
    try:
        with safe_open(path, "pt") as file:
            found = (file.metadata() or {})["run"]
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        metadata = _renamed(json.loads(found))
        numbers = _renamed(metadata["config"])
        return tensors, metadata | {"config": config(**numbers)}
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError):
        raise ValueError(
            f"path must be a {kind}, and {path} is not; save_run writes one") from None


def facts(path):
    """The metadata of a safetensors file, without its tensors; {} for any other file."""
    try:
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if size < HEADER else {}
    except (ValueError, RecursionError):
        return {}
    return header.get("__metadata__", {}) if isinstance(header, dict) else {}


def check_whole(tensors, shapes, path):
    """Raise ValueError unless a file has tensors of these names and shapes, and no others.

    shapes: {name: shape}. Without Adam's moments, say, a run would go on, and be
    another one.
    """
    found = {name: tuple(x.shape) for name, x in tensors.items()}
    for name in sorted(found.keys() | shapes.keys()):
        wanted, given = shapes.get(name, "absent"), found.get(name, "absent")
        if given != wanted:
            raise ValueError(
                f"{path} is not whole: {name} must be {wanted}, and is {given}; "
                "take an earlier copy of the file")


def from_moments(state):
    """Adam's state of an optimiser, {parameter: {name: tensor}}, as tensors of a file."""
    tensors = {}
    for parameter, moments in state.items():
        tensors |= {f"adam.{parameter}.{name}": x for name, x in moments.items()}
    return tensors


def to_moments(tensors, key=str):
    """What `from_moments` was made of. key: the type of a parameter's name."""
    state = {}
    for place, x in with_prefix(tensors, "adam").items():
        parameter, name = place.rsplit(".", 1)
        state.setdefault(key(parameter), {})[name] = x
    return state


def with_prefix(tensors, name):
    """The tensors called `name.…`, without that beginning."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): x
            for key, x in tensors.items() if key.startswith(prefix)}


def _renamed(named):
    return {FORMER_NAMES.get(name, name): value for name, value in named.items()}
