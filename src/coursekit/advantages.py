"""Estimators of returns and advantages: TD, n-step, λ and Monte Carlo.

All take arrays (..., T) with time last, numpy or torch, and give back the same library and dtype.
A step that is neither `terminated` nor `truncated` but stands last is cut by the end of the array;
like a truncated one it is worth what the critic says of its true successor, `next_values`.
"""

from coursekit._dispatch import fused_gae
from coursekit._scans import discounted_sums, zeroed
from coursekit.arrays import as_arrays, fraction, positive_int


def td_errors(rewards, values, next_values, terminated, *, gamma):
    """Surprise of one step: what it paid and promises next, less what was promised before.

        δ_t = r_t + γ·V(s_{t+1}) − V(s_t),   V(s_{t+1}) = 0 where terminated          (book: eq-td-error)

    As an estimate of the advantage this is "TD" or "one-step".

    Args:
        rewards, values, next_values: (..., T) floats, numpy or torch, in units of reward.
        terminated: (..., T) bools, True where the episode ended by itself.
        gamma: float in [0, 1].
    Returns:
        (..., T) TD errors in units of reward; library and dtype of `rewards`.
    Raises:
        ValueError: shapes or dtypes differ, T = 0, `terminated` is not boolean, gamma leaves [0, 1].
    Source: Sutton and Barto 2018, eq. 6.5. Time limits: Pardo et al. 2018.
    """
    _, (rewards, values, next_values, terminated) = as_arrays(
        floating=["rewards", "values", "next_values"], boolean=["terminated"],
        rewards=rewards, values=values, next_values=next_values, terminated=terminated)
    return _surprises(rewards, values, next_values, terminated, fraction(gamma=gamma))


def mc_returns(rewards, next_values, terminated, truncated, *, gamma):
    """Add up the rewards that follow in the same episode, discounted.

        G_t = r_t + γ·G_{t+1};  the last step before a cut takes γ·V(s_{t+1}) instead   (book: eq-mc-return)

    `next_values` is read only where an episode was cut short: inside an episode no critic is asked.

    Args, Returns, Raises: as `gae`, without values and lam; returns in units of reward.
    Source: Sutton and Barto 2018, eq. 3.9. The cut: Pardo et al. 2018.
    """
    xp, (rewards, next_values, terminated, truncated) = _returns_arrays(
        rewards, next_values, terminated, truncated)
    gamma, ended = fraction(gamma=gamma), terminated | truncated
    unseen = _last_of_episode(xp, ended) & ~terminated
    seen = rewards + gamma * xp.where(unseen, next_values, 0.0)
    return discounted_sums(seen, ended, gamma)


def mc_advantages(rewards, values, next_values, terminated, truncated, *, gamma):
    """How much better the episode went than the critic promised: Â_t = G_t − V(s_t)   (book: eq-mc-advantage)

    Args, Returns, Raises: as `gae`, without lam. Source: Sutton and Barto 2018, section 13.4.
    """
    _check_values(rewards, values)
    return mc_returns(rewards, next_values, terminated, truncated, gamma=gamma) - values


def n_step_returns(rewards, next_values, terminated, truncated, *, gamma, n):
    """Follow the episode for n rewards, then ask the critic.

        G_t^(n) = r_t + γ·r_{t+1} + … + γ^(n−1)·r_{t+n−1} + γ^n·V(s_{t+n})            (book: eq-n-step)

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
    one_step = returns = rewards + gamma * xp.where(terminated, 0.0, next_values)
    for _ in range(min(n, rewards.shape[-1]) - 1):
        following = xp.roll(returns, -1, axis=-1)  # what wraps around lands on a last step: not read
        returns = xp.where(last, one_step, rewards + gamma * following)
    return returns


def n_step_advantages(rewards, values, next_values, terminated, truncated, *, gamma, n):
    """n-step return less the critic's promise: Â_t^(n) = G_t^(n) − V(s_t)     (book: eq-n-step-advantage)

    Args, Returns, Raises: as `n_step_returns` and `gae`. Source: Schulman et al. 2016, eqs. 11-15.
    """
    _check_values(rewards, values)
    return n_step_returns(rewards, next_values, terminated, truncated, gamma=gamma, n=n) - values


def lambda_returns(rewards, next_values, terminated, truncated, *, gamma, lam):
    """Mix the n-step returns with weights (1 − λ)·λ^(n−1), by asking the critic a little at every step.

        G_t = r_t + γ·((1 − λ)·V(s_{t+1}) + λ·G_{t+1})                             (book: eq-lambda-return)

    Equal to `gae` + values where one critic gave both: next_values[t] = values[t+1] inside an episode.
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
    trusted = (1 - lam) * bootstrap if lam < 1 else 0.0  # λ=1 asks nobody, which 0 times NaN would
    towards = xp.where(_last_of_episode(xp, ended), bootstrap, trusted)
    return discounted_sums(rewards + gamma * towards, ended, gamma * lam)


def gae(rewards, values, next_values, terminated, truncated, *, gamma, lam):
    """Credit each step with the discounted surprises that follow it in its episode.

        Â_t = δ_t + γλ · [episode goes on after t] · Â_{t+1}                                (book: eq-gae)

    lam=0 is the TD error; lam=1 is the Monte Carlo return minus the value.

    Args:
        rewards, values, next_values: (..., T) floats, numpy or torch, in units of reward.
        terminated, truncated: (..., T) bools. Both stop the sum; `terminated` also zeroes V(s_{t+1}).
        gamma, lam: floats in [0, 1].
    Returns:
        (..., T) advantages in units of reward; library and dtype of `rewards`.
    Raises:
        ValueError: shapes differ or T = 0, a flag is not boolean, gamma or lam leaves [0, 1].
    Source: Schulman et al. 2016, eq. 16. Time limits: Pardo et al. 2018.

    >>> ended, cut = [False, False, True], [False, False, False]
    >>> gae([0, 0, 1.0], [0.2, 0.5, 0.8], [0.5, 0.8, 0], ended, cut, gamma=1.0, lam=0.5)
    array([0.5, 0.4, 0.2])
    """
    _, (rewards, values, next_values, terminated, truncated) = as_arrays(
        floating=["rewards", "values", "next_values"], boolean=["terminated", "truncated"],
        rewards=rewards, values=values, next_values=next_values, terminated=terminated, truncated=truncated)
    gamma, factor = fraction(gamma=gamma), fraction(gamma=gamma) * fraction(lam=lam)
    if fused := fused_gae(rewards):  # the two lines below in one pass, for large arrays
        return fused(rewards, values, next_values, terminated, truncated, gamma, factor)
    deltas = _surprises(rewards, values, next_values, terminated, gamma)
    return discounted_sums(deltas, terminated | truncated, factor)


def _surprises(rewards, values, next_values, terminated, gamma):
    return zeroed(gamma * next_values, terminated) + rewards - values


def _last_of_episode(xp, ended):
    """True where the sum must stop: the episode ended, or the array does."""
    steps = ended.shape[-1]
    return ended | (xp.arange(steps, device=ended.device) == steps - 1)


def _returns_arrays(rewards, next_values, terminated, truncated):
    return as_arrays(floating=["rewards", "next_values"], boolean=["terminated", "truncated"],
                     rewards=rewards, next_values=next_values, terminated=terminated, truncated=truncated)


def _check_values(rewards, values):
    as_arrays(floating=["rewards", "values"], rewards=rewards, values=values)
