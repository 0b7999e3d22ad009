"""The last exercise of chapter 5: three sick runs and a healthy one, told apart by what a monitor shows."""

import json
from functools import cache
from pathlib import Path

import numpy as np

from coursekit.exercises.base import Case, Exercise, Misconception

NOTEBOOK = "05_four_models"


@cache
def _histories():
    """{bug: [dict of series a seed]}: real runs, written by experiments/bugs.py."""
    return json.loads((Path(__file__).parent / "histories.json").read_text())


def _cases(seed):
    """All runs, in an order of the seed's: fifteen of them are all there are."""
    runs = [run for of_bug in _histories().values() for run in of_bug]
    order = np.random.default_rng(seed).permutation(len(runs))
    return [Case(f"run {chr(65 + i)}", {name: np.array(series) for name, series in runs[k].items()})
            for i, k in enumerate(order)]


def _diagnose(kl, clip_fraction, explained_variance, proxy, length):
    if kl.min() < -2:
        return "logits off by one"
    if kl[-1] > 20:
        return "no price for KL" if proxy[-1] > 1 else "sign of the KL price"
    return "score in the last column" if explained_variance[-1] < 0.15 else "none"


DIAGNOSIS = Exercise(
    id="ppo.diagnosis", notebook=NOTEBOOK, title="What is wrong with this run?",
    function="diagnose", points=3, difficulty="hard", minutes=20,
    task="""Somebody's run shows you, at updates 0, 5, 10, 15, 20 and 29, `(6,)` each: `kl` (nats a reply),
`clip_fraction`, `explained_variance`, `proxy` (mean score) and `length` (tokens); never the gold. Return what
is wrong with it, one of `"none"`, `"logits off by one"`, `"sign of the KL price"`, `"no price for KL"`, `"score
in the last column"`. The catalogue above has the fingerprints; your rules must hold for other seeds.""",
    hints=("Which can make a mean KL clearly negative? Which drive it beyond 20, and what tells those apart?",
           "Where the score is lost, the critic explains nothing: look at the last explained variance."),
    cases=_cases, reference=_diagnose,
    misconceptions=(
        Misconception("a diagnosis by the proxy alone", "It rises in a healthy run and in a hacked one.",
                      lambda kl, c, ev, proxy, n: "none" if proxy[-1] > proxy[0] + 0.5 else "logits off by one"),
        Misconception("one diagnosis for every large KL", "Is the score still going up there?",
                      lambda kl, c, ev, proxy, n: "no price for KL" if kl[-1] > 20
                      else _diagnose(kl, c, ev, proxy, n)),
        Misconception("a rule that takes a lost score for health", "How much does its critic explain?",
                      lambda kl, c, ev, proxy, n: "none" if -2 <= kl.min() and kl[-1] <= 20
                      else _diagnose(kl, c, ev, proxy, n)),
        Misconception("a rule that is not told by a negative KL", "A mean KL cannot be negative.",
                      lambda kl, c, ev, proxy, n: _diagnose(abs(kl), c, ev, proxy, n)),
        Misconception("a critic judged by its first values", "A healthy one starts below 0, too: look at the end.",
                      lambda kl, c, ev, proxy, n: _diagnose(kl, c, ev[:1], proxy, n)),
        Misconception("a clean bill of health for everybody", "Look at the KL first.", lambda *a: "none"),
    ))

EXERCISES = (DIAGNOSIS,)
