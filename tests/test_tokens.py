"""Tokens as steps: the reward of each, by hand, exactly on five symbols, and with wild padding."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from coursekit.advantages import gae
from coursekit.lm import TinyLM, response_logprobs, sample, token_logprobs
from coursekit.tokens import (
    adapted_beta,
    kl_estimates,
    last_token,
    token_rewards,
    token_steps,
)

MASK = np.array([[True, True, False, False], [True, True, True, True], [True, False, False, False]])


def policies(seed=0, symbols=5):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(2, symbols, generator=rng, dtype=torch.float64)


def kl_exactly(theta, ref):
    p, q = theta.log_softmax(-1), ref.log_softmax(-1)
    return (p.exp() * (p - q)).sum()


def test_position_t_predicts_token_t_plus_1():
    logits = torch.log(torch.tensor([[[0.1, 0.9], [0.3, 0.7], [0.5, 0.5]]]))
    found = token_logprobs(logits, torch.tensor([[0, 1, 0]]))
    assert_allclose(found.exp(), [[0.9, 0.3]], rtol=1e-6)


def test_log_probabilities_at_sampling_equal_the_recomputed_ones():
    lm = TinyLM(30, seed=1)
    prompts = torch.tensor([[0, 0, 5, 6], [3, 4, 5, 6]])
    mask = torch.tensor([[False, False, True, True], [True] * 4])
    for temperature in (1.0, 0.7):
        tokens, real, logprobs = sample(lm, prompts, mask, max_tokens=12, end=1, temperature=temperature,
                                        generator=torch.Generator().manual_seed(0))
        again, _ = response_logprobs(lm, torch.cat([prompts, tokens], 1), torch.cat([mask, real], 1),
                                     tokens.shape[1], temperature)
        assert_allclose(again.detach()[real], logprobs[real], atol=1e-5)


@pytest.mark.parametrize("kind, unbiased", [("k1", True), ("k2", False), ("k3", True)])
def test_the_mean_of_each_estimator_exactly_on_five_symbols(kind, unbiased):
    theta, ref = policies()
    p, q = theta.log_softmax(-1), ref.log_softmax(-1)
    mean = (p.exp() * kl_estimates(p, q, kind=kind)).sum()
    truth = kl_exactly(theta, ref)
    assert truth > 0.1
    assert torch.isclose(mean, truth) == unbiased


def test_as_a_reward_only_k1_follows_the_gradient_of_the_kl():
    """∇E[c] with c taken as a constant: Σ p·c·∇log p."""
    cosines = {}
    for kind in ("k1", "k2", "k3"):
        theta, ref = policies(3)
        theta.requires_grad_()
        p = theta.log_softmax(-1)
        cost = kl_estimates(p.detach(), ref.log_softmax(-1), kind=kind)
        found, = torch.autograd.grad((p.exp().detach() * cost * p).sum(), theta)
        truth, = torch.autograd.grad(kl_exactly(theta, ref), theta)
        cosines[kind] = torch.cosine_similarity(found, truth, 0).item()
    assert cosines["k1"] > 1 - 1e-9
    assert cosines["k2"] < 0.99 and cosines["k3"] < 0.99


def test_as_a_loss_k1_has_no_gradient_and_k2_has_that_of_the_kl():
    """∇ of the estimate itself, samples held fixed: Σ p·∇c."""
    theta, ref = policies(4)
    theta.requires_grad_()
    p = theta.log_softmax(-1)
    truth, = torch.autograd.grad(kl_exactly(theta, ref), theta, retain_graph=True)
    found = {}
    for kind in ("k1", "k2", "k3"):
        estimate = kl_estimates(p, ref.log_softmax(-1), kind=kind)
        found[kind], = torch.autograd.grad((p.exp().detach() * estimate).sum(), theta, retain_graph=True)
    assert_allclose(found["k1"], 0, atol=1e-12)
    assert_allclose(found["k2"], truth, atol=1e-12)
    assert not np.allclose(found["k3"], truth, atol=1e-3)


def test_for_whole_replies_only_k1_as_a_reward_for_all_earlier_tokens_follows_the_kl():
    """The 27 replies of three words from three, as exact sums: what a token leads to is missing in k2 as a loss."""
    rng, words, length = torch.Generator().manual_seed(3), 3, 3
    theta, ref = torch.randn(2, words ** length, length, words, generator=rng, dtype=torch.float64)
    replies = torch.cartesian_prod(*[torch.arange(words)] * length)  # (27, 3)
    before = torch.stack([replies[:, :t] @ words ** torch.arange(t) for t in range(length)], 1)  # which context
    at = before, torch.arange(length), replies
    theta.requires_grad_()
    logprobs, ref_logprobs = (table.log_softmax(-1)[at] for table in (theta, ref))  # (27, 3)
    chance = logprobs.sum(1).exp()

    def gradient(total):
        return torch.autograd.grad(total, theta, retain_graph=True)[0]
    truth = gradient((chance * (logprobs - ref_logprobs).sum(1)).sum())
    k1, k2 = (kl_estimates(logprobs, ref_logprobs, kind=kind) for kind in ("k1", "k2"))
    to_come = k1.detach().flip(1).cumsum(1).flip(1)
    as_reward, own = ((chance.detach()[:, None] * logprobs * paid).sum() for paid in (to_come, k1.detach()))
    as_loss = gradient((chance.detach()[:, None] * k2).sum())
    assert_allclose(gradient(as_reward), truth, atol=1e-12)
    assert_allclose(as_loss, gradient(own), atol=1e-12)
    assert torch.cosine_similarity(as_loss.flatten(), truth.flatten(), 0) < 0.99


def test_the_score_is_paid_at_the_last_real_token_and_kl_at_every_token():
    kl = np.array([[1.0, 2.0, 9.0, 9.0], [1.0, -1.0, 0.0, 2.0], [3.0, 9.0, 9.0, 9.0]])
    found = token_rewards(np.array([10.0, 20.0, 30.0]), kl, MASK, beta=0.5)
    assert_allclose(found, [[-0.5, 9.0, 0, 0], [-0.5, 0.5, 0.0, 19.0], [28.5, 0, 0, 0]])


def test_the_last_token_is_where_the_mask_ends_on_either_side():
    assert last_token(MASK).argmax(-1).tolist() == [1, 3, 0]
    assert last_token(np.array([[False, True, True]])).tolist() == [[False, False, True]]


@pytest.mark.parametrize("garbage", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("lam", [0.0, 0.95, 1.0])
def test_padding_is_inert(garbage, lam):
    rng = np.random.default_rng(0)
    kl, values, scores = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.normal(size=3)
    results = []
    for fill in (0.0, garbage):
        wild_kl, wild_values = np.where(MASK, kl, fill), np.where(MASK, values, fill)
        rewards = token_rewards(scores, wild_kl, MASK, beta=0.1)
        results.append(gae(*token_steps(rewards, wild_values, MASK), gamma=1.0, lam=lam))
    assert_allclose(results[0], results[1])
    assert_allclose(results[1][~MASK], 0)


@given(st.integers(1, 12), st.integers(0, 8), st.floats(0, 1))
def test_a_padded_reply_has_the_advantages_of_the_reply_alone(length, pads, lam):
    rng = np.random.default_rng(length)
    kl, values = rng.normal(size=(2, 1, length))
    score = rng.normal(size=1)

    def advantages(extra):
        mask = np.arange(length + extra)[None] < length
        padded = [np.pad(x, ((0, 0), (0, extra)), constant_values=7.0) for x in (kl, values)]
        rewards = token_rewards(score, padded[0], mask, beta=0.1)
        return gae(*token_steps(rewards, padded[1], mask), gamma=1.0, lam=lam)

    assert_allclose(advantages(pads)[:, :length], advantages(0), atol=1e-12)


def test_with_lam_1_a_token_is_credited_with_what_is_still_to_be_paid():
    """γ = λ = 1: Â_t = score − β·Σ_{k≥t} kl_k − V_t."""
    kl, values = np.array([[0.2, 0.4, 0.6, 0.0]]), np.array([[1.0, 2.0, 3.0, 0.0]])
    mask = np.array([[True, True, True, False]])
    found = gae(*token_steps(token_rewards(np.array([5.0]), kl, mask, beta=0.5), values, mask), gamma=1.0, lam=1.0)
    assert_allclose(found, [[5 - 0.6 - 1, 5 - 0.5 - 2, 5 - 0.3 - 3, 0]])


def test_numpy_and_torch_agree():
    rng = np.random.default_rng(1)
    kl, values, scores = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.normal(size=3)
    for a, b in zip(token_steps(token_rewards(scores, kl, MASK, beta=0.1), values, MASK),
                    token_steps(token_rewards(*map(torch.tensor, (scores, kl, MASK)), beta=0.1),
                                torch.tensor(values), torch.tensor(MASK))):
        assert_allclose(a, b.numpy())


def test_beta_rises_above_the_target_and_falls_below_by_at_most_a_fifth():
    assert_allclose(adapted_beta(0.1, 6.6, target=6, horizon=1000, responses=500), 0.1 * (1 + 0.1 * 0.5))
    assert_allclose(adapted_beta(0.1, 600, target=6, horizon=1000, responses=1000), 0.12)
    assert_allclose(adapted_beta(0.1, -5, target=6, horizon=1000, responses=1000), 0.08)
    assert_allclose(adapted_beta(0.1, 0.5, target=0.5, horizon=0.5, responses=1), 0.1)  # on target: unchanged
    for target, horizon in ((0, 1), (1, 0), (-1, 1), (1, -1)):
        with pytest.raises(ValueError, match="(target|horizon) must be more than 0"):
            adapted_beta(0.1, 1.0, target=target, horizon=horizon, responses=1)


def test_a_response_alone_and_a_batch_of_batches_get_the_same_numbers():
    """Time is the last axis, whatever stands in front of it."""
    rng = np.random.default_rng(2)
    kl, values, scores = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.normal(size=3)

    def steps(scores, kl, values, mask):
        rewards = token_rewards(scores, kl, mask, beta=0.1)
        return np.stack([rewards, *token_steps(rewards, values, mask), last_token(mask)])

    batch = steps(scores, kl, values, MASK)
    for i in range(3):
        assert_allclose(steps(scores[i], kl[i], values[i], MASK[i]), batch[:, i])
    deep = [np.stack([x, x[::-1]]) for x in (scores, kl, values, MASK)]
    assert_allclose(steps(*deep), np.stack([batch, batch[:, ::-1]], axis=1))


@pytest.mark.parametrize("call, message", [
    (lambda: token_logprobs(torch.zeros(2, 3, 5), torch.zeros(2, 4, dtype=torch.long)), "logits must be"),
    (lambda: token_logprobs(torch.zeros(2, 1, 5), torch.zeros(2, 1, dtype=torch.long)), "T >= 2"),
    (lambda: kl_estimates(np.zeros(3), np.zeros(3), kind="k4"), 'kind must be "k1"'),
    (lambda: kl_estimates(np.zeros(3), np.zeros(4)), "ref_logprobs must have the shape"),
    (lambda: last_token(np.array([[True], [False]])), "at least one token in every row"),
    (lambda: last_token(np.array([[1, 0]])), "mask must be boolean"),
    (lambda: token_rewards(np.zeros(2), np.zeros((3, 4)), MASK, beta=0.1), "scores must hold one number"),
    (lambda: token_steps(np.zeros((3, 4)), np.zeros((3, 5)), MASK), "values must have the shape"),
    (lambda: kl_estimates(np.zeros(1, int), np.zeros(1)), "^logprobs must be floating"),
    (lambda: kl_estimates(np.zeros(1), np.zeros(1, int)), "ref_logprobs must be floating"),
    (lambda: token_rewards(np.zeros(3), np.zeros((3, 4), int), MASK, beta=0.1), "kl must be floating"),
    (lambda: token_rewards(np.zeros(3), np.zeros((3, 4)), MASK * 1, beta=0.1), "response_mask must be boolean"),
    (lambda: token_steps(np.zeros((3, 4), int), np.zeros((3, 4)), MASK), "rewards must be floating"),
    (lambda: token_steps(np.zeros((3, 4)), np.zeros((3, 4), int), MASK), "values must be floating"),
    (lambda: token_steps(np.zeros((3, 4)), np.zeros((3, 4)), MASK * 1), "response_mask must be boolean"),
    (lambda: token_rewards(np.zeros(3), np.zeros((3, 4)), MASK, beta=float("nan")), "beta must be a number"),
    (lambda: token_rewards(np.zeros(3), np.zeros((3, 4)), MASK, beta=-1), "beta must be at least 0 and finite"),
    (lambda: adapted_beta(-0.1, 1.0, target=6, horizon=10, responses=4), "beta must be at least 0 and finite"),
    (lambda: adapted_beta(0.1, 1.0, target=6, horizon=10, responses=-4), "responses must be more than 0"),
])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("kl, responses, horizon", [(0, 64, 10), (0, 10**6, 1), (-5, 512, 100)])
def test_an_adapted_coefficient_stays_positive(kl, responses, horizon):
    assert 0 < adapted_beta(0.1, kl, target=6, horizon=horizon, responses=responses) < 0.1


def test_a_kl_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="kl must be finite, got nan"):
        adapted_beta(0.1, float("nan"), target=6, horizon=100, responses=10)


def test_k3_of_half_precision_is_no_rounding_error():
    """The difference of two numbers of 0.01 in bfloat16 was 22 % off."""
    d = torch.tensor([0.01, 0.25], dtype=torch.bfloat16)
    found = kl_estimates(d, 0 * d, kind="k3")
    assert found.dtype == torch.bfloat16
    assert_allclose(found.double(), torch.expm1(-d.double()) + d.double(), rtol=1e-2)


def test_a_response_with_a_hole_is_refused():
    """Compressed to its two real tokens the first has advantage 0.5; through the hole it had 0.25."""
    mask = np.array([[True, False, True]])
    with pytest.raises(ValueError, match="response_mask must be True from .* with a hole"):
        token_steps(np.array([[0, 0, 1.0]]), np.zeros((1, 3)), mask)
    for whole in ([True, True, False], [False, True, True], [True, False, False]):
        token_steps(np.zeros((1, 3)), np.zeros((1, 3)), np.array([whole]))


def test_without_a_coefficient_an_infinite_kl_costs_nothing():
    rewards = token_rewards(np.array([2.0]), np.array([[np.inf, np.nan]]), np.array([[True, True]]), beta=0)
    assert rewards.tolist() == [[0, 2]]


def test_token_rewards_have_the_dtype_of_kl_and_name_a_bad_score():
    kl, mask = torch.zeros(2, 3, dtype=torch.bfloat16), torch.ones(2, 3, dtype=torch.bool)
    assert token_rewards(torch.ones(2), kl, mask, beta=0.1).dtype == torch.bfloat16
    with pytest.raises(ValueError, match="scores must be finite, got nan in response 1"):
        token_rewards(torch.tensor([0, torch.nan]), kl, mask, beta=0.1)
    with pytest.raises(ValueError, match="scores must hold one number for each response"):
        token_rewards([1.0, 2.0], kl, mask, beta=0.1)


def test_k1_is_the_estimate_unless_another_is_asked_for():
    assert kl_estimates(np.array([-1.0]), np.array([-3.0])).tolist() == [2.0]


def test_prompts_of_several_lengths_may_stand_before_the_responses():
    """Each row alone must be without a hole: two that begin late are two responses, not one with two parts."""
    mask = np.array([[False, True, True], [False, False, True]])
    steps = token_steps(np.ones((2, 3)), np.ones((2, 3)), mask)
    assert_allclose(steps.rewards, mask)
    assert_allclose(steps.terminated, [[False, False, True]] * 2)
