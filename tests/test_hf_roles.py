"""Models of transformers play the four roles: GPT-2 with places learned and weights tied, Llama with neither."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers")

from coursekit import helpdesk, rlhf  # noqa: E402
from coursekit.checkpoints import sample_prompts  # noqa: E402
from coursekit.hf_roles import Transformer  # noqa: E402
from coursekit.lm import response_logprobs, sample  # noqa: E402
from coursekit.resume import load_run, save_run  # noqa: E402

CONFIG = rlhf.Config(batch=8, minibatch=4, max_tokens=20, temperature=0.8)
KINDS = {"gpt2": dict(n_positions=96, n_embd=16, n_layer=2, n_head=2),
         "llama": dict(max_position_embeddings=96, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                       num_key_value_heads=1, intermediate_size=32)}
both = pytest.mark.parametrize("kind", KINDS)


def theirs(kind, auto=transformers.AutoModelForCausalLM, seed=0, **more):
    """A random model with weights large enough for a lost place or mask to show."""
    torch.manual_seed(seed)
    return auto.from_config(transformers.AutoConfig.for_model(
        kind, vocab_size=len(helpdesk.VOCABULARY), num_labels=1, initializer_range=0.2, bos_token_id=None,
        eos_token_id=None, **KINDS.get(kind, {}), **more))


def classifier(kind, **more):
    return theirs(kind, transformers.AutoModelForSequenceClassification, seed=1, **more)


def four(kind):
    return rlhf.four_models(Transformer(theirs(kind)), Transformer(classifier(kind)))


def roles(models):
    return models.actor, models.critic, models.reference, models.reward


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def prompts(n=8):
    return sample_prompts(np.random.default_rng(0), n)[1:]


@both
def test_log_probabilities_at_sampling_are_the_recomputed_ones(kind):
    model, (tokens, mask) = Transformer(theirs(kind)), prompts()
    responses, response_mask, old = sample(model, tokens, mask, max_tokens=20, end=helpdesk.END, temperature=0.8,
                                           generator=torch.Generator().manual_seed(0))
    assert not mask.all() and not response_mask.all()  # padding on both sides
    text, attention_mask = torch.cat([tokens, responses], 1), torch.cat([mask, response_mask], 1)
    again = response_logprobs(model, text, attention_mask, response_mask.shape[1], 0.8)[0].detach()
    assert_allclose(again[response_mask], old[response_mask], atol=1e-4)


@both
def test_padding_is_inert_on_either_side_whatever_it_holds(kind):
    actor, reward = Transformer(theirs(kind)), Transformer(classifier(kind))
    row = torch.randint(1, 60, (1, 9), generator=torch.Generator().manual_seed(0))
    padded, mask = torch.nn.functional.pad(row, (4, 3), value=7), torch.zeros(1, 16, dtype=torch.bool)
    mask[:, 4:13] = True
    with torch.no_grad():
        logits, bare = actor.logits(actor(padded, mask)[0]), theirs(kind).eval()(row).logits
        assert bare.std() > 0.1
        assert_allclose(logits[:, 4:13], bare, atol=1e-5)
        for tokens, real in ((padded, mask), (row, torch.ones_like(row, dtype=torch.bool))):
            score = reward.scores(reward(tokens, real)[0], real)
            assert_allclose(score, classifier(kind).eval()(row).logits[:, 0], atol=1e-5)


@both
def test_the_critic_starts_as_the_reward_model(kind):
    models, (tokens, mask) = four(kind), prompts()
    values = models.critic.values(models.critic(tokens, mask)[0])[:, -1].detach()
    assert_allclose(values, models.reward.scores(models.reward(tokens, mask)[0], mask), atol=1e-6)
    assert values.std() > 0.01


@both
def test_two_updates_move_actor_and_critic_and_nothing_else(kind):
    models = four(kind)
    before = [weights(m) for m in roles(models)]
    history = list(rlhf.train(rlhf.start(models, CONFIG), sample_prompts, updates=2, end=helpdesk.END))
    assert [torch.equal(a, weights(m)) for a, m in zip(before, roles(models))] == [False, False, True, True]
    assert abs(history[0]["kl"]) < 1e-4 < abs(history[1]["kl"])
    for trained in (models.actor, models.critic):  # the first and the last layer learn, not the head alone
        assert all(p.grad.abs().max() > 0 for block in trained.blocks for p in block.parameters() if p.dim() > 1)


@both
def test_a_resumed_run_ends_like_one_that_never_stopped(kind, tmp_path):
    whole, half = rlhf.start(four(kind), CONFIG), rlhf.start(four(kind), CONFIG)
    expected = list(rlhf.train(whole, sample_prompts, updates=2, end=helpdesk.END))
    history = list(rlhf.train(half, sample_prompts, updates=1, end=helpdesk.END))
    save_run(half, history, tmp_path / "run.safetensors")
    run, history = load_run(four(kind), tmp_path / "run.safetensors")
    assert history + list(rlhf.train(run, sample_prompts, updates=2, end=helpdesk.END)) == expected
    assert torch.equal(weights(run.models.actor), weights(whole.models.actor))


@both
def test_without_a_critic_the_actor_learns_and_resumes(kind, tmp_path):
    config = replace(CONFIG, estimator="rloo", group=4, kl="k3")
    whole, half = rlhf.start(four(kind), config), rlhf.start(four(kind), config)
    expected = list(rlhf.train(whole, sample_prompts, updates=2, end=helpdesk.END))
    history = list(rlhf.train(half, sample_prompts, updates=1, end=helpdesk.END))
    save_run(half, history, tmp_path / "run.safetensors")
    run, history = load_run(four(kind), tmp_path / "run.safetensors")
    assert run.models.critic is None
    assert history + list(rlhf.train(run, sample_prompts, updates=2, end=helpdesk.END)) == expected
    assert abs(expected[0]["kl"]) < 1e-4 < abs(expected[1]["kl"])


@both
def test_a_saved_actor_writes_and_a_saved_critic_values_what_they_did(kind, tmp_path):
    models, (tokens, mask) = four(kind), prompts()
    list(rlhf.train(rlhf.start(models, replace(CONFIG, lr=0.01)), sample_prompts, updates=1, end=helpdesk.END))
    with torch.no_grad():
        models.critic.score_head.bias += 1.5  # what normalising leaves, and what a classifier has no room for
        for name, is_classifier in (("actor", False), ("critic", True)):
            model = getattr(models, name)
            model.save_pretrained(tmp_path / name)
            again = Transformer.from_pretrained(tmp_path / name, classifier=is_classifier)
            hidden, same = model(tokens, mask)[0], again(tokens, mask)[0]
            for read in ("values", *(["logits"] if name == "actor" else [])):
                assert_allclose(getattr(again, read)(same), getattr(model, read)(hidden), atol=1e-6)
            assert_allclose(again.scores(same, mask), model.scores(hidden, mask), atol=1e-6)
        plain = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "actor").eval()
        ours = models.actor.logits(models.actor(tokens, mask)[0][:1, -1])
        assert_allclose(plain(tokens[:1][mask[:1]][None]).logits[:, -1], ours, atol=1e-5)
    assert [f.suffix for f in (tmp_path / "actor").glob("model*")] == [".safetensors"]


@both
def test_a_copy_shares_nothing_and_keeps_ties(kind):
    model = Transformer(theirs(kind))
    twin = model.requires_grad_(False).copy()
    names = dict(twin.named_parameters())
    assert all(p.requires_grad for p in names.values())
    assert not {p.data_ptr() for p in names.values()} & {p.data_ptr() for p in model.parameters()}
    assert twin.outer[0].get_input_embeddings() is twin.trunk.get_input_embeddings()
    assert ("head.weight" in names) == (kind == "llama")  # GPT-2 ties the head to the embedding


BERT = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2)


@pytest.mark.parametrize("build, message", [
    (lambda: classifier("bert", **BERT), "scores with one linear map"),
    (lambda: theirs("bert", **BERT), "BertLMHeadModel does not"),
    (lambda: theirs("granite", **KINDS["llama"], logits_scaling=3.0), "linear logits; Granite.* off the whole"),
])
def test_a_model_that_cannot_play_a_role_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        Transformer(build())


def test_a_text_that_is_too_long_and_a_model_that_is_not_there_are_refused(tmp_path):
    model = Transformer(theirs("gpt2"))
    with pytest.raises(ValueError, match="at most 96 long, got 97"):
        model(torch.ones(1, 97, dtype=torch.long), torch.ones(1, 97, dtype=torch.bool))
    with pytest.raises(ValueError, match="no model .*none, in a folder or from the hub"):
        Transformer.from_pretrained(str(tmp_path / "none"))


@both
def test_the_four_roles_train_in_bfloat16(kind):
    """The heads that we add may be in float32, or in bfloat16 as well."""
    for cast in (lambda role: role, lambda role: role.bfloat16()):
        policy, reward = Transformer(theirs(kind).bfloat16()), Transformer(classifier(kind).bfloat16())
        run = rlhf.start(rlhf.four_models(cast(policy), cast(reward)), CONFIG)
        before = weights(run.models.actor)
        history = list(rlhf.train(run, sample_prompts, updates=1, end=helpdesk.END))  # with its check
        assert np.isfinite(list(history[0].values())).all() and (weights(run.models.actor) != before).any()
