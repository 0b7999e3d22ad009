"""What an exercise is.

The right answer is a composition of decisions: which value stands in for the unseen future, what stops the sum,
which factor, which axis. Each decision is a `Slot` with its right choice and the wrong ones that people make;
`compose` puts the chosen ones together. What the checks know by name is derived: every wrong choice by itself, and
every two of different slots.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class Case:
    """One call of the learner's function.

    label: what is special about it. inputs: arguments in order. facts: what a verdict may say of the cases that
    fail, as "with a time limit inside"; most facts are read off the inputs.
    """

    label: str
    inputs: dict[str, Any]
    facts: tuple[str, ...] = ()


class Choice(NamedTuple):
    """A wrong choice. name completes "This is …"; hint is a question that leads to the spot and gives nothing away.
    value: what `compose` gets in place of the right choice."""

    name: str
    hint: str
    value: Any


class Slot(NamedTuple):
    """A decision. name: the argument of `compose`; right: its value in the right answer."""

    name: str
    right: Any
    wrong: tuple[Choice, ...]


class Misconception(NamedTuple):
    """A wrong function of the exercise's inputs that is no choice in a slot. name and look_at: as in `Choice`."""

    name: str
    look_at: str
    function: Callable


@dataclass(frozen=True)
class Exercise:
    """id: "topic.name". function: the name that the learner defines. cases(seed): a list of Case, small
    enough to be shown. reference: the right answer, by the library, of the inputs in order. compose(given,
    **choices): the right answer from its parts, `given` the inputs by name. tolerance: relative to the case's
    largest number. refuses: library functions, as "advantages.gae", that are its answer: they do not answer while
    it is checked."""

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
    misconceptions: tuple[Misconception, ...] = ()
    compose: Callable | None = None
    slots: tuple[Slot, ...] = ()
    refuses: tuple[str, ...] = ()
    tolerance: float = 1e-5

    @cached_property
    def arguments(self):
        """The names of the inputs, in order."""
        return tuple(self.cases(0)[0].inputs)

    @cached_property
    def mistakes(self):
        """Every mistake that is known by name, as a Misconception: each wrong choice of each slot, then the
        others."""
        return (*(Misconception(choice.name, choice.hint, self.composed({slot.name: choice.value}))
                  for slot in self.slots for choice in slot.wrong), *self.misconceptions)

    @cached_property
    def pairs(self):
        """Every two wrong choices of different slots: (number of one mistake, number of the other, function)."""
        numbered = list(enumerate((slot.name, choice.value) for slot in self.slots for choice in slot.wrong))
        return tuple((i, j, self.composed({a: x, b: y}))
                     for (i, (a, x)), (j, (b, y)) in combinations(numbered, 2) if a != b)

    def composed(self, choices):
        """The answer, a function of the inputs in order, with these choices in place of the right ones."""
        chosen = {slot.name: slot.right for slot in self.slots} | choices

        def answer(*inputs):
            return self.compose(SimpleNamespace(**dict(zip(self.arguments, inputs))), **chosen)
        return answer


def varied(seed):
    """(a factor from 0.6 to 1.6, a whole one from 2 to 9) for the edges of this seed; 1 for the seed that `check`
    shows. Edges that never changed could be learnt by heart."""
    rng = np.random.default_rng([seed, 1])
    return (round(rng.uniform(0.6, 1.6), 2), int(rng.integers(2, 10))) if seed else (1, 1)


def episode(rng, steps, *, end="terminated", split=()):
    """A short made-up rollout, rounded so that it can be read: (rewards, values, next_values, flags).

    end: how the last step ends: "terminated", "truncated" or "open" (cut by the end of the array).
    split: (t, "terminated" or "truncated"), or several, ends an episode at step t; its true successor's value
    is then not the value of the next row.
    """
    rewards = rng.permutation([-2.0, -1.0, 1.0, 2.0, 3.0, 4.0])[:steps]  # no two alike: a shift must show
    values = rng.permutation(np.arange(5, 30))[:steps] / 10
    next_values = np.append(values[1:], round(rng.uniform(0.5, 3), 1))
    terminated, truncated = np.zeros((2, steps), bool)
    for t, kind in [(steps - 1, end), *([split] if isinstance(split, tuple) and split else split)]:
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
    return float(rng.choice([0.6, 0.7, 0.9]))


def rollout_cases(seed, names, **extra):
    """The cases of an exercise on rollouts: every way an episode can end, the running example, and the edges.

    names: which of the five arrays the exercise takes. extra: further arguments, each a function of rng;
    the running example has γ = 1 and λ = 0.95, as in the text; one case has λ = 0, one λ = γ = 1.
    """
    rng = np.random.default_rng(seed)
    limit, death, stops = "with a time limit before the last step", "with a death before the last step", \
        "that stop in the middle of an episode"
    both = episode(rng, 5, end="open", split=[(0, "terminated"), (2, "terminated")])
    both["truncated"][2] = True  # terminated wins
    nan = episode(rng, 5, end="open", split=[(0, "truncated"), (1, "terminated"), (3, "terminated")])
    nan["next_values"][1] = np.nan
    rollouts = [
        ("a time limit, then a death, then an open end",
         episode(rng, 6, end="open", split=[(1, "truncated"), (3, "terminated")]), {}, (limit, death, stops)),
        ("a death, a time limit, and an episode that terminates",
         episode(rng, 5, split=[(0, "terminated"), (2, "truncated")]), {}, (limit, death)),
        ("a death after step 2, then a new episode", episode(rng, 5, end="open", split=(2, "terminated")), {},
         (death, stops)),
        ("cut by a time limit at the end", episode(rng, 4, end="truncated"), {}, ()),
        ("the rollout stops, the episode does not", episode(rng, 4, end="open"), {}, (stops,)),
        ("an episode that terminates", episode(rng, 4), {}, ()),
        ("a death, then dead at the time limit", both, {}, (death, stops)),
        ("a time limit and two deaths, one of them worth NaN", nan, {}, (limit, death, stops)),
        ("the running example", running_example(), dict(gamma=1.0, lam=0.95), ()),
        ("a single step", episode(rng, 1, end="open"), {}, (stops,)),
        *([("λ = 0", episode(rng, 4, split=(1, "truncated")), dict(lam=0.0), (limit,)),
           ("λ = γ = 1", episode(rng, 4, end="open", split=(1, "terminated")), dict(gamma=1.0, lam=1.0),
            (death, stops))] if "lam" in extra else []),
    ]
    return [Case(label, {**{name: arrays[name] for name in names},
                         **{name: given[name] if name in given else make(rng) for name, make in extra.items()}},
                 facts)
            for label, arrays, given, facts in rollouts]
