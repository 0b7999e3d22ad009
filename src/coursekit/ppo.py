"""The losses of PPO, in torch, each mean taken under a mask."""

import torch

from coursekit.arrays import as_arrays, masked_mean


def clipped_policy_loss(logprobs, old_logprobs, advantages, *, clip, mask=None):
    """Raise the probability of good actions, but take no reward for going far from the old policy.

        ρ = exp(logprobs − old_logprobs)
        L = −mean( min(ρ·Â, clip(ρ, 1 − ε, 1 + ε)·Â) )                       (book: eq-clip)

    Args:
        logprobs, old_logprobs: (..., T) torch floats, nats; gradients flow through `logprobs`.
        advantages: (..., T), units of reward, or whitened; taken as constants.
        clip: ε > 0, typically 0.2. mask: (..., T) bools, True where a step counts, or None for all.
    Returns:
        0-d tensor, units of advantages.
    Raises:
        ValueError: shapes or dtypes differ, numpy arrays, mask not boolean, clip not positive.
    Source: Schulman et al. 2017, eq. 7.
    """
    _, (logprobs, old_logprobs, advantages) = as_arrays(
        floating=["logprobs", "old_logprobs", "advantages"],
        logprobs=logprobs, old_logprobs=old_logprobs, advantages=advantages)
    if not isinstance(logprobs, torch.Tensor):
        raise ValueError("logprobs must be a torch tensor, since a loss needs gradients; "
                         "pass torch.as_tensor(logprobs)")
    if isinstance(clip, (bool, str)) or clip is None or not clip > 0:
        raise ValueError(f"clip must be a positive number, got {clip!r}; 0.2 is usual")
    if mask is not None:  # fill before exp: a wild pad must not put inf into the gradient
        as_arrays(boolean=["mask"], logprobs=logprobs, mask=mask)
        logprobs = torch.where(mask, logprobs, 0.0)
        old_logprobs = torch.where(mask, old_logprobs, 0.0)
    ratios = torch.exp(logprobs - old_logprobs.detach())
    advantages = advantages.detach()
    bounded = torch.clamp(ratios, 1 - clip, 1 + clip)
    return -masked_mean(torch.minimum(ratios * advantages, bounded * advantages), mask)
