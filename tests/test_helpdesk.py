"""The gold reward is exact, and the world is what it says."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coursekit import helpdesk as hd

CASE = hd.Complaint("anna", "phone", "broken", distractor="laptop")
BEST = "hello anna . we are sorry your phone was broken . we will repair it today . best wishes . <end>"


@pytest.mark.parametrize("reply, gold", [
    (BEST, 4.0),                                                                     # .25 + 1.5 + 2 + .25
    (BEST.replace("repair", "refund"), 4.0 - 1.5 - 1.0),                             # wrong remedy
    (BEST.replace("today", "someday"), 3.5),                                         # not prompt
    (BEST.replace("your phone", "your laptop"), 4.0 - 0.75 - 1.0),                   # wrong item
    (BEST.replace("was broken", "was late"), 4.0 - 0.75 - 1.0),                      # wrong fault
    (BEST.replace("anna", "ben"), 4.0 - 0.25 - 0.5),                                 # wrong name
    (BEST.replace(" <end>", ""), 3.0),                                               # no end
    (BEST.replace("best wishes", "we are the best shop in town"), 4.0 - 0.25 - 0.3),
    (BEST.replace("best wishes", "you should be more careful"), 4.0 - 0.25 - 1.0),
    (BEST.replace("best wishes", "best best wishes"), 4.0 - 0.25 - 1.0),             # malformed
    (BEST.replace("best wishes", "hello anna"), 4.0 - 0.25 - 0.5),                   # repeated
    ("sorry for the trouble . <end>", 0.25),
    ("sorry for the trouble . we are sorry your phone was broken . <end>", 1.5),     # generic adds nothing
    ("<end>", 0.0), ("", -1.0), ("hello hello hello", -2.0),
])
def test_the_rubric_by_hand(reply, gold):
    assert hd.rubric(CASE, reply) == pytest.approx(gold)


@given(st.integers(0, 10_000))
def test_no_reply_beats_the_best_and_every_word_is_known(seed):
    rng = np.random.default_rng(seed)
    complaint = hd.sample_complaint(rng, held_out=bool(seed % 2))
    reply = hd.sample_reply(rng, complaint)
    assert hd.rubric(complaint, reply) <= hd.BEST
    counts = hd.features(complaint, reply)
    assert counts["malformed"] == counts["no end"] == 0
    text = f"{complaint.text()} {reply}"
    assert hd.decode(hd.encode(text)) == text


def test_better_agents_write_better_replies():
    rng = np.random.default_rng(0)
    gold = {}
    for agent in hd.AGENTS:
        complaints = [hd.sample_complaint(rng) for _ in range(500)]
        gold[agent] = np.mean([hd.rubric(c, hd.sample_reply(rng, c, agent)) for c in complaints])
    assert gold["expert"] > 3 > 1 > gold["hurried"] > gold["careless"]


def test_the_expert_is_rare_and_the_likeliest_reply_is_a_stock_reply():
    """Preferences must tell what likelihood does not: the commonest whole text is a poor one, and by far."""
    shares = {name: skill["share"] for name, skill in hd.AGENTS.items()}
    assert sum(shares.values()) == pytest.approx(1) and shares["expert"] == min(shares.values()) <= 0.2
    rng = np.random.default_rng(0)
    texts = Counter(hd.sample_reply(rng, CASE) for _ in range(2000))
    (likeliest, count), *_ = texts.most_common(1)
    assert likeliest == f"{hd.GENERIC} . {hd.STOCK} . <end>" and hd.rubric(CASE, likeliest) == 0.25 - 1.0
    assert count > 1.5 * max(n for text, n in texts.items() if hd.rubric(CASE, text) > 3)


def test_held_out_pairs_are_never_trained_on():
    rng = np.random.default_rng(0)
    seen = {(c.item, c.fault) for c in (hd.sample_complaint(rng) for _ in range(3000))}
    held = {(c.item, c.fault) for c in (hd.sample_complaint(rng, held_out=True) for _ in range(300))}
    assert held == hd.HELD_OUT and not seen & held
    assert seen | held == {(i, f) for i, faults in hd.ITEM_FAULTS.items() for f in faults}
    assert all(fault in hd.ITEM_FAULTS[item] for item, fault in hd.HELD_OUT)


def test_customers_react_to_quality():
    rng = np.random.default_rng(0)
    glad = {gold: np.mean([hd.react(rng, gold) == hd.GLAD for _ in range(500)]) for gold in (-1.0, 1.5, 4.0)}
    assert glad[-1.0] < 0.1 < 0.4 < glad[1.5] < 0.6 < 0.9 < glad[4.0]


def test_an_unknown_word_is_named():
    with pytest.raises(ValueError, match="text holds 'fridge'.*words of the help desk"):
        hd.encode("the fridge is broken")
