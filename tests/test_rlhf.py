"""The four models: what is frozen, what a batch holds, what one update does, and that a run resumes exactly."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from coursekit import classic_ppo, classic_resume, helpdesk, rlhf
from coursekit.checkpoints import gold, help_desk
from coursekit.lm import TinyLM
from coursekit.resume import load_run, save_run

SIZES = dict(width=32, layers=1, heads=2)
RECIPE = rlhf.Recipe(batch=8, minibatch=4, epochs=2, max_tokens=20)


def tiny(seed=0):
    vocabulary = len(helpdesk.VOCABULARY)
    return rlhf.four_models(TinyLM(vocabulary, seed=seed, **SIZES), TinyLM(vocabulary, seed=seed + 1, **SIZES))


def batch_of(models, recipe=RECIPE, seed=0):
    _, prompts, mask = help_desk(np.random.default_rng(seed), recipe.batch)
    return rlhf.collect(models, prompts, mask, recipe, end=helpdesk.END, check=True,
                        generator=torch.Generator().manual_seed(seed))


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def run_for(updates, recipe=RECIPE, seed=0):
    run = rlhf.start(tiny(), recipe, seed=seed)
    return run, list(rlhf.train(run, help_desk, updates=updates, end=helpdesk.END, judge=gold))


def test_actor_and_critic_learn_reference_and_reward_do_not():
    models = tiny()
    before = [weights(m) for m in (models.actor, models.critic, models.reference, models.reward)]
    run = rlhf.start(models, RECIPE)
    list(rlhf.train(run, help_desk, updates=1, end=helpdesk.END))
    moved = [not torch.equal(a, weights(m)) for a, m in
             zip(before, (models.actor, models.critic, models.reference, models.reward))]
    assert moved == [True, True, False, False]
    assert not any(p.requires_grad for m in (models.reference, models.reward) for p in m.parameters())


def test_the_critic_starts_as_the_reward_model():
    models = tiny()
    tokens, mask = torch.tensor([[5, 6, 7]]), torch.ones(1, 3, dtype=torch.bool)
    value = models.critic.values(models.critic(tokens, mask)[0])[:, -1]
    assert_allclose(value.detach(), models.reward.scores(models.reward(tokens, mask)[0], mask))


def test_the_critic_values_a_token_before_it_is_written():
    models = tiny()
    batch = batch_of(models)
    other = batch.tokens.clone()
    other[:, -1] = (other[:, -1] + 1) % len(helpdesk.VOCABULARY)
    width = batch.reply.shape[1]
    first, second = (rlhf.reply_values(models.critic, t, batch.mask, width) for t in (batch.tokens, other))
    assert torch.equal(first, second)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_before_the_first_update_kl_is_0_and_every_ratio_is_1(temperature):
    models, recipe = tiny(), replace(RECIPE, temperature=temperature)
    batch = batch_of(models, recipe)
    assert_allclose(batch.kl, 0, atol=1e-5)
    run = rlhf.start(models, recipe)
    measures = rlhf.update(run.models, run.optimiser, batch, recipe)
    assert abs(measures["k3"]) < 1e-6 and measures["clip_fraction"] == 0


def test_advantages_are_whitened_over_real_tokens_and_returns_are_not():
    batch = batch_of(tiny())
    kept = batch.advantages[batch.reply]
    assert_allclose((kept.mean(), kept.std()), (0, 1), atol=1e-5)
    assert (batch.advantages[~batch.reply] == 0).all()


def test_with_gamma_and_lambda_1_the_critics_target_is_score_less_price():
    models = tiny()
    batch = batch_of(models, replace(RECIPE, lam=1.0, missing_end=0.0, beta=0.3))
    price = torch.where(batch.reply, 0.3 * batch.kl, 0.0)
    still = price.flip(-1).cumsum(-1).flip(-1)  # what is left to pay
    expected = torch.where(batch.reply, batch.scores[:, None] - still, 0.0)
    assert_allclose(batch.returns, expected, atol=1e-4)


def by_hand(models, row, old, recipe):
    """Advantages and returns of one reply, from the definitions: no padding, no batch, no `tokens`, no `gae`."""
    one, T = torch.ones(1, len(row), dtype=torch.bool), len(old)
    before = slice(-T - 1, -1)  # a token is foretold, and valued, one position before it stands
    hidden = [model(row[None], one)[0] for model in (models.reference, models.critic, models.reward)]
    reference = models.reference.logits(hidden[0])[0, before].log_softmax(-1)[range(T), row[-T:]]
    values = models.critic.values(hidden[1])[0, before]
    rewards = -recipe.beta * (old - reference)
    rewards[-1] += models.reward.scores(hidden[2], one)[0] - recipe.missing_end * (row[-1] != helpdesk.END)
    deltas = rewards + recipe.gamma * torch.cat([values[1:], torch.zeros(1)]) - values
    decay = (recipe.gamma * recipe.lam) ** torch.arange(T)
    advantages = torch.stack([(decay[:T - t] * deltas[t:]).sum() for t in range(T)])
    return advantages, advantages + values


def test_the_recipe_has_the_numbers_of_openais_code():
    recipe = rlhf.Recipe()
    assert (recipe.gamma, recipe.lam, recipe.clip, recipe.value_clip) == (1, 0.95, 0.2, 0.2)


@torch.no_grad()
def test_a_batch_is_priced_and_credited_as_each_reply_alone_by_hand():
    """The wiring of `collect` and `appraise`: score, end, price, values, γ, λ, whitening."""
    recipe = replace(RECIPE, beta=0.3, gamma=0.9, lam=0.7, missing_end=1.5)
    models = replace(tiny(), reference=TinyLM(len(helpdesk.VOCABULARY), seed=7, **SIZES))
    batch = batch_of(models, recipe)
    ended = torch.tensor([tokens[mask][-1] == helpdesk.END for tokens, mask in zip(batch.tokens, batch.mask)])
    assert torch.equal(ended, ~batch.reply.all(-1)) and 0 < ended.sum() < 8  # <end> belongs to its reply
    rows = [(tokens[mask], old[reply]) for tokens, mask, old, reply in
            zip(batch.tokens, batch.mask, batch.old_logprobs, batch.reply)]
    advantages, returns = map(torch.cat, zip(*(by_hand(models, *row, recipe) for row in rows)))
    assert_allclose(batch.returns[batch.reply], returns, atol=1e-4)
    assert_allclose(batch.advantages[batch.reply], (advantages - advantages.mean()) / advantages.std(), atol=1e-4)


def test_an_update_leans_on_what_was_said_at_sampling():
    """Ratio and value clip: with other old numbers in the batch, both losses are those by hand."""
    models, torch_dice = tiny(), torch.Generator().manual_seed(0)
    batch = batch_of(models)
    logprobs, values, advantages, returns = (x[batch.reply] for x in (
        batch.old_logprobs, batch.values, batch.advantages, batch.returns))
    moved = replace(batch, **{name: x + 0.5 * torch.randn(x.shape, generator=torch_dice) for name, x in
                              (("old_logprobs", batch.old_logprobs), ("values", batch.values))})
    ratio, old = (logprobs - moved.old_logprobs[batch.reply]).exp(), moved.values[batch.reply]
    near = old + (values - old).clamp(-0.2, 0.2)
    policy = -torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages).mean()
    value = torch.maximum((values - returns) ** 2, (near - returns) ** 2).mean() / 2
    found = rlhf.update(models, rlhf.start(models, RECIPE).optimiser, moved, RECIPE)
    assert_allclose((found["policy_loss"], found["value_loss"]), (policy, value), rtol=1e-4)


def test_prompts_are_padded_on_the_left_and_their_padding_is_masked():
    _, tokens, mask = help_desk(np.random.default_rng(0), 16)
    assert mask[:, -1].all() and not mask.all() and (mask.int().diff() >= 0).all()
    assert torch.equal(mask, tokens != helpdesk.PAD)


def test_a_reply_that_does_not_end_is_paid_less():
    models = tiny()
    free, dear = (batch_of(models, replace(RECIPE, missing_end=x, lam=1.0, max_tokens=3)) for x in (0.0, 5.0))
    ended = (free.tokens[:, -3:] == helpdesk.END).any(-1)
    assert not ended.all()
    assert_allclose((free.returns - dear.returns)[:, 0], torch.where(ended, 0.0, 5.0), atol=1e-4)


def test_padding_changes_neither_loss_nor_gradient():
    """Two columns of prompt padding and three of reply padding, full of garbage."""
    models = tiny()
    batch = batch_of(models)
    width = batch.reply.shape[1]

    def widen(x, fill, left=0):
        return torch.nn.functional.pad(x, (left, 3), value=fill)

    wild = rlhf.Batch(widen(batch.tokens, 7, 2), widen(batch.mask, False, 2), widen(batch.reply, False),
                      *(widen(getattr(batch, name), 99.0) for name in ("old_logprobs", "kl", "values", "advantages",
                                                                       "returns")), batch.scores)
    assert wild.reply.shape[1] == width + 3
    moved = []
    for part in (batch, wild, wild.take(torch.arange(8))):
        twin = tiny()
        rlhf.update(twin, rlhf.start(twin, RECIPE).optimiser, part, RECIPE)
        moved.append(torch.cat([weights(twin.actor), weights(twin.critic)]))
    assert_allclose(moved[0], moved[1], atol=1e-6)
    assert_allclose(moved[0], moved[2], atol=1e-6)


def test_a_minibatch_is_cut_to_its_longest_prompt_and_reply():
    batch = batch_of(tiny())
    rows = torch.tensor([int(batch.reply.sum(-1).argmin())])
    part = batch.take(rows)
    assert part.reply.all() and part.mask.all()
    assert part.tokens[0].tolist() == batch.tokens[rows[0]][batch.mask[rows[0]]].tolist()


def test_log_probabilities_that_differ_from_sampling_stop_the_run():
    models = tiny()

    class Dropout(TinyLM):
        def logits(self, hidden):
            return torch.nn.functional.dropout(super().logits(hidden), 0.1)

    models.actor.__class__ = Dropout
    with pytest.raises(RuntimeError, match="switch dropout off"):
        batch_of(models)


def test_a_large_step_ends_the_updates_of_a_batch():
    models = tiny()
    for limit, expected in ((None, 4), (-1.0, 1)):
        recipe = replace(RECIPE, target_kl=limit)
        run = rlhf.start(models, recipe)
        assert rlhf.learn(models, run.optimiser, batch_of(models), recipe,
                          rng=np.random.default_rng(0))["updates"] == expected


def test_beta_follows_its_target():
    _, history = run_for(3, replace(RECIPE, kl_target=50.0, kl_horizon=40.0))
    betas = [h["beta"] for h in history]
    assert_allclose(betas, [0.1, 0.1 * 0.96, 0.1 * 0.96**2])  # KL near 0, far below: −20 % · 8/40 each time


def test_the_same_seed_gives_the_same_run():
    (a, first), (b, second) = run_for(2), run_for(2)
    assert first == second
    assert torch.equal(weights(a.models.actor), weights(b.models.actor))
    assert run_for(2, seed=1)[1] != first


def test_a_resumed_run_ends_bit_for_bit_like_one_that_never_stopped(tmp_path):
    whole, expected = run_for(4, replace(RECIPE, kl_target=3.0))
    half, history = run_for(2, replace(RECIPE, kl_target=3.0))
    save_run(half, history, tmp_path / "run.safetensors")
    run, history = load_run(tiny(), tmp_path / "run.safetensors")
    history += rlhf.train(run, help_desk, updates=4, end=helpdesk.END, judge=gold)
    assert history == expected
    for name in ("actor", "critic"):
        assert torch.equal(weights(getattr(run.models, name)), weights(getattr(whole.models, name)))


def test_what_is_no_saved_run_or_another_ones_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no file"):
        load_run(tiny(), tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("nothing")
    with pytest.raises(ValueError, match="is not; save_run writes one"):
        load_run(tiny(), tmp_path / "text.safetensors")
    classic_resume.save_run(classic_ppo.start(classic_ppo.CARTPOLE, seed=0), [], tmp_path / "pole.safetensors")
    with pytest.raises(ValueError, match="path must be a saved run, and .*pole.safetensors is not"):
        load_run(tiny(), tmp_path / "pole.safetensors")
    run, history = run_for(1)
    save_run(run, history, tmp_path / "run.safetensors")
    with pytest.raises(ValueError, match="reference and reward model that the run began with"):
        load_run(tiny(seed=5), tmp_path / "run.safetensors")


@pytest.mark.parametrize("wrong", [dict(batch=0), dict(lr=0.0), dict(clip=-1), dict(temperature=0.0)])
def test_a_recipe_that_makes_no_sense_names_the_argument(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be positive"):
        rlhf.Recipe(**wrong)
