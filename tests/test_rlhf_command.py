"""`coursekit rlhf` as a person runs it: trains, saves, goes on, draws, and says what is wrong in one line."""

import json
import signal
import subprocess
import sys
import time

import pytest
from safetensors import safe_open

from coursekit.cli import main

pytestmark = pytest.mark.slow

SHORT = ["rlhf", "--batch", "8", "--updates"]


def updates_in(path):
    with safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["run"])
    return facts["update"], [m["update"] for m in facts["history"]]


def test_it_trains_saves_draws_and_goes_on(tmp_path, capsys):
    out = tmp_path / "run.safetensors"
    assert main([*SHORT, "2", "--out", str(out), "--plot", str(tmp_path / "run.png")]) == 0
    said = capsys.readouterr().out
    assert "-- replies before" in said and "-- replies after" in said and "update    2" in said
    assert (tmp_path / "run.png").stat().st_size > 5000
    assert updates_in(out) == (2, [0, 1])
    assert main(["rlhf", "--updates", "3", "--out", str(out), "--resume"]) == 0
    assert updates_in(out) == (3, [0, 1, 2])
    assert "-- replies before" not in capsys.readouterr().out


def test_it_trains_without_a_critic_and_goes_on(tmp_path, capsys):
    out = tmp_path / "run.safetensors"
    options = ["--estimator", "rloo", "--group", "4", "--kl", "k3", "--normalisation", "sequence", "--warm-up", "2",
               "--clip-high", "0.28"]
    assert main([*SHORT, "2", "--out", str(out), *options]) == 0
    said = capsys.readouterr().out
    assert "sd within groups" in said and "explained variance" not in said
    assert main(["rlhf", "--updates", "3", "--out", str(out), "--resume"]) == 0
    assert updates_in(out) == (3, [0, 1, 2])
    with safe_open(out, "pt") as file:
        assert not any("critic" in name for name in file.keys())  # noqa: SIM118
        assert json.loads(file.metadata()["run"])["config"]["clip_high"] == 0.28


def test_estimators_that_compare_replies_take_eight_of_them(tmp_path):
    assert main([*SHORT, "1", "--out", str(tmp_path / "run.safetensors"), "--estimator", "grpo"]) == 0
    assert main([*SHORT, "1", "--out", str(tmp_path / "mean.safetensors"), "--estimator", "batch-mean"]) == 0


@pytest.mark.parametrize("arguments, message", [
    (["--estimator", "rloo", "--group", "7"], "group must divide batch, 64, got 7"),
    (["--estimator", "rloo", "--group", "1"], "group must be at least 2"),
    (["--estimator", "reinforce"], "invalid choice: 'reinforce'"),
    (["--out", "nowhere/run.safetensors"], "there is no folder nowhere; make it first"),
    (["--out", "none.safetensors", "--resume"], "--resume: there is no saved run at none.safetensors"),
    (["--batch", "0"], "--batch must be at least 1, got 0"),
])
def test_what_is_wrong_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["rlhf", *arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said and len(said.splitlines()) == 1


def test_an_interrupted_run_says_how_to_go_on(tmp_path):
    out = tmp_path / "run.safetensors"
    run = subprocess.Popen([sys.executable, "-m", "coursekit.cli", *SHORT, "5000", "--out", str(out)],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not out.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert said.strip() == f"coursekit: interrupted; `--resume` goes on from {out}"
    assert updates_in(out)[0] >= 5
