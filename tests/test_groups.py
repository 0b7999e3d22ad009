"""Advantages without a critic: against brute force, against sampling, and in numpy and torch alike."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from coursekit import groups
from coursekit.credit import draw_world, play
from coursekit.credit_learning import policy_gradient
from coursekit.tokens import kl_estimates

MASK = np.arange(5) < np.array([2, 5, 1, 3])[:, None]
tables = st.tuples(st.integers(1, 4), st.integers(2, 6)).flatmap(
    lambda shape: arrays(float, shape, elements=st.floats(-1000, 1000).map(lambda x: round(x, 2))))


@given(tables)
def test_leave_one_out_is_the_reward_minus_the_mean_of_the_others(rewards):
    others = [[np.delete(row, i).mean() for i in range(len(row))] for row in rewards]
    assert_allclose(groups.leave_one_out(rewards), rewards - others, atol=1e-9)


@given(tables)
def test_the_group_mean_is_smaller_by_one_part_in_the_group(rewards):
    replies = rewards.shape[1]
    assert_allclose(groups.group_mean(rewards), (replies - 1) / replies * groups.leave_one_out(rewards), atol=1e-9)


@given(tables)
def test_the_batch_mean_leaves_one_out_of_the_whole_batch(rewards):
    whole = groups.leave_one_out(rewards.reshape(1, -1))
    assert_allclose(groups.batch_mean(rewards).ravel(), whole[0])


def test_rloo_is_the_sample_covariance_of_reward_and_score():
    world = draw_world(20)
    policy = world.uniform_policy()
    tokens, rewards = play(world, policy, 8, np.random.default_rng(0))
    totals = rewards.sum(1)
    scores = ((tokens[:, :, None] == np.arange(4)) - policy).reshape(8, -1)
    covariance = (totals - totals.mean()) @ (scores - scores.mean(0)) / 7
    advantages = np.repeat(groups.leave_one_out(totals[None]).T, 20, axis=1)
    assert_allclose(policy_gradient(policy, tokens, advantages).ravel(), covariance, atol=1e-12)


@given(tables)
def test_standardised_groups_have_mean_0_and_sd_1_or_are_0(rewards):
    advantages = groups.group_standardised(rewards)
    assert_allclose(advantages.mean(1), 0, atol=1e-6)
    assert_allclose(advantages.std(1), groups.mixed(rewards), atol=1e-6)


def test_standardised_groups_equal_what_the_libraries_compute():
    rewards = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    centred = rewards - rewards.mean(1, keepdim=True)
    for eps in (1e-4, 1e-6):
        theirs = centred / (rewards.std(1, keepdim=True) + eps)
        assert_allclose(groups.group_standardised(rewards, ddof=1, eps=eps), theirs, atol=2e-6)


@pytest.mark.parametrize("value", [0.1, 0.7, 1.1, -1000.3])
@pytest.mark.parametrize("size", [3, 7, 8, 12])
def test_rounding_is_no_difference(value, size):
    """In float32 the mean of eight rewards of 0.1 is not 0.1: divided by a tiny sd the rest would be large."""
    equal = torch.full((1, size), value)
    nearly = equal.double().numpy() * (1 + 1e-8 * np.arange(size))  # as after sums in another order
    for rewards in (equal, nearly):
        assert not groups.group_standardised(rewards).any() and not groups.mixed(rewards).any()


def test_a_small_difference_is_a_difference():
    rewards = np.array([[0.0, 0.001], [0.0, 0.0], [-1000.0, -999.9]])
    assert_allclose(groups.group_standardised(rewards), [[-1, 1], [0, 0], [-1, 1]])
    assert groups.mixed(rewards).tolist() == [True, False, True]


def test_with_two_replies_only_the_sign_is_left():
    rewards = np.random.default_rng(0).normal(size=(50, 2))
    assert_allclose(groups.group_standardised(rewards), np.sign(groups.leave_one_out(rewards)))


def test_token_weights_by_hand():
    """Replies of 2 and 5 tokens to one prompt, of 1 and 3 to the next: 7 and 4 tokens, 11 in all."""
    first = {"sequence": [1 / 8, 1 / 20, 1 / 4, 1 / 12], "group": [1 / 14, 1 / 14, 1 / 8, 1 / 8],
             "batch": [1 / 11] * 4, "constant": [1 / 40] * 4}
    for how, expected in first.items():
        weights = groups.token_weights(MASK, how, group=2, limit=10)
        assert_allclose(weights, MASK * np.reshape(expected, (4, 1)))
        assert_allclose(weights.sum(), 11 / 40 if how == "constant" else 1)
    assert_allclose(groups.token_weights(MASK, "group", group=4), groups.token_weights(MASK, "batch"))
    assert_allclose(groups.token_weights(MASK, "group", group=1), groups.token_weights(MASK, "sequence"))


@pytest.mark.parametrize("kind", ["k1", "k2", "k3"])
def test_kl_coefficients_are_the_derivatives_of_the_estimates(kind):
    logprobs = torch.tensor([-1.0, -9.0, -0.1, -2.0], dtype=torch.float64, requires_grad=True)
    ref = torch.tensor([-1.0, -0.5, -7.0, -2.5], dtype=torch.float64)
    kl_estimates(logprobs, ref, kind=kind).sum().backward()
    assert_allclose(groups.kl_coefficients(logprobs.detach(), ref, kind=kind), logprobs.grad)


def test_effective_samples_by_hand():
    old = np.zeros((3, 2))
    new = np.log([[2.0, 1.0], [1.0, 9.0], [0.5, 2.0]])
    mask = np.array([[True, True], [True, False], [True, True]])  # weights 2, 1, 1
    assert math.isclose(groups.effective_samples(old, new, mask), 16 / 6)
    assert math.isclose(groups.effective_samples(old, old, mask), 3)
    assert math.isclose(groups.effective_samples(old - 1.5, new - 1.5, mask), 16 / 6)  # ratios alone count
    assert math.isclose(groups.effective_samples(new, old, mask), 25 / 9)  # ½, 1, 1


def test_effective_samples_survive_what_a_ratio_does_not():
    old, mask = np.zeros((2, 400)), np.ones((2, 400), bool)
    assert math.isclose(groups.effective_samples(old, old + 3.0, mask), 2)  # each ratio is e^1200


@pytest.mark.parametrize("p, group", [(0.05, 8), (0.5, 4), (0.95, 64)])
def test_the_weight_of_a_prompt_agrees_with_sampling(p, group):
    """E[Â·∂ log P/∂p] is c(p, G)·∂p/∂p, within 4 standard errors."""
    rewards = (np.random.default_rng(0).random((100_000, group)) < p) * 1.0
    scores = np.where(rewards == 1, 1 / p, -1 / (1 - p))
    each = (groups.group_standardised(rewards) * scores).mean(1)
    error = each.std() / np.sqrt(len(each))
    assert abs(each.mean() - groups.prompt_weight(p, group)) < 4 * error
    unbiased = (groups.leave_one_out(rewards) * scores).mean(1)
    assert abs(unbiased.mean() - 1) < 4 * unbiased.std() / np.sqrt(len(each))


def test_the_weight_of_a_prompt_at_its_limits():
    p = np.array([0.01, 0.3, 0.8])
    assert_allclose(groups.prompt_weight(p, 2), 1)
    assert_allclose(groups.prompt_weight(p, 100_000), 1 / np.sqrt(p * (1 - p)), rtol=1e-3)


def test_the_chance_of_a_mixed_group_agrees_with_counting():
    rewards = (np.random.default_rng(1).random((100_000, 8)) < 0.1) * 1.0
    chance = groups.mixed_chance(0.1, 8)
    assert abs(groups.mixed(rewards).mean() - chance) < 4 * np.sqrt(chance * (1 - chance) / 100_000)
    assert math.isclose(groups.mixed_chance(0.5, 2), 0.5)


def test_the_error_of_a_group_gradient_agrees_with_sampling():
    """Prompts differ in their gradient; within a prompt the reward is noise, and the score of a reply is ±1."""
    rng, replies, between, within, draws = np.random.default_rng(2), 32, 0.5, 4.0, 20_000
    for group in (2, 8, 32):
        prompts = np.sqrt(between) * rng.normal(size=(draws, replies // group))
        rewards = np.sqrt(within) * rng.normal(size=(draws, replies))
        scores = rng.choice([-1.0, 1.0], rewards.shape)
        advantages = groups.leave_one_out(rewards.reshape(-1, group)).reshape(rewards.shape)
        square = (prompts.mean(1) + (advantages * scores).mean(1)) ** 2
        expected = groups.gradient_error(group, within=within, between=between, replies=replies)
        assert abs(square.mean() - expected) < 4 * square.std() / np.sqrt(draws)


def test_the_best_group_has_the_least_error():
    sizes = np.arange(2, 200)
    for within, between in ((38.0, 1.7), (200.0, 1.0), (9.0, 4.0)):
        errors = groups.gradient_error(sizes, within=within, between=between, replies=64)
        assert abs(sizes[errors.argmin()] - groups.best_group(within, between)) <= 1


@pytest.mark.parametrize("reward", [0.1, 0.3, 1.0])
def test_the_optima_under_both_kls_have_no_gradient_left(reward):
    ref = torch.tensor([0.001, *[0.999 / 19] * 19], dtype=torch.float64)
    rewards = torch.zeros(20, dtype=torch.float64)
    rewards[0] = reward
    for optimum, kl in ((groups.reverse_kl_optimum, lambda p: (p * (p / ref).log()).sum()),
                        (groups.forward_kl_optimum, lambda p: (ref * (ref / p).log()).sum())):
        policy = optimum(ref.numpy(), rewards.numpy(), 0.1)
        assert_allclose(policy.sum(), 1)
        logits = torch.tensor(policy).log().requires_grad_()
        p = logits.softmax(-1)
        ((p * rewards).sum() - 0.1 * kl(p)).backward()
        assert_allclose(logits.grad, 0, atol=1e-9)


def test_the_optimum_under_a_reverse_kl_survives_rewards_that_overflow():
    assert_allclose(groups.reverse_kl_optimum(np.array([0.2, 0.8]), [1000.0, 0.0], 0.1), [1, 0])
    assert_allclose(groups.reverse_kl_optimum(np.array([0.2, 0.8]), [-1000.0, 0.0], 0.1), [0, 1])


def test_a_reply_of_one_token_may_be_the_longest():
    assert_allclose(groups.token_weights(MASK, "constant", limit=1), MASK / 4)


def test_numpy_and_torch_agree_and_keep_the_dtype():
    rewards = np.random.default_rng(3).normal(size=(3, 4)).astype(np.float32)
    for function in (groups.leave_one_out, groups.group_mean, groups.group_standardised, groups.batch_mean):
        found = function(torch.tensor(rewards))
        assert found.dtype == torch.float32 and function(rewards).dtype == np.float32
        assert_allclose(found, function(rewards), atol=1e-6)
    for how in ("sequence", "group", "batch", "constant"):
        assert_allclose(groups.token_weights(torch.tensor(MASK), how, group=2, limit=7),
                        groups.token_weights(MASK, how, group=2, limit=7), rtol=1e-6)
    new, mask = torch.tensor(rewards), torch.ones(3, 4, dtype=torch.bool)
    assert math.isclose(groups.effective_samples(0 * new, new, mask),
                        groups.effective_samples(0 * rewards, rewards, mask.numpy()), rel_tol=1e-5)


@pytest.mark.parametrize("function, scale", [
    (groups.leave_one_out, 4 / 3), (groups.group_mean, 1), (groups.batch_mean, 4 / 3),
    (lambda rewards: groups.group_standardised(rewards), 1 / 0.4330127)])
@pytest.mark.parametrize("odd, others, dtype", [(1.0078125, 1, torch.bfloat16), (3e4, 2e4, torch.float16)])
def test_half_precision_keeps_the_baseline(function, scale, odd, others, dtype):
    """In bfloat16 the mean of 1, 1, 1 and 1.0078 is 1, and in float16 the sum of these four is infinite."""
    found = function(torch.tensor([[others, others, others, odd]], dtype=dtype))
    unit = 1 if scale > 2 else odd - others
    assert found.dtype == dtype
    assert_allclose(found.float(), torch.tensor([[-0.25, -0.25, -0.25, 0.75]]) * scale * unit, rtol=1e-2)


@pytest.mark.parametrize("call, message", [
    (lambda: groups.leave_one_out(np.ones(4)), "rewards must be .prompts, replies."),
    (lambda: groups.group_mean(np.ones((4, 1))), "at least 2 replies"),
    (lambda: groups.group_standardised(np.ones((2, 2)), ddof=2), "ddof must be 0"),
    (lambda: groups.token_weights(MASK, "mean"), "how must be"),
    (lambda: groups.token_weights(MASK, "group", group=3), "group must divide the 4 rows"),
    (lambda: groups.token_weights(MASK, "group"), "group must divide the 4 rows"),
    (lambda: groups.token_weights(MASK, "constant"), "limit must be one number"),
    (lambda: groups.token_weights(np.zeros((2, 3), bool), "batch"), "a token in every row"),
    (lambda: groups.kl_coefficients(np.ones(2), np.ones(2), kind="k4"), 'kind must be "k1"'),
    (lambda: groups.mixed_chance(0.5, 1), "group must be an integer of at least 2, got 1"),
    (lambda: groups.prompt_weight(0.0, 8), "p must lie between 0 and 1"),
    (lambda: groups.prompt_weight(1.0, 8), "p must lie between 0 and 1"),
    (lambda: groups.token_weights(MASK, "constant", limit=0), "limit must be more than 0"),
    (lambda: groups.token_weights(MASK[0], "batch"), "response_mask must be .B, R."),
    (lambda: groups.token_weights(MASK * 1, "batch"), "response_mask must be boolean"),
    (lambda: groups.leave_one_out(np.ones((2, 2), int)), "^rewards must be floating"),
    (lambda: groups.batch_mean(np.ones((2, 2), int)), "^rewards must be floating"),
    (lambda: groups.kl_coefficients(np.ones(2, int), np.ones(2), kind="k1"), "^logprobs must be floating"),
    (lambda: groups.kl_coefficients(np.ones(2), np.ones(2, int), kind="k1"), "^ref_logprobs must be floating"),
    (lambda: groups.effective_samples(MASK * 1, MASK * 1.0, MASK), "^old_logprobs must be floating"),
    (lambda: groups.effective_samples(MASK * 1.0, MASK * 1, MASK), "^logprobs must be floating"),
    (lambda: groups.effective_samples(MASK * 1.0, MASK * 1.0, MASK * 1), "response_mask must be boolean"),
    (lambda: groups.mixed_chance(1.5, 8), r"p must lie in \[0, 1\], got 1.5"),
    (lambda: groups.token_weights(MASK, "constant", limit=float("inf")), "limit must be more than 0 and finite"),
    (lambda: groups.group_standardised(np.ones((2, 2)), eps=float("nan")), "eps must be a number, got nan"),
    (lambda: groups.reverse_kl_optimum([0.5, 0.5], [0, 1], 0), "beta must be more than 0 and finite, got 0"),
    (lambda: groups.forward_kl_optimum([0.5, 0.5], [0, 1], -1), "beta must be more than 0 and finite, got -1"),
    (lambda: groups.leave_one_out(np.array([[0, 1], [1, np.nan]])), "rewards must be finite, got nan in prompt 1"),
])
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
