"""From pairs to a scalar reward, with torch: the Bradley-Terry loss, training, ensembles, normalisation."""

import copy
import math

import numpy as np
import torch
from torch.nn import functional as F

from coursekit import helpdesk
from coursekit.arrays import as_arrays, finite, masked_mean, positive, positive_int
from coursekit.lm import pad
from coursekit.ppo import clipped_step
from coursekit.preferences import accuracy
from coursekit.progress import bar


def bradley_terry_loss(
        chosen_scores, rejected_scores, *, margin=0.0, label_smoothing=0.0):
    """Negative log-probability that the preferred answer wins.

        L = −mean log σ(d),   d = chosen − rejected − margin          (book: eq-bt-loss)

    log σ is computed as one function: log(sigmoid(d)) in two steps is −∞ in float32
    from d = −89 on, with a gradient that is NaN. Label smoothing ε mixes in the other
    answer: −(1 − ε)·log σ(d) − ε·log σ(−d).

    Args:
        chosen_scores, rejected_scores: (N,) torch floats, scores under the same prompt.
        margin: a number, or (N,): how much better the preferred one must be.
        label_smoothing: ε in [0, 0.5).
    Returns:
        0-d tensor, nats.
    Raises:
        ValueError: shapes or dtypes differ, numpy arrays, ε outside its range.
    Source: Bradley and Terry 1952; Ouyang et al. 2022, eq. 1; margin: Touvron et al.
        2023, eq. 2.

    >>> bradley_terry_loss(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 0.0]))
    tensor(0.4100)
    """
    _, (chosen_scores, rejected_scores) = as_arrays(
        floating=["chosen_scores", "rejected_scores"],
        chosen_scores=chosen_scores, rejected_scores=rejected_scores)
    if not isinstance(chosen_scores, torch.Tensor):
        raise ValueError(
            "chosen_scores must be a torch tensor, since a loss needs gradients; "
            "pass torch.as_tensor(chosen_scores)")
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing must lie in [0, 0.5), got {label_smoothing!r}")
    shape = tuple(chosen_scores.shape)
    if tuple(getattr(margin, "shape", ())) not in ((), shape):
        raise ValueError(
            f"margin must be a number or of the shape of chosen_scores, {shape}, "
            f"got {tuple(margin.shape)}; pass one entry for every pair")
    difference = chosen_scores - rejected_scores - margin
    right, wrong = F.logsigmoid(difference), F.logsigmoid(-difference)
    return masked_mean(-(1 - label_smoothing) * right - label_smoothing * wrong)


def tokenise(prompts, replies):
    """Texts to (B, T) tokens and mask, padded on the right, ready to be scored."""
    rows = [helpdesk.encode(f"{prompt} {reply}")
            for prompt, reply in zip(prompts, replies, strict=True)]
    return pad(rows, side="right")


@torch.no_grad()
def score(model, prompts, replies, *, batch=256):
    """Score replies. Returns a (N,) float64 numpy array, in the model's own unit."""
    scores = []
    for i in range(0, len(prompts), batch):
        tokens, attention_mask = tokenise(  # (B, T) each
            prompts[i:i + batch], replies[i:i + batch])
        hidden, _ = model(tokens, attention_mask)
        scores.append(model.scores(hidden, attention_mask))
    return torch.cat(scores).double().numpy()


def train_reward_model(
        model, pairs, *, epochs=3, batch=64, lr=3e-3, seed=0,
        held_out=None, patience=None, progress=None):
    """Train a language model with a score head to say which of two replies people prefer.

    Args:
        model: TinyLM, trained on text; it is copied, not changed. pairs: preferences.Pairs.
        epochs, batch, lr, seed: of AdamW with a cosine schedule.
        held_out: Pairs judged after every epoch.
        patience: stop after so many epochs without a better held-out loss, and keep the
            best.
        progress: show a bar: None on a terminal, True, False.
    Returns:
        The trained model, and a history: a list of dicts with epoch, loss, and held-out
        loss and accuracy.
    Raises:
        ValueError: no pairs, or a loss that is not finite.
    Source: Stiennon et al. 2020, section 3.4.
    """
    positive_int(epochs=epochs, batch=batch)
    positive_int(0, seed=seed)
    positive(lr=lr)
    if patience is not None and held_out is None:
        raise ValueError("patience needs held_out, which says when to stop")
    if len(pairs.prompts) == 0:
        raise ValueError("pairs must hold at least one comparison, got none")
    model = model.copy()
    rng = np.random.default_rng(seed)
    steps = math.ceil(len(pairs.prompts) / batch)  # of an epoch
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * steps)
    history = []
    best_loss, best_weights, best_epoch = np.inf, None, 0
    with bar(epochs * steps, progress=progress) as shown:
        for epoch in range(epochs):
            losses = []
            for rows in np.array_split(rng.permutation(len(pairs.prompts)), steps):
                loss = _pair_loss(model, pairs.take(rows))
                optimiser.zero_grad()
                loss.backward()
                clipped_step(optimiser, model)
                schedule.step()
                losses.append(loss.item())
                shown.update()
            history.append({"epoch": epoch + 1, "loss": float(np.mean(losses))})
            if held_out is not None:
                chosen, rejected = score_pairs(model, held_out)
                loss = bradley_terry_loss(
                    torch.as_tensor(chosen), torch.as_tensor(rejected)).item()
                history[-1] |= {"held_out_loss": loss,
                                "held_out_accuracy": accuracy(chosen, rejected)}
                if loss < best_loss:
                    best_loss, best_epoch = loss, epoch
                    best_weights = copy.deepcopy(model.state_dict())
                elif patience is not None and epoch - best_epoch >= patience:
                    break
    if patience is not None and best_weights is not None:
        model.load_state_dict(best_weights)
    return model, history


def score_pairs(model, pairs):
    """(chosen_scores, rejected_scores), (N,) numpy arrays each."""
    chosen = score(model, pairs.prompts, pairs.chosen)
    rejected = score(model, pairs.prompts, pairs.rejected)
    return chosen, rejected


def normalise(model, prompts, replies):
    """Shift and scale the score head, in place, so that these replies score mean 0 and standard deviation 1.

    The zero of Bradley-Terry scores is arbitrary and their unit depends on the
    annotators' noise; a policy whose reward they are needs both fixed.
    Source: Ziegler et al. 2019.
    """
    scores = finite("scores", score(model, prompts, replies), "reply")
    mean, sd = scores.mean(), scores.std()
    if not sd > 1e-6 * abs(mean):
        raise ValueError(
            "replies must differ in their scores to be brought to one unit, "
            f"got {len(scores)} of standard deviation {sd:.2g}; pass more of them")
    with torch.no_grad():
        model.score_head.weight /= sd
        model.score_head.bias.copy_((model.score_head.bias - mean) / sd)
    return model


def ensemble(scores, how="mean"):
    """Combine the scores of M models, (M, N), to (N,): "mean", "min", or "lower" (mean − standard deviation).

    Standardise each model's scores first: their units differ. Models that learned from
    the same comparisons share blind spots, so they cannot outvote one another there,
    and they need not disagree (chapter 3 measures both).
    Source: Coste et al. 2024.
    """
    scores = finite("scores", np.asarray(scores, float), "model")
    if scores.ndim != 2 or not scores.size:
        raise ValueError(f"scores must be (models, answers), got shape {scores.shape}")
    if how == "mean":
        return scores.mean(0)
    if how == "min":
        return scores.min(0)
    if how == "lower":
        return scores.mean(0) - scores.std(0)
    raise ValueError(f"how must be one of mean, min, lower, got {how!r}")


def _pair_loss(model, pairs):
    """One pass over chosen and rejected together."""
    tokens, attention_mask = tokenise(
        [*pairs.prompts, *pairs.prompts], [*pairs.chosen, *pairs.rejected])
    hidden, _ = model(tokens, attention_mask)  # (2B, T, width)
    chosen, rejected = model.scores(hidden, attention_mask).chunk(2)  # (B,) each
    return bradley_terry_loss(chosen, rejected)
