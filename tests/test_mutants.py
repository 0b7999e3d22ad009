"""No wrong answer passes: every mutant of a right one fails on the cases that `check` shows, and on 25 other
seeds."""

import numpy as np
import pytest

import mutants
from coursekit.exercises import EXERCISES
from notebooks import solution

SEEDS = range(26)
IMPORTS = """import math
import numpy as np
from coursekit.advantages import gae
from coursekit.tokens import token_rewards, token_steps
"""
COMPOSED = [e for e in EXERCISES.values() if e.slots]
# Mutants that are right answers, each with the reason.
EQUIVALENT = {
    ("gae.best_lambda", "(bias ** 2 + variance).mean -> (bias ** 2 + variance).sum in mse = (bias ** 2 + "
     "variance).sum(axis=1)"): "the sum over states is least where the mean is",
    ("rm.bias", "words_gap > 0 -> words_gap >= 0 in return (first_wins == (words_gap >= 0))[kept].mean()"):
        "pairs of equal length do not count",
    ("rm.bias", "0 -> -1 in return (first_wins == (words_gap > -1))[kept].mean()"):
        "pairs of equal length do not count, and lengths are ints",
} | {("td.bootstrap", f"truncated = {value}"): "a time limit changes nothing, and that is the exercise"
     for value in ("zeros", "ones")
} | {("start.score", f"{change} in exp = np.exp(logits {shift})"): "what is subtracted from all logits cancels"
     for change, shift in (("logits - logits.max() -> logits + logits.max()", "+ logits.max()"),
                           ("logits.max -> logits.min", "- logits.min()"))
} | {("ppo.diagnosis", f"{change} in {line.format(bound)[:90]}"): "no run lies between the bounds, as the task says"
     for line, changes in {
         "if kl.min() {}:": {"kl.min() < -1 -> kl.min() <= -1": "<= -1", "1 -> 2": "< -2", "1 -> 0": "< -0"},
         "if kl[-1] {}:": {"kl[-1] > 4 -> kl[-1] >= 4": ">= 4", "4 -> 5": "> 5", "4 -> 3": "> 3"},
         "return 'sign of the KL penalty' if kl[-1] {} else 'no KL penalty'": {
             "kl[-1] > 75 -> kl[-1] >= 75": ">= 75", "75 -> 76": "> 76", "75 -> 74": "> 74"},
         "return 'score in the last column' if explained_variance[-1] {} else 'none'": {
             "explained_variance[-1] < 0.15 -> explained_variance[-1] <= 0.15": "<= 0.15",
             "0.15 -> 0.075": "< 0.075"},
     }.items() for change, bound in changes.items()} | {
    ("ppo.diagnosis", f"{name} = {value}"): "the other two series tell enough"
    for name in ("clip_fraction", "proxy", "length") for value in ("zeros", "ones")} | {
    ("ppo.diagnosis", f"{change} in return 'score in the last column' if explained_variance[{i}] < 0.15 else "
     "'none'"): "after an update or two a healthy critic explains something, and the other one never does"
    for change, i in (("-1 -> 1", 1), ("1 -> 2", -2))} | {
    ("ppo.diagnosis", "1 -> 2 in if kl[-2] > 4:"): "on one seed the KL is as large at the update before",
} | {("group.grpo", f"{change} in return centred / np.where({test}, np.inf, sd)"): "no spread lies near 1e-6"
     for change, test in (("spread < 1e-06 -> spread <= 1e-06", "spread <= 1e-06"),
                          ("1e-06 -> 5e-07", "spread < 5e-07"))
} | {("group.diagnosis", f"0.001 -> 0.0005 in if np.allclose({candidate}, advantages, atol=0.0005):"):
     "rounding is 0.00005, and the other settings are off by 0.01"
     for candidate in ("centred / sd", "centred * (others + 1) / others")} | {
    ("group.weight", "1 -> 0 in for k in range(group + 0):"): "a group that is all right has no deviation",
}


@pytest.mark.parametrize("exercise", COMPOSED, ids=lambda e: e.id)
def test_every_known_mistake_fails_on_every_seed(exercise):
    alive = [(m.name, seed) for m in exercise.mistakes for seed in SEEDS
             if mutants.passes(exercise, m.function, seed)]
    assert not alive


@pytest.mark.parametrize("exercise", COMPOSED, ids=lambda e: e.id)
def test_every_mutant_of_the_solution_fails_on_every_seed(exercise):
    source = IMPORTS + solution(exercise.notebook, exercise.id)
    answers = {what: defined(text, exercise.function) for what, text in mutants.of_source(source).items()}
    answers |= dict(mutants.with_arguments_ignored(exercise, defined(source, exercise.function)))
    right = {what for i, what in EQUIVALENT if i == exercise.id}
    alive = {what: seeds for what, answer in answers.items() if what not in right
             and (seeds := [seed for seed in SEEDS if mutants.passes(exercise, answer, seed)])}
    assert not alive and right <= set(answers)


@pytest.mark.parametrize("exercise", COMPOSED, ids=lambda e: e.id)
def test_no_argument_is_the_same_in_all_cases(exercise):
    for name in exercise.arguments:
        values = [repr(np.asarray(case.inputs[name]).tolist()) for case in exercise.cases(0)]
        assert len(set(values)) > 1, name


def defined(source, function):
    names = {}
    exec(compile(source, "<mutant>", "exec"), names)
    return names[function]
