"""The clipped loss by hand, by finite differences, and under a mask."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from coursekit.ppo import (
    clipped_policy_loss,
    clipped_step,
    clipped_value_loss,
    entropy,
    explained_variance,
    ratio_diagnostics,
)


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


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), float("-inf"), 1e9])
@pytest.mark.parametrize("where", [(0,), (1,), (2,), (0, 1, 2)], ids=["logprobs", "old", "advantages", "all"])
def test_padding_is_inert(garbage, where):
    """Each argument alone, too: of garbage in all three the gradient happens to stay finite by itself."""
    logprobs, old, advantages = random_batch(2)
    mask = torch.ones(3, 4, dtype=torch.bool)
    mask[:, 2:] = False
    clean = clipped_policy_loss(logprobs[:, :2], old[:, :2], advantages[:, :2], clip=0.2)
    for i in where:
        (logprobs, old, advantages)[i][:, 2:] = garbage
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
    with pytest.raises(ValueError, match="clip must be more than 0 and finite, got 0"):
        clipped_policy_loss(x, x, x, clip=0)
    with pytest.raises(ValueError, match="advantages must have the shape of logprobs"):
        clipped_policy_loss(x, x, torch.zeros(2), clip=0.2)
    with pytest.raises(ValueError, match="mask must be boolean"):
        clipped_policy_loss(x, x, x, clip=0.2, mask=torch.ones(3))
    integers = torch.zeros(3, dtype=torch.long)
    for function, names in ((clipped_policy_loss, ["logprobs", "old_logprobs", "advantages"]),
                            (clipped_value_loss, ["values", "old_values", "returns"]),
                            (ratio_diagnostics, ["logprobs", "old_logprobs"])):
        for name in names:
            with pytest.raises(ValueError, match=f"^{name} must be floating"):
                function(**dict.fromkeys(names, x) | {name: integers}, clip=0.2)
    with pytest.raises(ValueError, match="^values must be a torch tensor"):
        explained_variance(np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match="mask must have the shape of values"):
        explained_variance(x, x, mask=torch.ones(2, dtype=torch.bool))


@pytest.mark.parametrize("value, expected", [
    (1.0, (0.5 * 9, 3.0)),                  # unmoved: ½(1 + 2)², pulled down
    (0.9, (0.5 * 2.9**2, 2.9)),             # within 0.2: plain squared error
    (0.0, (0.5 * (0.8 + 2) ** 2, 0.0)),     # beyond: counted as if it stood at 0.8, no more pull
    (2.0, (0.5 * 16, 4.0)),                 # moved the wrong way: the larger error, full pull
])
def test_the_value_loss_below_the_old_value(value, expected):
    values = torch.tensor([value], dtype=torch.float64, requires_grad=True)
    old, returns = torch.tensor([1.0], dtype=torch.float64), torch.tensor([-2.0], dtype=torch.float64)
    found = clipped_value_loss(values, old, returns, clip=0.2)
    found.backward()
    assert_allclose((found.item(), values.grad.item()), expected, atol=1e-12)


@pytest.mark.parametrize("value, expected", [
    (1.0, (0.5 * 9, -3.0)),                 # unmoved: ½(1 − 4)², pulled up
    (1.1, (0.5 * 2.9**2, -2.9)),            # within 0.2: plain squared error
    (2.0, (0.5 * (1.2 - 4) ** 2, 0.0)),     # beyond: counted as if it stood at 1.2, no more pull
    (0.0, (0.5 * 16, -4.0)),                # moved the wrong way: the larger error, full pull
])
def test_the_value_loss_by_hand(value, expected):
    values = torch.tensor([value], dtype=torch.float64, requires_grad=True)
    old, returns = torch.tensor([1.0], dtype=torch.float64), torch.tensor([4.0], dtype=torch.float64)
    found = clipped_value_loss(values, old, returns, clip=0.2)
    found.backward()
    assert_allclose((found.item(), values.grad.item()), expected, atol=1e-12)


def test_the_value_loss_agrees_with_finite_differences_and_needs_no_padding():
    values, old, returns = random_batch(3)
    mask = torch.arange(12).reshape(3, 4) % 3 != 0
    returns[~mask] = float("nan")
    values.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: clipped_value_loss(x, old, returns, clip=0.2, mask=mask), values)


@pytest.mark.parametrize("value", [0.0, 1.1, 2.0])  # full error, within the clip, beyond it
def test_no_gradient_flows_into_returns_or_old_values(value):
    values, old, returns = (torch.tensor([x], dtype=torch.float64, requires_grad=True) for x in (value, 1.0, 4.0))
    clipped_value_loss(values, old, returns, clip=0.2).backward()
    assert values.grad is not None and old.grad is None and returns.grad is None


def test_without_a_clip_it_is_half_the_squared_error():
    values, old, returns = random_batch(4)
    assert_allclose(clipped_value_loss(values, old, returns, clip=None), ((values - returns) ** 2).mean() / 2)


def test_parts_with_a_common_count_add_up_to_the_loss_of_the_whole():
    """As on several ranks with uneven token counts: local means would weigh the ranks, not the tokens, equally."""
    logprobs, old, advantages = random_batch(5)
    mask = torch.arange(4) < torch.tensor([[1], [4], [2]])
    whole = clipped_policy_loss(logprobs, old, advantages, clip=0.2, mask=mask)
    parts = [clipped_policy_loss(logprobs[i], old[i], advantages[i], clip=0.2, mask=mask[i], count=mask.sum())
             for i in range(3)]
    local = [clipped_policy_loss(logprobs[i], old[i], advantages[i], clip=0.2, mask=mask[i]) for i in range(3)]
    assert_allclose(sum(parts), whole)
    assert abs(sum(local) / 3 - whole) > 1e-3
    of_values = [clipped_value_loss(logprobs[i], old[i], advantages[i], clip=0.2, mask=mask[i], count=mask.sum())
                 for i in range(3)]
    assert_allclose(sum(of_values), clipped_value_loss(logprobs, old, advantages, clip=0.2, mask=mask))


def test_diagnostics_count_only_what_the_mask_leaves():
    moved = torch.log(torch.tensor([1.0, 1.5, 0.5, 1.1, 9.0], dtype=torch.float64))
    mask = torch.tensor([True, True, True, True, False])
    found = ratio_diagnostics(moved, torch.zeros(5, dtype=torch.float64), clip=0.2, mask=mask)
    ratio = np.array([1.0, 1.5, 0.5, 1.1])
    assert_allclose(found["clip_fraction"], 0.5)
    assert_allclose(found["k1"], -np.log(ratio).mean())
    assert_allclose(found["k3"], (ratio - 1 - np.log(ratio)).mean())


def test_explained_variance_is_1_for_a_perfect_critic_and_0_for_a_constant():
    returns = torch.tensor([1.0, 2.0, 4.0, float("nan")], dtype=torch.float64)
    mask = torch.tensor([True, True, True, False])
    assert explained_variance(returns, returns, mask=mask) == 1
    assert_allclose(explained_variance(torch.full_like(returns, 7.0), returns, mask=mask), 0, atol=1e-12)
    assert explained_variance(-returns, returns, mask=mask) < 0
    assert explained_variance(returns[:1], returns[:1]) == 0


@pytest.mark.parametrize("clip", [0, -1, True, "0.2"])
def test_a_value_clip_that_is_no_positive_number_is_refused(clip):
    values, old, returns = random_batch(6)
    with pytest.raises(ValueError, match="clip must be (a number|more than 0)"):
        clipped_value_loss(values, old, returns, clip=clip)


def test_entropy_of_a_uniform_choice_is_log_of_their_number():
    assert_allclose(entropy(torch.zeros(2, 8)), np.log(8), rtol=1e-6)


def test_entropy_is_taken_over_the_last_axis():
    logits = torch.tensor([0.5, 0.25, 0.25]).log() + torch.tensor([[[1.0], [-3.0]]])  # (1, 2, 3)
    assert_allclose(entropy(logits), np.full((1, 2), 1.5 * np.log(2)), rtol=1e-6)


@pytest.mark.parametrize("dtype, logprob", [(torch.float32, 89.0), (torch.float16, 12.0), (torch.float64, 800.0)])
@pytest.mark.parametrize("advantage", [1.0, 0.0])
def test_a_ratio_that_overflows_is_clipped_and_has_no_gradient(dtype, logprob, advantage):
    """0·∞ is NaN; the limit of the gradient is 0."""
    logprobs = torch.tensor([logprob, 0.0], dtype=dtype, requires_grad=True)
    loss = clipped_policy_loss(logprobs, torch.zeros_like(logprobs), torch.full_like(logprobs, advantage), clip=0.2)
    loss.backward()
    assert loss.item() == pytest.approx(-1.1 * advantage, rel=2e-3)
    assert logprobs.grad[0] == 0 and torch.isfinite(logprobs.grad).all()


def test_a_higher_upper_bound_moves_that_bound_alone():
    for ratio, advantage, expected in ((1.3, 1.0, -1.28), (1.25, 1.0, -1.25), (0.7, -1.0, 0.8), (1.5, -1.0, 1.5)):
        given = torch.tensor([ratio]).log(), torch.zeros(1), torch.tensor([advantage])
        assert clipped_policy_loss(*given, clip=0.2, clip_high=0.28).item() == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="clip_high must be more than 0"):
        clipped_policy_loss(*given, clip=0.2, clip_high=-1)


def test_a_forbidden_token_adds_nothing_to_the_entropy():
    logits = torch.tensor([[0.0, 0.0, -torch.inf]], requires_grad=True)
    entropy(logits).backward()
    assert_allclose(entropy(logits).detach(), [np.log(2)], rtol=1e-6)
    assert torch.equal(logits.grad, torch.zeros(1, 3))


@pytest.mark.parametrize("returns, values", [([1, 1 + 6e-8], [0.3, 0.7]), ([1e6, 1e6 + 0.06], [0.0, 1.0])])
def test_returns_that_vary_by_rounding_alone_are_not_explained(returns, values):
    assert explained_variance(torch.tensor(values), torch.tensor(returns)) == 0


def test_diagnostics_in_half_precision_do_not_overflow():
    far = torch.tensor([12.0], dtype=torch.float16)
    assert ratio_diagnostics(far, 0 * far, clip=0.2)["k3"] == pytest.approx(np.expm1(12) - 12, rel=1e-5)
    for wrong in (dict(clip=float("nan")), dict(clip=0.2, clip_high=0)):
        with pytest.raises(ValueError, match="^clip.* must be"):
            ratio_diagnostics(far, far, **wrong)


def test_explained_variance_in_half_precision_does_not_overflow():
    returns = torch.tensor([0.0, 300, 600], dtype=torch.float16)
    assert explained_variance(returns, returns) == 1


def test_a_policy_loss_needs_a_clip():
    with pytest.raises(ValueError, match="clip must be one number"):
        clipped_policy_loss(*random_batch(0), clip=None)


def test_each_model_is_cut_to_its_own_norm_of_1_and_a_small_gradient_is_left():
    models = [torch.nn.Linear(1, 1, bias=False, dtype=torch.float64) for _ in range(3)]
    for model, gradient in zip(models, (5.0, -7.0, 0.25)):
        model.weight.data.zero_()
        model.weight.grad = torch.full_like(model.weight, gradient)
    parameters = [model.weight for model in models]
    clipped_step(torch.optim.SGD(parameters, lr=1.0), *models)
    assert_allclose([p.item() for p in parameters], [-1, 1, -0.25], rtol=1e-5)
    parameters[0].grad.fill_(5.0)
    clipped_step(torch.optim.SGD(parameters[:1], lr=1.0), models[0], max_norm=2.0)
    assert_allclose(parameters[0].item(), -3, rtol=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_no_number_makes_no_step(bad):
    model = torch.nn.Linear(2, 1)
    optimiser = torch.optim.Adam(model.parameters())
    (model(torch.ones(2)) * bad).sum().backward()
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(ValueError, match="the gradient's norm is"):
        clipped_step(optimiser, model)
    assert all(map(torch.equal, before, model.parameters())) and not optimiser.state_dict()["state"]
