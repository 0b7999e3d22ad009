"""What an exercise is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One call of the learner's function. label: what is special about it. inputs: arguments in order."""

    label: str
    inputs: dict[str, Any]


@dataclass(frozen=True)
class Misconception:
    """A wrong function that people really write.

    name completes "This is ..."; look_at says where to look, without giving the answer.
    """

    name: str
    look_at: str
    function: Callable


@dataclass(frozen=True)
class Exercise:
    """id: "topic.name". function: the name that the learner defines. cases(seed): a list of Case, small
    enough to be shown. reference: the right answer. tolerance: of max(1, |expected|)."""

    id: str
    notebook: str
    title: str
    function: str
    task: str
    points: int
    difficulty: str
    minutes: int
    hints: tuple[str, str]
    cases: Callable[[int], list[Case]]
    reference: Callable
    misconceptions: tuple[Misconception, ...]
    tolerance: float = 1e-5


def episode(rng, steps, *, end="terminated", split=None):
    """A short made-up rollout, rounded so that it can be read: (rewards, values, next_values, flags).

    end: how the last step ends: "terminated", "truncated" or "open" (cut by the end of the array).
    split: (t, "terminated" or "truncated") ends a first episode at step t; its true successor's value
    is then not the value of the next row.
    """
    rewards, values = rng.integers(-2, 4, steps).astype(float), rng.uniform(0.5, 3, steps).round(1)
    next_values = np.append(values[1:], round(rng.uniform(0.5, 3), 1))
    terminated, truncated = np.zeros((2, steps), bool)
    for t, kind in [(steps - 1, end), *([split] if split else [])]:
        if kind == "open":
            continue
        {"terminated": terminated, "truncated": truncated}[kind][t] = True
        next_values[t] = round(rng.uniform(4, 9), 1)  # a dead state's value must not be read
    return dict(rewards=rewards, values=values, next_values=next_values,
                terminated=terminated, truncated=truncated)


def running_example():
    """The course's five steps: one reward, at the end; values that rise as it comes near."""
    values = np.array([0.1, 0.2, 0.3, 0.5, 0.8])
    return dict(rewards=np.array([0.0, 0.0, 0.0, 0.0, 1.0]), values=values,
                next_values=np.append(values[1:], 0.0), terminated=np.arange(5) == 4,
                truncated=np.zeros(5, bool))


def draw_gamma(rng):
    return float(rng.choice([0.8, 0.9, 0.95]))


def draw_lam(rng):
    return float(rng.choice([0.5, 0.7, 0.9]))


def rollout_cases(seed, names, **extra):
    """The cases of an exercise on rollouts: the running example, then every way an episode can end.

    names: which of the five arrays the exercise takes. extra: further arguments, each a function of rng;
    the running example has γ = 1 and λ = .95, as in the text.
    """
    rng, first = np.random.default_rng(seed), dict(gamma=1.0, lam=0.95)
    rollouts = {
        "the running example": running_example(),
        "an episode that terminates": episode(rng, 5),
        "cut by a time limit at the end": episode(rng, 5, end="truncated"),
        "the rollout stops, the episode does not": episode(rng, 5, end="open"),
        "terminated at step 2, then a new episode": episode(rng, 6, end="open", split=(2, "terminated")),
        "cut by a time limit at step 2, then a new episode": episode(rng, 6, split=(2, "truncated")),
        "a dead state worth NaN": episode(rng, 5, end="open", split=(1, "terminated")),
        "dead at the time limit, then a new episode": episode(rng, 5, end="open", split=(2, "terminated")),
        "a single step": episode(rng, 1, end="open"),
    }
    rollouts["a dead state worth NaN"]["next_values"][1] = np.nan
    rollouts["dead at the time limit, then a new episode"]["truncated"][2] = True  # terminated wins
    return [Case(label, {**{name: arrays[name] for name in names},
                         **{name: first[name] if label == "the running example" else make(rng)
                            for name, make in extra.items()}})
            for label, arrays in rollouts.items()]
