"""`coursekit dpo`: a tiny transformers model learns preferences, goes on after a stop, and shares its work."""

import json
import os
from dataclasses import asdict

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers")

from coursekit import hf_direct, saved  # noqa: E402
from coursekit.cli import main  # noqa: E402
from coursekit.lm import response_logprobs  # noqa: E402
from test_distributed import torchrun  # noqa: E402
from test_hf import build, write  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny random GPT-2 with a language-model head, and its tokenizer."""
    folder = tmp_path_factory.mktemp("model")
    build(folder, "gpt2", context=40)
    config = transformers.GPT2Config.from_pretrained(folder)
    config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = 0.5  # must be off while DPO compares
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pairs") / "pairs.jsonl", 120)


def tune(pairs, *arguments):
    return main(["dpo", str(pairs), "--lr", "0.01", "--max-tokens", "5", *map(str, arguments)])


def weights(folder):
    return transformers.GPT2LMHeadModel.from_pretrained(folder).state_dict()


def test_the_model_learns_to_prefer_and_writes_what_is_preferred(model, pairs, tmp_path, capsys):
    out = tmp_path / "out"
    assert tune(pairs, "--model", model, "--beta", 0.5, "--every", 7, "--epochs", 2, "--out", out) == 0
    said = capsys.readouterr().out
    assert "step     0  KL   0.00" in said and f"saved in {out}" in said
    run = hf_direct.load_run(out)
    assert [m["step"] for m in run.history] == [0, 7, 14, 21, 28]  # 108 pairs, 14 steps an epoch
    assert run.history[-1]["accuracy"] == 1 and run.history[-1]["kl"] > 0.1
    assert run.history[-1]["margin"] > run.history[1]["margin"] > 0
    tuned = hf_direct.Transformer(transformers.AutoModelForCausalLM.from_pretrained(out))
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    tokens, attention_mask, mask = hf_direct.encode(tokenizer, [("the answer is", "good", "bad")], 40)
    good, bad = response_logprobs(tuned, tokens, attention_mask, mask.shape[1])[0][:, 0]
    assert good > bad + 1


def test_a_stopped_run_goes_on_as_if_nothing_had_happened(model, pairs, tmp_path, monkeypatch, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert tune(pairs, "--model", model, "--every", 5, "--out", whole) == 0
    save, saves = hf_direct.save_run, []

    def stopping(run, folder):
        save(run, folder)
        saves.append(run.step)
        if run.step == 5:
            raise KeyboardInterrupt
    monkeypatch.setattr(hf_direct, "save_run", stopping)
    assert tune(pairs, "--model", model, "--every", 5, "--out", parts) == 130
    assert f"`--resume` goes on from {parts / 'run.safetensors'}" in capsys.readouterr().err
    assert main(["dpo", str(pairs), "--every", "5", "--out", str(parts), "--resume"]) == 0
    assert saves == [0, 5, 10, 14]
    assert (whole / "run.safetensors").read_bytes() == (parts / "run.safetensors").read_bytes()
    assert (whole / "model.safetensors").read_bytes() == (parts / "model.safetensors").read_bytes()
    assert main(["dpo", str(pairs), "--out", str(parts), "--resume"]) == 0
    assert "was done already, after 14 steps" in capsys.readouterr().out


def test_two_ranks_make_the_steps_of_one(model, pairs, tmp_path):
    alone, both = tmp_path / "alone", tmp_path / "both"
    arguments = [pairs, "--model", model, "--batch", 7, "--lr", 0.01, "--max-tokens", 5]
    assert main(["dpo", *map(str, arguments), "--out", str(alone)]) == 0
    code, output, errors = torchrun("-m", "coursekit.cli", "dpo", *arguments, "--out", both)
    assert code == 0 and output.count("saved in") == 1, errors[-2000:]
    found, expected, before = weights(both), weights(alone), weights(model)
    assert max((expected[k] - before[k]).abs().max() for k in before) > 0.01
    assert max((found[k] - expected[k]).abs().max() for k in before) < 1e-4


def test_all_forms_of_comparisons_train_the_same_model(model, pairs, tmp_path):
    records = [json.loads(line) for line in pairs.read_text().splitlines()]
    sides = ("chosen", "rejected")
    forms = {"flat": records,
             "dialogue": [{side: f"\n\nHuman: {r['prompt']}\n\nAssistant: {r[side]}" for side in sides}
                          for r in records],
             "messages": [{side: [{"role": "user", "content": r["prompt"]},
                                  {"role": "assistant", "content": r[side]}] for side in sides} for r in records]}
    found = {}
    for name, rows in forms.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        assert tune(path, "--model", model, "--out", tmp_path / name) == 0
        found[name] = (tmp_path / name / "model.safetensors").read_bytes()
    assert found["flat"] == found["dialogue"] == found["messages"]


def test_a_long_prompt_loses_its_beginning_and_a_long_reply_its_end(model):
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    long = " ".join(f"x{i}" for i in range(30))
    tokens, attention_mask, mask = hf_direct.encode(tokenizer, [(long, "good", long)], 12)
    rows = [tokenizer.decode(row[real]) for row, real in zip(tokens, attention_mask)]
    assert rows[0] == "x29 good <end>"  # both replies follow the same prompt
    assert rows[1] == "x29 " + " ".join(f"x{i}" for i in range(11)) and mask.sum(-1).tolist() == [2, 11]
    tokens, attention_mask, mask = hf_direct.encode(tokenizer, [(long, "good", "bad")], 12)
    assert tokenizer.decode(tokens[0]) == " ".join(f"x{i}" for i in range(20, 30)) + " good <end>"
    tokens, attention_mask, mask = hf_direct.encode(tokenizer, [("", "good", "bad")], 12)
    assert tokenizer.decode(tokens[0]) == "<end> good <end>" and mask.shape == (2, 2)


def test_the_reference_is_the_model_that_the_run_began_with(model, pairs, tmp_path):
    assert tune(pairs, "--model", model, "--out", tmp_path / "out") == 0
    run = hf_direct.load_run(tmp_path / "out")
    for key, weight in run.reference.outer[0].state_dict().items():
        assert weight.equal(weights(model)[key])
    assert not all(w.equal(v) for w, v in zip(run.policy.parameters(), run.reference.parameters()))
    assert not any(w.requires_grad for w in run.reference.parameters())


@pytest.mark.parametrize("gone", ["adam.3.exp_avg", "adam.3.", "adam.", "model.trunk.h.0.attn.c_attn.bias"])
def test_a_run_that_lacks_a_tensor_does_not_go_on(gone, model, pairs, tmp_path, capsys):
    assert tune(pairs, "--model", model, "--every", 7, "--out", tmp_path) == 0
    file = tmp_path / "run.safetensors"
    tensors, metadata = saved.read(file, hf_direct.Config)
    kept = {name: x for name, x in tensors.items() if not name.startswith(gone)}
    assert len(kept) < len(tensors)
    saved.write(kept, metadata | {"config": asdict(metadata["config"])}, file)
    with pytest.raises(ValueError, match=f"{file} is not whole: {gone}.* and is absent"):
        hf_direct.load_run(tmp_path)


@pytest.mark.parametrize("arguments, message", [
    ([], "--model must name a transformers language model"),
    (["--model", "no/such"], "no model no/such"),
    (["--model", "MODEL", "--beta", "0"], "--beta must be at least 1e-09, got 0"),
    (["--model", "MODEL", "--out", "MODEL"], "which is read; name another"),
    (["--resume"], "--resume: there is no saved run at dpo/run.safetensors"),
    (["--resume", "--out", "RUN", "--beta", "1"], "--beta is part of the run in"),
    (["--model", "MODEL", "--out", "RUN"], "holds a run already; --resume goes on with it"),
    (["--model", "MODEL", "--max-tokens", "5", "FEW"], "holds 5 pairs that differ; training needs at least 10")])
def test_what_is_wrong_is_one_line(arguments, message, model, pairs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "run.safetensors").write_bytes(b"x")
    few = write(tmp_path / "few.jsonl", 5)
    path = few if "FEW" in arguments else pairs
    named = {"MODEL": model, "RUN": str(tmp_path / "kept")}
    assert main(["dpo", str(path), *(named.get(x, x) for x in arguments if x != "FEW")]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("wrong", [
    dict(beta=0), dict(label_smoothing=0.5), dict(nll=-1), dict(epochs=0), dict(lr=float("nan")), dict(batch=1.5),
    dict(warmup=-1), dict(longest=1), dict(max_tokens=0), dict(seed=-1)])
def test_a_config_that_cannot_be_names_the_argument(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        hf_direct.Config("gpt2", **wrong)


def test_replies_leave_room_for_a_prompt(model):
    with pytest.raises(ValueError, match="max_tokens must be less than the 40 tokens that .* takes"):
        hf_direct.start(hf_direct.Config(model, max_tokens=40))


def test_a_run_goes_on_with_its_own_pairs_alone(model, pairs, tmp_path, capsys):
    """With others it would leave out those in the places that were done."""
    assert tune(pairs, "--model", model, "--out", tmp_path / "out") == 0
    other = write(tmp_path / "other.jsonl", 121)
    assert main(["dpo", str(other), "--resume", "--out", str(tmp_path / "out")]) == 2
    assert f"{other} holds other pairs than the run began with" in capsys.readouterr().err


def test_pairs_that_are_cut_to_equal_tokens_are_left_out(model, tmp_path):
    long, path = "good " * 60, tmp_path / "pairs.jsonl"
    rows = [("q", long + "good", long + "bad")] * 9 + [("q", "good", "bad")]
    path.write_text("\n".join(json.dumps(dict(zip(("prompt", "chosen", "rejected"), row))) for row in rows))
    differ, groups, _ = hf_direct.survey(hf_direct.start(hf_direct.Config(model, max_tokens=5)), path)
    assert differ == [False] * 9 + [True] and len(groups) == 1


def test_the_options_default_to_the_config():
    from coursekit.commands.dpo import NUMBERS
    fields = {name.replace("-", "_") for name in NUMBERS}
    config = hf_direct.Config("m")
    assert all(str(getattr(config, name)).removesuffix(".0") in NUMBERS[name.replace("_", "-")][1].replace(
        "5e-6", "5e-06") for name in fields)
