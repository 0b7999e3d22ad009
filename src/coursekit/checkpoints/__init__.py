"""The two help-desk models that ship with the package, how each is made, and how they write.

supervised.safetensors: TinyLM trained on the corpus. reward.safetensors: the same trunk, trained on 4,000
comparisons of its replies. `experiments/make_checkpoints.py` makes both.
"""

from pathlib import Path

import numpy as np
import torch

from coursekit import helpdesk
from coursekit.lm import TinyLM, load, next_token_loss, pad, sample
from coursekit.preferences import label_pairs
from coursekit.reward_model import normalise, train_reward_model
from coursekit.rlhf import four_models

FOLDER = Path(__file__).parent


def checkpoint(name):
    """A fresh copy of "supervised" or "reward". Raises ValueError for another name."""
    path = FOLDER / f"{name}.safetensors"
    if not path.exists():
        there = ", ".join(sorted(p.stem for p in FOLDER.glob("*.safetensors")))
        raise ValueError(f"no checkpoint is called {name!r}; there are: {there}")
    return load(path)


def train_supervised(seed=0, *, steps=1200, batch=32, lr=4e-3):
    """Train a TinyLM on the corpus: complaint, reply, reaction. About 30 CPU seconds."""
    rng, model = np.random.default_rng(seed), TinyLM(len(helpdesk.VOCABULARY), seed=seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda i: min(1.0, (i + 1) / 50) * 0.5 * (1 + np.cos(np.pi * i / steps)))
    for _ in range(steps):
        documents = [helpdesk.encode(helpdesk.sample_document(rng)) for _ in range(batch)]
        loss = next_token_loss(model, *pad(documents, side="right"))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return model


def write(model, complaints, *, seed=0, max_tokens=48):
    """Have a model answer complaints. Returns a list of texts, each ending in <end> if the model did."""
    device = next(model.parameters()).device
    prompts, prompt_mask = pad([helpdesk.encode(c.text()) for c in complaints], side="left")
    tokens, response_mask, _ = sample(
        model, prompts.to(device), prompt_mask.to(device), max_tokens=max_tokens, end=helpdesk.END,
        generator=torch.Generator(device).manual_seed(seed))
    return [helpdesk.decode(row[real]) for row, real in zip(tokens, response_mask)]


def compare(model, n, *, seed=0, other=None, annotator=None, held_out=False):
    """Let an annotator choose between two replies to each of n complaints: one by `model`, one by `other` (or
    both by `model`). Returns preferences.Pairs with the gold gaps."""
    rng = np.random.default_rng(seed)
    complaints = [helpdesk.sample_complaint(rng, held_out=held_out) for _ in range(n)]
    first, second = write(model, complaints, seed=2 * seed), write(other or model, complaints, seed=2 * seed + 1)
    gold = [[helpdesk.rubric(c, r) for c, r in zip(complaints, replies)] for replies in (first, second)]
    return label_pairs(rng, [c.text() for c in complaints], first, second, *gold, annotator, boast=helpdesk.BOAST)


def train_reward(supervised, seed=0, *, pairs=4000, epochs=6, lr=2e-3, annotator=None):
    """Train a reward model on comparisons of the supervised model's replies; scores in log-odds, not normalised.
    About 40 CPU seconds for 4,000 pairs."""
    train = compare(supervised, pairs, seed=1000 + seed, annotator=annotator)
    return train_reward_model(supervised, train, epochs=epochs, lr=lr, seed=seed)[0]


def sample_prompts(rng, n):
    """n complaints for `rlhf.train`: (complaints, tokens, mask), (n, P), padded on the left."""
    complaints = [helpdesk.sample_complaint(rng) for _ in range(n)]
    return complaints, *pad([helpdesk.encode(c.text()) for c in complaints], side="left")


def gold(complaints, replies):
    """The rubric's points for replies, lists of token numbers: (n,), for `rlhf.train`."""
    return np.array([helpdesk.rubric(c, helpdesk.decode(r)) for c, r in zip(complaints, replies)])


def help_desk_models(supervised=None, reward=None):
    """The four models at the start of PPO; the reward model is normalised on 500 replies of the supervised one.

    supervised, reward: models to start from instead of the shipped ones.
    """
    supervised, reward = supervised or checkpoint("supervised"), (reward or checkpoint("reward")).copy()
    rng = np.random.default_rng(0)
    complaints = [helpdesk.sample_complaint(rng) for _ in range(500)]
    normalise(reward, [c.text() for c in complaints], write(supervised, complaints))
    return four_models(supervised, reward)
