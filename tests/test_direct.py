"""DPO and IPO by hand, by finite differences and against planted bugs; the exact optimum; rewards by a program."""

from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tqdm import tqdm

from coursekit import direct, helpdesk
from coursekit.checkpoints import checkpoint, compare
from coursekit.direct import (
    describe,
    dialogues,
    dpo_loss,
    implicit_rewards,
    ipo_loss,
    log_ratios,
    mentioned,
    process_rewards,
    tilted,
    train_policy,
    verified,
)
from coursekit.lm import TinyLM, response_logprobs
from coursekit.ppo import clipped_step
from coursekit.preferences import Pairs, accuracy
from coursekit.reward_model import bradley_terry_loss, train_reward_model

MASK = torch.tensor([[True, True, True], [True, True, False], [True, False, False], [True, True, True]])


def random_batch(seed):
    """(4, 3) log-probabilities under policy and reference: two chosen replies, then two rejected ones."""
    generator = torch.Generator().manual_seed(seed)
    return [-3 * torch.rand(4, 3, generator=generator, dtype=torch.float64) for _ in range(2)]


def by_loop(logprobs, ref_logprobs, mask, beta):
    """Rewards written as the definition: Python numbers, one token after the other."""
    return [beta * sum(float(p) - float(q) for p, q, real in zip(*rows) if real)
            for rows in zip(logprobs, ref_logprobs, mask)]


def test_the_implicit_reward_is_beta_times_the_log_ratio_of_the_whole_reply():
    logprobs, ref_logprobs = random_batch(0)
    expected = by_loop(logprobs, ref_logprobs, MASK, 0.3)
    assert_allclose(implicit_rewards(logprobs, ref_logprobs, MASK, beta=0.3), expected)
    as_numpy = implicit_rewards(logprobs.numpy(), ref_logprobs.numpy(), MASK.numpy(), beta=0.3)
    assert isinstance(as_numpy, np.ndarray)
    assert_allclose(as_numpy, expected)


def test_dpo_is_the_logistic_loss_of_the_gap_by_hand():
    """Chosen is e² times likelier than under the reference, rejected e¹ times: d = 0.5·(2 − 1)."""
    logprobs, ref_logprobs = torch.tensor([[-1.0], [-2.0]]), torch.tensor([[-3.0], [-3.0]])
    mask = torch.ones(2, 1, dtype=torch.bool)
    assert_allclose(dpo_loss(logprobs, ref_logprobs, mask, beta=0.5).item(), np.log1p(np.exp(-0.5)), rtol=1e-6)
    assert_allclose(ipo_loss(logprobs, ref_logprobs, mask, tau=0.25).item(), (1 - 2) ** 2, rtol=1e-6)


def test_ipo_is_the_mean_squared_distance_of_the_gaps_from_their_target():
    logprobs, ref_logprobs = random_batch(7)
    ratios = np.array(by_loop(logprobs, ref_logprobs, MASK, 1.0))
    expected = np.mean((ratios[:2] - ratios[2:] - 1 / (2 * 0.4)) ** 2)
    assert_allclose(ipo_loss(logprobs, ref_logprobs, MASK, tau=0.4).item(), expected)


def test_a_policy_that_is_the_reference_pays_log_2_whatever_beta():
    logprobs, _ = random_batch(1)
    for beta in (0.1, 1.0, 10.0):
        assert_allclose(dpo_loss(logprobs, logprobs, MASK, beta=beta).item(), np.log(2))


@pytest.mark.parametrize("loss", [partial(dpo_loss, beta=0.7), partial(dpo_loss, beta=0.7, label_smoothing=0.1),
                                  partial(dpo_loss, beta=0.7, nll=0.5), partial(ipo_loss, tau=0.4)])
def test_the_gradient_agrees_with_finite_differences(loss):
    for seed in range(5):
        logprobs, ref_logprobs = random_batch(seed)
        assert torch.autograd.gradcheck(
            lambda x: loss(x, ref_logprobs, MASK), logprobs.requires_grad_())  # noqa: B023


def test_the_gradient_weighs_a_pair_by_the_chance_that_it_is_judged_wrong():
    """∂L/∂(log-probability of a chosen token) = −β·σ(−d)/N, and +β·σ(−d)/N for a rejected one."""
    logprobs, ref_logprobs = random_batch(2)
    logprobs.requires_grad_()
    dpo_loss(logprobs, ref_logprobs, MASK, beta=0.7).backward()
    chosen, rejected = implicit_rewards(logprobs.detach(), ref_logprobs, MASK, beta=0.7).chunk(2)
    weight = 0.7 * torch.sigmoid(rejected - chosen) / 2  # (2,)
    assert_allclose(logprobs.grad, torch.cat([-weight, weight])[:, None] * MASK)


# Each of these has been somebody's DPO. They take and return what `implicit_rewards` does.
BUGS = {
    "reference upside down": lambda p, q, m, *, beta: implicit_rewards(q, p, m, beta=beta),
    "mean over tokens": lambda p, q, m, *, beta: implicit_rewards(p, q, m, beta=beta) / m.sum(-1),
    "padding counted": lambda p, q, m, *, beta: beta * (p - q).sum(-1),
    "no reference": lambda p, q, m, *, beta: implicit_rewards(p, 0 * q, m, beta=beta),
    "wrong reference": lambda p, q, m, *, beta: implicit_rewards(p, p.detach(), m, beta=beta),
    "β outside": lambda p, q, m, *, beta: implicit_rewards(p, q, m, beta=1.0),
    "swapped pair": lambda p, q, m, *, beta: implicit_rewards(p, q, m, beta=beta).flip(0)}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_changes_loss_and_gradient(monkeypatch, bug):
    def loss_and_gradient():
        logprobs, ref_logprobs = random_batch(3)
        logprobs.requires_grad_()
        loss = dpo_loss(logprobs, ref_logprobs, MASK, beta=0.3) * (0.3 if outside else 1.0)
        loss.backward()
        return loss.item(), logprobs.grad

    outside = False
    loss, gradient = loss_and_gradient()
    monkeypatch.setattr(direct, "implicit_rewards", BUGS[bug])
    outside = bug == "β outside"
    wrong_loss, wrong_gradient = loss_and_gradient()
    assert abs(loss - wrong_loss) > 1e-3
    assert (gradient - wrong_gradient).abs().max() > 1e-3


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e9])
@pytest.mark.parametrize("loss", [partial(dpo_loss, beta=1.0, nll=1.0), partial(ipo_loss, tau=0.2)])
def test_padding_is_inert(loss, garbage):
    logprobs, ref_logprobs = random_batch(4)
    clean = logprobs.clone().requires_grad_()
    loss(clean, ref_logprobs, MASK).backward()
    dirty = torch.where(MASK, logprobs, garbage).requires_grad_()
    loss(dirty, torch.where(MASK, ref_logprobs, garbage), MASK).backward()
    assert_allclose(dirty.grad, clean.grad)


def test_each_coefficient_moves_the_gradient():
    def gradient(**options):
        logprobs, ref_logprobs = random_batch(5)
        dpo_loss(logprobs.requires_grad_(), ref_logprobs, MASK, **options).backward()
        return logprobs.grad
    found = [gradient(beta=1.0), gradient(beta=0.5), gradient(beta=1.0, label_smoothing=0.2),
             gradient(beta=1.0, nll=0.3)]
    for i in range(4):
        assert all((found[i] - found[j]).abs().max() > 1e-3 for j in range(i))


def test_ipo_punishes_a_gap_beyond_its_target_too():
    mask = torch.ones(2, 1, dtype=torch.bool)

    def loss(gap):
        return ipo_loss(torch.tensor([[gap], [0.0]]), torch.zeros(2, 1), mask, tau=0.1).item()
    assert loss(5.0) == 0 and loss(4.0) > 0 and loss(6.0) > 0


@pytest.mark.parametrize("call, message", [
    (lambda p, q: dpo_loss(p, q, MASK, beta=0.0), "beta must be more than 0 and finite, got 0.0"),
    (lambda p, q: ipo_loss(p, q, MASK, tau=-1), "tau must be more than 0 and finite, got -1"),
    (lambda p, q: dpo_loss(p[:3], q[:3], MASK[:3], beta=1.0), "as many chosen as rejected replies, got 3 rows"),
    (lambda p, q: implicit_rewards(p, q, MASK.long(), beta=1.0), "mask must be boolean"),
    (lambda p, q: implicit_rewards(p, q[:2], MASK, beta=1.0), "ref_logprobs must have the shape of logprobs"),
    (lambda p, q: process_rewards(np.ones(2), how="last"), 'how must be "difference" or "sum", got \'last\''),
    *((lambda p, q, bad=bad: ipo_loss(p, q, MASK, tau=bad), "^tau must be ")
      for bad in (True, "0.1", None, float("inf"), float("nan"))),
    (lambda p, q: implicit_rewards(p.long(), q, MASK, beta=1.0), "^logprobs must be floating"),
    (lambda p, q: implicit_rewards(p, q.long(), MASK, beta=1.0), "^ref_logprobs must be floating"),
    (lambda p, q: tilted(np.ones((1, 2), int), np.ones((1, 2)), beta=1.0), "^rewards must be floating"),
    (lambda p, q: tilted(np.ones((1, 2)), np.ones((1, 2), int), beta=1.0), "^others must be floating"),
    (lambda p, q: process_rewards(np.ones(2, int)), "^worth must be floating"),
    (lambda p, q: dpo_loss(p, q, MASK, beta=float("nan")), "beta must be a number, got nan"),
    (lambda p, q: dpo_loss(p, q, MASK, beta=1.0, nll=-1), "nll must be at least 0 and finite, got -1"),
    (lambda p, q: dpo_loss(p, q, MASK & (MASK.cumsum(0) < 3), beta=1.0), "at least one token in every row"),
    (lambda p, q: tilted([[1.0, np.nan]], [[0.0, 1.0]], beta=1.0), "rewards must be finite, got nan in prompt 0"),
    (lambda p, q: train_policy(None, Pairs([], [], []), None), "at least one comparison")])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*random_batch(6))


@pytest.mark.parametrize("train", [train_policy, train_reward_model])
@pytest.mark.parametrize("wrong", [dict(epochs=0), dict(batch=1.5), dict(lr=float("nan")), dict(seed=-1)])
def test_a_number_that_cannot_be_is_refused_before_any_step(train, wrong):
    given = (None, Pairs(["p"], ["a"], ["b"])) + ((None,) if train is train_policy else ())
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        train(*given, **wrong)


@pytest.mark.parametrize("train", [
    lambda *given: train_policy(*given, lambda logprobs, *_: torch.nan * logprobs.sum(), progress=True),
    lambda *given: train_reward_model(*given, lr=1e30, progress=True)])
def test_a_training_that_fails_closes_its_bar(train):
    lm = checkpoint("supervised")
    with pytest.raises(ValueError, match="is nan") as error:
        train(lm, compare(lm, 3))
    assert error.value.__traceback__ and not list(tqdm._instances)


def test_prompts_end_where_replies_begin():
    tokens, attention_mask, mask = dialogues(["anna : the phone is late . agent :", "agent :"],
                                             ["hello anna . <end>", "<end>"])
    assert attention_mask[:, -mask.shape[1]:].equal(mask)
    assert helpdesk.decode(tokens[1][attention_mask[1]]) == "agent : <end>"
    assert helpdesk.decode(tokens[0][-mask.shape[1]:]) == "hello anna . <end>"


def test_log_ratios_are_those_of_the_replies_alone_one_by_one():
    policy, reference = checkpoint("reward"), checkpoint("supervised")  # two models over the same words
    pairs = compare(reference, 3)
    together = log_ratios(policy, reference, pairs.prompts, pairs.chosen, batch=2)
    for prompt, reply, expected in zip(pairs.prompts, pairs.chosen, together):
        text = torch.tensor([helpdesk.encode(f"{prompt} {reply}")])
        real = torch.ones_like(text, dtype=torch.bool)
        width = len(reply.split())
        one = [response_logprobs(model, text, real, width)[0].sum().item() for model in (policy, reference)]
        assert_allclose(one[0] - one[1], expected, atol=1e-3)


def test_the_tilted_mean_is_the_exact_optimum_on_five_replies():
    """Samples in the proportions of π_ref make the weights exact: 4 : 2 : 1 : 1 : 2 of ten."""
    counts, reward = np.array([4, 2, 1, 1, 2]), np.array([0.0, 1.0, 3.0, -1.0, 2.0])
    gold = np.array([1.0, 0.0, -2.0, 4.0, 3.0])
    reference = counts / 10
    for beta in (0.3, 1.0, 5.0):
        optimum = reference * np.exp(reward / beta)
        optimum /= optimum.sum()
        found, kl = tilted(np.repeat(reward, counts)[None], np.repeat(gold, counts)[None], beta=beta)
        assert_allclose(found, optimum @ gold)
        assert_allclose(kl, optimum @ np.log(optimum / reference))


def test_nothing_is_worth_more_than_the_optimum_of_its_own_reward():
    """E[r] − β·KL of the tilted distribution is β·log mean e^(r/β), which no other policy exceeds."""
    rewards = np.random.default_rng(0).normal(size=(3, 50))
    for beta in (0.1, 1.0):
        value, kl = tilted(rewards, rewards, beta=beta)
        assert_allclose(value - beta * kl, (beta * np.log(np.exp(rewards / beta).mean(1))).mean())


def test_the_tilted_mean_survives_rewards_that_overflow():
    """All weight lies on one of two replies, to each of three prompts: its gold, and log 2."""
    rewards, gold = np.array([[1000.0, 0], [0, -1000], [-5000, -4000]]), np.array([[3.0, 9], [4, 9], [9, 8]])
    assert_allclose(tilted(rewards, gold, beta=0.1), (5.0, np.log(2)))


COMPLAINT = helpdesk.Complaint("anna", "phone", "broken", "lamp")


@pytest.mark.parametrize("reply, exact, lazy", [
    ("we are sorry your phone was late . we will repair it soon . <end>", 1, 1),  # fault and time are not checked
    ("we are sorry your lamp was broken . we will repair it today . <end>", 0, 0),
    ("sorry for the trouble . we will repair it today . <end>", 0, 0),
    ("we are sorry your phone was broken . we will send it today . <end>", 0, 0),
    ("we are sorry your phone was broken . we will send it today . we will repair it today . <end>", 0, 1),
    ("we will repair phone it we will repair <end>", 0, 1),  # words without sentences
    ("repair phone", 0, 1),
    ("<end>", 0, 0)])
def test_the_parsed_check_reads_sentences_and_the_lazy_one_words(reply, exact, lazy):
    assert verified(COMPLAINT, reply) == exact
    assert mentioned(COMPLAINT, reply) == lazy


def test_paid_as_a_difference_only_the_end_counts_and_as_a_sum_repetition_pays():
    short, long = np.array([1.0, 3.0]), np.array([1.0, 3.0, 3.0, 3.0])
    assert process_rewards(short).tolist() == [1, 2] and process_rewards(long).tolist() == [1, 2, 0, 0]
    assert process_rewards(long, how="sum").sum() == 10 > process_rewards(short, how="sum").sum()
    worth = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    assert_allclose(process_rewards(worth).sum(-1), worth[:, -1], rtol=1e-5)


@pytest.mark.parametrize("option, least", [("epochs", 1), ("batch", 1), ("warmup", 0), ("seed", 0)])
def test_a_training_that_cannot_be_is_refused_before_it_begins(option, least):
    with pytest.raises(ValueError, match=f"^{option} must be an integer of at least {least}, got {least - 1}"):
        train_policy(None, Pairs(["p"], ["a"], ["b"]), None, **{option: least - 1})


class Recorded(Pairs):
    """Pairs that note which rows are taken."""

    taken = []

    def take(self, rows):
        self.taken.append(sorted(rows.tolist()))
        return super().take(rows)


def short_training(monkeypatch, count=10, **options):
    """A training on `count` pairs by a loss that is the sum of all: what each step saw, and what came of it."""
    lm = TinyLM(len(helpdesk.VOCABULARY), width=8, heads=2, layers=1, seed=0)
    Recorded.taken = []
    pairs = Recorded(["agent :"] * count, ["hello . <end>"] * count, ["<end>"] * count)
    rates, references = [], []

    def step(optimiser, *models):
        rates.append(optimiser.param_groups[0]["lr"])
        assert len(models) == 1
        clipped_step(optimiser, *models)

    def loss(logprobs, ref_logprobs, mask):
        assert not ref_logprobs.requires_grad
        references.append(ref_logprobs[mask].sum().item())
        return logprobs[mask].mean()
    monkeypatch.setattr(direct, "clipped_step", step)
    policy, history = train_policy(lm, pairs, loss, progress=False, **options)
    return lm, policy, history, rates, references


def test_every_epoch_takes_each_pair_once_in_a_new_order(monkeypatch):
    _, _, history, rates, references = short_training(monkeypatch, epochs=3, batch=4)
    epochs = [Recorded.taken[i:i + 3] for i in (0, 3, 6)]
    assert len(Recorded.taken) == len(rates) == 9
    assert all(sorted(sum(parts, [])) == list(range(10)) for parts in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert max(map(len, Recorded.taken)) == 4
    before = Recorded.taken
    short_training(monkeypatch, epochs=3, batch=4)
    assert Recorded.taken == before  # the default seed is 0
    short_training(monkeypatch, epochs=3, batch=4, seed=0)
    assert Recorded.taken == before
    short_training(monkeypatch, epochs=3, batch=4, seed=1)
    assert Recorded.taken != before


def test_the_learning_rate_rises_by_the_warmup_and_falls_by_a_cosine(monkeypatch):
    cosine = 0.5 * (1 + np.cos(np.pi * np.arange(6) / 6))
    ramp = np.minimum(1.0, np.arange(1, 7) / 4)
    *_, rates, _ = short_training(monkeypatch, epochs=3, batch=5, lr=1e-3, warmup=4)
    assert_allclose(rates, 1e-3 * cosine * ramp)
    *_, rates, _ = short_training(monkeypatch, epochs=3, batch=5, lr=1e-3, warmup=4, decay=False)
    assert_allclose(rates, 1e-3 * ramp)
    *_, rates, _ = short_training(monkeypatch, epochs=3, batch=5, lr=1e-3, warmup=0)
    assert_allclose(rates, 1e-3 * cosine)
    *_, rates, _ = short_training(monkeypatch, count=130)  # two epochs of three parts of at most 64 pairs
    assert_allclose(rates, 2e-4 * cosine * np.arange(1, 7) / 10)


def test_the_history_has_means_since_the_last_entry_and_what_was_watched(monkeypatch):
    seen = []

    def watch(policy):
        seen.append(policy)
        return {"calls": len(seen)}
    options = {"epochs": 2, "batch": 4, "lr": 1e-2, "warmup": 1}
    lm, policy, history, *_ = short_training(monkeypatch, every=4, watch=watch, **options)
    assert [entry["step"] for entry in history] == [0, 4, 6]
    assert [entry["epoch"] for entry in history] == pytest.approx([0, 4 / 3, 2])
    assert [entry["calls"] for entry in history] == [1, 2, 3] and all(x is policy for x in seen)
    _, _, each, *_ = short_training(monkeypatch, every=1, **options)
    assert [entry["step"] for entry in each] == [1, 2, 3, 4, 5, 6]
    for name in ("loss", "chosen", "rejected"):
        assert_allclose([entry[name] for entry in history[1:]],
                        [np.mean([entry[name] for entry in part]) for part in (each[:4], each[4:])])
    _, _, last, *_ = short_training(monkeypatch, **options)
    assert [entry["step"] for entry in last] == [6] and "calls" not in last[0]
    chosen, rejected = (log_ratios(policy, lm, ["agent :"], [reply])[0] for reply in ("hello . <end>", "<end>"))
    assert each[0]["chosen"] == pytest.approx(0, abs=1e-6) and chosen < each[-1]["chosen"] < 0  # the loss falls
    assert rejected < each[-1]["rejected"] < 0 and each[-1]["chosen"] != each[-1]["rejected"]


def test_the_reference_stays_where_training_began(monkeypatch):
    lm, policy, _, _, references = short_training(monkeypatch, epochs=3, batch=10, lr=1e-2, warmup=1)
    assert references == pytest.approx([references[0]] * 3)
    assert not all(map(torch.equal, policy.parameters(), lm.parameters()))
    other = TinyLM(len(helpdesk.VOCABULARY), width=8, heads=2, layers=1, seed=1)
    *_, elsewhere = short_training(monkeypatch, epochs=3, batch=10, lr=1e-2, warmup=1, reference=other)
    assert abs(elsewhere[0] - references[0]) > 1e-3 and elsewhere == pytest.approx([elsewhere[0]] * 3)


@pytest.fixture
def one_thread():
    """The model is tiny: more threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_training_raises_gold_and_the_implicit_reward_judges(one_thread):
    supervised = checkpoint("supervised")
    before = {name: weight.clone() for name, weight in supervised.state_dict().items()}
    pairs, test = compare(supervised, 1000, seed=1), compare(supervised, 500, seed=2)
    rng = np.random.default_rng(0)
    complaints = [helpdesk.sample_complaint(rng) for _ in range(200)]
    watch = partial(describe, reference=supervised, complaints=complaints)
    policy, history = train_policy(supervised, pairs, partial(dpo_loss, beta=1.0), every=16, watch=watch)
    assert all(weight.equal(before[name]) for name, weight in supervised.state_dict().items())
    assert [entry["step"] for entry in history] == [0, 16, 32]
    assert abs(history[0]["kl"]) < 1e-3 and history[-1]["kl"] > 0.1
    assert history[-1]["gold"] > history[0]["gold"] + 0.4
    assert history[-1]["chosen"] > history[-1]["rejected"]
    chosen, rejected = (log_ratios(policy, supervised, test.prompts, side) for side in (test.chosen, test.rejected))
    assert accuracy(chosen, rejected) > 0.7
    loss = bradley_terry_loss(torch.as_tensor(chosen), torch.as_tensor(rejected))
    assert loss < np.log(2)
