"""Training without a critic: what the other replies to a prompt can say about one of them.

`rewards`, (M, G), holds one reward for each of G replies to each of M prompts; every
token of a reply gets the advantage of its reply. Functions on arrays take numpy or
torch; those of a probability or of a whole distribution take numpy.
"""

import math

import numpy as np

from coursekit.arrays import (
    as_arrays,
    finite,
    in_single,
    not_negative,
    positive,
    positive_int,
    shares,
)


def leave_one_out(rewards):
    """Advantage of each reply: its reward minus the mean reward of the other replies to the same prompt (RLOO).

        Â_i = r_i − mean_{j≠i} r_j = G/(G − 1)·(r_i − mean_j r_j)   (book: eq-leave-one-out)

    Args: rewards: (M, G) floats, G >= 2, numpy or torch.
    Returns: (M, G), library and dtype of `rewards`.
    Raises: ValueError: not (M, G) floats, or fewer than two replies to a prompt.
    Source: Kool et al. 2019; Ahmadian et al. 2024 (RLOO).

    >>> leave_one_out(np.array([[1.0, 0.0, 0.0, 1.0]])).round(3)
    array([[ 0.667, -0.667, -0.667,  0.667]])
    """
    xp, rewards = _groups(rewards)
    replies = rewards.shape[1]
    advantages = _centred(xp, rewards) * (replies / (replies - 1))
    return xp.astype(advantages, rewards.dtype, copy=False)


def group_mean(rewards):
    """Advantage of each reply: its reward minus the mean of its group, itself included (Dr. GRPO).

    This is (G − 1)/G of `leave_one_out`.
    Args, Returns, Raises: as there.
    Source: Liu et al. 2025.
    """
    xp, rewards = _groups(rewards)
    return xp.astype(_centred(xp, rewards), rewards.dtype, copy=False)


def group_standardised(rewards, *, ddof=0, eps=0.0):
    """Advantage of each reply in standard deviations of its group (GRPO).

        Â_i = (r_i − mean_j r_j) / (sd_j r_j + eps)                      (book: eq-grpo)

    It is 0 where the group agrees to six digits.

    Args:
        rewards: (M, G) floats, G >= 2, numpy or torch.
        ddof: 0 divides the squares by G, 1 by G − 1. The libraries take 1, and an eps
            of their own (1e-4, 1e-6).
    Returns, Raises: as `leave_one_out`; ValueError also if ddof is neither 0 nor 1.
    Source: Shao et al. 2024, section 4.1.2.

    >>> group_standardised(np.array([[1.0, 0.0, 0.0, 1.0], [0.7, 0.7, 0.7, 0.7]])).round(3) + 0.0
    array([[ 1., -1., -1.,  1.],
           [ 0.,  0.,  0.,  0.]])
    """
    xp, rewards = _groups(rewards)
    if ddof not in (0, 1):
        raise ValueError(
            f"ddof must be 0 (divide by G) or 1 (divide by G − 1), got {ddof!r}")
    centred = _centred(xp, rewards)
    squares = xp.sum(centred * centred, axis=1, keepdims=True)
    sd = xp.sqrt(squares / (rewards.shape[1] - ddof))
    agreed = ~_differs(xp, rewards) | (sd == 0)
    sd = xp.where(agreed, 1.0, sd) + not_negative(eps=eps)
    return xp.astype(xp.where(agreed, 0.0, centred / sd), rewards.dtype, copy=False)


def batch_mean(rewards):
    """Advantage of each reply: its reward minus the mean of all other replies of the batch, whatever their prompt.

    The rewards are those of one large group. REINFORCE++ then divides by the batch's
    standard deviation.
    Args: rewards: (M, G) floats, M·G >= 2.
    Returns, Raises: as `leave_one_out`.
    Source: Hu et al. 2025.
    """
    xp, (rewards,) = as_arrays(floating=["rewards"], rewards=rewards)
    one_group = xp.reshape(rewards, (1, -1))
    return xp.reshape(leave_one_out(one_group), rewards.shape)


def mixed(rewards):
    """(M, G) rewards → (M,) bools: True where the group does not agree, so that it can teach something.

    Equal up to rounding is equal: eight float32 rewards of 0.1 have a standard
    deviation of 8e-9, not 0.
    Source: Yu et al. 2025 (DAPO's dynamic sampling keeps these groups only).
    """
    return _differs(*_groups(rewards))[:, 0]


def token_weights(response_mask, how, *, group=None, limit=None):
    """The factor of each token's term before all terms of a loss are added up: four ways to take a mean.

        "sequence": 1 / (B · tokens of its reply)   each reply counts the same (GRPO)
        "group":    1 / (M · tokens of its group)   each group counts the same (DAPO's formula)
        "batch":    1 / tokens of the batch         each token counts the same
        "constant": 1 / (B · limit)                 no length appears (Dr. GRPO)

    Args:
        response_mask: (B, R) bools, numpy or torch; the G replies to a prompt in
            consecutive rows.
        group: G, for "group".
        limit: the largest length that may be sampled, for "constant".
    Returns:
        (B, R) floats, 0 at padding; they sum to 1, except for "constant".
    Raises:
        ValueError: response_mask is not boolean or has an empty row, another `how`, or
            its argument is missing.
    """
    xp, (mask,) = as_arrays(boolean=["response_mask"], response_mask=response_mask)
    lengths = xp.sum(mask, axis=-1, keepdims=True)
    if mask.ndim != 2 or not bool(xp.all(lengths > 0)):
        raise ValueError(
            "response_mask must be (B, R) with a token in every row; "
            "drop empty responses")
    rows = mask.shape[0]
    if how == "sequence":
        denominators = rows * lengths
    elif how == "group":
        if group is None or rows % positive_int(group=group):
            raise ValueError(
                f'group must divide the {rows} rows where how is "group", got {group!r}')
        prompts = rows // group
        tokens = xp.sum(xp.reshape(lengths, (-1, group)), axis=1, keepdims=True)
        of_each_row = xp.broadcast_to(tokens, (prompts, group))
        denominators = prompts * xp.reshape(of_each_row, (-1, 1))
    elif how == "batch":
        denominators = xp.sum(lengths)
    elif how == "constant":
        denominators = rows * positive(limit=limit)
    else:
        raise ValueError(
            f'how must be "sequence", "group", "batch" or "constant", got {how!r}')
    return xp.where(mask, 1.0, 0.0) / denominators


def kl_coefficients(logprobs, ref_logprobs, *, kind):
    """What a KL estimate in the loss multiplies ∇log π of a sampled token by: its derivative in `logprobs`.

        k1: 1,   k2: d,   k3: 1 − e^(−d),   d = logprobs − ref_logprobs

    Over the policy's own samples k1 gives 0 on average, k2 the gradient of KL(π‖ref),
    k3 that of KL(ref‖π).
    Args: (..., T) floats, numpy or torch, nats; kind: "k1", "k2" or "k3".
    Returns: (..., T), no unit.
    """
    xp, (logprobs, ref_logprobs) = as_arrays(
        floating=["logprobs", "ref_logprobs"],
        logprobs=logprobs, ref_logprobs=ref_logprobs)
    d = logprobs - ref_logprobs
    if kind == "k1":
        return xp.ones_like(d)
    if kind == "k2":
        return d
    if kind == "k3":
        return -xp.expm1(-d)
    raise ValueError(f'kind must be "k1", "k2" or "k3", got {kind!r}')


def effective_samples(old_logprobs, logprobs, response_mask):
    """How many of B replies still count, once each is weighted by how likely it has become.

        (Σ w)² / Σ w²,   w = Π_t π(y_t)/π_old(y_t)          (book: eq-effective-samples)

    over the tokens of a reply.

    Args: (B, R) each, numpy or torch: floats, floats, bools.
    Returns: a float between 1 and B.
    Source: Kong 1992.
    """
    xp, (old_logprobs, logprobs, mask) = as_arrays(
        floating=["old_logprobs", "logprobs"], boolean=["response_mask"],
        old_logprobs=old_logprobs, logprobs=logprobs, response_mask=response_mask)
    logs = xp.sum(xp.where(mask, logprobs - old_logprobs, 0.0), axis=-1)
    weights = xp.exp(logs - xp.max(logs))  # the largest is 1: no overflow
    return float(xp.sum(weights) ** 2 / xp.sum(weights * weights))


def mixed_chance(p, group):
    """Chance that a group of 0/1 rewards does not agree: 1 − p^G − (1 − p)^G.

    p: chance of a 1, float or array.
    """
    replies, p = positive_int(2, group=group), shares(p=p)
    return 1 - np.power(p, replies) - np.power(1 - p, replies)


def prompt_weight(p, group):
    """How much dividing by the group's sd weighs a prompt whose replies earn 1 with chance p, and else 0.

        c(p, G) = E[ √(m(1 − m)) ] / (p(1 − p)),   G·m ~ Binomial(G, p)   (book: eq-prompt-weight)

    The expected GRPO gradient of the prompt is c·∇p, that of `leave_one_out` ∇p itself;
    c is 1 at G = 2 and tends to 1/√(p(1 − p)).
    Args: p: float or array in (0, 1).
    Returns: like p.
    """
    replies, p = positive_int(2, group=group), shares(p=p)
    if np.any((p == 0) | (p == 1)):
        raise ValueError(f"p must lie between 0 and 1, both excluded, got {p}")
    right = np.arange(1, replies)  # groups that agree weigh 0
    log_ways = np.array([
        math.lgamma(replies + 1) - math.lgamma(k + 1) - math.lgamma(replies - k + 1)
        for k in right])
    log_right = right * np.log(p[..., None])
    log_wrong = (replies - right) * np.log1p(-p[..., None])
    chance = np.exp(log_ways + log_right + log_wrong)
    sd = np.sqrt(right / replies * (1 - right / replies))
    return (chance * sd).sum(-1) / (p * (1 - p))


def gradient_error(group, *, within, between, replies):
    """Expected squared error of the RLOO gradient of `replies` replies, `group` to each prompt.

        ( G·a + G/(G − 1)·b ) / N                                  (book: eq-best-group)

    Args:
        between: a, the variance of the prompts' gradients.
        within: b, that of one reply's gradient around its prompt's, its baseline exact.
        replies: N.
    Returns: float or array, in the unit of a and b.
    """
    group = np.asarray(group, float)
    return (group * between + group / (group - 1) * within) / replies


def best_group(within, between):
    """The group size with the smallest `gradient_error`: 1 + √(b/a)."""
    return 1 + np.sqrt(within / between)


def reverse_kl_optimum(ref, rewards, beta):
    """The policy of one token that maximises E[r] − β·KL(π‖ref): ref·e^(r/β), normalised.

    A KL penalty in the reward, or k2 in the loss, leads there.
    Args: ref: (V,) probabilities. rewards: (V,).
    """
    ref, rewards, beta = _one_token(ref, rewards, beta)
    logits = np.log(ref) + rewards / beta
    policy = np.exp(logits - logits.max())
    return policy / policy.sum()


def forward_kl_optimum(ref, rewards, beta):
    """The policy of one token that maximises E[r] − β·KL(ref‖π).

        π = β·ref/(Λ − r),   Λ such that it sums to 1               (book: eq-kl-optima)

    k3 in the loss leads there. Args: as `reverse_kl_optimum`, ref > 0.
    """
    ref, rewards, beta = _one_token(ref, rewards, beta)
    low = (rewards + beta * ref).max()  # one entry alone is 1
    high = rewards.max() + beta  # all sum to at most 1
    for _ in range(200):
        middle = (low + high) / 2
        if (beta * ref / (middle - rewards)).sum() > 1:
            low = middle
        else:
            high = middle
    return beta * ref / (high - rewards)


def _groups(rewards):
    """(library, rewards), checked."""
    xp, (rewards,) = as_arrays(floating=["rewards"], rewards=rewards)
    if rewards.ndim != 2 or rewards.shape[1] < 2:
        raise ValueError(
            "rewards must be (prompts, replies) with at least 2 replies to a prompt, "
            f"got shape {tuple(rewards.shape)}; reshape them to (-1, G)")
    return xp, finite("rewards", rewards, "prompt")


def _centred(xp, rewards):
    rewards = in_single(rewards)
    return rewards - xp.mean(rewards, axis=1, keepdims=True)


def _differs(xp, rewards):
    """(M, 1) bools: whether a group's rewards differ by more than rounding."""
    rewards = in_single(rewards)
    highest = xp.max(rewards, axis=1, keepdims=True)
    lowest = xp.min(rewards, axis=1, keepdims=True)
    size = xp.max(xp.abs(rewards), axis=1, keepdims=True)
    return highest - lowest > 1e-6 * size


def _one_token(ref, rewards, beta):
    """The arguments of an optimum, checked."""
    _, (ref, rewards) = as_arrays(
        ref=np.asarray(ref, float), rewards=np.asarray(rewards, float))
    if not (ref > 0).all() or not math.isclose(ref.sum(), 1, rel_tol=1e-6):
        raise ValueError(
            f"ref must be probabilities above 0 that sum to 1, got {ref}; "
            "divide by their sum")
    return ref, finite("rewards", rewards, "token"), positive(beta=beta)
