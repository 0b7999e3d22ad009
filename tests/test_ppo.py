"""The clipped loss by hand, by finite differences, and under a mask."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from coursekit.ppo import clipped_policy_loss


def loss(ratio, advantage, clip=0.2):
    logprob = torch.tensor([ratio], dtype=torch.float64).log().requires_grad_()
    value = clipped_policy_loss(logprob, torch.zeros(1, dtype=torch.float64),
                                torch.tensor([advantage], dtype=torch.float64), clip=clip)
    value.backward()
    return value.item(), logprob.grad.item()


@pytest.mark.parametrize("ratio, advantage, expected", [
    (1.0, 2.0, (-2.0, -2.0)),   # inside: plain policy gradient
    (1.5, 2.0, (-2.4, 0.0)),    # good action far up: 1.2·2, no more pull
    (0.5, 2.0, (-1.0, -1.0)),   # good action gone rare: pulled back
    (1.5, -2.0, (3.0, 3.0)),    # bad action gone likely: pushed down
    (0.5, -2.0, (1.6, 0.0)),    # bad action far down: 0.8·2, no more push
])
def test_the_five_regimes_by_hand(ratio, advantage, expected):
    assert_allclose(loss(ratio, advantage), expected, atol=1e-12)


def random_batch(seed, shape=(3, 4)):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=rng, dtype=torch.float64) * s for s in (0.3, 0.3, 1.0)]


def test_the_gradient_agrees_with_finite_differences():
    for seed in range(10):
        logprobs, old, advantages = random_batch(seed)
        logprobs.requires_grad_()
        mask = torch.arange(12).reshape(3, 4) % 3 != 0
        assert torch.autograd.gradcheck(
            lambda x: clipped_policy_loss(x, old, advantages, clip=0.2, mask=mask), logprobs)  # noqa: B023


def test_it_equals_a_float64_numpy_reference():
    logprobs, old, advantages = random_batch(1)
    ratio = np.exp(logprobs.numpy() - old.numpy())
    expected = -np.minimum(ratio * advantages.numpy(), ratio.clip(0.8, 1.2) * advantages.numpy()).mean()
    assert_allclose(clipped_policy_loss(logprobs, old, advantages, clip=0.2), expected)


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e9])
def test_padding_is_inert(garbage):
    logprobs, old, advantages = random_batch(2)
    mask = torch.ones(3, 4, dtype=torch.bool)
    mask[:, 2:] = False
    clean = clipped_policy_loss(logprobs[:, :2], old[:, :2], advantages[:, :2], clip=0.2)
    for x in (logprobs, old, advantages):
        x[:, 2:] = garbage
    logprobs.requires_grad_()
    padded = clipped_policy_loss(logprobs, old, advantages, clip=0.2, mask=mask)
    padded.backward()
    assert_allclose(padded.item(), clean.item())
    assert (logprobs.grad[:, 2:] == 0).all() and torch.isfinite(logprobs.grad).all()


def test_clip_moves_the_gradient():
    assert loss(1.3, 1.0, clip=0.2)[1] != loss(1.3, 1.0, clip=0.5)[1]


def test_no_gradient_flows_into_advantages_or_old_logprobs():
    batch = [x.requires_grad_() for x in random_batch(3)]
    clipped_policy_loss(*batch, clip=0.2).backward()
    assert batch[0].grad is not None and batch[1].grad is None and batch[2].grad is None


def test_bad_input_is_refused_by_name():
    x = torch.zeros(3)
    with pytest.raises(ValueError, match="logprobs must be a torch tensor"):
        clipped_policy_loss(np.zeros(3), np.zeros(3), np.zeros(3), clip=0.2)
    with pytest.raises(ValueError, match="clip must be a positive number, got 0"):
        clipped_policy_loss(x, x, x, clip=0)
    with pytest.raises(ValueError, match="advantages must have the shape of logprobs"):
        clipped_policy_loss(x, x, torch.zeros(2), clip=0.2)
    with pytest.raises(ValueError, match="mask must be boolean"):
        clipped_policy_loss(x, x, x, clip=0.2, mask=torch.ones(3))
