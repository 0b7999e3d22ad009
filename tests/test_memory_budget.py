"""Memory by hand: every expected number is a product that one can do on paper. GB are 10⁹ bytes."""

import subprocess
import sys

import pytest
from numpy.testing import assert_allclose

from coursekit.memory_budget import (
    GB,
    LLAMA_7B,
    LLAMA_8B,
    LLAMA_70B,
    Architecture,
    Role,
    activations,
    budget,
    cards_needed,
    four_roles,
    kv_cache,
    lines,
    states,
    total,
)


def gigabytes(roles, **options):
    return total(budget(roles, **options)["all"]) / GB


@pytest.mark.parametrize("model, one, four", [
    (LLAMA_7B, 107.84, 242.64),  # 6.74 · 16; 6.74 · (16 + 16 + 2 + 2)
    (LLAMA_8B, 128.48, 289.08),  # 8.03 · 16; 8.03 · 36
    (LLAMA_70B, 1103.68, 2483.28),  # 68.98 · 16; 68.98 · 36
])
def test_a_trained_model_takes_16_bytes_a_parameter_and_four_take_36(model, one, four):
    assert_allclose(gigabytes({"policy": Role(model, trained=True)}), one)
    assert_allclose(gigabytes(four_roles(model)), four)


@pytest.mark.parametrize("precision, bytes_each", [("float32", 16), ("mixed", 16), ("mixed, float32 gradients", 18),
                                                   ("mixed, 8-bit Adam", 10)])
def test_precision_sets_the_bytes_of_a_parameter(precision, bytes_each):
    assert_allclose(total(states(Role(LLAMA_7B, trained=True), precision=precision)), 6.74e9 * bytes_each)
    frozen = 4 if precision == "float32" else 2
    assert_allclose(total(states(Role(LLAMA_7B), precision=precision)), 6.74e9 * frozen)


@pytest.mark.parametrize("model, expected", [
    (LLAMA_7B, 68.72),  # 2 · 32 layers · 32 heads · 128 · 64 · 2048 · 2 bytes
    (LLAMA_8B, 17.18),  # a quarter: 8 key-value heads
    (LLAMA_70B, 42.95),  # 2 · 80 · 8 · 128 · 64 · 2048 · 2
])
def test_the_kv_cache_of_64_sequences_of_2k_tokens(model, expected):
    assert_allclose(kv_cache(model, 64, 2048) / GB, expected, atol=0.005)


def test_activations_of_8_sequences_of_2k_tokens():
    """One number a token, layer and width: 32 · 8 · 2048 · 4096 · 2 bytes. All kept, it is 34 bytes, not 2."""
    assert_allclose(activations(LLAMA_7B, 8, 2048) / GB, 4.29, atol=0.005)
    assert_allclose(activations(LLAMA_70B, 8, 2048) / GB, 21.47, atol=0.005)
    assert activations(LLAMA_7B, 8, 2048, checkpointing=False) == 17 * activations(LLAMA_7B, 8, 2048)


def test_four_7b_models_need_four_cards_that_share_and_fit_on_none_that_does_not():
    """243 GB on 80 GB cards of which 68 are usable: 3.6 cards, with a quarter more to work in 4.5."""
    size = total(budget(four_roles(LLAMA_7B))["all"])
    assert cards_needed(size) == 4 and cards_needed(size, working=0.25) == 5
    shared, whole = (gigabytes(four_roles(LLAMA_7B), cards=4, sharded=sharded) for sharded in (True, False))
    assert shared < 68 and whole > 80


def test_four_70b_models_need_37_cards_and_smaller_judges_spare_16_of_them():
    """2,483 / 68 = 36.5. With critic and reward model of 7B: (68.98 + 6.74) · 18 = 1,363; / 68 = 20.04."""
    assert cards_needed(total(budget(four_roles(LLAMA_70B))["all"])) == 37
    mixed = budget(four_roles(LLAMA_70B, LLAMA_7B))["all"]
    assert_allclose(total(mixed) / GB, 1362.96)
    assert cards_needed(total(mixed)) == 21


@pytest.mark.parametrize("model, expected", [(LLAMA_7B, 29.1), (LLAMA_8B, 34.7), (LLAMA_70B, 298.0)])
def test_lora_leaves_two_frozen_models_and_adapters(model, expected):
    """Actor on the reference, critic on the reward model: 2·2 bytes, and 2·16 for one parameter in a hundred."""
    assert_allclose(gigabytes(four_roles(model), lora=0.01), expected, atol=0.05)
    alone = states(Role(model, trained=True), lora=0.01)
    assert_allclose(alone["weights"], 2.02 * model.parameters)


def test_offload_moves_adams_states_to_the_host_and_nothing_else():
    here, away = (budget(four_roles(LLAMA_7B), offload=offload) for offload in (False, True))
    assert_allclose(away["host"]["adam"] / GB, 161.76)  # two trained models · 12 bytes · 6.74
    assert_allclose(total(here["all"]) - total(away["all"]), away["host"]["adam"])
    assert away["all"]["adam"] == 0 and away["all"]["gradients"] == here["all"]["gradients"]


def test_cards_share_states_only_if_sharded_and_sequences_always():
    options = dict(sampling=(64, 2048), training=(8, 2048))
    one, four, plain = (budget(four_roles(LLAMA_7B), cards=cards, sharded=sharded, **options)
                        for cards, sharded in ((1, True), (4, True), (4, False)))
    for term, x in one["all"].items():
        assert_allclose(four["all"][term], x / 4)
        assert_allclose(plain["all"][term], x / 4 if term in ("activations", "kv_cache") else x)
    assert one["reference"]["kv_cache"] == one["critic"]["kv_cache"] == one["reward"]["activations"] == 0
    assert_allclose(one["all"]["activations"], 2 * activations(LLAMA_7B, 8, 2048))  # actor and critic


def test_the_table_shows_what_was_worked_out():
    table = lines(budget(four_roles(LLAMA_7B), cards=4, offload=True, sampling=(64, 2048)))
    assert [line.split()[0] for line in table] == ["GB", "actor", "reference", "critic", "reward", "all", "host"]
    assert table[1].split()[1:] == ["3.4", "3.4", "0.0", "0.0", "17.2", "23.9"]  # 6.74/2, 6.74/2, 68.7/4
    assert table[5].split()[-1] == "37.4"  # 4 · 3.37 + 2 · 3.37 + 17.2
    assert table[6].split()[1:] == ["40.4", "40.4"]
    assert len({len(line) for line in table}) == 1


@pytest.mark.parametrize("call, message", [
    (lambda: Architecture(0, 32, 4096, 8), "parameters must be more than 0"),
    (lambda: cards_needed(1e9, usable=0), "usable must be more than 0"),
    (lambda: cards_needed(1e9, usable=85), "usable must be at least 0 and at most 1, got 85"),
    (lambda: cards_needed(float("nan")), "size must be a number, got nan"),
    (lambda: cards_needed(1e9, working=-1), "working must be at least 0")])
def test_sizes_that_cannot_be_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("wrong, message", [
    (dict(precision="int4"), "precision must be one of float32, mixed"),
    (dict(lora=8), "lora must be a share between 0 and 1, got 8"),
    (dict(cards=0), "cards must be an integer of at least 1, got 0"),
])
def test_what_makes_no_sense_is_refused_by_name(wrong, message):
    with pytest.raises(ValueError, match=message):
        budget(four_roles(LLAMA_7B), **wrong)


def test_without_a_critic_weights_and_adam_of_7b_take_little_more_than_half():
    """16 bytes a parameter of a trained model, 2 of a frozen one: roles that are not needed are left out."""
    roles = four_roles(LLAMA_7B)
    found = []
    for left_out in ((), ("critic",), ("critic", "reference"), ("critic", "reference", "reward")):
        table = budget({name: role for name, role in roles.items() if name not in left_out})
        found.append(sum(table["all"][term] for term in ("weights", "gradients", "adam")) / 6.74e9)
    assert found == pytest.approx([36, 20, 18, 16])


def test_arithmetic_needs_no_torch():
    code = "import sys, coursekit.memory_budget; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
