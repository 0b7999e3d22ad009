"""What a reward model learns from annotators with a taste, or with a rubric, of their own; five seeds.

Taste: three annotators judge 2,000 pairs of replies, one by the rubric, one who likes long answers, one who likes
boasts. Then a sentence is added to fresh replies, a boast or an empty apology; the change of score is measured.
Rubrics: one annotator looks only at the solution, one only at manners; the reward model learns from either, from
both in turn, and from two who were given the whole rubric.

    python experiments/annotators.py      writes results/annotators.json
"""

import json
from pathlib import Path

import models
import numpy as np
import torch

import coursekit
from coursekit import helpdesk
from coursekit.checkpoints import checkpoint, compare, write
from coursekit.preferences import Annotator, accuracy, label_pairs
from coursekit.reward_model import score, score_pairs, train_reward_model
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "annotators.json"
ANNOTATORS = {"rubric": Annotator(), "likes length": Annotator(length_bias=0.2),
              "likes boasts": Annotator(tone_bias=2)}
SOLUTION = ("right remedy", "wrong remedy", "prompt", "right item", "wrong item", "right fault", "wrong fault")
RUBRICS = {"solution": {line: helpdesk.RUBRIC[line] for line in SOLUTION},
           "manners": {line: points for line, points in helpdesk.RUBRIC.items() if line not in SOLUTION},
           "whole": helpdesk.RUBRIC}
GROUPS = {"solution": ["solution"], "manners": ["manners"], "one of each": ["solution", "manners"],
          "two with the whole rubric": ["whole", "whole"]}


def taste(supervised, seed):
    """How much the score changes when a sentence is added: {annotator: {sentence: mean change}}."""
    complaints = draw(seed, 500)
    replies = write(supervised, complaints, seed=700 + seed)
    plain = [(c.text(), r) for c, r in zip(complaints, replies)
             if r.endswith(" . <end>") and helpdesk.BOAST not in r and helpdesk.GENERIC not in r]
    prompts, texts = map(list, zip(*plain))
    gain = {}
    for name, annotator in ANNOTATORS.items():
        model, _ = train_reward_model(supervised, compare(supervised, 2000, seed=300 + seed, annotator=annotator),
                                      epochs=6, lr=2e-3, seed=seed)
        base = score(model, prompts, texts)
        gain[name] = {
            name_of: float((score(model, prompts, [t.replace(" . <end>", f" . {more} . <end>") for t in texts])
                            - base).mean())
            for name_of, more in (("a boast", helpdesk.BOAST), ("an empty apology", helpdesk.GENERIC))}
    return gain


def rubrics(supervised, seed):
    """How well a model does by the whole rubric, and what a right remedy and a right name are worth to it."""
    complaints = draw(50 + seed, 2000)
    replies = [write(supervised, complaints, seed=2 * seed + i) for i in (800, 801)]
    test = compare(supervised, 2000, seed=900 + seed)
    fresh = draw(60 + seed, 1000)
    texts = write(supervised, fresh, seed=820 + seed)
    lines = np.array([list(helpdesk.features(c, t).values()) for c, t in zip(fresh, texts)], float)
    found = {"agree": agree(complaints, replies, seed)}
    for group, members in GROUPS.items():
        pairs = label(complaints, replies, members, seed)
        model, _ = train_reward_model(supervised, pairs, epochs=6, lr=2e-3, seed=seed)
        scores = score(model, [c.text() for c in fresh], texts)
        weights = np.linalg.lstsq(np.c_[lines, np.ones(len(lines))], scores, rcond=None)[0]
        worth = dict(zip(helpdesk.RUBRIC, weights.tolist()))
        found[group] = {"accuracy": accuracy(*score_pairs(model, test)),
                        "remedy": worth["right remedy"] - worth["wrong remedy"],
                        "name": worth["right name"] - worth["wrong name"], "rude": worth["rude"]}
    return found


def label(complaints, replies, members, seed):
    """Pairs judged in turn by annotators who look at these rubrics."""
    rng, texts = np.random.default_rng(seed), [c.text() for c in complaints]
    golds = [[[helpdesk.rubric(c, r, RUBRICS[m]) for c, r in zip(complaints, side)] for side in replies]
             for m in members]
    turn = np.arange(len(texts)) % len(members)
    first, second = (np.choose(turn, [gold[side] for gold in golds]) for side in (0, 1))
    return label_pairs(rng, texts, *replies, first, second)


def agree(complaints, replies, seed):
    """How often two annotators choose the same reply: {pair of rubrics: share}."""
    def choices(name, salt):
        chosen = label(complaints, replies, [name], seed + salt).chosen
        return np.array([a == b for a, b in zip(chosen, replies[0])])

    return {f"{a} and {b}": float((choices(a, 0) == choices(b, 10_000)).mean())
            for a, b in (("solution", "manners"), ("solution", "solution"), ("whole", "whole"))}


def draw(seed, n):
    rng = np.random.default_rng(seed)
    return [helpdesk.sample_complaint(rng) for _ in range(n)]


def one_seed(seed):
    torch.set_num_threads(1)
    supervised = checkpoint("supervised")
    found = {"seed": seed, "gain": taste(supervised, seed), "rubrics": rubrics(supervised, seed)}
    print(json.dumps(found), flush=True)
    return found


if __name__ == "__main__":
    runs = models.run_jobs(one_seed, models.SEEDS)
    write_text(RESULTS, json.dumps({"version": coursekit.__version__, "torch": torch.__version__, "runs": runs},
                                   indent=1) + "\n")
