"""Two processes do what one does: the same replies, the same updates, to rounding."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ranks import four_updates, models

from coursekit import distributed


def under_torchrun(how, out):
    done = subprocess.run([sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
                           str(Path(__file__).parent / "ranks.py"), str(out), how],
                          capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    return torch.load(out, weights_only=True)


def gap(a, b):
    return max((x - y).abs().max().item() for x, y in zip(a, b))


@pytest.fixture(scope="module")
def alone():
    return four_updates("global")


@pytest.mark.parametrize("how", ["global", "sharded"])
def test_two_ranks_with_uneven_token_counts_make_the_updates_of_one(how, alone, tmp_path):
    start = [torch.cat([p.detach().flatten() for p in m.parameters()]) for m in (models().actor, models().critic)]
    assert gap(alone, start) > 1e-3
    assert gap(under_torchrun(how, tmp_path / "found.pt"), alone) < 1e-6


def test_means_of_each_rank_make_another_training_run(alone, tmp_path):
    assert gap(under_torchrun("local", tmp_path / "found.pt"), alone) > 1e-3


def test_alone_nothing_changes():
    x = torch.tensor([1.0, 2.0])
    assert distributed.total(x) is x and distributed.ranks() == 1 and distributed.rank() == 0
    assert torch.equal(distributed.whole(x), x)
