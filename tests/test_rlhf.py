"""The four models: what is frozen, what a batch holds, what one update does, and that a run resumes exactly."""

from dataclasses import asdict, fields, replace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from coursekit import classic_ppo, classic_resume, helpdesk, rlhf, saved
from coursekit.checkpoints import gold, sample_prompts
from coursekit.lm import TinyLM
from coursekit.resume import load_run, save_run
from former import under_former_names

SIZES = dict(width=32, layers=1, heads=2)
CONFIG = rlhf.Config(batch=8, minibatch=4, epochs=2, max_tokens=20)


def tiny(seed=0):
    vocabulary = len(helpdesk.VOCABULARY)
    return rlhf.four_models(TinyLM(vocabulary, seed=seed, **SIZES), TinyLM(vocabulary, seed=seed + 1, **SIZES))


def batch_of(models, config=CONFIG, seed=0):
    _, prompts, mask = sample_prompts(np.random.default_rng(seed), config.batch)
    return rlhf.collect(models, prompts, mask, config, end=helpdesk.END, check=True,
                        generator=torch.Generator().manual_seed(seed))


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def run_for(updates, config=CONFIG, seed=0):
    run = rlhf.start(tiny(), config, seed=seed)
    return run, list(rlhf.train(run, sample_prompts, updates=updates, end=helpdesk.END, gold_fn=gold))


def test_actor_and_critic_learn_reference_and_reward_do_not():
    models = tiny()
    before = [weights(m) for m in (models.actor, models.critic, models.reference, models.reward)]
    run = rlhf.start(models, CONFIG)
    list(rlhf.train(run, sample_prompts, updates=1, end=helpdesk.END))
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
    first, second = (rlhf.response_values(models.critic, tokens, batch.attention_mask, batch.width)
                     for tokens in (batch.tokens, other))
    assert torch.equal(first, second)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_before_the_first_update_kl_is_0_and_every_ratio_is_1(temperature):
    models, config = tiny(), replace(CONFIG, temperature=temperature)
    batch = batch_of(models, config)
    assert_allclose(batch.kl, 0, atol=1e-5)
    run = rlhf.start(models, config)
    metrics = rlhf.update(run.models, run.optimiser, batch, config)
    assert abs(metrics["k3"]) < 1e-6 and metrics["clip_fraction"] == 0


def test_advantages_are_whitened_over_real_tokens_and_returns_are_not():
    batch = batch_of(tiny())
    kept = batch.advantages[batch.response_mask]
    assert_allclose((kept.mean(), kept.std()), (0, 1), atol=1e-5)


def test_a_batch_holds_0_at_padding_and_its_rewards_add_up():
    batch = batch_of(tiny(), replace(CONFIG, beta=0.3, missing_eos_penalty=1.5))
    floats = [x for x in (getattr(batch, field.name) for field in fields(batch)) if x.dtype == torch.float32]
    padded = [x for x in floats if x.shape == batch.response_mask.shape]
    assert len(padded) == 7 and not batch.response_mask.all()
    assert all((x[~batch.response_mask] == 0).all() for x in padded)
    assert_allclose(batch.rewards.sum(-1), batch.scores - 1.5 * ~batch.ended - 0.3 * batch.kl.sum(-1), atol=1e-5)


def test_with_gamma_and_lambda_1_the_critics_target_is_score_less_penalty():
    models = tiny()
    batch = batch_of(models, replace(CONFIG, lam=1.0, missing_eos_penalty=0.0, beta=0.3))
    penalty = (0.3 * batch.kl).flip(-1).cumsum(-1).flip(-1)  # of this token and all that follow
    expected = torch.where(batch.response_mask, batch.scores[:, None] - penalty, 0.0)
    assert_allclose(batch.returns, expected, atol=1e-4)


def by_hand(models, row, old, config):
    """Advantages and returns of one reply, from the definitions: no padding, no batch, no `tokens`, no `gae`."""
    one, T = torch.ones(1, len(row), dtype=torch.bool), len(old)
    before = slice(-T - 1, -1)  # a token is predicted, and valued, at the position before its own
    hidden = [model(row[None], one)[0] for model in (models.reference, models.critic, models.reward)]
    reference = models.reference.logits(hidden[0])[0, before].log_softmax(-1)[range(T), row[-T:]]
    values = models.critic.values(hidden[1])[0, before]
    rewards = -config.beta * (old - reference)
    rewards[-1] += models.reward.scores(hidden[2], one)[0] - config.missing_eos_penalty * (row[-1] != helpdesk.END)
    deltas = rewards + config.gamma * torch.cat([values[1:], torch.zeros(1)]) - values
    decay = (config.gamma * config.lam) ** torch.arange(T)
    advantages = torch.stack([(decay[:T - t] * deltas[t:]).sum() for t in range(T)])
    return advantages, advantages + values


def test_the_recipe_has_the_numbers_of_openais_code():
    config = rlhf.Config()
    assert (config.gamma, config.lam, config.clip, config.value_clip) == (1, 0.95, 0.2, 0.2)


@torch.no_grad()
def test_a_batch_is_rewarded_and_credited_as_each_reply_alone_by_hand():
    """The wiring of `collect` and `make_experience`: score, end, KL penalty, values, γ, λ, whitening."""
    config = replace(CONFIG, beta=0.3, gamma=0.9, lam=0.7, missing_eos_penalty=1.5)
    models = replace(tiny(), reference=TinyLM(len(helpdesk.VOCABULARY), seed=7, **SIZES))
    batch = batch_of(models, config)
    texts = [tokens[mask] for tokens, mask in zip(batch.tokens, batch.attention_mask)]
    ended = torch.tensor([text[-1] == helpdesk.END for text in texts])
    assert torch.equal(ended, batch.ended) and 0 < ended.sum() < 8
    assert torch.equal(ended, ~batch.response_mask.all(-1))  # <end> belongs to its response
    old = [row[mask] for row, mask in zip(batch.old_logprobs, batch.response_mask)]
    advantages, returns = map(torch.cat, zip(*(by_hand(models, *pair, config) for pair in zip(texts, old))))
    assert_allclose(batch.returns[batch.response_mask], returns, atol=1e-4)
    assert_allclose(batch.advantages[batch.response_mask], (advantages - advantages.mean()) / advantages.std(),
                    atol=1e-4)


@pytest.mark.parametrize("high", [None, 0.28])
def test_an_update_leans_on_what_was_said_at_sampling(high):
    """Ratio and value clip: with other old numbers in the batch, both losses are those by hand."""
    models, generator = tiny(), torch.Generator().manual_seed(0)
    batch = batch_of(models)
    mask = batch.response_mask
    logprobs, values, advantages, returns = (x[mask] for x in (
        batch.old_logprobs, batch.values, batch.advantages, batch.returns))
    moved = replace(batch, **{name: x + 0.5 * torch.randn(x.shape, generator=generator) for name, x in
                              (("old_logprobs", batch.old_logprobs), ("values", batch.values))})
    ratio, old = (logprobs - moved.old_logprobs[mask]).exp(), moved.values[mask]
    clipped = old + (values - old).clamp(-0.2, 0.2)
    policy = -torch.minimum(ratio * advantages, ratio.clamp(0.8, 1 + (high or 0.2)) * advantages).mean()
    value = torch.maximum((values - returns) ** 2, (clipped - returns) ** 2).mean() / 2
    config = replace(CONFIG, clip_high=high)
    found = rlhf.update(models, rlhf.start(models, config).optimiser, moved, config)
    assert_allclose((found["policy_loss"], found["value_loss"]), (policy, value), rtol=1e-4)
    outside = ((ratio < 0.8) | (ratio > 1 + (high or 0.2))).double().mean()
    assert_allclose(found["clip_fraction"], outside, rtol=1e-6)


def test_prompts_are_padded_on_the_left_and_their_padding_is_masked():
    _, tokens, mask = sample_prompts(np.random.default_rng(0), 16)
    assert mask[:, -1].all() and not mask.all() and (mask.int().diff() >= 0).all()
    assert torch.equal(mask, tokens != helpdesk.PAD)


def test_a_reply_that_does_not_end_is_paid_less():
    models = tiny()
    free, penalised = (batch_of(models, replace(CONFIG, missing_eos_penalty=x, lam=1.0, max_tokens=3))
                       for x in (0.0, 5.0))
    ended = (free.tokens[:, -3:] == helpdesk.END).any(-1)
    assert not ended.all()
    assert_allclose((free.returns - penalised.returns)[:, 0], torch.where(ended, 0.0, 5.0), atol=1e-4)


def test_padding_changes_neither_loss_nor_gradient():
    """Two columns of prompt padding and three of reply padding, full of garbage."""
    batch = batch_of(tiny())

    def widen(x, fill, left=0):
        return torch.nn.functional.pad(x, (left, 3), value=fill)

    floats = ("old_logprobs", "kl", "values", "rewards", "advantages", "returns", "weights")
    wild = replace(batch, tokens=widen(batch.tokens, 7, 2), attention_mask=widen(batch.attention_mask, False, 2),
                   response_mask=widen(batch.response_mask, False),
                   **{name: widen(getattr(batch, name), 99.0) for name in floats})
    assert wild.width == batch.width + 3
    moved = []
    for part in (batch, wild, wild.take(torch.arange(8))):
        twin = tiny()
        rlhf.update(twin, rlhf.start(twin, CONFIG).optimiser, part, CONFIG)
        moved.append(torch.cat([weights(twin.actor), weights(twin.critic)]))
    assert_allclose(moved[0], moved[1], atol=1e-6)
    assert_allclose(moved[0], moved[2], atol=1e-6)


def test_a_minibatch_is_cut_to_its_longest_prompt_and_reply():
    batch = batch_of(tiny())
    rows = torch.tensor([int(batch.response_mask.sum(-1).argmin())])
    part = batch.take(rows)
    assert part.response_mask.all() and part.attention_mask.all()
    assert part.tokens[0].tolist() == batch.tokens[rows[0]][batch.attention_mask[rows[0]]].tolist()


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
        config = replace(CONFIG, target_kl=limit)
        run = rlhf.start(models, config)
        assert rlhf.learn(models, run.optimiser, batch_of(models), config,
                          rng=np.random.default_rng(0))["updates"] == expected


def test_beta_follows_its_target():
    _, history = run_for(3, replace(CONFIG, kl_target=50.0, kl_horizon=40.0))
    betas = [h["beta"] for h in history]
    assert_allclose(betas, [0.1, 0.1 * 0.96, 0.1 * 0.96**2])  # KL near 0, far below: −20 % · 8/40 each time


def test_the_same_seed_gives_the_same_run():
    (a, first), (b, second) = run_for(2), run_for(2)
    assert first == second
    assert torch.equal(weights(a.models.actor), weights(b.models.actor))
    assert run_for(2, seed=1)[1] != first


def test_a_resumed_run_ends_bit_for_bit_like_one_that_never_stopped(tmp_path):
    whole, expected = run_for(4, replace(CONFIG, kl_target=3.0))
    half, history = run_for(2, replace(CONFIG, kl_target=3.0))
    save_run(half, history, tmp_path / "run.safetensors")
    run, history = load_run(tiny(), tmp_path / "run.safetensors")
    history += rlhf.train(run, sample_prompts, updates=4, end=helpdesk.END, gold_fn=gold)
    assert history == expected
    for name in ("actor", "critic"):
        assert torch.equal(weights(getattr(run.models, name)), weights(getattr(whole.models, name)))


def test_a_file_with_the_names_of_version_0_1_goes_on(tmp_path):
    run, history = run_for(1)
    save_run(run, history, tmp_path / "run.safetensors")
    under_former_names(tmp_path / "run.safetensors")
    again, _ = load_run(tiny(), tmp_path / "run.safetensors")
    expected = list(rlhf.train(run, sample_prompts, updates=2, end=helpdesk.END))
    assert again.config == CONFIG
    assert list(rlhf.train(again, sample_prompts, updates=2, end=helpdesk.END)) == expected


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
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        rlhf.Config(**wrong)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_four_roles_train_in_another_precision(dtype):
    models = tiny()
    models = rlhf.FourModels(*(getattr(models, field.name).to(dtype) for field in fields(models)))
    before, run = weights(models.actor), rlhf.start(models, replace(CONFIG, lr=1e-2))
    assert models.critic.copy().embed.weight.dtype == dtype
    history = list(rlhf.train(run, sample_prompts, updates=2, end=helpdesk.END, gold_fn=gold))  # with its check
    assert all(np.isfinite(list(metrics.values())).all() for metrics in history) and abs(history[0]["kl"]) < 1e-6
    assert weights(models.actor).dtype == dtype and (weights(models.actor) != before).float().mean() > 0.5


@pytest.mark.parametrize("dtype, temperature", [(torch.float32, 1e-3), (torch.bfloat16, 0.1)])
def test_the_check_minds_dtype_and_temperature_and_still_sees_dropout(dtype, temperature):
    models, config = tiny(), replace(CONFIG, temperature=temperature)
    models.actor.to(dtype)
    batch_of(models, config)
    with patch.object(models.actor, "logits", lambda hidden, honest=models.actor.logits: honest(
            torch.nn.functional.dropout(hidden, 0.5))):
        with pytest.raises(RuntimeError, match="differ by"):
            batch_of(models, config)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_stops_before_the_step_and_names_its_response(bad):
    models = tiny()
    honest = models.reward.scores
    run, before = rlhf.start(models, CONFIG), weights(models.actor)
    with patch.object(models.reward, "scores", lambda *text: honest(*text).index_fill(0, torch.tensor([3]), bad)):
        with pytest.raises(ValueError, match=f"scores must be finite, got {bad} in response 3"):
            list(rlhf.train(run, sample_prompts, updates=1, end=helpdesk.END))
    with patch.object(models.critic, "values", lambda hidden: torch.full(hidden.shape[:2], bad)):
        with pytest.raises(ValueError, match=f"values of critic must be finite, got {bad} in response 0"):
            list(rlhf.train(run, sample_prompts, updates=1, end=helpdesk.END))
    assert torch.equal(weights(models.actor), before)


@pytest.mark.parametrize("lost", ["model.critic.norm.weight", "adam.actor.norm.weight.exp_avg", "adam."])
def test_a_saved_run_that_lacks_a_part_is_refused(lost, tmp_path):
    run, history = run_for(1)
    path = tmp_path / "run.safetensors"
    save_run(run, history, path)
    tensors, metadata = saved.read(path, rlhf.Config)
    metadata["config"] = asdict(metadata["config"])
    saved.write({name: x for name, x in tensors.items() if not name.startswith(lost)}, metadata, path)
    with pytest.raises(ValueError, match=f"not whole: {lost}.* must be .*, and is absent"):
        load_run(tiny(), path)
    save_run(rlhf.start(tiny(), CONFIG), [], path)  # before its first update
    assert load_run(tiny(), path)[0].update == 0


@pytest.mark.parametrize("wrong, message", [
    (dict(beta=float("nan")), "beta must be a number, got nan"), (dict(beta=-1), "beta must be at least 0"),
    (dict(gamma=2), "gamma must be at least 0 and at most 1"), (dict(batch=2.5), "batch must be an integer"),
    (dict(kl_target=0), "kl_target must be more than 0"), (dict(value_clip=-1), "value_clip must be more than 0"),
    (dict(clip_high=0), "clip_high must be more than 0"),
    (dict(lr=float("inf")), "lr must be more than 0 and finite"), (dict(clip=None), "clip must be one number")])
def test_an_impossible_number_is_refused_at_construction(wrong, message):
    with pytest.raises(ValueError, match=message):
        rlhf.Config(**wrong)


# Without a critic

GROUPS = replace(CONFIG, estimator="rloo", group=4, beta=0.3, missing_eos_penalty=1.5)


def other_reference(models):
    return replace(models, reference=TinyLM(len(helpdesk.VOCABULARY), seed=7, **SIZES))


def groups_of(models, config=GROUPS, seed=0):
    """A batch of config.batch responses, config.group to a prompt."""
    _, *prompts = sample_prompts(np.random.default_rng(seed), config.batch // config.group)
    return rlhf.collect(models, *(x.repeat_interleave(config.group, 0) for x in prompts), config, end=helpdesk.END,
                        check=True, generator=torch.Generator().manual_seed(seed))


def replies_by_hand(models, batch, config):
    """(B,) rewards of replies, each alone: score, less the penalty for a missing end, less beta times its KL."""
    rewards = []
    for tokens, mask, real, old in zip(batch.tokens, batch.attention_mask, batch.response_mask, batch.old_logprobs):
        row, one = tokens[mask][None], torch.ones(1, int(mask.sum()), dtype=torch.bool)
        R = int(real.sum())
        score = models.reward.scores(models.reward(row, one)[0], one)[0]
        logits = models.reference.logits(models.reference(row, one)[0])[0, -R - 1:-1]
        reference = logits.log_softmax(-1)[range(R), row[0, -R:]]
        kl = (old[real] - reference).sum() if config.kl == "reward" else 0.0
        rewards.append(score - config.missing_eos_penalty * (row[0, -1] != helpdesk.END) - config.beta * kl)
    return torch.stack(rewards)


@pytest.mark.parametrize("estimator, kl", [("rloo", "reward"), ("rloo", "k3"), ("grpo", "reward"),
                                           ("batch mean", "k2")])
@torch.no_grad()
def test_without_a_critic_every_token_gets_what_its_reply_earned_beyond_others(estimator, kl):
    models, config = other_reference(tiny()), replace(GROUPS, estimator=estimator, kl=kl)
    batch = groups_of(models, config)
    rewards = replies_by_hand(models, batch, config).view(2, 4)
    if estimator == "rloo":
        expected = torch.stack([rewards[:, i] - (rewards.sum(1) - rewards[:, i]) / 3 for i in range(4)], 1)
    elif estimator == "grpo":
        expected = (rewards - rewards.mean(1, keepdim=True)) / rewards.std(1, keepdim=True)
    else:
        expected = (rewards - rewards.mean()) / rewards.std()
    assert_allclose(batch.advantages, expected.view(8, 1) * batch.response_mask, atol=2e-3, rtol=2e-3)
    assert batch.values is None and batch.returns is None


def flat_gradient(model):
    gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    return gradient / gradient.norm()  # `update` clips it


@pytest.mark.parametrize("normalisation", ["batch", "sequence", "group", "constant"])
@pytest.mark.parametrize("kl", ["k2", "k3"])
def test_the_penalty_in_the_loss_pulls_as_by_hand_under_every_normalisation(kl, normalisation):
    models, config = other_reference(tiny()), replace(GROUPS, kl=kl, normalisation=normalisation, beta=2.0)
    batch = groups_of(models, config)
    lengths, mask = batch.response_mask.sum(-1), batch.response_mask
    twin = models.actor.copy()
    loss = 0.0
    for i in range(8):
        row, R = batch.tokens[i][batch.attention_mask[i]], int(lengths[i])
        logits = twin.logits(twin(row[None], torch.ones(1, len(row), dtype=torch.bool))[0])[0, -R - 1:-1]
        logprobs = logits.log_softmax(-1)[range(R), row[-R:]]
        d = logprobs - (batch.old_logprobs - batch.kl)[i][mask[i]]
        penalty = d**2 / 2 if kl == "k2" else torch.exp(-d) - 1 + d
        ratios = torch.exp(logprobs - batch.old_logprobs[i][mask[i]])
        count = {"batch": lengths.sum(), "sequence": 8 * lengths[i], "constant": 8 * 20,
                 "group": 2 * lengths.view(2, 4).sum(1)[i // 4]}[normalisation]
        loss = loss + (config.beta * penalty - ratios * batch.advantages[i, 0]).sum() / count
    loss.backward()
    run = rlhf.start(models, config)
    rlhf.update(run.models, run.optimiser, batch, config)
    assert_allclose(flat_gradient(models.actor), flat_gradient(twin), atol=1e-4)


@pytest.mark.parametrize("wrong", [  # planted: each must show itself in the two tests above
    ("coursekit.rlhf.leave_one_out", "group_mean"), ("coursekit.rlhf.kl_estimates", "k1")])
def test_a_planted_bug_is_seen(wrong):
    from coursekit import groups, tokens
    place, name = wrong
    if name == "k1":
        with patch(place, lambda a, b, kind="k1": tokens.kl_estimates(a, b)), pytest.raises(AssertionError):
            test_the_penalty_in_the_loss_pulls_as_by_hand_under_every_normalisation("k2", "batch")
    else:
        with patch.dict(rlhf.ESTIMATORS, rloo=getattr(groups, name)), pytest.raises(AssertionError):
            test_without_a_critic_every_token_gets_what_its_reply_earned_beyond_others("rloo", "reward")


def test_a_part_of_a_batch_counts_its_rows_as_the_batch_does():
    """Two halves of a batch, weighed by group, pull as the whole does."""
    models, config = other_reference(tiny()), replace(GROUPS, normalisation="group")
    batch = groups_of(models, config)
    halves = [batch.take(torch.tensor(rows)) for rows in ([0, 3, 5, 6], [1, 2, 4, 7])]
    for part in (*halves, batch):
        assert part.values is None
    whole = (batch.advantages * batch.weights).sum() / 8
    assert_allclose(sum((p.advantages * p.weights).sum() / 4 for p in halves) / 2, whole, atol=1e-6)
    assert_allclose(batch.weights.sum(), 8, rtol=1e-5)


def test_a_run_without_a_critic_has_three_models_and_resumes_bit_for_bit(tmp_path):
    config = replace(GROUPS, estimator="grpo", kl="k3", normalisation="sequence", warm_up=3)
    whole, expected = run_for(4, config)
    assert whole.models.critic is None and "explained_variance" not in expected[0] and expected[0]["group_sd"] > 0
    half, history = run_for(2, config)
    save_run(half, history, tmp_path / "run.safetensors")
    run, history = load_run(tiny(), tmp_path / "run.safetensors")
    history += rlhf.train(run, sample_prompts, updates=4, end=helpdesk.END, gold_fn=gold)
    assert history == expected
    assert torch.equal(weights(run.models.actor), weights(whole.models.actor))
    save_run(whole, expected, tmp_path / "whole.safetensors")
    save_run(run, history, tmp_path / "run.safetensors")
    assert (tmp_path / "run.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_two_models_and_a_verifier_learn_and_resume(tmp_path):
    """Actor alone, a function for the score, no reference: replies get shorter when it pays for short ones."""
    def short(tokens, attention_mask):
        return -attention_mask.sum(-1).float()

    models = rlhf.FourModels(tiny().actor, None, None, short)
    config = replace(GROUPS, beta=0.0, lr=0.01, batch=32, minibatch=32, missing_eos_penalty=0.0)
    run = rlhf.start(models, config)
    history = list(rlhf.train(run, sample_prompts, updates=8, end=helpdesk.END))
    assert history[-1]["length"] < history[0]["length"] - 3 and history[-1]["kl"] == 0
    save_run(run, history, tmp_path / "run.safetensors")
    again, _ = load_run(replace(models, actor=tiny().actor), tmp_path / "run.safetensors")
    assert torch.equal(weights(again.models.actor), weights(run.models.actor))


@pytest.mark.parametrize("scores", [lambda n: torch.ones(1), lambda n: torch.ones(n, 1), lambda n: 1.0])
def test_a_verifier_that_does_not_score_each_response_stops_the_run(scores):
    """One score was that of all rewards, and an IndexError ended the run much later."""
    models = rlhf.FourModels(tiny().actor, None, None, lambda tokens, _: scores(len(tokens)))
    run = rlhf.start(models, replace(GROUPS, beta=0.0))
    with pytest.raises(ValueError, match="reward must give one score for each of the .* responses, got the shape"):
        next(rlhf.train(run, sample_prompts, updates=1, end=helpdesk.END))


@pytest.mark.parametrize("scores", [list, np.array, torch.tensor, lambda x: torch.tensor(x) > 0])
def test_a_verifier_may_give_a_list_an_array_or_bools(scores):
    tokens = torch.zeros(3, 2, dtype=torch.long)
    found = rlhf.text_scores(lambda tokens, _: scores([1.0, 0.0, 1.0]), tokens, tokens == 0)
    assert found.dtype == torch.float32 and found.tolist() == [1, 0, 1]


@pytest.mark.parametrize("updates", [0, -1, 1.5])
def test_updates_that_cannot_be_are_refused(updates):
    run = rlhf.start(tiny(), CONFIG)
    with pytest.raises(ValueError, match="updates must be an integer of at least 1, got"):
        next(rlhf.train(run, sample_prompts, updates=updates, end=helpdesk.END))


def test_the_learning_rate_warms_up():
    run, rates = rlhf.start(tiny(), replace(CONFIG, warm_up=3)), []
    for _ in rlhf.train(run, sample_prompts, updates=4, end=helpdesk.END):
        rates.append(run.optimiser.param_groups[0]["lr"])
    assert_allclose(rates, [1e-3 / 3, 2e-3 / 3, 1e-3, 1e-3])


def test_a_group_whose_rows_are_not_one_prompt_stops_the_run():
    """Planted: tiled prompts in place of repeated ones."""
    _, *prompts = sample_prompts(np.random.default_rng(0), 2)
    rest = dict(end=helpdesk.END, check=True, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="each prompt in 4 consecutive rows; repeat_interleave makes them"):
        rlhf.collect(tiny(), *(x.repeat(4, 1) for x in prompts), GROUPS, **rest)
    with pytest.raises(ValueError, match="in groups of 4 rows, got 2 rows"):
        rlhf.collect(tiny(), *prompts, GROUPS, **rest)


@pytest.mark.parametrize("wrong, message", [
    (dict(estimator="ppo"), "estimator must be one of gae, rloo, grpo, batch mean, got 'ppo'"),
    (dict(kl="k1"), "kl must be one of reward, k2, k3, got 'k1'"),
    (dict(normalisation="token"), "normalisation must be one of batch, sequence, group, constant"),
    (dict(estimator="rloo"), 'group must be at least 2 with estimator "rloo"'),
    (dict(group=7), "group must divide batch, 64, got 7"),
    (dict(group=0), "group must be an integer of at least 1"),
    (dict(warm_up=-1), "warm_up must be an integer of at least 0"),
    (dict(warm_up=1.5), "warm_up must be an integer of at least 0")])
def test_a_config_that_cannot_be_names_the_argument(wrong, message):
    with pytest.raises(ValueError, match=message):
        rlhf.Config(**wrong)


def test_models_that_an_estimator_needs_are_asked_for():
    with pytest.raises(ValueError, match='a critic with estimator "gae"'):
        rlhf.start(replace(tiny(), critic=None), CONFIG)
    with pytest.raises(ValueError, match="beta must be 0 without a reference, got 0.1"):
        rlhf.start(replace(tiny(), reference=None), CONFIG)
