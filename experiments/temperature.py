"""What a lower temperature does to the supervised model and to PPO's policy, five seeds of the whole pipeline.

Per seed: PPO with the default settings for 80 updates; then the gold of both models over temperatures, and at
temperature 1 with only the k likeliest words kept (top-k; k = 1 is greedy) or only the likeliest words that
together have probability p (top-p); and of the likeliest whole reply among 64, which stands in for a beam search.

    python experiments/temperature.py        writes results/temperature.json
"""

import json
from pathlib import Path

import models
import numpy as np
import torch

import coursekit
from coursekit import checkpoints, helpdesk, rlhf
from coursekit.lm import TinyLM, pad, sample
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "temperature.json"
TEMPERATURES = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5]
CUTS = {"greedy": dict(k=1), "top-k 2": dict(k=2), "top-k 5": dict(k=5), "top-k 20": dict(k=20),
        "top-p 0.5": dict(p=0.5), "top-p 0.8": dict(p=0.8), "top-p 0.95": dict(p=0.95)}
UPDATES, COMPLAINTS, SAMPLES = 80, 600, 64


class Cut(TinyLM):
    """A TinyLM that keeps only the likeliest next words."""

    def logits(self, hidden):
        logits = super().logits(hidden)
        ordered, order = logits.sort(descending=True)
        before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)  # probability of the words ahead of each
        ranks = torch.arange(logits.shape[-1]).expand_as(logits)
        kept = ranks < self.k if self.p is None else before < self.p
        return torch.full_like(logits, -torch.inf).scatter(-1, order, ordered.masked_fill(~kept, -torch.inf))


def cut(model, *, k=None, p=None):
    """A copy of the model that keeps the k likeliest words, or the likeliest with probability p together."""
    limited = Cut(**model.sizes)
    limited.load_state_dict(model.state_dict())
    limited.k, limited.p = k, p
    return limited


def answer(model, complaints, seed, temperature=1.0):
    """One reply to each complaint: its gold and its log-probability, (n,) each."""
    prompts, mask = pad([helpdesk.encode(c.text()) for c in complaints], side="left")
    tokens, real, logprobs = sample(model, prompts, mask, max_tokens=48, end=helpdesk.END, temperature=temperature,
                                    generator=torch.Generator().manual_seed(seed))
    replies = [helpdesk.decode(row[kept]) for row, kept in zip(tokens, real)]
    gold = np.array([helpdesk.rubric(c, r) for c, r in zip(complaints, replies)])
    return gold, logprobs.sum(-1).numpy()


def measure(model, seed):
    """{way to write: mean gold}, by temperature, by cut, and of the likeliest of SAMPLES replies."""
    rng = np.random.default_rng(1000 + seed)
    complaints = [helpdesk.sample_complaint(rng) for _ in range(COMPLAINTS)]
    few = complaints[:COMPLAINTS // 6]
    gold, logprobs = (x.reshape(len(few), SAMPLES) for x in
                      answer(model, [c for c in few for _ in range(SAMPLES)], seed))
    found = {str(t): answer(model, complaints, seed, t)[0] for t in TEMPERATURES}
    found |= {name: answer(cut(model, **how), complaints, seed)[0] for name, how in CUTS.items()}
    found[f"likeliest of {SAMPLES}"] = gold[np.arange(len(few)), logprobs.argmax(1)]
    return {way: round(float(points.mean()), 3) for way, points in found.items()}


def one_seed(seed):
    torch.set_num_threads(1)
    supervised, reward = models.supervised(seed), models.reward(seed)
    run = rlhf.start(checkpoints.help_desk_models(supervised, reward), rlhf.Config(), seed=seed)
    for _ in rlhf.train(run, checkpoints.sample_prompts, updates=UPDATES, end=helpdesk.END):
        pass
    found = {"seed": seed, "supervised": measure(supervised, seed), "ppo": measure(run.models.actor, seed)}
    print(json.dumps(found), flush=True)
    return found


if __name__ == "__main__":
    runs = models.run_jobs(one_seed, models.SEEDS)
    write_text(RESULTS, json.dumps({"version": coursekit.__version__, "torch": torch.__version__,
                                    "updates": UPDATES, "complaints": COMPLAINTS, "temperatures": TEMPERATURES,
                                    "runs": runs}) + "\n")
