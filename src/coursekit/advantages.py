"""Estimators of returns and advantages: TD, n-step, λ and Monte Carlo.

All take arrays (..., T) with time last, numpy or torch, and give back the same library
and dtype. The last step of an array that is neither `terminated` nor `truncated` is cut
by the end of the array: like a truncated step it bootstraps from `next_values`, the
value of its true successor.

`gae_by_recursion` is GAE as the book writes it, one step after the other. `gae` and the
returns below it are the same sums at the speed of memory: `_scans` has the loops,
`_dispatch` says which one runs when.
"""

from coursekit._dispatch import fused_gae
from coursekit._scans import discounted_sums, zeroed
from coursekit.arrays import as_arrays, fraction, in_single, positive_int


def td_errors(rewards, values, next_values, terminated, *, gamma):
    """TD error of each step: its reward and the discounted value of the next state, minus the value of this one.

        δ_t = r_t + γ·V(s_{t+1}) − V(s_t),   V(s_{t+1}) = 0 where terminated   (book: eq-td-error)

    As an estimate of the advantage this is called TD or one-step.

    Args:
        rewards, values, next_values: (..., T) floats, numpy or torch, in units of reward.
        terminated: (..., T) bools, True where the episode ended by itself.
        gamma: float in [0, 1].
    Returns:
        (..., T) TD errors in units of reward; library and dtype of `rewards`.
    Raises:
        ValueError: shapes or dtypes differ, T = 0, `terminated` is not boolean, gamma
            leaves [0, 1].
    Source: Sutton and Barto 2018, eq. 6.5. Time limits: Pardo et al. 2018.
    """
    _, (rewards, values, next_values, terminated) = as_arrays(
        floating=["rewards", "values", "next_values"], boolean=["terminated"],
        rewards=rewards, values=values, next_values=next_values, terminated=terminated)
    return _td_errors(rewards, values, next_values, terminated, fraction(gamma=gamma))


def mc_returns(rewards, next_values, terminated, truncated, *, gamma):
    """Add up the rewards that follow in the same episode, discounted.

        G_t = r_t + γ·G_{t+1};  the last step before a cut takes γ·V(s_{t+1}) instead   (book: eq-mc-return)

    `next_values` is read only where an episode was cut short.

    Args, Returns, Raises: as `gae`, without values and lam; returns in units of reward.
    Source: Sutton and Barto 2018, eq. 3.9. The cut: Pardo et al. 2018.
    """
    xp, (rewards, next_values, terminated, truncated) = _returns_arrays(
        rewards, next_values, terminated, truncated)
    gamma = fraction(gamma=gamma)
    ended = terminated | truncated
    cut = _last_of_episode(xp, ended) & ~terminated
    rewards = rewards + gamma * xp.where(cut, next_values, 0.0)
    return discounted_sums(rewards, ended, gamma)


def mc_advantages(rewards, values, next_values, terminated, truncated, *, gamma):
    """How much better the episode went than the critic expected: Â_t = G_t − V(s_t)   (book: eq-mc-advantage)

    Args, Returns, Raises: as `gae`, without lam.
    Source: Sutton and Barto 2018, section 13.4.
    """
    _check_values(rewards, values)
    returns = mc_returns(rewards, next_values, terminated, truncated, gamma=gamma)
    return returns - values


def n_step_returns(rewards, next_values, terminated, truncated, *, gamma, n):
    """Add up n rewards of the episode, then bootstrap from the critic.

        G_t^(n) = r_t + γ·r_{t+1} + … + γ^(n−1)·r_{t+n−1} + γ^n·V(s_{t+n})   (book: eq-n-step)

    Where the episode ends or the array stops within n steps, the sum stops there too.
    n=1 is the TD target; n >= T is the Monte Carlo return.

    Args: as `gae`, without values and lam; n: int >= 1.
    Returns, Raises: as `gae`; ValueError also where n is not a positive integer.
    Source: Sutton and Barto 2018, eq. 7.1.
    """
    xp, (rewards, next_values, terminated, truncated) = _returns_arrays(
        rewards, next_values, terminated, truncated)
    n, gamma = positive_int(n=n), fraction(gamma=gamma)
    last = _last_of_episode(xp, terminated | truncated)
    bootstrap = xp.where(terminated, 0.0, next_values)
    one_step = returns = in_single(rewards + gamma * bootstrap)
    for _ in range(min(n, rewards.shape[-1]) - 1):
        # the last column of `following` is wrong, and not read
        following = xp.roll(returns, -1, axis=-1)
        returns = xp.where(last, one_step, rewards + gamma * following)
    return xp.astype(returns, rewards.dtype, copy=False)


def n_step_advantages(rewards, values, next_values, terminated, truncated, *, gamma, n):
    """The n-step return minus the value: Â_t^(n) = G_t^(n) − V(s_t)   (book: eq-n-step-advantage)

    Args, Returns, Raises: as `n_step_returns` and `gae`.
    Source: Schulman et al. 2016, eqs. 11-15.
    """
    _check_values(rewards, values)
    returns = n_step_returns(rewards, next_values, terminated, truncated, gamma=gamma, n=n)
    return returns - values


def lambda_returns(rewards, next_values, terminated, truncated, *, gamma, lam):
    """Mix the n-step returns with weights (1 − λ)·λ^(n−1).

        G_t = r_t + γ·((1 − λ)·V(s_{t+1}) + λ·G_{t+1})          (book: eq-lambda-return)

    Equal to `gae` + values where one critic gave both: next_values[t] = values[t+1]
    inside an episode.
    Args, Returns, Raises: as `gae`, without values.
    Source: Sutton and Barto 2018, eqs. 12.2 and 12.18.

    >>> ended, cut = [False, False, True], [False, False, False]
    >>> lambda_returns([0, 0, 1.0], [0.5, 0.8, 0], ended, cut, gamma=1.0, lam=0.5)
    array([0.7, 0.9, 1. ])
    """
    xp, (rewards, next_values, terminated, truncated) = _returns_arrays(
        rewards, next_values, terminated, truncated)
    gamma, lam = fraction(gamma=gamma), fraction(lam=lam)
    ended = terminated | truncated
    bootstrap = xp.where(terminated, 0.0, next_values)
    # at λ = 1 no product, since 0·NaN is NaN
    share = (1 - lam) * bootstrap if lam < 1 else 0.0
    share = xp.where(_last_of_episode(xp, ended), bootstrap, share)
    return discounted_sums(rewards + gamma * share, ended, gamma * lam)


def gae_by_recursion(rewards, values, next_values, terminated, truncated, *, gamma, lam):
    """GAE as the book writes it: a loop over time, from the last step to the first.

        Â_t = δ_t + γλ·[the episode goes on after t]·Â_{t+1}    (book: eq-gae-recursion)

    Args, Returns, Raises: as `gae`, which gives the same numbers sooner.
    Source: Schulman et al. 2016, eq. 16. Time limits: Pardo et al. 2018.
    """
    xp, (rewards, values, next_values, terminated, truncated) = _gae_arrays(
        rewards, values, next_values, terminated, truncated)
    deltas = in_single(td_errors(rewards, values, next_values, terminated, gamma=gamma))
    decay = fraction(gamma=gamma) * fraction(lam=lam)
    ended = terminated | truncated
    advantages = []
    following = xp.zeros_like(deltas[..., 0])
    for t in reversed(range(deltas.shape[-1])):
        following = deltas[..., t] + decay * xp.where(ended[..., t], 0.0, following)
        advantages.append(following)
    return xp.astype(xp.stack(advantages[::-1], axis=-1), rewards.dtype, copy=False)


def gae(rewards, values, next_values, terminated, truncated, *, gamma, lam):
    """Credit each step with the discounted TD errors that follow it in its episode.

        Â_t = Σ_k (γλ)^k·δ_{t+k},   k = 0, 1, … to the end of the episode   (book: eq-gae)

    lam=0 is the TD error; lam=1 is the Monte Carlo return minus the value. This is
    `gae_by_recursion` with its loop replaced by `discounted_sums`, or for large arrays
    by a loop that works out the TD errors on its way.

    Args:
        rewards, values, next_values: (..., T) floats, numpy or torch, in units of reward.
        terminated, truncated: (..., T) bools. Both stop the sum; `terminated` also
            zeroes V(s_{t+1}).
        gamma, lam: floats in [0, 1].
    Returns:
        (..., T) advantages in units of reward; library and dtype of `rewards`.
    Raises:
        ValueError: shapes differ or T = 0, a flag is not boolean, gamma or lam leaves
            [0, 1].
    Source: Schulman et al. 2016, eq. 16. Time limits: Pardo et al. 2018.

    >>> ended, cut = [False, False, True], [False, False, False]
    >>> gae([0, 0, 1.0], [0.2, 0.5, 0.8], [0.5, 0.8, 0], ended, cut, gamma=1.0, lam=0.5)
    array([0.5, 0.4, 0.2])
    """
    _, (rewards, values, next_values, terminated, truncated) = _gae_arrays(
        rewards, values, next_values, terminated, truncated)
    gamma = fraction(gamma=gamma)
    decay = gamma * fraction(lam=lam)
    if fused := fused_gae(rewards):
        return fused(rewards, values, next_values, terminated, truncated, gamma, decay)
    deltas = _td_errors(rewards, values, next_values, terminated, gamma)
    return discounted_sums(deltas, terminated | truncated, decay)


def _td_errors(rewards, values, next_values, terminated, gamma):
    return zeroed(gamma * next_values, terminated) + rewards - values


def _last_of_episode(xp, ended):
    """True where the sum must stop: the episode ended, or the array does."""
    steps = ended.shape[-1]
    return ended | (xp.arange(steps, device=ended.device) == steps - 1)


def _gae_arrays(rewards, values, next_values, terminated, truncated):
    return as_arrays(
        floating=["rewards", "values", "next_values"],
        boolean=["terminated", "truncated"],
        rewards=rewards, values=values, next_values=next_values,
        terminated=terminated, truncated=truncated)


def _returns_arrays(rewards, next_values, terminated, truncated):
    return as_arrays(
        floating=["rewards", "next_values"], boolean=["terminated", "truncated"],
        rewards=rewards, next_values=next_values,
        terminated=terminated, truncated=truncated)


def _check_values(rewards, values):
    as_arrays(floating=["rewards", "values"], rewards=rewards, values=values)
