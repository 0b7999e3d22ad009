"""What the experiments on the help desk share: the models of five seeds, and a loop that can be interrupted.

Trained models and finished jobs lie in _build/experiments, under names that change with the code that they depend
on; delete the folder to make everything again.
"""

import hashlib
import inspect
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from make import fingerprint

from coursekit import checkpoints, helpdesk
from coursekit.lm import load, save
from coursekit.saved import write_text

FOLDER = Path(__file__).parent.parent / "_build" / "experiments"
SEEDS = range(5)


def supervised(seed):
    """The supervised model of this seed."""
    return kept(f"supervised-{seed}", lambda: checkpoints.train_supervised(seed))


def reward(seed, pairs=4000):
    """The reward model of this seed, trained on so many comparisons of the seed's supervised model."""
    return kept(f"reward-{seed}-{pairs}", lambda: checkpoints.train_reward(supervised(seed), seed, pairs=pairs))


def kept(name, train):
    """Read a trained model, or train it and keep it. Every caller gets the weights as they were kept."""
    if not path_of(name).exists():
        keep(name, train())
    return load(path_of(name))


def keep(name, model):
    """Write a trained model to where `kept` finds it."""
    path_of(name).parent.mkdir(parents=True, exist_ok=True)
    save(model, path_of(name))


def path_of(name):
    """Where a model lies: by everything that it depends on, the world's file and the training functions."""
    sources = [inspect.getsource(thing) for thing in (helpdesk, checkpoints.train_supervised, checkpoints.compare,
                                                      checkpoints.train_reward)]
    world = hashlib.sha256("".join(sources).encode()).hexdigest()[:12]
    return FOLDER / f"models-{world}" / f"{name}.safetensors"


def run_jobs(function, jobs):
    """[function(job) for job in jobs], in two processes, as JSON gives it back. Each result is kept as soon as it
    is there, so that an interrupted script goes on with the jobs that are missing."""
    script = Path(inspect.getfile(function)).name
    folder = FOLDER / f"{script.removesuffix('.py')}-{fingerprint(script)}"
    paths = [folder / f"{i}.json" for i in range(len(jobs))]
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(partial(run_job, function), jobs, paths))


def run_job(function, job, path):
    """The result that lies at `path`, or else the function's, which is then kept there."""
    if not path.exists():
        write_text(path, json.dumps(function(job)))
    return json.loads(path.read_text())
