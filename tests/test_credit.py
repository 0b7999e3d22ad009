"""The credit world: closed forms against enumeration, regressions written out, and what learning makes of them."""

import subprocess
import sys
from itertools import islice, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from coursekit.arrays import whiten
from coursekit.credit import (
    World,
    after,
    answer_gae,
    discounts,
    draw_world,
    drift,
    exact_advantages,
    exact_values,
    expected_score,
    fit_critic,
    fit_redistribution,
    measure,
    play,
    redistribute,
    shape,
)
from coursekit.credit_learning import METHODS, learn, policy_gradient

TINY = World(4, (2, 0), (2.0, 0.5), words=3, noise=0.0)
EVERY = np.array(list(product(range(3), repeat=4)))  # all 81 answers of TINY
LONG = draw_world(500, seed=0)


def a_policy(world, seed):
    return np.random.default_rng(seed).dirichlet(np.ones(world.words), size=world.length)


def chances(policy, tokens):
    """Probability of each whole answer, (N,)."""
    return policy[np.arange(tokens.shape[1]), tokens].prod(1)


def score_of(tokens):
    """The reward of TINY's answers, written out."""
    return 2.0 * (tokens[:, 2] == 0) + 0.5 * (tokens[:, 0] == 0)


@settings(max_examples=40)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_values_and_advantages_equal_the_mean_over_all_answers(seed, gamma):
    """V before t averages the answers that share t tokens; Q those that share t + 1."""
    policy, answer = a_policy(TINY, seed), EVERY[seed % 81]
    values, advantages = (f(TINY, policy, answer[None], gamma=gamma)[0] for f in (exact_values, exact_advantages))
    for t in range(4):
        v, q = (np.average(score_of(EVERY[same]), weights=chances(policy, EVERY[same])) for same in
                ((EVERY[:, :k] == answer[:k]).all(1) for k in (t, t + 1)))
        assert_allclose(values[t], gamma ** (3 - t) * v, atol=1e-12)
        assert_allclose(advantages[t], gamma ** (3 - t) * (q - v), atol=1e-12)
    assert_allclose(expected_score(TINY, policy), chances(policy, EVERY) @ score_of(EVERY))


def test_played_answers_follow_the_policy_and_pay_once():
    policy, n = a_policy(LONG, 0), 4000
    tokens, rewards = play(LONG, policy, n, np.random.default_rng(0))
    scores = rewards.sum(1)
    assert not rewards[:, :-1].any() and tokens.shape == rewards.shape == (n, 500)
    assert abs(scores.mean() - expected_score(LONG, policy)) < 4 * scores.std() / n**0.5
    p = policy[list(LONG.positions), 0]
    variance = 1 + np.square(LONG.weights) @ (p * (1 - p))
    assert abs(scores.var() - variance) < 4 * np.square(scores - scores.mean()).std() / n**0.5
    counts = (tokens[:, :, None] == np.arange(4)).mean(0)
    z = (counts - policy) / np.sqrt(policy * (1 - policy) / n + 1 / n**2)
    assert np.abs(z).max() < 5 and abs((z**2).mean() - 1) < 0.15  # 2000 of them: 4 is reached now and then
    later = np.append(tokens[1:], tokens[:1], axis=0)  # unpaired answers and scores know nothing of each other
    assert abs(np.corrcoef(LONG.right(tokens) @ LONG.weights, scores)[0, 1]) > 0.5
    assert abs(np.corrcoef(LONG.right(later) @ LONG.weights, scores)[0, 1]) < 4 / n**0.5


@settings(max_examples=40)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_without_noise_the_surprise_of_one_step_is_the_exact_credit(seed, gamma):
    policy = a_policy(TINY, seed)
    tokens, rewards = play(TINY, policy, 5, np.random.default_rng(seed))
    values = exact_values(TINY, policy, tokens, gamma=gamma)
    exact = exact_advantages(TINY, policy, tokens, gamma=gamma)
    assert_allclose(answer_gae(rewards, values, lam=0.0, gamma=gamma), exact, atol=1e-12)


def test_with_noise_it_still_is_up_to_the_last_token():
    policy = a_policy(LONG, 1)
    tokens, rewards = play(LONG, policy, 50, np.random.default_rng(0))
    values, exact = exact_values(LONG, policy, tokens), exact_advantages(LONG, policy, tokens)
    one_step = answer_gae(rewards, values, lam=0.0)
    assert_allclose(one_step[:, :-1], exact[:, :-1], atol=1e-12)
    assert measure(one_step, exact, LONG)["correlation"] == pytest.approx(1.0)
    assert_allclose(answer_gae(rewards, values, lam=1.0), rewards.sum(1, keepdims=True) - values, atol=1e-10)


def test_without_a_critic_lambda_fades_the_credit_with_the_distance_to_the_end():
    """Â_t = λ^(T−1−t)·(R − c): of a decision 100 tokens before the end 0.6 % arrives at λ = .95."""
    _, rewards = play(LONG, LONG.uniform_policy(), 3, np.random.default_rng(0))
    estimate = answer_gae(rewards, np.full(rewards.shape, 1.5), lam=0.95)
    assert_allclose(estimate, discounts(LONG, 0.95) * (rewards.sum(1, keepdims=True) - 1.5))
    assert 0.005 < discounts(LONG, 0.95)[-101] < 0.007


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0.1, 10), st.booleans())
def test_the_critic_is_the_ridge_regression_over_all_time_steps(seed, ridge, everywhere):
    """The rows written out: one for every token of every answer, then one for each penalty."""
    world, rng = World(8, (5, 0, 7), (2.0, 1.0, 0.5)), np.random.default_rng(seed)
    tokens, rewards = play(world, a_policy(world, seed), 12, rng)
    columns = range(8) if everywhere else world.positions

    def row(answer, t):
        return [1, *(c < t and answer[c] == 0 for c in columns), *(c < t and answer[c] != 0 for c in columns)]
    rows = np.array([row(answer, t) for answer in tokens for t in range(8)], float)
    penalty = np.sqrt(ridge) * np.eye(rows.shape[1])[1:]
    target = np.append(np.repeat(rewards.sum(1), 8), np.zeros(len(penalty)))
    solution = np.linalg.lstsq(np.vstack([rows, penalty]), target)[0]
    critic = fit_critic(world, tokens, rewards, ridge=ridge, positions=range(8) if everywhere else None)
    assert_allclose(critic(tokens), (rows @ solution).reshape(12, 8), atol=1e-8)


def test_with_many_episodes_critic_and_redistribution_find_the_truth():
    world, rng = draw_world(50, seed=3), np.random.default_rng(0)
    policy = world.uniform_policy()
    training, (tokens, _) = play(world, policy, 40_000, rng), play(world, policy, 200, rng)
    assert_allclose(fit_critic(world, *training)(tokens), exact_values(world, policy, tokens), atol=0.15)
    paid = fit_redistribution(world, *training)(tokens)
    paid[:, 0] -= expected_score(world, policy)
    assert_allclose(paid, exact_advantages(world, policy, tokens), atol=0.06)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0.1, 10), st.booleans())
def test_redistribution_pays_the_differences_of_successive_predictions(seed, ridge, everywhere):
    world, rng = World(8, (5, 0, 7), (2.0, 1.0, 0.5)), np.random.default_rng(seed)
    tokens, rewards = play(world, a_policy(world, seed), 12, rng)
    columns = np.array(range(8) if everywhere else world.positions)
    right, scores = (tokens[:, columns] == 0).astype(float), rewards.sum(1)
    penalty = np.sqrt(ridge) * np.eye(len(columns))
    solution = np.linalg.lstsq(np.vstack([right - right.mean(0), penalty]),
                               np.append(scores - scores.mean(), np.zeros(len(columns))))[0]

    def predict(written):
        """Of answers of which so many tokens are written."""
        seen = np.where(columns < written, right, right.mean(0))
        return scores.mean() + (seen - right.mean(0)) @ solution
    paid = redistribute(world, tokens, rewards, ridge=ridge, positions=range(8) if everywhere else None)
    assert_allclose(paid.sum(1), predict(8), atol=1e-10)
    assert_allclose(np.cumsum(paid, 1), np.stack([predict(k + 1) for k in range(8)], 1), atol=1e-10)


@settings(max_examples=40)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_shaping_moves_the_return_of_every_policy_by_the_same_constant(seed, gamma):
    """Any potential of the prefix, all answers, exact: only −Φ(start) is left of it."""
    table, rewards = np.random.default_rng(seed), np.zeros((81, 4))
    rewards[:, -1] = score_of(EVERY)
    prefixes = {prefix: table.normal(0, 5) for k in range(4) for prefix in product(range(3), repeat=k)}
    potentials = np.array([[prefixes[tuple(answer[:t])] for t in range(4)] for answer in EVERY.tolist()])
    shaped = shape(rewards, potentials, after(potentials), gamma=gamma)
    now = gamma ** np.arange(4.0)
    for policy in (a_policy(TINY, seed), a_policy(TINY, seed + 1)):
        change = chances(policy, EVERY) @ ((shaped - rewards) @ now)
        assert_allclose(change, -prefixes[()], atol=1e-10)


@settings(max_examples=40)
@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0, 1))
def test_shaping_by_a_critic_is_gae_with_that_critic(seed, gamma, lam):
    rewards, critic = np.random.default_rng(seed).normal(size=(2, 3, 6))
    shaped = shape(rewards, critic, after(critic), gamma=gamma)
    assert_allclose(answer_gae(shaped, np.zeros_like(critic), lam=lam, gamma=gamma),
                    answer_gae(rewards, critic, lam=lam, gamma=gamma), atol=1e-10)


@settings(max_examples=40)
@given(st.integers(0, 1000))
def test_the_policy_gradient_is_the_slope_of_the_expected_score(seed):
    """All answers, weighted by their chance: no sampling. The exact credit gives the same slope as the return."""
    logits = np.random.default_rng(seed).normal(size=(4, 3))

    def policy(logits):
        return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    weights = 81 * chances(policy(logits), EVERY)[:, None]
    moves = 1e-6 * np.eye(12).reshape(12, 4, 3)
    slopes = [(expected_score(TINY, policy(logits + m)) - expected_score(TINY, policy(logits - m))) / 2e-6
              for m in moves]
    returns = np.repeat(score_of(EVERY)[:, None], 4, axis=1)
    for credit in (returns, exact_advantages(TINY, policy(logits), EVERY)):
        gradient = policy_gradient(policy(logits), EVERY, weights * credit)
        assert_allclose(gradient, np.reshape(slopes, (4, 3)), atol=1e-8)


def test_drift_counts_the_tokens_that_do_not_matter():
    start = LONG.uniform_policy()
    collapsed, good = np.tile(np.eye(4)[1], (500, 1)), start.copy()
    good[list(LONG.positions)] = np.eye(4)[0]
    assert drift(LONG, start, start) == drift(LONG, good, start) == 0
    assert_allclose(drift(LONG, collapsed, start), 495 * np.log(4))
    policy, other = a_policy(LONG, 0), a_policy(LONG, 1)
    by_hand = sum(policy[t, a] * np.log(policy[t, a] / other[t, a])
                  for t in range(500) if t not in LONG.positions for a in range(4))
    assert_allclose(drift(LONG, policy, other), by_hand)


def test_measures_by_hand():
    world, policy = draw_world(20, seed=0), draw_world(20).uniform_policy()
    tokens, _ = play(world, policy, 100, np.random.default_rng(0))
    exact = exact_advantages(world, policy, tokens)
    assert measure(exact, exact, world) == pytest.approx({"share": 1, "correlation": 1, "slope": 1, "noise": 0})
    half = measure(exact / 2, exact, world)  # 5 of 20 tokens are off, by half their size: .5·√(5/20)
    assert half == pytest.approx({"share": 1, "correlation": 1, "slope": 0.5, "noise": 0.25})
    flat = measure(np.ones_like(exact), exact, world)
    assert (flat["share"], flat["correlation"], flat["slope"]) == pytest.approx((5 / 20, 0, 0), abs=1e-12)


@pytest.mark.slow
def test_a_learned_critic_turns_the_order_of_lambda_round():
    """At 500 tokens: with no critic λ = 1 keeps the most credit, with a critic λ = 0 has the least noise."""
    policy, rng = LONG.uniform_policy(), np.random.default_rng(0)
    training, (tokens, rewards) = play(LONG, policy, 300, rng), play(LONG, policy, 300, rng)
    exact, none = exact_advantages(LONG, policy, tokens), np.full(rewards.shape, rewards.sum(1).mean())
    critic = fit_critic(LONG, *training)(tokens)
    with_none, with_critic = ([measure(answer_gae(rewards, values, lam=lam), exact, LONG) for lam in (0, 0.95, 1)]
                              for values in (none, critic))
    slopes, shares = [m["slope"] for m in with_none], [m["share"] for m in with_critic]
    assert slopes[0] == 0 and abs(slopes[1]) < 0.2 and slopes[2] > 0.75
    assert shares[0] > 0.6 and 0.02 < shares[1] < 0.1 and shares[2] < 0.02


def test_the_better_the_credit_the_sooner_and_the_cleaner_the_learning():
    world, cost, drifts = draw_world(100, seed=0), [], []
    for method in ("redistribution", "GAE 0", "GAE 0.95", "GAE 1"):
        run = learn(world, method, lr=0.1, batch=20, updates=400, rng=np.random.default_rng(0))
        state = next(s for s in run if s["score"] >= 0.9 * world.best_score)
        cost.append(state["episodes"]), drifts.append(state["drift"])
    assert cost == sorted(set(cost)) and drifts == sorted(set(drifts))
    assert cost[-1] > 3 * cost[0] and drifts[0] < 1e-3 < drifts[-1]


def test_every_method_does_what_its_name_says():
    world, rng = draw_world(20), np.random.default_rng(0)
    recent, (tokens, rewards) = (play(world, world.uniform_policy(), n, rng) for n in (50, 10))
    scores, critic = rewards.sum(1, keepdims=True), fit_critic(world, *recent)(tokens)
    paid, fading = redistribute(world, *recent), discounts(world, 0.95)
    expected = {"return": scores + 0 * rewards, "mean baseline": scores - scores.mean() + 0 * rewards,
                "GAE 0.95, no critic": fading * (scores - scores.mean()), "GAE 1": scores - critic,
                "GAE 0.95": answer_gae(rewards, critic, lam=0.95), "GAE 0": answer_gae(rewards, critic, lam=0.0)}
    for name, credit in expected.items():
        assert_allclose(METHODS[name](world, tokens, rewards, recent), credit, atol=1e-12)
    credit = METHODS["redistribution"](world, *recent, recent)
    assert_allclose(credit, paid - paid.mean(0))
    assert_allclose(credit.mean(0), 0.0, atol=1e-12)


def test_whitening_is_a_baseline():
    runs = [learn(draw_world(20), method, lr=0.3, batch=20, updates=20, rng=np.random.default_rng(0))
            for method in ("return", "mean baseline")]
    for a, b in zip(*runs):
        assert_allclose(a["probabilities"], b["probabilities"])


def test_learning_starts_uniform_and_follows_the_step_it_is_given():
    world, seen = draw_world(20), []

    def spy(world, tokens, rewards, recent):
        seen.append([*map(len, recent), (recent[0][-3:] == tokens).all()])
        return rewards
    first, second = islice(learn(world, spy, lr=1.0, batch=3, updates=9, rng=np.random.default_rng(0),
                                 step=lambda g: np.eye(4)[0] * np.log(3)), 2)
    assert first["score"] == world.best_score / 4 and first["drift"] == first["episodes"] == 0
    assert_allclose(second["probabilities"], np.tile([1 / 2, 1 / 6, 1 / 6, 1 / 6], (20, 1)))
    assert second["episodes"] == 3
    *_, last = learn(world, spy, lr=0.0, batch=3, updates=9, rng=np.random.default_rng(0), memory=4)
    assert last["episodes"] == 27 and seen[-1] == [12, 12, True]


def test_one_update_is_the_rate_times_the_whitened_gradient():
    world = draw_world(20)
    tokens, rewards = play(world, world.uniform_policy(), 10, np.random.default_rng(5))
    for name, method in METHODS.items():
        credit = method(world, tokens, rewards, (tokens, rewards))
        move = 0.7 * policy_gradient(world.uniform_policy(), tokens, whiten(credit))
        _, after_one = islice(learn(world, name, lr=0.7, batch=10, updates=1, rng=np.random.default_rng(5)), 2)
        assert_allclose(np.log(after_one["probabilities"]), move - np.log(np.exp(move).sum(-1, keepdims=True)))


def test_positions_are_drawn_once_from_the_seed():
    assert draw_world(500, seed=7) == draw_world(500, seed=7) != draw_world(500, seed=8)
    assert sorted(draw_world(5).positions) == [0, 1, 2, 3, 4]
    assert draw_world(9, weights=(1.0,), noise=0.0).best_score == 1.0


def test_a_regression_has_a_ridge_of_1_and_may_look_nowhere():
    tokens, rewards = play(LONG, LONG.uniform_policy(), 20, np.random.default_rng(0))
    for fit in (fit_critic, fit_redistribution):
        explicit, default = fit(LONG, tokens, rewards, ridge=1.0)(tokens), fit(LONG, tokens, rewards)(tokens)
        assert_allclose(default, explicit)
    mean = rewards.sum(1).mean()
    assert_allclose(fit_critic(LONG, tokens, rewards, positions=[])(tokens), np.full(tokens.shape, mean))
    first = np.tile(mean * (np.arange(500) == 0), (20, 1))
    assert_allclose(redistribute(LONG, tokens, rewards, positions=[]), first)


def test_the_noise_is_in_units_of_reward():
    rewards = [play(World(5, (1,), (1.0,), noise=noise), np.full((5, 4), 0.25), 500, np.random.default_rng(0))[1]
               for noise in (0.0, 0.5, 2.0)]
    assert_allclose((rewards[2] - rewards[0]), 4 * (rewards[1] - rewards[0]), atol=1e-12)
    assert abs((rewards[2] - rewards[0])[:, -1].std() - 2) < 4 * 2 / 1000**0.5


def test_two_words_are_a_choice_and_the_seed_is_0():
    assert World(2, (0,), (1.0,), words=2).uniform_policy().tolist() == [[0.5, 0.5]] * 2
    assert draw_world(500) == draw_world(500, seed=0)


def test_no_credit_and_little_credit_are_measured():
    world = draw_world(20)
    exact = exact_advantages(world, world.uniform_policy(), np.zeros((2, 20), int))
    exact[1] *= -1
    none = measure(np.zeros_like(exact), exact, world)
    assert none == pytest.approx({"share": 0, "correlation": 0, "slope": 0, "noise": 0.5})  # √(5/20)
    assert measure(1e-6 * exact, exact, world)["share"] == pytest.approx(1)


@pytest.mark.parametrize("call, words", [
    (lambda: World(2.5, (0,), (1.0,)), "length must be an integer"),
    (lambda: World(5, (0,), (1.0,), noise=float("nan")), "noise must be a number, got nan"),
    (lambda: TINY.check(np.tile([-0.5, 1.0, 0.5], (4, 1))), "probabilities must be at least 0"),
    (lambda: drift(TINY, TINY.uniform_policy(), np.ones((4, 3))), "sum to 1"),
    (lambda: exact_values(TINY, TINY.uniform_policy(), EVERY[:, :3]), r"tokens must be \(episodes, 4\)"),
    (lambda: exact_advantages(TINY, np.ones((4, 3)), EVERY), "sum to 1"),
    (lambda: expected_score(TINY, np.ones((4, 3))), "sum to 1"),
    (lambda: World(5, (0, 0), (1.0, 1.0)), "positions must be different"),
    (lambda: World(5, (0, 5), (1.0, 1.0)), "positions must be different and lie in 0 … 4"),
    (lambda: World(5, (0,)), "positions must have one entry for each of the 5 weights"),
    (lambda: World(5, (0,), (1.0,), words=1), "words must be an integer of at least 2"),
    (lambda: World(5, (0,), (1.0,), noise=-1.0), "noise must be at least 0"),
    (lambda: draw_world(4), "length must be an integer of at least 5"),
    (lambda: play(TINY, np.ones((4, 3)), 2, np.random.default_rng(0)), "sum to 1"),
    (lambda: play(TINY, np.ones((3, 4)) / 4, 2, np.random.default_rng(0)), r"uniform_policy\(\) is one"),
    (lambda: play(TINY, TINY.uniform_policy(), 0, np.random.default_rng(0)), "episodes must be an integer"),
    (lambda: exact_values(TINY, TINY.uniform_policy(), EVERY[0]), "tokens must be"),
    (lambda: exact_values(TINY, TINY.uniform_policy(), EVERY, gamma=2), "gamma must be at least 0 and at most 1"),
    (lambda: fit_critic(TINY, EVERY, np.zeros((81, 1))), "rewards must have the shape of tokens"),
    (lambda: fit_critic(TINY, EVERY, np.zeros((81, 4)), ridge=0), "ridge must be more than 0"),
    (lambda: fit_redistribution(TINY, EVERY[:, :3], np.zeros((81, 3))), "tokens must be"),
    (lambda: shape(np.zeros((1, 2)), np.ones((1, 2)), np.ones((1, 2)), gamma=1.0), "pass after"),
    (lambda: measure(np.ones((1, 4)), np.zeros((1, 4)), TINY), "exact must not be 0"),
    (lambda: policy_gradient(TINY.uniform_policy(), EVERY[:, :3], np.zeros((81, 3))), "one row for each of the 3"),
    (lambda: policy_gradient(TINY.uniform_policy(), EVERY, np.zeros((80, 4))), "advantages must have the shape"),
    (lambda: next(learn(TINY, "PPO", lr=1, batch=2, updates=1, rng=None)), "method must be a function or one of"),
    (lambda: next(learn(TINY, "return", lr=1, batch=1, updates=1, rng=None)), "batch must be an integer of"),
])
def test_mistakes_are_named_with_the_way_out(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_no_torch_is_needed():
    code = "import sys, coursekit.credit, coursekit.credit_learning; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
