"""A response as an episode: one step for each token, a KL penalty on each, the score at the last.

Position t of a language model predicts token t + 1. Prompts are padded on the left,
responses on the right, so the last R columns of a batch are the responses;
`response_mask`, (B, R), is True at their real tokens, <end> included. What stands at
padding does not matter to any function here, and each returns 0 there: nobody cleans up
beforehand.
"""

import math

from coursekit.arrays import as_arrays, finite, in_single, not_negative, positive
from coursekit.rollouts import Steps


def kl_estimates(logprobs, ref_logprobs, *, kind="k1"):
    """Estimate KL(policy‖reference) at each token, from that one token, sampled from the policy.

        k1 = d,   k2 = d² / 2,   k3 = e^(−d) − 1 + d,   d = logprobs − ref_logprobs   (book: eq-kl-estimators)

    k1 and k3 have the KL as their mean; k2 has not. For a single token, k1 as a reward
    and k2 as a loss give the gradient of the KL; k1 as a loss gives none on average,
    and k3 as a loss gives that of KL(reference‖policy). For a whole reply only k1 as a
    reward that is credited to all earlier tokens gives the gradient of the KL: k2 as a
    loss leaves out that a token also decides which tokens can follow.

    Args:
        logprobs, ref_logprobs: (..., T) floats, numpy or torch, nats.
        kind: "k1", "k2" or "k3".
    Returns:
        (..., T) estimates, nats; k1 of a single token may be negative.
    Raises:
        ValueError: shapes or dtypes differ, or another kind.
    Source: Schulman 2020, "Approximating KL divergence".

    >>> kl_estimates(np.log([0.5, 0.1]), np.log([0.25, 0.2])).round(3)
    array([ 0.693, -0.693])
    """
    xp, (logprobs, ref_logprobs) = as_arrays(
        floating=["logprobs", "ref_logprobs"],
        logprobs=logprobs, ref_logprobs=ref_logprobs)
    d = logprobs - ref_logprobs
    if kind == "k1":
        return d
    if kind == "k2":
        return d * d / 2
    if kind == "k3":
        d = in_single(d)  # of half precision the difference would be rounding
        return xp.astype(xp.expm1(-d) + d, logprobs.dtype, copy=False)
    raise ValueError(f'kind must be "k1", "k2" or "k3", got {kind!r}')


def last_token(mask):
    """(..., T) bools, True at the last real token of each row; whatever the padding's side.

    Raises: ValueError: mask is not boolean, or a row has no token.
    """
    xp, (mask,) = as_arrays(boolean=["mask"], mask=mask)
    if not bool(xp.all(xp.any(mask, axis=-1))):
        raise ValueError(
            "mask must leave at least one token in every row; drop empty responses")
    positions = xp.arange(mask.shape[-1], device=mask.device)
    last = xp.max(xp.where(mask, positions, 0), axis=-1)
    return positions == last[..., None]


def token_rewards(scores, kl, response_mask, *, beta):
    """The reward of each token: a penalty for leaving the reference, and the score at the last real token.

        r_t = −β·kl_t + [t is the last real token]·score;   0 at padding   (book: eq-token-rewards)

    Args:
        scores: (B,) floats, one for each response.
        kl: (B, R) estimates, nats; taken as constants.
        response_mask: (B, R) bools. beta: the KL coefficient, reward per nat.
    Returns:
        (B, R) rewards, library and dtype of `kl`.
    Raises:
        ValueError: shapes that do not fit, response_mask not boolean, an empty
            response, a score not finite.
    Source: Ouyang et al. 2022, section 3.5: a penalty at each token; Ziegler et al.
        2019 write it for the reply.

    >>> token_rewards(np.array([2.0]), [[0.5, 0.1, 0.0]], [[True, True, False]], beta=0.1)
    array([[-0.05,  1.99,  0.  ]])
    """
    xp, (kl, response_mask) = as_arrays(
        floating=["kl"], boolean=["response_mask"], kl=kl, response_mask=response_mask)
    wanted = tuple(kl.shape[:-1])
    found = tuple(getattr(scores, "shape", ()))
    if found != wanted:
        raise ValueError(
            f"scores must hold one number for each response, {wanted}, got {found}")
    not_negative(beta=beta)
    scores = xp.astype(finite("scores", scores, "response"), kl.dtype)
    penalty = xp.zeros_like(kl)
    if beta:  # 0·∞ is no penalty
        penalty = xp.where(response_mask, -beta * kl, 0.0)
    return penalty + xp.where(last_token(response_mask), scores[..., None], 0.0)


def token_steps(rewards, values, response_mask):
    """Responses as episodes, ready for `gae(*steps, gamma=1.0, lam=...)`.

    The last real token is `terminated`: its score is final, whether the response ended
    or was cut at the length limit. Padding comes after that end, so no credit crosses
    it; its own advantage is 0.

    Args: rewards, values: (B, R) floats. response_mask: (B, R) bools, True without holes.
    Returns: rollouts.Steps.
    Raises: ValueError as `token_rewards`, or a response that is masked in its middle.
    """
    xp, (rewards, values, response_mask) = as_arrays(
        floating=["rewards", "values"], boolean=["response_mask"],
        rewards=rewards, values=values, response_mask=response_mask)
    begins = response_mask[..., 1:] & ~response_mask[..., :-1]
    stretches = xp.sum(begins, axis=-1) + response_mask[..., 0]
    if bool(xp.any(stretches > 1)):
        raise ValueError(
            "response_mask must be True from a response's first token to its last, "
            "got one with a hole, whose value would be read; "
            "leave out the columns that do not count")
    rewards = xp.where(response_mask, rewards, 0.0)
    values = xp.where(response_mask, values, 0.0)
    next_values = xp.concat([values[..., 1:], xp.zeros_like(values[..., :1])], axis=-1)
    never = xp.zeros_like(response_mask)
    last = last_token(response_mask)
    return Steps(rewards, values, next_values, terminated=last, truncated=never)


def adapted_beta(beta, kl, *, target, horizon, responses):
    """The next KL coefficient: larger while the measured KL is above its target, smaller below.

        β ← β·(1 + clip(KL/target − 1, ±0.2)·responses/horizon)   (book: eq-adaptive-kl)

    A batch of several horizons takes at most four fifths of β at once: a coefficient
    below 0 would reward distance.

    Args:
        beta: reward per nat.
        kl, target: nats a response.
        horizon: responses over which β may change by 20 %.
    Raises: ValueError: target or horizon not positive, kl not finite.
    Source: Ziegler et al. 2019, section 2.2.
    """
    not_negative(beta=beta)
    positive(target=target, horizon=horizon, responses=responses)
    if not math.isfinite(kl):
        raise ValueError(
            f"kl must be finite, got {float(kl)}; "
            "look at the log-probabilities that it comes from")
    error = min(max(float(kl) / target - 1, -0.2), 0.2)
    return beta * max(1 + error * responses / horizon, 0.2)
