"""The tiny model: causal, blind to padding, and the same with and without its cache."""

import pytest
import torch
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from coursekit.lm import TinyLM, load, next_token_loss, pad, response_logprobs, sample, save

END = 1


@pytest.fixture(scope="module")
def lm():
    return TinyLM(30, width=16, layers=2, heads=2, context=40, seed=1)


def rows(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(2, 30, (n,), generator=generator).tolist() for n in lengths]


def test_the_future_does_not_leak(lm):
    tokens, mask = pad(rows([9, 9]), side="right")
    before = lm(tokens, mask)[0]
    changed = tokens.clone()
    changed[:, 5:] = 3
    assert torch.equal(lm(changed, mask)[0][:, :5], before[:, :5])
    assert not torch.allclose(lm(changed, mask)[0][:, 5:], before[:, 5:])


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing_for_real_tokens(lm, side):
    texts = rows([4, 7, 12])
    tokens, mask = pad(texts, side=side)
    for value in (0, 17):
        garbage = torch.where(mask, tokens, value)
        hidden = lm(garbage, mask)[0]
        assert torch.isfinite(hidden).all()
        for row, text in enumerate(texts):
            alone = lm(*pad([text], side=side))[0][0]
            torch.testing.assert_close(hidden[row][mask[row]], alone, atol=1e-5, rtol=0)


def test_padding_is_not_worked_on(lm):
    """Its hidden state is 0, and it takes no part in the products with the weights: as many FLOP as real tokens."""
    texts = rows([4, 7, 12])
    spent = []
    for extra in (0, 9):
        tokens, mask = (torch.nn.functional.pad(x, (extra, 0)) for x in pad(texts, side="left"))
        with FlopCounterMode(display=False) as count:
            hidden, _ = lm(tokens, mask)
        assert (hidden[~mask] == 0).all() and (hidden[mask] != 0).any(-1).all()
        spent.append(count.get_flop_counts()["Global"][torch.ops.aten.addmm])
    assert spent == [2 * sum(map(len, texts)) * 2 * 12 * 16**2] * 2  # 2 layers of 12·width² weights


@pytest.mark.parametrize("seed", range(3))
def test_reading_some_positions_gives_their_hidden_states_and_gradients_and_no_others(lm, seed):
    """40 texts, so three grids; padding on both sides, and in the middle of some."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(2, 30, (40, 14), generator=generator)
    mask = torch.rand(40, 14, generator=generator) < torch.linspace(0.2, 1, 40)[:, None]
    mask[:, 6] = True
    read = torch.rand(40, 14, generator=generator) < 0.3
    whole, found = lm(tokens, mask)[0], lm(tokens, mask, read=read)[0]
    expected = torch.where((read & mask)[..., None], whole, 0.0)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert (found[~(read & mask)] == 0).all()
    up = torch.randn(found.shape, generator=generator)
    for a, b in zip(*(torch.autograd.grad((x * up).sum(), lm.blocks.parameters()) for x in (found, expected))):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=1e-4)


def test_the_last_layer_works_on_what_is_read_alone(lm):
    """Keys and values of all N tokens, 3·width² each; projection and MLP, 9·width², of one token a text."""
    texts = rows([4, 7, 12])
    tokens, mask = pad(texts, side="left")
    read = torch.zeros_like(mask)
    read[:, -1] = True
    with FlopCounterMode(display=False) as count:
        lm(tokens, mask, read=read)
    spent = count.get_flop_counts()["Global"][torch.ops.aten.addmm]
    assert spent == 2 * 16**2 * (12 * 23 + 3 * 23 + 9 * 3)


def test_the_score_is_read_at_the_last_real_token(lm):
    texts = rows([4, 7, 12])
    tokens, mask = pad(texts, side="right")
    scores = lm.scores(lm(tokens, mask)[0], mask)
    for text, score in zip(texts, scores):
        one = lm(torch.tensor([text]), torch.ones(1, len(text), dtype=torch.bool))[0]
        torch.testing.assert_close(lm.score_head(one[0, -1])[0], score, atol=1e-5, rtol=0)


def test_the_cache_gives_the_same_logprobs_as_a_full_pass(lm):
    prompts, prompt_mask = pad(rows([3, 6, 5]), side="left")
    tokens, mask, logprobs = sample(lm, prompts, prompt_mask, max_tokens=15, end=END,
                                    generator=torch.Generator().manual_seed(0))
    everything, real = torch.cat([prompts, tokens], 1), torch.cat([prompt_mask, mask], 1)
    logits = lm.logits(lm(everything, real)[0])[:, prompts.shape[1] - 1:-1]  # position t predicts t + 1
    full = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    torch.testing.assert_close(logprobs[mask], full[mask], atol=1e-4, rtol=0)
    assert (logprobs[~mask] == 0).all()


def test_replies_that_have_ended_leave_the_cache_and_the_others_go_on_undisturbed(lm, monkeypatch):
    sizes, select = [], TinyLM.select

    def spy(self, cache, rows):
        sizes.append(len(rows))
        return select(self, cache, rows)
    monkeypatch.setattr(TinyLM, "select", spy)
    prompts, prompt_mask = pad(rows([3, 6, 5, 4] * 25), side="left")
    tokens, mask, logprobs = sample(lm, prompts, prompt_mask, max_tokens=30, end=END,
                                    generator=torch.Generator().manual_seed(0))
    assert sizes == sorted(sizes, reverse=True) and 0 < sizes[-1] < 75 >= sizes[0]
    everything, real = torch.cat([prompts, tokens], 1), torch.cat([prompt_mask, mask], 1)
    full = response_logprobs(lm, everything, real, tokens.shape[1])[0]
    torch.testing.assert_close(logprobs, full, atol=1e-4, rtol=0)


def test_a_reply_stops_at_its_end_and_the_seed_decides(lm):
    prompts, prompt_mask = pad(rows([3] * 200), side="left")
    first, second = (sample(lm, prompts, prompt_mask, max_tokens=30, end=END,
                            generator=torch.Generator().manual_seed(7)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    tokens, mask, _ = first
    ends = (tokens == END) & mask
    assert ends.any() and (ends.sum(-1) <= 1).all()
    for real, end in zip(mask, ends):
        if end.any():
            assert not real[int(end.nonzero()[0]) + 1:].any()
    assert (tokens[~mask] == 0).all()


def test_samples_follow_the_model(lm):
    """The first token of 20,000 replies to one prompt, against its probabilities: 4 standard errors."""
    prompts, prompt_mask = pad(rows([4]) * 20_000, side="left")
    tokens, _, _ = sample(lm, prompts, prompt_mask, max_tokens=1, end=END,
                          generator=torch.Generator().manual_seed(0))
    chance = lm.logits(lm(prompts[:1], prompt_mask[:1])[0][:, -1]).softmax(-1)[0]
    share = torch.bincount(tokens[:, 0], minlength=30) / 20_000
    assert ((share - chance).abs() < 4 * (chance * (1 - chance) / 20_000).sqrt() + 1e-6).all()


def test_the_loss_ignores_padding_and_matches_a_hand_count(lm):
    tokens, mask = pad(rows([5, 8]), side="right")
    logits = lm.logits(lm(tokens, mask)[0]).log_softmax(-1)
    by_hand = [-logits[row, t, tokens[row, t + 1]] for row, last in ((0, 4), (1, 7)) for t in range(last)]
    torch.testing.assert_close(next_token_loss(lm, tokens, mask), torch.stack(by_hand).mean())
    torch.testing.assert_close(next_token_loss(lm, torch.where(mask, tokens, 9), mask), torch.stack(by_hand).mean())


def test_weights_come_back_and_the_file_is_whole(lm, tmp_path):
    save(lm, tmp_path / "lm.safetensors")
    twin = load(tmp_path / "lm.safetensors")
    assert twin.sizes == lm.sizes and list(tmp_path.iterdir()) == [tmp_path / "lm.safetensors"]
    for (name, a), b in zip(lm.named_parameters(), twin.parameters()):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3, msg=name)


def test_what_is_no_saved_model_is_refused(lm, tmp_path):
    path = tmp_path / "lm.safetensors"
    path.write_text("hello")
    with pytest.raises(ValueError, match=f"{path} is no saved TinyLM; lm.save writes one"):
        load(path)
    save(lm, path)
    sizes = {name: str(size) for name, size in lm.sizes.items()}
    save_file({"embed.weight": lm.embed.weight.detach()}, path, metadata=sizes)
    with pytest.raises(ValueError, match=f"{path} is not whole: blocks.* and is absent"):
        load(path)


def test_the_same_seed_makes_the_same_model_and_spares_the_global_one():
    torch.manual_seed(5)
    before = torch.rand(1)
    torch.manual_seed(5)
    a, b = TinyLM(30, seed=3), TinyLM(30, seed=3)
    assert torch.rand(1) == before
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters()))


def test_too_long_and_too_cold_are_refused(lm):
    with pytest.raises(ValueError, match="tokens must be at most 40 long, got 41"):
        lm(torch.zeros(1, 41, dtype=torch.long), torch.ones(1, 41, dtype=torch.bool))
    with pytest.raises(ValueError, match="temperature must be more than 0"):
        sample(lm, *pad([[2]], side="left"), max_tokens=1, end=END, generator=torch.Generator(), temperature=0)


@pytest.mark.parametrize("call, message", [
    (lambda: TinyLM(9, width=8, heads=3), "heads must divide width, 8, got 3"),
    (lambda: TinyLM(9, layers=0), "layers must be an integer of at least 1"),
    (lambda: pad([[1], []], side="right"), "rows must hold at least one row, and each of them a token"),
    (lambda: pad([], side="left"), "rows must hold at least one row"),
    (lambda: sample(TinyLM(9), *pad([[1]], side="left"), max_tokens=2, end=9, generator=torch.Generator()),
     "end must be one of the 9 tokens, got 9")])
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_side_of_the_padding_is_checked():
    """Padded on the right, the first token came from a position of padding: uniform, and no check saw it."""
    model = TinyLM(9, width=8, heads=2)
    hole = torch.tensor([[1, 2, 3]]), torch.tensor([[True, False, True]])
    for prompts in (pad([[1], [1, 2]], side="right"), hole):
        with pytest.raises(ValueError, match="prompt_mask must be True at the end of each row, without holes"):
            sample(model, *prompts, max_tokens=2, end=0, generator=torch.Generator())
    for side in ("Left", "LEFT", None):
        with pytest.raises(ValueError, match='side must be "left" or "right", got'):
            pad([[1]], side=side)


@pytest.mark.parametrize("dtype, out", [(torch.bfloat16, torch.float32), (torch.float16, torch.float32),
                                        (torch.float64, torch.float64)])
def test_half_precision_gives_heads_in_float32(dtype, out):
    model, mask = TinyLM(9, width=8, heads=2).to(dtype), torch.ones(1, 3, dtype=torch.bool)
    hidden, _ = model(torch.tensor([[1, 2, 3]]), mask)
    assert hidden.dtype == dtype == model.copy().embed.weight.dtype
    assert model.logits(hidden).dtype == model.values(hidden).dtype == model.scores(hidden, mask).dtype == out


def test_a_model_that_is_broken_says_so():
    model = TinyLM(9, width=8, heads=2)
    model.norm.weight.data[3] = float("nan")
    with pytest.raises(ValueError, match="lm gives log-probabilities that are no numbers"):
        sample(model, *pad([[1]], side="left"), max_tokens=2, end=0, generator=torch.Generator())
