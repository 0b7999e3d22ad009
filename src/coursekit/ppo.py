"""The losses of PPO and what to watch beside them, in torch, each mean taken under a mask."""

import math

import torch

from coursekit.arrays import as_arrays, in_single, masked_mean, positive


def clipped_policy_loss(
        logprobs, old_logprobs, advantages, *,
        clip, clip_high=None, mask=None, count=None):
    """Raise the probability of good actions, with nothing to gain from going far from the old policy.

        ρ = exp(logprobs − old_logprobs)
        L = −mean( min(ρ·Â, clip(ρ, 1 − ε, 1 + ε)·Â) )                   (book: eq-clip)

    Args:
        logprobs, old_logprobs: (..., T) torch floats, nats; gradients flow through
            `logprobs`.
        advantages: (..., T), units of reward, or whitened; taken as constants.
        clip: ε > 0, typically 0.2.
        clip_high: another ε for the upper bound, or None for the same.
        mask: (..., T) bools, True where a step counts, or None for all.
        count: what to divide by instead of the number of these steps, where the batch
            has several parts.
    Returns:
        0-d tensor, units of advantages.
    Raises:
        ValueError: shapes or dtypes differ, numpy arrays, mask not boolean, clip not
            positive.
    Source: Schulman et al. 2017, eq. 7.
    """
    logprobs, old_logprobs, advantages = _tensors(
        mask, logprobs=logprobs, old_logprobs=old_logprobs, advantages=advantages)
    high = _upper(clip, clip_high)
    advantages = advantages.detach()
    log_ratios = logprobs - old_logprobs.detach()
    # log ratios from 10 on belong to ratios that are clipped, unless the advantage is
    # negative; exp of more may be inf, and 0·inf is NaN
    limited = log_ratios.clamp(max=max(10.0, math.log1p(high)))
    log_ratios = torch.where(advantages < 0, log_ratios, limited)
    ratios = torch.exp(log_ratios)
    clipped = torch.clamp(ratios, 1 - clip, 1 + high)
    objective = torch.minimum(ratios * advantages, clipped * advantages)
    return -masked_mean(objective, mask, count=count)


def clipped_value_loss(values, old_values, returns, *, clip, mask=None, count=None):
    """Move the critic toward the returns, but no further than `clip` from its values when they were collected.

        L = ½·mean( max((V − G)², (clip(V, V_old ± ε) − G)²) )     (book: eq-value-clip)

    Args:
        values, old_values, returns: (..., T) torch floats, units of reward; gradients
            flow through `values`.
        clip: ε > 0 in units of reward, or None for the plain squared error.
        mask, count: as above.
    Returns: 0-d tensor, reward².
    Raises: ValueError as above.
    Source: Schulman et al. 2017 (baselines' code); Huang et al. 2022, detail 9.
    """
    values, old_values, returns = _tensors(
        mask, values=values, old_values=old_values, returns=returns)
    errors = (values - returns.detach()) ** 2
    if clip is not None:
        positive(clip=clip)
        old_values = old_values.detach()
        clipped = old_values + torch.clamp(values - old_values, -clip, clip)
        errors = torch.maximum(errors, (clipped - returns.detach()) ** 2)
    return masked_mean(errors, mask, count=count) / 2


def entropy(logits):
    """(..., V) logits to (...) entropies of the next action, nats.

    A logit of −∞ adds nothing: p·log p → 0.
    """
    logprobs = torch.log_softmax(logits, -1)
    finite = torch.where(logprobs == -torch.inf, 0.0, logprobs)
    return -(logprobs.exp() * finite).sum(-1)


@torch.no_grad()
def ratio_diagnostics(logprobs, old_logprobs, *, clip, clip_high=None, mask=None):
    """How far the policy has moved since the actions were sampled: a dict of floats.

    k1, k3: estimates of KL(old‖new) per step, nats.
    clip_fraction: share of steps whose ratio left 1 ± clip, or exceeded 1 + clip_high
    where that is given.
    Source: Huang et al. 2022, detail 12; Schulman 2020 (k3).
    """
    logprobs, old_logprobs = _tensors(mask, logprobs=logprobs, old_logprobs=old_logprobs)
    log_ratios = in_single(logprobs - old_logprobs)
    change = log_ratios.exp() - 1
    outside = (change > _upper(clip, clip_high)) | (change < -clip)
    metrics = {"k1": -log_ratios,
               "k3": torch.expm1(log_ratios) - log_ratios,
               "clip_fraction": outside.to(log_ratios.dtype)}
    return {name: masked_mean(x, mask).item() for name, x in metrics.items()}


@torch.no_grad()
def explained_variance(values, returns, *, mask=None):
    """Share of the returns' variance that the critic explains: 1 is perfect, 0 no better than a constant.

        1 − Var(G − V) / Var(G);  0 where the returns do not vary beyond their rounding
    """
    values, returns = _tensors(mask, values=values, returns=returns)
    kept = torch.ones_like(values, dtype=torch.bool) if mask is None else mask
    rounding = torch.finfo(returns.dtype).eps
    values, returns = in_single(values), in_single(returns)
    variance = returns[kept].var(unbiased=False)
    if variance <= (rounding * returns[kept].abs().max()) ** 2:
        return 0.0
    unexplained = (returns - values)[kept].var(unbiased=False)
    return (1 - unexplained / variance).item()


def clipped_step(optimiser, *models, max_norm=1.0):
    """Cut the gradient of each model to its own norm, and make a step; none where a gradient is not finite.

    Raises:
        ValueError: a loss or a gradient is NaN or infinite; the weights are those of
            the last step.
    """
    for model in models:
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        if hasattr(norm, "full_tensor"):  # of a sharded model
            norm = norm.full_tensor()
        if not torch.isfinite(norm):
            raise ValueError(
                f"the gradient's norm is {float(norm)}: look at scores, rewards and "
                "learning rate; the weights are those before this step")
    optimiser.step()


def _tensors(mask, **named):
    """Checked tensors, 0 where the mask is False: else an inf at padding would make the whole gradient NaN."""
    _, tensors = as_arrays(floating=list(named), **named)
    name = next(iter(named))
    if not isinstance(tensors[0], torch.Tensor):
        raise ValueError(
            f"{name} must be a torch tensor, since a loss needs gradients; "
            f"pass torch.as_tensor({name})")
    if mask is not None:
        as_arrays(boolean=["mask"], **{name: tensors[0]}, mask=mask)
        tensors = [torch.where(mask, x, 0.0) for x in tensors]
    return tensors


def _upper(clip, clip_high):
    """The upper bound's ε, both checked."""
    positive(clip=clip)
    return clip if clip_high is None else positive(clip_high=clip_high)
