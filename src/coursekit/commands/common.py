"""What the commands share: options are refused before any work, and an interrupted run says what it left."""

import contextlib
import importlib.util
import math
import os
import shutil
import sys
from argparse import ArgumentTypeError
from pathlib import Path

from coursekit.saved import facts, partial

PICTURES = (".png", ".svg", ".pdf", ".jpg")  # what --plot may end in
PICTURE = 400_000  # bytes, more than any picture of ours
OURS = ("run", "linear_reward")  # what the metadata of our files name
SEEDS = 2**32 - 1  # the largest that numpy, torch and gymnasium all take
NOTHING_SAVED = "nothing was saved; start it again"  # after Ctrl-C, where --resume has nothing to go on from


def complain(message, status=2):
    """One line on stderr; returns the exit status. Of what all processes under torchrun say, the first one's."""
    if os.environ.get("RANK", "0") == "0":
        say(message)
    return status


def say(message):
    """A line of the command's on stderr, in one write: torchrun starts Python unbuffered, so that print would write
    line and line break apart, and lines of several processes would mix."""
    sys.stderr.write(f"coursekit: {message}\n")


def at_least(least, most=math.inf, kind=int):
    """A type for argparse: a number of this kind from `least` to `most`, finite."""

    def parse(text):
        try:
            number = kind(text)
        except ValueError:
            raise ArgumentTypeError(f"must be a {'whole ' if kind is int else ''}number, got {text}") from None
        if not number < math.inf:
            raise ArgumentTypeError(f"must be a finite number, got {text}")
        if number < least:
            raise ArgumentTypeError(f"must be at least {least}, got {text}")
        if number > most:
            raise ArgumentTypeError(f"must be at most {most}, got {text}")
        return number
    return parse


def seconds(text):
    """A type for argparse: a positive, finite number of seconds."""
    number = at_least(0, kind=float)(text)
    if number == 0:
        raise ArgumentTypeError(f"must be a positive number of seconds, got {text}")
    return number


def need(*packages):
    """Raise ModuleNotFoundError for a package that is missing, before the work that would need it at its end."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(name=package)


def target_file(option, path, *, inputs=(), room=0, endings=(), replace=False, resume=False):
    """Raise ValueError unless a file of ours can be written at `path`: asked before a command works for minutes.

    Args:
        inputs: paths that the command reads. room: bytes that will be written. endings: of a picture; none for a
        run or a model. replace: whether a file of ours may be overwritten; resume: whether it is read first.
    """
    _apart(option, path, inputs)
    if path.is_dir():
        raise ValueError(f"{option} {path} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise ValueError(f"{option} {path} is no ordinary file; name another")
    if not path.parent.is_dir():
        raise ValueError(f"{option} {path}: there is no folder {path.parent}; make it first")
    if endings and path.suffix.lower() not in endings:
        raise ValueError(f"{option} {path} must end in {', '.join(endings)}")
    if path.exists() and not resume:
        known = _is_picture(path) if endings else any(name in facts(path) for name in OURS)
        if not known:
            raise ValueError(f"{option} {path} is a file that coursekit did not write; name another")
        if not replace:
            raise ValueError(f"{option} {path} is there already; --force replaces it, or name another")
    _try_to_write(option, path, partial(path), room)


def target_files(options, plot=None, *, room):
    """Raise ValueError unless a run can be saved to options.out and drawn to `plot` (None: no picture).

    Args: options: with `out`, `resume` and `force`. room: bytes of the run.
    """
    replace = options.force or options.resume
    target_file("--out", options.out, room=room, replace=replace, resume=options.resume)
    if plot:
        if plot.resolve() == options.out.resolve():
            raise ValueError(f"--plot {plot} is the file of the run, --out; name another")
        target_file("--plot", plot, inputs=[options.out], room=room + PICTURE, endings=PICTURES, replace=replace)


def target_folder(option, path, *, inputs=(), room=0):
    """Raise ValueError unless `path` is a folder to write to, or one can be made there."""
    _apart(option, path, inputs)
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir():
        raise ValueError(f"{option} {path}: {there} is a file; name another folder")
    _try_to_write(option, path, partial(there / "x"), room)


def target_model(option, path, *, inputs=(), room=0, replace=False):
    """Raise ValueError unless a transformers model can be written to a folder that holds nothing else."""
    target_folder(option, path, inputs=inputs, room=room)
    if path.is_dir() and any(path.iterdir()):
        if not (path / "config.json").is_file():
            raise ValueError(f"{option} {path} is a folder with other files; name a new one")
        if not replace:
            raise ValueError(f"{option} {path} holds a model already; --force replaces it, or name another")


def size_of_model(name):
    """Bytes of a transformers model in a folder; 0 for one from the hub, whose size nobody has asked."""
    folder = Path(name)
    return sum(file.stat().st_size for file in folder.glob("*") if file.is_file()) if folder.is_dir() else 0


def known_model(name):
    """Raise ValueError within seconds unless there is a transformers model: a folder, or one that the hub has."""
    if Path(name).is_dir():
        if not (Path(name) / "config.json").is_file():
            raise ValueError(f"no model in the folder {name}: it holds no config.json")
        return
    from huggingface_hub import HfApi, try_to_load_from_cache

    try:
        if not isinstance(try_to_load_from_cache(name, "config.json"), str):
            HfApi().model_info(name, timeout=3)  # transformers itself asks for a minute where there is no network
    except Exception as error:  # no network, no such model, no name that the hub allows
        raise ValueError(f"no model {name}, in a folder or from the hub: {str(error).splitlines()[0]}") from None


def add_exercises(parser):
    """Register --exercises: an instructor's own."""
    parser.add_argument("--exercises", type=Path, action="append", default=[], metavar="DIR",
                        help="a folder of modules with exercises of your own; their notebooks lie there too")


def know_exercises(options):
    """Add the exercises in --exercises to the registry, here and in every process that is started from here."""
    from coursekit.exercises import OWN
    for folder in options.exercises:
        OWN.add_folder(folder)
        known = os.environ.get("COURSEKIT_EXERCISES")
        os.environ["COURSEKIT_EXERCISES"] = os.pathsep.join(filter(None, [known, str(folder.resolve())]))


def add_force(parser):
    """Register --force, for a command whose output `target_files`, `target_file` or `target_model` checks."""
    parser.add_argument("--force", action="store_true", help="replace what an earlier run left in the output")


def _apart(option, path, inputs):
    for given in inputs:
        if path.resolve() == given.resolve() or (path.exists() and given.exists() and path.samefile(given)):
            raise ValueError(f"{option} {path} is {given}, which is read; name another")


def _is_picture(path):
    with open(path, "rb") as file:
        return file.read(5).startswith((b"\x89PNG", b"%PDF", b"\xff\xd8", b"<?xml", b"<svg"))


def _try_to_write(option, path, trial, room):
    if path.is_file() and not path.stat().st_mode & 0o222:
        raise ValueError(f"{option} {path} is read-only; name another")
    try:
        trial.touch()
        trial.unlink(missing_ok=True)
        free = shutil.disk_usage(trial.parent).free
    except OSError as error:
        raise ValueError(f"{option} {path}: nothing can be written there ({error.strerror}); "
                         "name another place") from None
    if free < room:
        raise ValueError(f"{option} {path}: {room / 1e6:.1f} MB will be written, and {free / 1e6:.1f} MB are free; "
                         "make room, or name another place")


def check_resume(options, path, saved):
    """Raise ValueError if --resume would ignore an option, or has no file to go on from.

    saved: names of the options that are saved with a run, None where they were not given.
    """
    for name in saved:
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} is part of the run in {path}; leave it out with --resume")
    if not path.is_file():
        raise ValueError(f"--resume: there is no saved run at {path}; leave --resume out to begin one")


@contextlib.contextmanager
def resumable(path, resumed):
    """Within it, Ctrl-C says what --resume can do. resumed: whether the run itself had begun with it."""
    before = _stamp(path)
    try:
        yield
    except KeyboardInterrupt:
        ours = resumed or _stamp(path) != before  # else a file of another run, or none
        message = f"`--resume` goes on from {path}" if ours else NOTHING_SAVED
        raise KeyboardInterrupt(message) from None


def _stamp(path):
    """What tells a file from the one that takes its place; None without a file."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None
