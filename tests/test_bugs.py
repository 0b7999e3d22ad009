"""The catalogue of bugs plants what it says."""

import bugs
import pytest
import torch

from coursekit import rlhf

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_a_run_fails_where_nobody_calls_what_was_planted(monkeypatch):
    """rlhf holds its own name for `whiten`: the one in arrays may be anything."""
    monkeypatch.setitem(bugs.BUGS, "planted beside the library", (lambda models: {"arrays.whiten": None}, {}))
    with pytest.raises(AssertionError, match="nobody called the wrong function at arrays.whiten"):
        bugs.one_run(("planted beside the library", 0, 1))


@pytest.mark.parametrize("name", ["sign of the advantage", "score read before <end>", "prompt padding attended",
                                  "positions count the padding"])
def test_a_bug_changes_the_first_update_and_is_gone_afterwards(name):
    """One of each kind of place: a name in rlhf, a method, the prompts, a name in another module."""
    before = rlhf.whiten, bugs.lm.positions, bugs.lm.TinyLM.scores
    healthy, sick = (bugs.one_run((which, 0, 1))["curves"] for which in ("none", name))
    assert healthy != sick
    assert before == (rlhf.whiten, bugs.lm.positions, bugs.lm.TinyLM.scores)
