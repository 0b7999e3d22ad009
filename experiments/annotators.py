"""What a reward model learns from annotators with a taste of their own, three seeds each.

Three annotators judge 2,000 pairs of replies: one by the rubric, one who likes long answers, one who likes boasts.
Then a sentence is added to fresh replies, a boast or an empty apology, and the change of score is measured.

    python experiments/annotators.py      about 3 minutes on two cores; writes results/annotators.json
"""

import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

import coursekit
from coursekit import helpdesk
from coursekit.checkpoints import checkpoint, compare, write
from coursekit.preferences import Annotator
from coursekit.reward_model import score, train_reward_model

RESULTS = Path(__file__).parent / "results" / "annotators.json"
ANNOTATORS = {"rubric": Annotator(), "likes length": Annotator(length_bias=0.2),
              "likes boasts": Annotator(tone_bias=2)}


def one_seed(seed):
    torch.set_num_threads(1)
    supervised, rng = checkpoint("supervised"), np.random.default_rng(seed)
    complaints = [helpdesk.sample_complaint(rng) for _ in range(500)]
    replies = write(supervised, complaints, seed=700 + seed)
    plain = [(c.text(), r) for c, r in zip(complaints, replies)
             if r.endswith(" . <end>") and helpdesk.BOAST not in r and helpdesk.GENERIC not in r]
    prompts, texts = map(list, zip(*plain))
    boasting = [t.replace(" . <end>", f" . {helpdesk.BOAST} . <end>") for t in texts]
    longer = [t.replace(" . <end>", f" . {helpdesk.GENERIC} . <end>") for t in texts]
    found = {"seed": seed, "replies": len(texts), "gain": {}}
    for name, annotator in ANNOTATORS.items():
        model, _ = train_reward_model(supervised, compare(supervised, 2000, seed=300 + seed, annotator=annotator),
                                      epochs=4, lr=2e-3, seed=seed)
        base = score(model, prompts, texts)
        found["gain"][name] = {"a boast": float((score(model, prompts, boasting) - base).mean()),
                               "an empty apology": float((score(model, prompts, longer) - base).mean())}
        print(seed, name, found["gain"][name], flush=True)
    return found


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        runs = list(pool.map(one_seed, range(3)))
    RESULTS.write_text(json.dumps({"version": coursekit.__version__, "torch": torch.__version__, "runs": runs},
                                  indent=1) + "\n")
