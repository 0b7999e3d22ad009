"""Two processes do what one does: the same replies, the same updates, to rounding."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from coursekit import cli, distributed
from ranks import four_updates, models

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


def torchrun(*command, ranks=2):
    """(exit status, stdout, stderr)"""
    done = subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
                           str(ranks), *map(str, command)], capture_output=True, text=True, timeout=240)
    return done.returncode, done.stdout, done.stderr


def under_torchrun(how, out):
    code, _, errors = torchrun(HERE / "ranks.py", out, how)
    assert code == 0, errors[-2000:]
    assert "FSDP2-wrapped" not in errors
    return torch.load(out, weights_only=True)


def ours(errors):
    return [line for line in errors.splitlines() if line.startswith("coursekit:")]


def gap(a, b):
    return max((x - y).abs().max().item() for x, y in zip(a, b))


@pytest.fixture(scope="module")
def alone():
    return four_updates("global")


@pytest.mark.parametrize("how", ["global", "sharded", "resumed"])
def test_two_ranks_with_uneven_token_counts_make_the_updates_of_one(how, alone, tmp_path):
    start = [torch.cat([p.detach().flatten() for p in m.parameters()]) for m in (models().actor, models().critic)]
    assert gap(alone, start) > 1e-3
    assert gap(under_torchrun(how, tmp_path / "found.pt"), alone) < 1e-6


def test_two_ranks_without_a_critic_make_the_updates_of_one(tmp_path):
    """The mean and sd of the rewards are those of all replies, and a loss in the mean over replies is, too."""
    assert gap(under_torchrun("groups", tmp_path / "found.pt"), four_updates("groups")) < 1e-6


def test_means_of_each_rank_make_another_training_run(alone, tmp_path):
    assert gap(under_torchrun("local", tmp_path / "found.pt"), alone) > 1e-3


def test_a_sharded_run_samples_stops_and_adapts_beta_like_an_unsharded_one(tmp_path):
    """The ranks' replies differ in length, and one rank's KL is over the limit before the other's."""
    sharded, numbers, plain, expected = under_torchrun("train", tmp_path / "found.pt")
    assert gap([sharded], [plain]) < 1e-5
    assert torch.equal(numbers, expected)
    assert (numbers[:, 1] < 8).any()  # steps: the limit was met
    assert (numbers[:, 2] != numbers[:, 3]).any()  # lengths: the ranks differ
    assert numbers[1, 0] < numbers[0, 0]  # beta adapts: KL is 0 at first


def test_a_killed_rank_ends_the_run_with_a_message_from_the_other_and_the_run_goes_on(tmp_path):
    """Killed in update 7, saved after 5: resumed, it ends where a run ends that nobody killed."""
    killed, other = tmp_path / "killed.safetensors", tmp_path / "other.safetensors"
    code, _, errors = torchrun(HERE / "killed_rank.py", "waiting", "--updates", 8, "--batch", 4, "--out", killed)
    assert code != 0
    assert ours(errors) == ["coursekit: rank 0: a process of this run is gone, and the run has ended; `--resume` "
                            f"goes on from {killed}, saved after update 5"]
    for path, more in ((killed, ["--resume"]), (other, ["--batch", 4])):
        code, output, errors = torchrun("-m", "coursekit.cli", "rlhf", "--updates", 8, "--out", path, *more)
        assert code == 0 and f"saved {path}" in output, errors[-2000:]
    assert killed.read_bytes() == other.read_bytes()


def test_ranks_that_are_busy_when_one_is_killed_say_so_each(tmp_path):
    start = time.perf_counter()
    _, _, errors = torchrun(HERE / "killed_rank.py", "busy", "--updates", 8, "--batch", 4, "--out",
                            tmp_path / "run.safetensors", ranks=3)
    said = ours(errors)
    assert {line.split(":")[1] for line in said} == {" rank 0", " rank 2"} and len(said) == 2, errors[-2000:]
    assert all("saved after update 5" in line for line in said)
    assert time.perf_counter() - start < 60  # they don't finish their work


@pytest.mark.skipif(sys.platform != "linux", reason="pipes of packets are Linux's")
def test_a_line_is_one_write_so_that_those_of_several_ranks_do_not_mix():
    """torchrun starts Python with -u; a pipe of packets shows each write."""
    source, sink = os.pipe2(os.O_DIRECT)
    program = "from coursekit.commands.common import complain; complain('first'); complain('second')"
    subprocess.run([sys.executable, "-u", "-c", program], stderr=sink, check=True)
    os.close(sink)
    with open(source, "rb", buffering=0) as pipe:
        assert [pipe.read(4096), pipe.read(4096)] == [b"coursekit: first\n", b"coursekit: second\n"]


@pytest.mark.parametrize("rank, lines", [("0", 1), ("1", 0)])
def test_what_stands_in_the_way_of_all_ranks_the_first_one_says(rank, lines, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RANK", rank)
    assert cli.main(["rlhf", "--out", str(tmp_path / "none" / "run.safetensors")]) == 2
    assert len(ours(capsys.readouterr().err)) == lines


def test_alone_nothing_changes():
    x = torch.tensor([1.0, 2.0])
    assert distributed.total(x) is x and distributed.ranks() == 1 and distributed.rank() == 0
    assert torch.equal(distributed.full_tensor(x), x)
