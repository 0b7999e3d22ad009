"""Without a reward model: learning from comparisons directly (DPO and IPO), and rewards that a program computes.

DPO fits the implicit reward of a policy, β·log(π/π_ref), to comparisons with the loss
of a reward model. Replies stand in the rows of a batch, first all chosen ones, then all
rejected ones in the same order.
"""

import math

import numpy as np
import torch

from coursekit import helpdesk
from coursekit.arrays import (
    as_arrays,
    finite,
    masked_mean,
    not_negative,
    positive,
    positive_int,
)
from coursekit.lm import pad, response_logprobs, sample
from coursekit.ppo import clipped_step
from coursekit.progress import bar
from coursekit.reward_model import bradley_terry_loss
from coursekit.tokens import last_token


def implicit_rewards(logprobs, ref_logprobs, mask, *, beta):
    """The reward under which a policy would be the optimum: exact up to a constant for each prompt.

        r(x, y) = β · log( π(y|x) / π_ref(y|x) )              (book: eq-implicit-reward)
                = β · Σ_t [t is a real token] (logprobs_t − ref_logprobs_t)

    Args:
        logprobs, ref_logprobs: (B, R) floats, numpy or torch, of the same tokens under
            policy and reference, nats.
        mask: (B, R) bools, True at the tokens of the reply, <end> included.
        beta: > 0, reward per nat.
    Returns: (B,) rewards; in log-odds once they are fitted to comparisons.
    Raises: ValueError: shapes or dtypes differ, mask not boolean, beta not positive.
    Source: Rafailov et al. 2023, eq. 5.
    """
    xp, (logprobs, ref_logprobs, mask) = as_arrays(
        floating=["logprobs", "ref_logprobs"], boolean=["mask"],
        logprobs=logprobs, ref_logprobs=ref_logprobs, mask=mask)
    last_token(mask)  # refuses an empty reply
    log_ratios = xp.where(mask, logprobs, 0.0) - xp.where(mask, ref_logprobs, 0.0)
    return positive(beta=beta) * xp.sum(log_ratios, axis=-1)


def dpo_loss(logprobs, ref_logprobs, mask, *, beta, label_smoothing=0.0, nll=0.0):
    """The Bradley-Terry loss of the implicit rewards: DPO.

        L = −mean log σ( r(x, y_chosen) − r(x, y_rejected) )              (book: eq-dpo)
            − nll · mean log π(token of a chosen reply)

    label_smoothing=ε is conservative DPO: −(1 − ε)·log σ(d) − ε·log σ(−d).

    Args:
        logprobs, ref_logprobs, mask: (2N, R) as above, torch; the N chosen replies
            first, then the N rejected ones.
        beta: > 0.
        label_smoothing: ε in [0, 0.5).
        nll: weight of the chosen replies' negative log-likelihood.
    Returns: 0-d tensor, nats.
    Raises: ValueError as above; an odd number of rows.
    Source: Rafailov et al. 2023, eq. 7; Mitchell 2023 (ε); Pang et al. 2024 (nll, there
        per reply).
    """
    rewards = implicit_rewards(logprobs, ref_logprobs.detach(), mask, beta=beta)
    loss = bradley_terry_loss(*_halves(rewards), label_smoothing=label_smoothing)
    if not_negative(nll=nll):
        loss = loss - nll * masked_mean(logprobs.chunk(2)[0], mask.chunk(2)[0])
    return loss


def ipo_loss(logprobs, ref_logprobs, mask, *, tau):
    """IPO: the log-ratio of the chosen reply shall exceed that of the rejected one by 1/(2τ), and by no more.

        L = mean ( log(π/π_ref)(y_chosen) − log(π/π_ref)(y_rejected) − 1/(2τ) )²   (book: eq-ipo)

    Args, Raises: as `dpo_loss`. tau: > 0.
    Returns: 0-d tensor, nats².
    Source: Azar et al. 2023, eq. 17.
    """
    log_ratios = implicit_rewards(logprobs, ref_logprobs.detach(), mask, beta=1.0)
    chosen, rejected = _halves(log_ratios)
    margin = 1 / (2 * positive(tau=tau))
    return ((chosen - rejected - margin) ** 2).mean()


def dialogues(prompts, replies):
    """Texts of the help desk to tokens and mask, (B, P + R), and the mask of the replies, (B, R).

    Prompts are padded on the left and replies on the right, so that one R serves all rows.
    """
    prompt, prompt_mask = pad([helpdesk.encode(text) for text in prompts], side="left")
    reply, reply_mask = pad([helpdesk.encode(text) for text in replies], side="right")
    tokens = torch.cat([prompt, reply], 1)
    attention_mask = torch.cat([prompt_mask, reply_mask], 1)
    return tokens, attention_mask, reply_mask


def train_policy(
        supervised, pairs, loss, *, reference=None, epochs=2, batch=64, lr=2e-4,
        warmup=10, decay=True, seed=0, every=None, watch=None, progress=None):
    """Train a copy of a language model on comparisons; the model itself, frozen, is the reference.

    Args:
        supervised: TinyLM. pairs: preferences.Pairs.
        loss: function of logprobs, ref_logprobs and mask, (2N, R) each, that returns a
            scalar.
        reference: another frozen model, where training has begun before.
        epochs, batch, lr, seed: of Adam; batch counts pairs.
        warmup: steps until the learning rate is whole.
        decay: whether it falls to 0 by a cosine.
        watch: function of the policy that returns a dict for the history, called before
            the first step, after every `every` steps and after the last.
        progress: show a bar: None on a terminal, True, False.
    Returns: the policy, and a history: dicts with step, epoch, loss, chosen and
        rejected (mean log-ratios since the last entry, nats a reply) and what `watch`
        found. Over-training shows in samples, not in accuracy on pairs.
    Raises: ValueError: no pairs, a loss that is not finite.
    """
    positive_int(epochs=epochs, batch=batch)
    positive_int(0, warmup=warmup, seed=seed)
    positive(lr=lr)
    count = len(pairs.prompts)
    if count == 0:
        raise ValueError("pairs must hold at least one comparison, got none")
    policy = supervised.copy()
    reference = reference or supervised
    rng = np.random.default_rng(seed)
    parts = math.ceil(count / batch)
    steps = epochs * parts
    optimiser = torch.optim.Adam(policy.parameters(), lr=lr, fused=True)

    def rate(i):
        """The share of lr at step i."""
        rise = min(1.0, (i + 1) / max(warmup, 1))
        fall = 0.5 * (1 + math.cos(math.pi * i / steps)) if decay else 1.0
        return rise * fall

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    history = [{"step": 0, "epoch": 0.0} | watch(policy)] if watch else []
    recent = []
    with bar(steps, progress=progress) as shown:
        for step in range(1, steps + 1):
            if (step - 1) % parts == 0:
                order = np.array_split(rng.permutation(count), parts)
            part = pairs.take(order[(step - 1) % parts])
            replies = part.chosen + part.rejected
            tokens, attention_mask, mask = dialogues(part.prompts * 2, replies)
            text = tokens, attention_mask, mask.shape[1]
            with torch.no_grad():
                ref_logprobs, _ = response_logprobs(reference, *text)  # (2N, R)
            logprobs, _ = response_logprobs(policy, *text)  # (2N, R)
            value = loss(logprobs, ref_logprobs, mask)
            optimiser.zero_grad()
            value.backward()
            clipped_step(optimiser, policy)
            schedule.step()
            shown.update()
            log_ratios = implicit_rewards(
                logprobs.detach(), ref_logprobs, mask, beta=1.0)
            chosen, rejected = log_ratios.chunk(2)
            recent.append([value.item(), chosen.mean().item(), rejected.mean().item()])
            if step == steps or (every and step % every == 0):
                names = "loss", "chosen", "rejected"
                entry = {"step": step, "epoch": step / parts}
                entry |= dict(zip(names, np.mean(recent, 0).tolist()))
                history.append(entry | (watch(policy) if watch else {}))
                recent = []
    return policy, history


@torch.no_grad()
def describe(policy, reference, complaints, *, seed=0, max_tokens=48):
    """What a policy writes: a dict of means over one reply to each complaint, sampled at temperature 1.

    gold (points), kl (nats a reply), length (tokens), ended (share), broken (malformed
    sentences a reply).
    """
    prompts = [helpdesk.encode(complaint.text()) for complaint in complaints]
    prompts, prompt_mask = pad(prompts, side="left")
    generator = torch.Generator().manual_seed(seed)
    replies, mask, logprobs = sample(
        policy, prompts, prompt_mask,
        max_tokens=max_tokens, end=helpdesk.END, generator=generator)
    tokens = torch.cat([prompts, replies], 1)
    attention_mask = torch.cat([prompt_mask, mask], 1)
    ref_logprobs, _ = response_logprobs(
        reference, tokens, attention_mask, mask.shape[1])
    kl = implicit_rewards(logprobs, ref_logprobs, mask, beta=1.0)
    texts = [helpdesk.decode(row[real]) for row, real in zip(replies, mask)]
    answered = list(zip(complaints, texts))
    gold = [helpdesk.rubric(complaint, text) for complaint, text in answered]
    lines = [helpdesk.features(complaint, text) for complaint, text in answered]
    return {"gold": float(np.mean(gold)),
            "kl": kl.mean().item(),
            "length": mask.sum(-1).double().mean().item(),
            "ended": float(np.mean([text.endswith("<end>") for text in texts])),
            "broken": float(np.mean([line["malformed"] for line in lines]))}


@torch.no_grad()
def log_ratios(policy, reference, prompts, replies, *, batch=256):
    """log( π(y|x) / π_ref(y|x) ) of texts: a (N,) float64 numpy array, nats a reply.

    Times β: implicit rewards.
    """
    found = []
    for i in range(0, len(prompts), batch):
        tokens, attention_mask, mask = dialogues(
            prompts[i:i + batch], replies[i:i + batch])
        text = tokens, attention_mask, mask.shape[1]
        logprobs, _ = response_logprobs(policy, *text)
        ref_logprobs, _ = response_logprobs(reference, *text)
        found.append(implicit_rewards(logprobs, ref_logprobs, mask, beta=1.0))
    return torch.cat(found).double().numpy()


def tilted(rewards, others, *, beta):
    """What the exact optimum of E[r] − β·KL would get, from samples of the reference.

        π*(y|x) = π_ref(y|x) · e^(r(x, y)/β) / Z(x)                    (book: eq-tilted)

    Each of the M samples of a prompt gets the weight e^(r/β), divided by the sum over
    the prompt's samples. The KL found cannot exceed log M: where it comes near that, M
    is too small.

    Args:
        rewards: (prompts, M) floats that the optimum is for.
        others: (prompts, M), what to average, as the gold.
    Returns: two floats: the mean of `others`, and the KL in nats.
    Source: Rafailov et al. 2023, eq. 4.
    """
    _, (rewards, others) = as_arrays(
        floating=["rewards", "others"], rewards=rewards, others=others)
    finite("rewards", rewards, "prompt")
    finite("others", others, "prompt")
    best = rewards.max(1, keepdims=True)
    weights = np.exp((rewards - best) / positive(beta=beta))
    weights /= weights.sum(1, keepdims=True)
    # π*/π_ref of each sample: its weight, over 1/M
    ratios = np.maximum(weights, 1e-300) * weights.shape[1]
    kl = np.where(weights > 0, weights * np.log(ratios), 0.0)
    return float((weights * others).sum(1).mean()), float(kl.sum(1).mean())


def verified(complaint, reply):
    """1.0 if the reply's first promise has the right remedy and its first apology the right item, else 0.0.

    The reply is parsed sentence by sentence, so a word that stands elsewhere proves
    nothing. This is half of the rubric: name, fault, promptness and manners are not
    looked at.
    """
    lines = helpdesk.features(complaint, reply)
    return float(lines["right remedy"] and lines["right item"])


def mentioned(complaint, reply):
    """A lazy form of `verified`: 1.0 if the right remedy and the right item are among the reply's words."""
    wanted = {helpdesk.FAULT_REMEDY[complaint.fault], complaint.item}
    return float(wanted <= set(reply.split()))


def process_rewards(worth, *, how="difference"):
    """(..., T) worth of a reply after each of its T steps, to (..., T) rewards.

    "difference" pays what each step added; with γ = 1 the sum is the last worth,
    whatever the policy repeats. "sum" pays the worth itself after every step, so each
    step is paid again at all later ones.

    Raises: ValueError: another `how`.
    Source: Ng, Harada and Russell 1999 (the difference, as a potential).
    """
    xp, (worth,) = as_arrays(floating=["worth"], worth=worth)
    if how == "sum":
        return worth
    if how != "difference":
        raise ValueError(f'how must be "difference" or "sum", got {how!r}')
    return xp.concat([worth[..., :1], worth[..., 1:] - worth[..., :-1]], axis=-1)


def _halves(rows):
    if len(rows) % 2:
        raise ValueError(
            "logprobs must hold as many chosen as rejected replies, "
            f"got {len(rows)} rows; put the chosen ones first")
    return rows.chunk(2)
