"""Small Markov decision processes whose V, Q and A are known exactly, and so is every estimator's error.

A chain holds a table for every question, and linear algebra answers it: no sampling, no
tolerance. Arrays are indexed [state], [state, action] or [state, action, next state].
Terminal states are worth 0.
"""

from dataclasses import dataclass

import numpy as np

from coursekit.arrays import finite, fraction, not_negative, positive_int


@dataclass(frozen=True)
class Chain:
    """A Markov decision process with S states and A actions.

    transitions: (S, A, S) probabilities of the next state.
    rewards: (S, A, S) mean rewards.
    terminal: (S,) bools.
    start: (S,) probabilities of the first state.
    reward_sd: standard deviation of Gaussian noise on every reward, in units of reward.
    """

    transitions: np.ndarray
    rewards: np.ndarray
    terminal: np.ndarray
    start: np.ndarray
    reward_sd: float = 0.0

    def __post_init__(self):
        states, actions, _ = self.transitions.shape
        wanted = {"transitions": (states, actions, states),
                  "rewards": (states, actions, states),
                  "terminal": (states,),
                  "start": (states,)}
        for name, shape in wanted.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"{name} must have shape {shape}, got {found}")
        if self.terminal.dtype != bool:
            raise ValueError(
                f"terminal must be boolean, got {self.terminal.dtype}; "
                "pass terminal != 0")
        _check_probabilities(transitions=self.transitions, start=self.start)
        not_negative(reward_sd=self.reward_sd)
        finite("rewards", self.rewards, "state")

    def check(self, policy, critic=None):
        """Raise ValueError unless policy is (S, A) and critic, where there is one, (S,)."""
        states, actions, _ = self.transitions.shape
        if np.shape(policy) != (states, actions):
            raise ValueError(
                f"policy must have shape (states, actions) = {(states, actions)}, "
                f"got {np.shape(policy)}; chain.uniform_policy() is one")
        _check_probabilities(policy=np.asarray(policy))
        if critic is not None and np.shape(critic) != (states,):
            raise ValueError(
                f"critic must have one value per state, {(states,)}, "
                f"got {np.shape(critic)}")
        if critic is not None:
            finite("critic", np.where(self.terminal, 0.0, critic), "state")

    def uniform_policy(self):
        """The policy that takes every action equally often, (S, A)."""
        return np.full(self.transitions.shape[:2], 1 / self.transitions.shape[1])


def random_walk(states=19):
    """Walk left (action 0) or right (action 1) from the middle; the left end pays −1, the right end +1.

    Source: Sutton and Barto 2018, examples 6.2 and 7.1. States 1 to `states`, ends 0
        and `states` + 1.
    """
    if positive_int(states=states) % 2 == 0:
        raise ValueError(f"states must be odd, so that there is a middle, got {states}")
    total = states + 2
    here = np.arange(total)
    transitions, rewards = np.zeros((2, total, 2, total))
    for action, move in enumerate((-1, 1)):
        there = np.where((here == 0) | (here == total - 1), here, here + move)
        transitions[here, action, there] = 1.0
    rewards[1, :, 0] = -1.0
    rewards[-2, :, -1] = 1.0
    terminal = np.isin(here, (0, total - 1))
    start = np.eye(total)[total // 2]
    return Chain(transitions, rewards, terminal, start)


def cycle(states=5):
    """Go round for ever, reward 1 a step: worth 1/(1 − γ) everywhere, and no step is better than another."""
    transitions = np.roll(np.eye(positive_int(states=states)), 1, axis=1)[:, None, :]
    rewards = np.ones_like(transitions)
    never = np.zeros(states, bool)
    return Chain(transitions, rewards, terminal=never, start=np.eye(states)[0])


def garnet(rng, states=20, actions=4, branching=3, reward_sd=0.5):
    """A random process that never ends: `branching` random successors for every action, rewards N(0, 1).

    Source: Archibald, McKinnon and Thomas 1995. Needs gamma < 1.
    """
    transitions = np.zeros((states, actions, states))
    for state in range(states):
        for action in range(actions):
            successors = rng.choice(states, branching, replace=False)
            transitions[state, action, successors] = rng.dirichlet(np.ones(branching))
    rewards = np.repeat(rng.normal(size=(states, actions, 1)), states, axis=2)
    never = np.zeros(states, bool)
    start = np.full(states, 1 / states)
    return Chain(transitions, rewards, terminal=never, start=start, reward_sd=reward_sd)


def exact_values(chain, policy, *, gamma):
    """V of every state: the solution of V = r_π + γ·P_π·V.           (book: eq-bellman)

    Args:
        policy: (S, A) probabilities.
        gamma: float in [0, 1]; 1 only where every episode ends.
    Returns: (S,) values in units of reward, 0 at terminal states.
    Raises:
        ValueError: the policy has another shape, or gamma = 1 in a chain that never
            ends.
    Source: Sutton and Barto 2018, eq. 4.4.
    """
    chain.check(policy)
    expected = (chain.transitions * chain.rewards).sum(-1)
    return _solve(chain, policy, (policy * expected).sum(-1), fraction(gamma=gamma))


def exact_q(chain, policy, *, gamma):
    """Q of every state and action, (S, A): r(s, a) + γ·Σ P(s'|s, a)·V(s').

    Source: Sutton and Barto eq. 4.6.
    """
    values = exact_values(chain, policy, gamma=gamma)
    expected = (chain.transitions * (chain.rewards + gamma * values)).sum(-1)
    return np.where(chain.terminal[:, None], 0.0, expected)


def exact_advantages(chain, policy, *, gamma):
    """A = Q − V, (S, A): how much better an action is than the policy's average.   (book: eq-advantage)"""
    values = exact_values(chain, policy, gamma=gamma)
    return exact_q(chain, policy, gamma=gamma) - values[:, None]


def occupancy(chain, policy):
    """Share of time the policy spends in each state, (S,), when a finished episode starts again."""
    chain.check(policy)
    moves = _policy_transitions(chain, policy)
    restart = np.outer(1 - moves.sum(-1), chain.start)
    # with 1 there is no solution; this is the long run to nine digits
    almost_1 = 1 - 1e-9
    system = np.eye(len(moves)) - almost_1 * (moves + restart).T
    share = np.linalg.solve(system, chain.start)
    share = np.where(chain.terminal, 0.0, share)
    return share / share.sum()


@dataclass(frozen=True)
class Moments:
    """Exact error of an advantage estimator given the state and the action, (S, A) each.

    bias: E[Â|s, a] − A(s, a), units of reward.
    variance: Var[Â|s, a], units of reward squared.
    """

    bias: np.ndarray
    variance: np.ndarray

    @property
    def mse(self):
        return self.bias**2 + self.variance


def gae_moments(chain, policy, critic, *, gamma, lam):
    """Exact bias and variance of GAE with any critic, by two linear solves.

        m₁ = E[δ] + c·P_π·m₁,   m₂ = E[δ²] + 2c·E[δ·m₁(s')] + c²·P_π·m₂,   c = γλ

    Args:
        critic: (S,) values that the estimator uses; those of terminal states are
            ignored.
        gamma, lam: floats in [0, 1]. lam=0 is TD, lam=1 is Monte Carlo.
    Returns: Moments. Raises: ValueError: γλ = 1 in a chain that never ends.
    """
    chain.check(policy, critic)
    gamma, lam = fraction(gamma=gamma), fraction(lam=lam)
    critic = np.where(chain.terminal, 0.0, critic)
    deltas = chain.rewards + gamma * critic - critic[:, None, None]
    return _moments(chain, policy, critic, gamma, deltas, gamma * lam)


def n_step_moments(chain, policy, critic, *, gamma, n):
    """Exact bias and variance of the n-step advantage with any critic, by n steps of the same recursion.

    Args, Returns: as gae_moments; n: int >= 1.
    """
    chain.check(policy, critic)
    n, gamma = positive_int(n=n), fraction(gamma=gamma)
    critic = np.where(chain.terminal, 0.0, critic)
    # moments of the return after 0 steps: it is V itself
    first, second = critic, critic**2
    for _ in range(n):
        by_action = _step_moments(chain, chain.rewards, gamma, first, second)
        first, second = ((policy * moment).sum(-1) for moment in by_action)
    mean, square = by_action
    bias = mean - critic[:, None] - exact_advantages(chain, policy, gamma=gamma)
    return Moments(bias, np.maximum(square - mean**2, 0.0))


def gae_bias(chain, policy, critic, *, gamma, lam):
    """Bias of GAE in closed form, from the critic's error e = critic − V alone.

        bias(s, a) = −e(s) + (1 − λ)·γ·P_a·(I − γλ·P_π)⁻¹·e          (book: eq-gae-bias)

    Args, Returns: as gae_moments; (S, A) in units of reward.
    """
    chain.check(policy, critic)
    gamma, lam = fraction(gamma=gamma), fraction(lam=lam)
    values = exact_values(chain, policy, gamma=gamma)
    error = np.where(chain.terminal, 0.0, critic - values)
    carried = _solve(chain, policy, error, gamma * lam)
    bias = -error[:, None] + (1 - lam) * gamma * chain.transitions @ carried
    return np.where(chain.terminal[:, None], 0.0, bias)


def gradient_bias(bias, policy):
    """The action-dependent part of a bias, (S, A): what is left without its mean over the policy's actions.

    An error that is the same for every action of a state acts as a baseline and leaves
    the expected policy gradient as it is; this part changes the gradient's direction.
    """
    return bias - (policy * bias).sum(-1, keepdims=True)


def _moments(chain, policy, critic, gamma, deltas, decay):
    """Moments of the sum δ + decay·δ' + decay²·δ'' + …"""
    advantages = exact_advantages(chain, policy, gamma=gamma)
    mean_delta = (policy * (chain.transitions * deltas).sum(-1)).sum(-1)
    first = _solve(chain, policy, mean_delta, decay)
    zeros = np.zeros_like(first)
    _, known = _step_moments(chain, deltas, decay, first, zeros)
    second = _solve(chain, policy, (policy * known).sum(-1), decay**2)
    mean, square = _step_moments(chain, deltas, decay, first, second)
    return Moments(np.where(chain.terminal[:, None], 0.0, mean - advantages),
                   np.maximum(square - mean**2, 0.0))


def _step_moments(chain, gains, decay, first, second):
    """First two moments of gain + decay·X(s') for each (s, a), from those of X(s): (S, A) each."""
    mean = (chain.transitions * (gains + decay * first)).sum(-1)
    squares = gains**2 + 2 * decay * gains * first + decay**2 * second
    square = (chain.transitions * squares).sum(-1) + chain.reward_sd**2
    goes_on = ~chain.terminal[:, None]
    return goes_on * mean, goes_on * square


def _policy_transitions(chain, policy):
    """P_π, (S, S), with 0 in the rows and columns of terminal states."""
    moves = (policy[:, :, None] * chain.transitions).sum(1)
    alive = ~chain.terminal
    return moves * alive[:, None] * alive[None, :]


def _always_ends(chain, policy):
    """Whether an end can be reached from every state."""
    leads = (policy[:, :, None] * chain.transitions).sum(1) > 0
    ends = chain.terminal
    before = -1
    while ends.sum() > before:
        before = ends.sum()
        ends = ends | (leads & ends).any(1)
    return ends.all()


def _check_probabilities(**tables):
    for name, table in tables.items():
        if (table < 0).any() or not np.allclose(table.sum(-1), 1):
            raise ValueError(
                f"{name} must be probabilities: none negative, "
                "summing to 1 over the last axis")


def _solve(chain, policy, source, decay):
    """x = source + decay·P_π·x, with x = 0 at terminal states."""
    moves = _policy_transitions(chain, policy)
    if decay == 1 and not _always_ends(chain, policy):
        raise ValueError(
            "this chain never ends: with γλ = 1 (or γ = 1) the sum has no value; "
            "lower one")
    system = np.eye(len(moves)) - decay * moves
    x = np.linalg.solve(system, source * ~chain.terminal)
    return np.where(chain.terminal, 0.0, x)
