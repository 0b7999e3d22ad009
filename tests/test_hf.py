"""Our GPT-2 is theirs, and any transformers classifier learns preferences. Nothing touches the network."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from notebooks import run

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402

from coursekit import hf  # noqa: E402
from coursekit.lm import TinyLM, pad  # noqa: E402
from coursekit.preference_data import load_pairs  # noqa: E402

pytestmark = pytest.mark.slow

WORDS = ["good", "fine", "bad", "poor", "the", "answer", "is", "question"]


@pytest.fixture(scope="module")
def lm():
    lm = TinyLM(30, width=16, layers=3, heads=2, context=24, seed=1)
    with torch.no_grad():  # biases and scales start at 0 and 1: a lost one would not show
        for weight in lm.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel()))
    return lm


def tokens(side):
    rows = [torch.randint(2, 30, (n,), generator=torch.Generator().manual_seed(n)).tolist() for n in (3, 7, 24)]
    return pad(rows, side=side)


def their_logits(model, inputs, mask):
    positions = (mask.long().cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        return model(inputs, attention_mask=mask.long(), position_ids=positions).logits[mask]


@pytest.mark.parametrize("side", ["left", "right"])
def test_our_gpt2_is_theirs(lm, side):
    inputs, mask = tokens(side)
    with torch.no_grad():
        ours = lm.logits(lm(inputs, mask)[0])[mask]
    theirs = their_logits(hf.to_gpt2(lm), inputs, mask)
    assert ours.std() > 0.5
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=0)


def test_theirs_is_ours(lm):
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=30, n_positions=24, n_embd=16, n_layer=2, n_head=4,
                                     initializer_range=0.3, bos_token_id=None, eos_token_id=None)
    model = transformers.GPT2LMHeadModel(config).eval()
    inputs, mask = tokens("left")
    ours = hf.from_gpt2(model)
    with torch.no_grad():
        torch.testing.assert_close(ours.logits(ours(inputs, mask)[0])[mask], their_logits(model, inputs, mask),
                                   atol=1e-5, rtol=0)


def test_there_and_back_again(lm):
    back = hf.from_gpt2(hf.to_gpt2(lm)).state_dict()
    for name, weight in lm.state_dict().items():
        assert name.startswith(("value_head", "score_head")) or torch.equal(back[name], weight), name


def test_the_copy_shares_nothing_with_the_original(lm):
    model, before = hf.to_gpt2(lm), lm.embed.weight.clone()
    with torch.no_grad():
        model.transformer.wte.weight.zero_()
    assert torch.equal(lm.embed.weight, before)


@pytest.mark.parametrize("change", [{"activation_function": "relu"}, {"n_inner": 8}, {"layer_norm_epsilon": 1e-3}])
def test_another_block_is_refused(change):
    config = transformers.GPT2Config(vocab_size=9, n_positions=8, n_embd=8, n_layer=1, n_head=1, **change)
    with pytest.raises(ValueError, match="model must have .*, got"):
        hf.from_gpt2(transformers.GPT2LMHeadModel(config))


def build(folder, kind, *, pad_token=None, context=16):
    """A tiny random model with a tokenizer of whole words, saved to a folder."""
    torch.manual_seed(0)
    words = ["<unk>", "<end>", *WORDS, *(f"x{i}" for i in range(30))]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", eos_token="<end>",
                                         pad_token=pad_token).save_pretrained(folder)
    common = dict(vocab_size=len(words), num_labels=1, bos_token_id=None, eos_token_id=1)
    if kind == "gpt2":
        config = transformers.GPT2Config(n_positions=context, n_embd=16, n_layer=1, n_head=2, **common)
    else:
        config = transformers.LlamaConfig(max_position_embeddings=context, hidden_size=16, num_hidden_layers=1,
                                          num_attention_heads=2, intermediate_size=32, **common)
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    return str(folder)


def write(path, count=300, start=0):
    """Prompts of up to 25 words that say nothing, then one word that decides: longer than the model's context."""
    rng = np.random.default_rng(0)
    records = [{"prompt": " ".join(f"x{j}" for j in rng.integers(30, size=rng.integers(26))) + " the answer is",
                "chosen": str(rng.choice(["good", "fine"])), "rejected": str(rng.choice(["bad", "poor"]))}
               for _ in range(count)]
    path.write_text("\n".join(map(json.dumps, records)))
    return path


@pytest.mark.parametrize("kind, pad_token", [("gpt2", None), ("llama", None), ("llama", "<unk>")])
def test_a_classifier_learns_what_people_prefer_from_the_end_of_the_text(kind, pad_token, tmp_path):
    name = build(tmp_path / "model", kind, pad_token=pad_token)
    margins, groups, held_out, skipped, repeated = hf.train_rm(
        name, write(tmp_path / "pairs.jsonl"), tmp_path / "out", epochs=3, lr=1e-2)
    assert (skipped, margins.shape, len(groups)) == (0, (30,), 300) and repeated < 20
    assert held_out.sum() == 30 and not set(groups[held_out]) & set(groups[~held_out])
    assert (margins > 0).mean() > 0.9
    model, tokenizer = hf._load(str(tmp_path / "out"), 1024)
    assert [p.suffix for p in (tmp_path / "out").glob("model*")] == [".safetensors"]
    with torch.no_grad():
        last = [pair for pair, held in zip(load_pairs(tmp_path / "pairs.jsonl"), held_out) if held]
        chosen, rejected = hf.score_pairs(model.eval(), tokenizer, last)
    np.testing.assert_allclose((chosen - rejected).numpy(), margins, atol=1e-5)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_padding_does_not_move_a_score(kind, tmp_path):
    model, tokenizer = hf._load(build(tmp_path, kind), 1024)
    pairs = [("", "good", "bad answer"), ("the question", "is the answer good", "x1 x2 x3 x4 x5 x6")]
    with torch.no_grad():
        together = hf.score_pairs(model.eval(), tokenizer, pairs)
        alone = [hf.score_pairs(model, tokenizer, [pair]) for pair in pairs]
    for side in (0, 1):
        torch.testing.assert_close(together[side], torch.cat([one[side] for one in alone]), atol=1e-6, rtol=0)


def test_a_long_text_keeps_its_end(tmp_path):
    _, tokenizer = hf._load(build(tmp_path, "gpt2"), 8)
    kept = tokenizer(" ".join(f"x{i}" for i in range(30)), truncation=True)["input_ids"]
    assert tokenizer.decode(kept).split() == [f"x{i}" for i in range(22, 30)]


def test_the_held_out_tenth_is_the_last_and_nobody_learns_from_it(tmp_path):
    """Swap its labels: the model stays the same, so that every margin changes its sign and nothing else."""
    records = list(map(json.loads, write(tmp_path / "pairs.jsonl", 200).read_text().splitlines()))
    name = build(tmp_path / "model", "gpt2")
    plain, _, held_out, *_ = hf.train_rm(name, tmp_path / "pairs.jsonl", tmp_path / "out", lr=1e-2)
    swapped = [r | {"chosen": r["rejected"], "rejected": r["chosen"]} if held else r
               for r, held in zip(records, held_out)]
    (tmp_path / "swapped.jsonl").write_text("\n".join(map(json.dumps, swapped)))
    other = hf.train_rm(name, tmp_path / "swapped.jsonl", tmp_path / "out", lr=1e-2)[0]
    np.testing.assert_allclose(plain, -other, atol=1e-5)
    assert abs(plain).min() > 1e-3 and held_out[150:].sum() == 20


def test_pairs_that_are_cut_to_equal_texts_are_skipped(tmp_path):
    """The model takes 8 tokens, and reads the end of a text."""
    records = [json.loads(line) for line in write(tmp_path / "pairs.jsonl", 40).read_text().splitlines()]
    end = " ".join(f"x{i}" for i in range(20))
    records += [{"prompt": "the question", "chosen": f"good {end}", "rejected": f"bad {end}"}] * 3
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, records)))
    _, groups, _, skipped, _ = hf.train_rm(build(tmp_path / "model", "gpt2"), tmp_path / "pairs.jsonl",
                                           tmp_path / "out", longest=8)
    assert (len(groups), skipped) == (40, 3)


def test_a_loss_that_is_no_number_stops_the_training_and_saves_nothing(tmp_path):
    with pytest.raises(ValueError, match="gradient's norm is .*learning rate"):
        hf.train_rm(build(tmp_path / "model", "gpt2"), write(tmp_path / "pairs.jsonl"), tmp_path / "out", lr=1e30)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", [dict(epochs=0), dict(batch=1.5), dict(lr=-1), dict(longest=0), dict(seed=-1)])
def test_a_number_that_cannot_be_is_refused_before_the_model_is_read(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        hf.train_rm("no/such", "none", "out", **wrong)


def test_weights_that_would_be_random_are_refused_but_for_the_head_of_a_reward_model(tmp_path):
    name = build(tmp_path / "model", "gpt2")
    file = Path(name) / "model.safetensors"
    weights = load_file(file)
    save_file({k: w for k, w in weights.items() if k != "score.weight"}, file, metadata={"format": "pt"})
    assert hf.pretrained(transformers.AutoModelForSequenceClassification, name, num_labels=1)
    save_file({k: w for k, w in weights.items() if "c_proj" not in k}, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"has no weights for .*c_proj.*, which would be random"):
        hf.pretrained(transformers.AutoModelForSequenceClassification, name, num_labels=1)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="no model .*, in a folder or from the hub"):
        hf.pretrained(transformers.AutoModelForSequenceClassification, name, num_labels=1)


def test_a_model_in_bfloat16_is_trained_and_saved(tmp_path):
    """Its weights move, and its scores tell good answers from bad ones as those in float32 do."""
    name = build(tmp_path / "model", "gpt2")
    margins, *_ = hf.train_rm(name, write(tmp_path / "pairs.jsonl"), tmp_path / "out", epochs=3, lr=1e-2,
                              dtype=torch.bfloat16)
    assert (margins > 0).mean() > 0.9 and hf._load(str(tmp_path / "out"), 8)[0].dtype == torch.float32


def command(*arguments, folder):
    return run(["coursekit.cli", "train-rm", "pairs.jsonl", *arguments], folder=folder, HF_HUB_OFFLINE="1")


def test_the_command_trains_a_local_model(tmp_path):
    """A language model, as people start from: its score head is new, and no warning of ten lines says so."""
    config = transformers.AutoConfig.from_pretrained(build(tmp_path / "tiny", "gpt2"))
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / "tiny")
    lines = write(tmp_path / "lines", 60).read_text()
    (tmp_path / "pairs.jsonl").mkdir()  # a folder of parts
    (tmp_path / "pairs.jsonl" / "0.jsonl").write_text(lines + '\n{"chosen": "same", "rejected": "same"}')
    code, output = command("--model", "tiny", folder=tmp_path)
    assert code == 0 and re.fullmatch(
        r"pairs +60  \(1 skipped: both texts are equal\)\ngroups +5\d  of equal prompts .*\n"
        r"accuracy, held out +\d\.\d{3}  \[\d\.\d{3}, \d\.\d{3}\]\nsaved as reward\n", output), output
    assert (tmp_path / "reward" / "model.safetensors").is_file()
    assert (tmp_path / "reward" / "tokenizer.json").is_file()


@pytest.mark.parametrize("count, options, message", [
    (9, ["--model", "tiny"], "holds 9 pairs that differ; training needs at least 10"),
    (20, ["--model", "no/such"], "no model no/such, in a folder or from the hub"),
    (20, ["--model", "tiny", "--out", "tiny"], "--out tiny is tiny, which is read"),
    (20, ["--model", "tiny", "--out", "pairs.jsonl"], "--out pairs.jsonl is pairs.jsonl, which is read"),
    (20, ["--model", "tiny", "--folds", "5"], "--folds is for the linear model"),
])
def test_the_command_says_in_one_line_what_stands_in_the_way(count, options, message, tmp_path):
    build(tmp_path / "tiny", "gpt2")
    write(tmp_path / "pairs.jsonl", count)
    code, output = command(*options, folder=tmp_path)
    assert code == 2 and message in output and len(output.splitlines()) == 1, output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pairs.jsonl", "tiny"]
