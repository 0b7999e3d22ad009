"""A world with exact credit: answers of up to 500 tokens, five that matter, one reward after the last.

An answer is `length` tokens, each one of `words` words. At the deciding positions word
0 is right and earns the position's weight; nothing else matters. So V, the advantage of
every token, the expected score and the drift of a policy have closed forms, and every
estimate of credit can be held against the truth.

Shapes: policy probabilities (T, words); tokens (N, T) ints; rewards, values, advantages
(N, T), time last.
"""

from dataclasses import dataclass

import numpy as np

from coursekit.advantages import gae, td_errors
from coursekit.arrays import finite, fraction, not_negative, positive, positive_int


@dataclass(frozen=True)
class World:
    """The parameters of a world.

    length: T.
    positions: of the decisions, each of `weights` units of reward.
    noise: sd of the one reward.
    """

    length: int
    positions: tuple
    weights: tuple = (2.0, 1.5, 1.0, 0.75, 0.5)
    words: int = 4
    noise: float = 1.0

    def __post_init__(self):
        positive_int(length=self.length)
        positive_int(2, words=self.words)  # so that one can be wrong
        if len(self.positions) != len(self.weights):
            raise ValueError(
                f"positions must have one entry for each of the {len(self.weights)} "
                f"weights, got {len(self.positions)}")
        distinct = set(self.positions) & set(range(self.length))
        if len(distinct) < len(self.positions):
            raise ValueError(
                f"positions must be different and lie in 0 … {self.length - 1}, "
                f"got {self.positions}")
        not_negative(noise=self.noise)

    @property
    def best_score(self):
        """Expected reward of the policy that is always right."""
        return float(sum(self.weights))

    def uniform_policy(self):
        """The policy that takes every word equally often, (T, words)."""
        return np.full((self.length, self.words), 1 / self.words)

    def right(self, tokens):
        """1.0 where a decision was right, in the order of `weights`: (N, decisions)."""
        if np.ndim(tokens) != 2 or np.shape(tokens)[1] != self.length:
            raise ValueError(
                f"tokens must be (episodes, {self.length}), got shape {np.shape(tokens)}; "
                "play(world, ...) draws some")
        decisions = np.asarray(tokens)[:, list(self.positions)]
        return (decisions == 0).astype(float)

    def check(self, probabilities):
        """Raise ValueError unless this is a (T, words) array of probabilities."""
        wanted = self.length, self.words
        if np.shape(probabilities) != wanted:
            raise ValueError(
                f"probabilities must have shape (length, words) = {wanted}, "
                f"got {np.shape(probabilities)}; world.uniform_policy() is one")
        if np.min(probabilities) < 0 or not np.allclose(np.sum(probabilities, -1), 1):
            raise ValueError(
                "probabilities must be at least 0 and sum to 1 over the words; "
                "divide by their sum")


def draw_world(length, *, seed=0, **options):
    """A World whose five deciding positions are drawn once, from this seed.

    options: fields of World.
    """
    weights = options.get("weights", World.weights)
    positive_int(len(weights), length=length)  # one token for each decision
    rng = np.random.default_rng(seed)
    positions = rng.choice(length, len(weights), replace=False)
    return World(length, tuple(positions.tolist()), **options)


def play(world, probabilities, episodes, rng):
    """Sample answers: tokens (N, T), ints, and rewards (N, T), which are 0 except in the last column."""
    world.check(probabilities)
    bounds = np.cumsum(probabilities, -1)[:, :-1]
    uniform = rng.random((positive_int(episodes=episodes), world.length, 1))
    tokens = (uniform >= bounds).sum(-1)
    rewards = np.zeros(tokens.shape)
    noise = world.noise * rng.normal(size=episodes)
    rewards[:, -1] = world.right(tokens) @ world.weights + noise
    return tokens, rewards


def expected_score(world, probabilities):
    """Expected reward of a policy: Σ_i w_i·p_i, with p_i its chance to be right at decision i."""
    world.check(probabilities)
    return float(probabilities[list(world.positions), 0] @ world.weights)


def drift(world, probabilities, start):
    """KL(policy‖start), nats, summed over the tokens that do not matter: change that earns no reward.

    Args: probabilities, start: (T, words), start > 0 wherever probabilities are.
    """
    for policy in (probabilities, start):
        world.check(policy)
    used = probabilities > 0
    ratios = np.where(used, probabilities, 1.0) / np.where(used, start, 1.0)
    per_token = (probabilities * np.log(ratios)).sum(-1)
    others = np.delete(per_token, list(world.positions))
    return max(float(others.sum()), 0.0)  # rounding may fall below 0


def exact_values(world, probabilities, tokens, *, gamma=1.0):
    """V before each token: the reward earned so far, and what the decisions to come will earn on average.

        V_t = γ^(T−1−t) · Σ_i w_i·( [right_i] where i < t, p_i where i >= t )

    Args: tokens: (N, T). gamma: discount in [0, 1]. Returns: (N, T), units of reward.
    """
    advantages = exact_advantages(world, probabilities, tokens)
    start = expected_score(world, probabilities)
    values = start + np.cumsum(advantages, 1) - advantages  # of the tokens before t
    return discounts(world, gamma) * values


def exact_advantages(world, probabilities, tokens, *, gamma=1.0):
    """Q − V of each token: A_t = γ^(T−1−t)·w·([right] − p) at a decision, 0 elsewhere

    Args, Returns: as exact_values.
    """
    world.check(probabilities)
    columns = list(world.positions)
    advantages = (world.right(tokens) - probabilities[columns, 0]) * world.weights
    return discounts(world, gamma) * _at(world, columns, advantages)


def discounts(world, gamma):
    """γ^(T−1−t): what a unit of the last reward is worth at each token, (T,)."""
    still_to_come = np.arange(world.length - 1, -1, -1.0)
    return fraction(gamma=gamma) ** still_to_come


def after(values):
    """V(s_{t+1}) of complete answers: the next column, and 0 after the last token."""
    return np.append(values[:, 1:], np.zeros_like(values[:, :1]), axis=1)


def answer_gae(rewards, values, *, lam, gamma=1.0):
    """GAE on complete answers: all end by themselves, at their last token.

    (N, T) each; see advantages.gae.
    """
    terminated = np.zeros(np.shape(rewards), bool)
    terminated[:, -1] = True
    never = np.zeros_like(terminated)
    return gae(rewards, values, after(values), terminated, never, gamma=gamma, lam=lam)


def fit_critic(world, tokens, rewards, *, ridge=1.0, positions=None):
    """Learn V by ridge regression of the return on which decisions were right or wrong so far, at all time steps.

        V_t = v₀ + Σ_{i<t} (a_i where right, b_i where wrong)

    The sums over the N·T rows have a closed form, since a feature that is 1 stays 1 to
    the end.

    Args:
        tokens, rewards: (N, T), Monte-Carlo episodes.
        ridge: > 0, on a and b, in time steps.
        positions: where to look. None: at the decisions, which a critic of text cannot
            know; range(T): everywhere.
    Returns:
        A function: tokens (N, T) → values (N, T), units of reward, undiscounted.
    """
    columns, scores = _look(world, tokens, rewards, ridge, positions)
    right = np.asarray(tokens)[:, columns] == 0
    features = np.concatenate([np.ones((len(right), 1)), right, ~right], axis=1)
    # the step after which a feature is known, and how many time steps know both of two
    since = np.concatenate([[-1], columns, columns])
    steps = world.length - 1 - np.maximum.outer(since, since)
    penalty = ridge * np.diag(since >= 0)
    squares = features.T @ features * steps
    products = features.T @ scores * np.diag(steps)
    weights = np.linalg.solve(squares + penalty, products)
    start, a, b = np.split(weights, [1, 1 + len(columns)])

    def critic(tokens):
        right = np.asarray(tokens)[:, columns] == 0
        gains = _at(world, columns, np.where(right, a, b))
        return start + np.cumsum(gains, 1) - gains
    return critic


def fit_redistribution(world, tokens, rewards, *, ridge=1.0, positions=None):
    """Learn to predict the reward of a whole answer, then reward each token with what it adds to the prediction.

        r_t = g(tokens to t) − g(tokens before t),   g(nothing) = 0

    g is a ridge regression on which words are right; words not sampled yet count as
    their mean. The first token gets the mean reward on top, so that an answer's rewards
    sum to its prediction.

    Args: tokens, rewards: (N, T). ridge: > 0, in episodes. positions: as fit_critic.
    Returns: A function: tokens (N, T) → rewards (N, T).
    Source: Arjona-Medina et al. 2019 (RUDDER), with a linear model in place of their LSTM.
    """
    columns, scores = _look(world, tokens, rewards, ridge, positions)
    right = np.asarray(tokens)[:, columns] == 0
    rates, mean = right.mean(0), scores.mean()
    centred = right - rates
    penalty = ridge * np.eye(len(columns))
    squares, products = centred.T @ centred, centred.T @ (scores - mean)
    gains = np.linalg.solve(squares + penalty, products)

    def token_rewards(tokens):
        right = np.asarray(tokens)[:, columns] == 0
        redistributed = _at(world, columns, (right - rates) * gains)
        redistributed[:, 0] += mean
        return redistributed
    return token_rewards


def redistribute(world, tokens, rewards, **options):
    """Rewards (N, T) that give each token of these answers its part; options and source: fit_redistribution."""
    return fit_redistribution(world, tokens, rewards, **options)(tokens)


def shape(rewards, potentials, next_potentials, *, gamma):
    """Reward progress: r'_t = r_t + γ·Φ(s_{t+1}) − Φ(s_t)

    The sum telescopes: every policy's return changes by −Φ(start). With Φ = V these are
    the TD errors.
    Args: (N, T) floats; next_potentials is 0 after the last token, see `after`.
    Raises:
        ValueError: it is not 0 there. The rest would be a reward and could change which
            policy is best.
    Source: Ng, Harada and Russell 1999.
    """
    if np.any(np.asarray(next_potentials)[..., -1] != 0):
        raise ValueError(
            "next_potentials must be 0 after the last token; pass after(potentials)")
    never = np.zeros(np.shape(rewards), bool)
    return td_errors(rewards, potentials, next_potentials, never, gamma=gamma)


def measure(advantages, exact, world):
    """Compare an estimate of credit with the truth, both (N, T).

    Returns: dict of floats. share: part of Σ|Â| that lies on the decisions. On the
        decisions: correlation of Â with A, 0 where Â does not vary; slope of Â on A,
        the part of the credit that arrives. noise: rms of Â − A over all tokens, in
        units of the rms of A on the decisions.
    """
    columns = list(world.positions)
    estimate, truth = advantages[:, columns], exact[:, columns]
    if not truth.any():
        raise ValueError(
            "exact must not be 0 on all decisions: "
            "a policy that never varies has no credit to give")
    covariance = np.mean(estimate * (truth - truth.mean()))
    deviations = estimate.std() * truth.std()
    sizes = np.abs(advantages)
    squared_error = np.mean((advantages - exact) ** 2)
    return {"share": float(sizes[:, columns].sum() / max(sizes.sum(), 1e-300)),
            "correlation": float(covariance / deviations) if deviations > 0 else 0.0,
            "slope": float(covariance / truth.var()),
            "noise": float(np.sqrt(squared_error / np.mean(truth**2)))}


def _at(world, columns, entries):
    """(N, T) zeros with these entries, (N, len(columns)), in these columns."""
    table = np.zeros((len(entries), world.length))
    table[:, columns] = entries
    return table


def _look(world, tokens, rewards, ridge, positions):
    """The columns to look at, and the score of each answer, (N,)."""
    world.right(tokens)  # checks the shape
    if np.shape(rewards) != np.shape(tokens):
        raise ValueError(
            f"rewards must have the shape of tokens, {np.shape(tokens)}, "
            f"got {np.shape(rewards)}; pass one entry for every token")
    positive(ridge=ridge)  # a decision in the last token has no data
    columns = world.positions if positions is None else positions
    return np.array(columns, int), finite("rewards", np.asarray(rewards), "episode").sum(1)
