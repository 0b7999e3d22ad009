"""What credit is for: a softmax policy that learns the world of `credit` from one of several estimates of it."""

from collections import deque

import numpy as np

from coursekit.arrays import as_arrays, positive_int, whiten
from coursekit.credit import (
    answer_gae,
    drift,
    expected_score,
    fit_critic,
    fit_redistribution,
    play,
)


def policy_gradient(probabilities, tokens, advantages):
    """Gradient of the mean of Σ_t Â_t·log π(token_t) in the logits of a softmax policy.

        ∂/∂logit[t, a] = mean over episodes of Â_t·([token_t = a] − π_t(a))

    Args: probabilities: (T, words). tokens, advantages: (N, T).
    Returns: (T, words), units of advantages.
    Raises: ValueError: shapes differ.
    Source: Williams 1992 (REINFORCE).
    """
    as_arrays(tokens=tokens, advantages=advantages)
    if np.shape(probabilities)[0] != np.shape(tokens)[1]:
        raise ValueError(
            f"probabilities must have one row for each of the {np.shape(tokens)[1]} "
            f"tokens, got shape {np.shape(probabilities)}")
    words = np.arange(np.shape(probabilities)[1])
    taken = np.einsum("nt,nta->ta", advantages, tokens[:, :, None] == words)
    return (taken - advantages.sum(0)[:, None] * probabilities) / len(tokens)


def plain_return(world, tokens, rewards, recent):
    """Every token gets the whole answer's reward."""
    return np.repeat(rewards.sum(1, keepdims=True), world.length, axis=1)


def mean_baseline(world, tokens, rewards, recent):
    """Every token gets the answer's reward minus the batch's mean, as whitening does to the plain return too."""
    returns = plain_return(world, tokens, rewards, recent)
    return returns - returns.mean(0)


def no_critic(world, tokens, rewards, recent):
    """GAE with λ = 0.95 and the one value that needs no critic, the batch's mean reward."""
    values = np.full(tokens.shape, rewards.sum(1).mean())
    return answer_gae(rewards, values, lam=0.95)


def learned_critic(lam):
    """GAE with this λ and a critic fitted to the recent episodes."""
    def credit(world, tokens, rewards, recent):
        critic = fit_critic(world, *recent)
        return answer_gae(rewards, critic(tokens), lam=lam)
    return credit


def redistribution(world, tokens, rewards, recent):
    """The redistributed reward of each token minus its mean over the batch; later rewards are not its own."""
    redistributed = fit_redistribution(world, *recent)(tokens)
    return redistributed - redistributed.mean(0)


METHODS = {
    "return": plain_return,
    "mean baseline": mean_baseline,
    "GAE 0.95, no critic": no_critic,
    "GAE 1": learned_critic(1.0),
    "GAE 0.95": learned_critic(0.95),
    "GAE 0": learned_critic(0.0),
    "redistribution": redistribution,
}


def learn(world, method, *, lr, batch, updates, rng, memory=5, scale=whiten, step=None):
    """Policy gradient from the uniform policy.

    Yields the state before the first update and after each one.

    Args:
        method: a name in METHODS, or a function (world, tokens, rewards, recent) →
            advantages (N, T); `recent` holds the tokens and rewards of the last
            `memory` batches, this one included.
        lr: logits per unit of gradient. batch: episodes per update. updates: how many.
        scale: applied to the advantages; whitening by default.
        step: function from gradient to change of logits; None means lr·gradient.
    Yields:
        dict: episodes so far, score (expected, exact), drift (nats, exact),
        probabilities (T, words).
    Raises:
        ValueError: no such method, or batch < 2.
    """
    credit = method if callable(method) else METHODS.get(method)
    if credit is None:
        raise ValueError(
            f"method must be a function or one of {', '.join(METHODS)}; got {method!r}")
    positive_int(2, batch=batch)  # advantages are whitened over it
    positive_int(0, updates=updates)
    logits = np.zeros((world.length, world.words))
    start = world.uniform_policy()
    batches = deque(maxlen=memory)
    for update in range(updates + 1):
        probabilities = np.exp(logits - logits.max(-1, keepdims=True))
        probabilities /= probabilities.sum(-1, keepdims=True)
        yield {"episodes": update * batch,
               "score": expected_score(world, probabilities),
               "drift": drift(world, probabilities, start),
               "probabilities": probabilities}
        tokens, rewards = play(world, probabilities, batch, rng)
        batches.append((tokens, rewards))
        recent = [np.concatenate(arrays) for arrays in zip(*batches)]
        advantages = scale(credit(world, tokens, rewards, recent))
        gradient = policy_gradient(probabilities, tokens, advantages)
        logits = logits + (lr * gradient if step is None else step(gradient))
