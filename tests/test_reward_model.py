"""The loss against finite differences and float64; training on pairs whose truth is known."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from coursekit import helpdesk as hd
from coursekit import reward_model
from coursekit.lm import TinyLM
from coursekit.ppo import clipped_step
from coursekit.preferences import Pairs, accuracy
from coursekit.reward_model import bradley_terry_loss, ensemble, normalise, score, score_pairs, train_reward_model


def pair_of_scores(seed, n=7):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, n, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("options", [{}, {"margin": 0.5}, {"label_smoothing": 0.1}])
def test_the_loss_agrees_with_finite_differences_and_a_reference(options):
    chosen, rejected = (x.requires_grad_() for x in pair_of_scores(0))
    assert torch.autograd.gradcheck(lambda a, b: bradley_terry_loss(a, b, **options), (chosen, rejected))
    d = (chosen - rejected).detach().numpy() - options.get("margin", 0.0)
    e = options.get("label_smoothing", 0.0)
    expected = np.mean((1 - e) * np.log1p(np.exp(-d)) + e * np.log1p(np.exp(d)))
    assert_allclose(bradley_terry_loss(chosen, rejected, **options).item(), expected)


def test_the_gradient_is_the_probability_of_being_wrong():
    chosen, rejected = (x.requires_grad_() for x in pair_of_scores(1))
    bradley_terry_loss(chosen, rejected).backward()
    wrong = torch.sigmoid(rejected - chosen).detach()
    assert_allclose(chosen.grad, -wrong / 7)
    assert_allclose(rejected.grad, wrong / 7)


def test_a_constant_for_the_prompt_changes_nothing():
    chosen, rejected = pair_of_scores(2)
    shift = torch.randn(7, dtype=torch.float64) * 100
    assert_allclose(bradley_terry_loss(chosen + shift, rejected + shift), bradley_terry_loss(chosen, rejected))


@pytest.mark.parametrize("gap", [-1e4, -104.0, -89.0, 0.0, 17.0, 200.0])
def test_it_is_finite_where_log_of_sigmoid_is_not(gap):
    chosen = torch.tensor([gap], requires_grad=True)
    loss = bradley_terry_loss(chosen, torch.zeros(1))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(chosen.grad).all()
    assert_allclose(loss.item(), np.logaddexp(0, -gap), rtol=1e-6, atol=1e-38)
    if gap == 17.0:
        assert chosen.grad.item() < 0  # log(sigmoid(17)) in float32 has gradient exactly 0


def test_margin_and_smoothing_move_the_gradient():
    def gradient(**options):
        chosen = torch.tensor([0.3], requires_grad=True)
        bradley_terry_loss(chosen, torch.zeros(1), **options).backward()
        return chosen.grad.item()
    assert len({gradient(), gradient(margin=1.0), gradient(label_smoothing=0.2)}) == 3


def test_bad_input_is_refused_by_name():
    x = torch.zeros(3)
    for arguments, message in (((np.zeros(3), np.zeros(3)), "chosen_scores must be a torch tensor"),
                               ((x, torch.zeros(4)), "rejected_scores must have the shape of chosen_scores")):
        with pytest.raises(ValueError, match=message):
            bradley_terry_loss(*arguments)
    for smoothing in (0.5, -0.1):
        with pytest.raises(ValueError, match="label_smoothing must lie in"):
            bradley_terry_loss(x, x, label_smoothing=smoothing)
    with pytest.raises(ValueError, match="^chosen_scores must be floating"):
        bradley_terry_loss(x.long(), x)
    with pytest.raises(ValueError, match="^rejected_scores must be floating"):
        bradley_terry_loss(x, x.long())


def polite_pairs(n, seed=0):
    """Prompts with a rude and a polite reply; the polite one is preferred."""
    rng = np.random.default_rng(seed)
    prompts = [hd.sample_complaint(rng).text() for _ in range(n)]
    return Pairs(prompts, [f"{hd.CLOSING} . <end>"] * n, [f"{hd.RUDE} . <end>"] * n)


@pytest.fixture(scope="module")
def lm():
    return TinyLM(len(hd.VOCABULARY), width=16, heads=2, layers=1)


@pytest.mark.slow
def test_training_learns_a_clear_preference_and_spares_the_model_it_starts_from(lm):
    before = {name: weight.clone() for name, weight in lm.state_dict().items()}
    model, history = train_reward_model(lm, polite_pairs(256), epochs=2, held_out=polite_pairs(50, 1))
    assert accuracy(*score_pairs(model, polite_pairs(50, 2))) == 1.0
    assert history[-1]["held_out_accuracy"] == 1.0 and history[0]["loss"] > history[-1]["loss"]
    assert all(torch.equal(before[name], weight) for name, weight in lm.state_dict().items())
    again, _ = train_reward_model(lm, polite_pairs(256), epochs=2, held_out=polite_pairs(50, 1))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters()))


def test_patience_keeps_the_best_epoch(lm):
    upside_down = polite_pairs(50, 1)
    upside_down = Pairs(upside_down.prompts, upside_down.rejected, upside_down.chosen)
    model, history = train_reward_model(lm, polite_pairs(256), epochs=5, held_out=upside_down, patience=1)
    losses = [h["held_out_loss"] for h in history]
    assert len(history) < 5 and losses[0] < losses[-1]
    chosen, rejected = score_pairs(model, upside_down)
    assert_allclose(bradley_terry_loss(*map(torch.as_tensor, (chosen, rejected))).item(), losses[0], rtol=1e-5)


@pytest.mark.parametrize("option, least", [("epochs", 1), ("batch", 1), ("seed", 0)])
def test_a_training_that_cannot_be_is_refused_before_it_begins(option, least):
    with pytest.raises(ValueError, match=f"^{option} must be an integer of at least {least}, got {least - 1}"):
        train_reward_model(None, Pairs(["p"], ["a"], ["b"]), **{option: least - 1})


class Recorded(Pairs):
    """Pairs that note which rows are taken."""

    taken = []

    def take(self, rows):
        self.taken.append(sorted(rows.tolist()))
        return super().take(rows)


def test_every_epoch_takes_each_pair_once_and_the_rate_falls_by_a_cosine(lm, monkeypatch):
    rates = []

    def step(optimiser, *models):
        rates.append(optimiser.param_groups[0]["lr"])
        assert len(models) == 1
        clipped_step(optimiser, *models)

    def taken(count, **options):
        Recorded.taken = []
        given = polite_pairs(count)
        _, history = train_reward_model(lm, Recorded(given.prompts, given.chosen, given.rejected), **options)
        assert [set(entry) for entry in history] == [{"epoch", "loss"}] * len(history)
        assert [entry["epoch"] for entry in history] == list(range(1, len(history) + 1))
        return Recorded.taken
    monkeypatch.setattr(reward_model, "clipped_step", step)
    rows = taken(10, epochs=2, batch=4, lr=1e-3)
    assert [len(part) for part in rows] == [4, 3, 3] * 2 and rows[:3] != rows[3:]
    assert sorted(sum(rows[:3], [])) == sorted(sum(rows[3:], [])) == list(range(10))
    assert_allclose(rates, 1e-3 * (1 + np.cos(np.pi * np.arange(6) / 6)) / 2)
    assert taken(10, epochs=2, batch=4, seed=0) == rows != taken(10, epochs=2, batch=4, seed=1)
    rates.clear()
    assert len(taken(65)) == 6  # three epochs of two parts of at most 64 pairs
    assert_allclose(rates, 3e-3 * (1 + np.cos(np.pi * np.arange(6) / 6)) / 2)


def test_patience_waits_for_so_many_epochs_and_without_it_the_last_stays(lm, monkeypatch):
    """The held-out losses are given; every look at the scores is of the model as it then is."""
    losses, looks = [], []

    def judged(model, pairs):
        looks.append([weight.clone() for weight in model.parameters()])
        gap = -np.log(np.expm1(losses[len(looks) - 1]))  # −log σ(gap) is that loss
        return np.array([gap]), np.array([0.0])
    monkeypatch.setattr(reward_model, "score_pairs", judged)
    for patience, given, epochs, best in ((1, [0.5, 0.4, 0.45, 0.1], 3, 1), (2, [0.5, 0.4, 0.45, 0.3], 4, 3),
                                          (2, [0.3, 0.4, 0.4, 0.1], 3, 0), (1, [0.5, 0.5, 0.1], 2, 0),
                                          (None, [0.5, 0.4, 0.6, 0.7], 4, 3)):
        losses[:], looks[:] = given, []
        model, history = train_reward_model(lm, polite_pairs(8), epochs=len(given), held_out=polite_pairs(1),
                                            patience=patience)
        assert_allclose([entry["held_out_loss"] for entry in history], given[:epochs])
        assert [entry["held_out_accuracy"] for entry in history] == [float(x < np.log(2)) for x in given[:epochs]]
        assert all(map(torch.equal, model.parameters(), looks[best]))


def test_the_loss_of_an_epoch_is_the_mean_over_its_parts(lm, monkeypatch):
    seen = []
    whole = reward_model._pair_loss

    def pair_loss(model, pairs):
        loss = whole(model, pairs)
        seen.append(loss.item())
        return loss
    monkeypatch.setattr(reward_model, "_pair_loss", pair_loss)
    _, history = train_reward_model(lm, polite_pairs(9), epochs=2, batch=3)
    assert_allclose([entry["loss"] for entry in history], np.reshape(seen, (2, 3)).mean(1), rtol=1e-6)


def test_patience_without_pairs_to_judge_is_refused(lm):
    with pytest.raises(ValueError, match="patience needs held_out"):
        train_reward_model(lm, Pairs(["p"], ["a"], ["b"]), patience=1)


def test_no_pairs_are_refused(lm):
    with pytest.raises(ValueError, match="pairs must hold at least one comparison"):
        train_reward_model(lm, Pairs([], [], []))


def test_a_score_does_not_depend_on_its_batch(lm):
    pairs = polite_pairs(9)
    assert_allclose(score(lm, pairs.prompts, pairs.chosen, batch=2),
                    score(lm, pairs.prompts, pairs.chosen, batch=9), atol=1e-5)


def test_normalised_scores_have_mean_0_and_sd_1_and_keep_their_order(lm):
    pairs = polite_pairs(40)
    model = lm.copy()
    prompts, replies = pairs.prompts * 2, pairs.chosen + pairs.rejected
    before = score(model, prompts, replies)
    after = score(normalise(model, prompts, replies), prompts, replies)
    assert_allclose([after.mean(), after.std()], [0, 1], atol=1e-4)
    assert_allclose(after, (before - before.mean()) / before.std(), atol=1e-3)


def test_ensembles_by_hand():
    scores = np.array([[1.0, 4.0, 5.0], [3.0, 0.0, 9.0]])
    assert ensemble(scores).tolist() == [2.0, 2.0, 7.0]
    assert ensemble(scores, "min").tolist() == [1.0, 0.0, 5.0]
    assert ensemble(scores, "lower").tolist() == [1.0, 0.0, 5.0]
    with pytest.raises(ValueError, match="how must be one of mean, min, lower"):
        ensemble(scores, "max")
    with pytest.raises(ValueError, match="scores must be finite, got nan in model 1"):
        ensemble([[0.0, 1.0], [np.nan, 1.0]])
    for flat in ([1.0, 2.0], np.zeros((0, 3))):
        with pytest.raises(ValueError, match=r"scores must be \(models, answers\), got shape"):
            ensemble(flat)


@pytest.mark.parametrize("margin", [torch.ones(4, 1), torch.ones(3), torch.ones(1)])
def test_a_margin_that_would_be_broadcast_is_refused(margin):
    with pytest.raises(ValueError, match="margin must be a number or of the shape of chosen_scores"):
        bradley_terry_loss(torch.zeros(4), torch.zeros(4), margin=margin)


def test_one_reply_has_no_unit(monkeypatch):
    alike = "replies must differ in their scores"
    for scores, message in (([2.0], alike), ([0.0, 0.0], alike), ([1000.0, 1000 + 1e-4], alike),
                            ([2.0, np.nan], "^scores must be finite, got nan in reply 1")):
        monkeypatch.setattr(reward_model, "score", lambda *_, scores=scores: np.array(scores))
        model = TinyLM(9, width=8, heads=2)
        with pytest.raises(ValueError, match=message):
            normalise(model, ["p"] * len(scores), ["r"] * len(scores))
        assert all(torch.isfinite(p).all() for p in model.parameters())
