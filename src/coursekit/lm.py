"""One tiny causal transformer, in the open: GPT-2's block, small enough to train on a laptop in half a minute.

It carries three heads on one trunk: logits for the next token, a value for every
position (the critic), a score at the last real token (the reward model). Prompts are
padded on the left, responses on the right. The layers work on real tokens alone, packed
into one long list; attention puts them back into grids, one for texts of like length.
"""

import math
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from coursekit.arrays import in_single, positive, positive_int
from coursekit.saved import atomic, check_whole, facts
from coursekit.tokens import last_token


class Grid(NamedTuple):
    """Where attention finds the tokens of some texts: one row for each text."""

    # n, its packed tokens
    count: int
    # (b, t), which of these tokens stands in each cell; any where the cell is padding
    tokens: torch.Tensor
    # (m,), the flat cells whose results are wanted, in the order of the packed tokens
    cells: torch.Tensor
    # (b, 1, t, K) or (t, t): 0 where a position may attend to another, else −∞
    bias: torch.Tensor


class Block(nn.Module):
    """Pre-LN attention and MLP, as in GPT-2 (Radford et al. 2019)."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm_1 = nn.LayerNorm(width)
        self.norm_2 = nn.LayerNorm(width)
        self.attend = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, x, grids, past=None, read=None):
        """The new x, and the keys and values of all positions of the last grid.

        Args:
            x: (N, width), the real tokens, those of one grid after the other.
            grids: list of Grid.
            past: (keys, values) of earlier positions, or None.
            read: (M,), which rows of x are wanted, if not all.
        """
        width = x.shape[-1]
        qkv = self.attend(self.norm_1(x))  # (N, 3·width)
        mixed = []
        for grid, packed in zip(grids, qkv.split([grid.count for grid in grids])):
            cells = packed.index_select(0, grid.tokens.flatten())  # (b·t, 3·width)
            cells = cells.view(*grid.tokens.shape, 3, self.heads, -1)
            q, k, v = cells.permute(2, 0, 3, 1, 4)  # (b, heads, t, head width) each
            if past is not None:
                k = torch.cat([past[0], k], dim=2)  # (b, heads, K, head width)
                v = torch.cat([past[1], v], dim=2)
            scores = q / math.sqrt(q.shape[-1]) @ k.transpose(-1, -2)  # (b, heads, t, K)
            # the bias is float32, and so is this sum
            attention = torch.softmax(scores + grid.bias, -1).to(v.dtype)
            found = (attention @ v).transpose(1, 2).reshape(-1, width)  # (b·t, width)
            mixed.append(found.index_select(0, grid.cells))
        x = x if read is None else x.index_select(0, read)
        x = x + self.project(torch.cat(mixed))
        inner = F.gelu(self.widen(self.norm_2(x)), approximate="tanh")  # (N, 4·width)
        return x + self.narrow(inner), (k, v)


class TinyLM(nn.Module):
    """A causal language model with a value head and a score head.

    Args:
        vocabulary: number of tokens.
        width, layers, heads, context: sizes.
        seed: of the initial weights.
    """

    def __init__(self, vocabulary, *, width=64, layers=2, heads=4, context=96, seed=0):
        super().__init__()
        self.sizes = dict(
            vocabulary=vocabulary, width=width, layers=layers, heads=heads,
            context=context)
        positive_int(**self.sizes)
        if width % heads:
            raise ValueError(f"heads must divide width, {width}, got {heads}")
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.embed = nn.Embedding(vocabulary, width)
            self.position = nn.Embedding(context, width)
            self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
            self.norm = nn.LayerNorm(width)
            self.value_head = nn.Linear(width, 1)
            self.score_head = nn.Linear(width, 1)
            self._initialise()

    def _initialise(self):
        """GPT-2's initial weights; the score head as in Stiennon et al. 2020."""
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                residual = name.endswith(("project.weight", "narrow.weight"))
                scale = 1 / math.sqrt(2 * self.sizes["layers"]) if residual else 1
                nn.init.normal_(weight, std=0.02 * scale)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        nn.init.zeros_(self.value_head.weight)
        nn.init.normal_(self.score_head.weight, std=1 / math.sqrt(self.sizes["width"] + 1))

    def forward(self, tokens, attention_mask, cache=None, read=None):
        """Hidden states of `tokens`.

        Args:
            tokens: (B, T) ints.
            attention_mask: (B, K) bools, True at real tokens; K = T, or with a cache
                the earlier tokens as well.
            cache: what an earlier call returned.
            read: (B, T) bools, real tokens whose hidden states are wanted, without a
                cache; None for all. The last layer works on these alone, and attention
                on texts of like length at a time.
        Returns:
            (B, T, width) hidden states, 0 at padding and where not `read`; and the
            cache for the next tokens, of no use with `read`.
        """
        steps, keys = tokens.shape[1], attention_mask.shape[1]
        if keys > self.sizes["context"]:
            raise ValueError(
                f"tokens must be at most {self.sizes['context']} long, got {keys}; "
                "cut them")
        real = attention_mask[:, keys - steps:]  # (B, T)
        if read is None:
            wanted = real
            grids = last = [whole_grid(attention_mask, steps)]
            kept = None
        else:
            order = real.sum(-1).argsort()  # texts of like length stand together
            wanted = (real & read)[order]
            tokens, attention_mask = tokens[order], attention_mask[order]
            real = real[order]
            kept = wanted[real]  # (N,)
            grids, last = short_grids(real, kept)
            kept = kept.nonzero()[:, 0]  # (M,)
        place = positions(attention_mask)[:, keys - steps:]  # (B, T)
        x = self.embed(tokens[real]) + self.position(place[real])  # (N, width)
        new = []
        for i, block in enumerate(self.blocks):
            past = cache[i] if cache else None
            if i < len(self.blocks) - 1:
                x, pair = block(x, grids, past)
            else:
                x, pair = block(x, last, past, kept)
            new.append(pair)
        rows, columns = wanted.nonzero().unbind(1)
        if read is not None:
            rows = order[rows]
        hidden = x.new_zeros(wanted.numel(), x.shape[1])  # (B·T, width)
        hidden = hidden.index_copy(0, rows * steps + columns, self.norm(x))
        return hidden.view(*wanted.shape, -1), new

    def logits(self, hidden):
        """(…, width) hidden states to (…, vocabulary) logits of the next token.

        The embedding is tied. Logits, values and scores are float32 where the weights
        have half precision.
        """
        return in_single(hidden @ self.embed.weight.T)

    def values(self, hidden):
        """(B, T, width) hidden states to (B, T) values, in units of reward."""
        return in_single(self.value_head(hidden)[..., 0])

    def scores(self, hidden, attention_mask):
        """(B, T, width) hidden states to (B,) scores, read at the last real token of each row."""
        last = hidden[last_token(attention_mask)]  # (B, width)
        return in_single(self.score_head(last)[..., 0])

    def select(self, cache, rows):
        """The cache of these rows of the batch alone."""
        return [(keys[rows], values[rows]) for keys, values in cache]

    def copy(self):
        """A model of its own with the same weights."""
        twin = TinyLM(**self.sizes).to(self.embed.weight)  # its dtype and device
        twin.load_state_dict(self.state_dict())
        return twin


def whole_grid(attention_mask, steps):
    """The grid of the last `steps` columns, as they are: what a cache needs."""
    real = attention_mask[:, -steps:]  # (B, T)
    tokens = (real.flatten().cumsum(0) - 1).clamp(min=0).view_as(real)
    bias = attention_bias(attention_mask, steps)
    cells = real.flatten().nonzero()[:, 0]
    return Grid(len(cells), tokens, cells, bias)


def short_grids(real, read, together=16):
    """Grids without columns of padding, each of `together` texts; and the same where `read` alone is wanted.

    Args: real: (B, T) bools, shorter texts first. read: (N,) bools, of the real tokens.
    """
    lengths = real.sum(-1)  # (B,)
    starts = lengths.cumsum(0) - lengths  # (B,)
    grids, last = [], []
    for length, start in zip(lengths.split(together), starts.split(together)):
        place = torch.arange(int(length[-1]), device=real.device)  # (t,)
        inside = place < length[:, None]  # (b, t)
        cells = inside.flatten().nonzero()[:, 0]  # (n,)
        square = len(place), len(place)
        causal = torch.full(square, -math.inf, device=real.device).triu(1)  # (t, t)
        first, count = start[0], len(cells)
        tokens = (start - first)[:, None] + place  # (b, t)
        grid = Grid(count, tokens.clamp(max=count - 1), cells, causal)
        grids.append(grid)
        last.append(grid._replace(cells=cells[read[first:first + count]]))
    return grids, last


def positions(attention_mask):
    """(B, K) bools to the place of each token in its text, (B, K) ints: padding takes no place."""
    return (attention_mask.long().cumsum(-1) - 1).clamp(min=0)


def attention_bias(attention_mask, steps):
    """(B, K) bools to (B, 1, T, K), for the last `steps` positions: 0 where one may attend to another, else −∞.

    A position attends to real tokens up to its own place. Padding attends to itself,
    since the softmax of a row that holds only −∞ is NaN.
    """
    keys = attention_mask.shape[1]
    bools = dict(dtype=torch.bool, device=attention_mask.device)
    causal = torch.ones(steps, keys, **bools).tril(keys - steps)  # (T, K)
    own = torch.eye(keys, **bools)[keys - steps:]  # (T, K)
    allowed = (causal & attention_mask[:, None, :]) | own  # (B, T, K)
    return torch.where(allowed, 0.0, -math.inf)[:, None]


def pad(rows, *, side, value=0):
    """Lists of token numbers to (B, T) tokens and mask, padded on the "left" (prompts) or "right" (responses)."""
    if side not in ("left", "right"):
        raise ValueError(f'side must be "left" or "right", got {side!r}')
    if not rows or not all(map(len, rows)):
        raise ValueError(
            "rows must hold at least one row, and each of them a token; drop empty texts")
    longest = max(map(len, rows))
    fill = [[value] * (longest - len(row)) for row in rows]
    lengths = torch.tensor([len(row) for row in rows])[:, None]
    steps = torch.arange(longest)
    if side == "left":
        tokens = torch.tensor([pads + row for row, pads in zip(rows, fill)])
        return tokens, steps >= longest - lengths
    tokens = torch.tensor([row + pads for row, pads in zip(rows, fill)])
    return tokens, steps < lengths


def check_padding(prompt_mask):
    """Raise ValueError unless prompts, (B, P), are padded on the left: a response goes on from the last column."""
    holes = prompt_mask[:, :-1] & ~prompt_mask[:, 1:]
    if not prompt_mask[:, -1].all() or holes.any():
        raise ValueError(
            "prompt_mask must be True at the end of each row, without holes; "
            'pad(rows, side="left")')


@torch.no_grad()
def sample(
        lm, prompts, prompt_mask, *, max_tokens, end, generator, temperature=1.0):
    """Sample a response to each prompt, token by token, with a KV cache.

    Args:
        prompts, prompt_mask: (B, P), padded on the left.
        end: the token that ends a response.
        generator: torch.Generator; the same seed samples the same responses.
        temperature: > 0.
    Returns:
        tokens (B, R), response_mask (B, R) True up to and including `end`, logprobs
        (B, R) in nats under the distribution sampled from; tokens and logprobs are 0
        where the mask is False.
    """
    positive_int(max_tokens=max_tokens)
    positive(temperature=temperature)
    check_padding(prompt_mask)
    hidden, cache = lm(prompts, prompt_mask)
    attention_mask = prompt_mask
    alive = torch.ones(len(prompts), 1, dtype=torch.bool, device=prompts.device)
    # those that the model still works on
    rows = torch.arange(len(prompts), device=prompts.device)
    columns = []
    for _ in range(max_tokens):
        found = torch.log_softmax(lm.logits(hidden[:, -1]) / temperature, -1)
        if torch.isnan(found).any():
            raise ValueError(
                "lm gives log-probabilities that are no numbers; look at its weights")
        if not 0 <= end < found.shape[1]:
            raise ValueError(
                f"end must be one of the {found.shape[1]} tokens, got {end!r}")
        logprobs = found.new_zeros(len(prompts), found.shape[1])  # (B, V)
        logprobs = logprobs.index_copy(0, rows, found)
        token = torch.multinomial(logprobs.exp(), 1, generator=generator)  # (B, 1)
        token = torch.where(alive, token, 0)
        logprob = torch.where(alive, logprobs.gather(1, token), 0.0)  # (B, 1)
        columns.append((token, alive, logprob))
        attention_mask = torch.cat([attention_mask, alive], 1)
        alive = alive & (token != end)
        if not alive.any():
            break
        going = alive[rows, 0]
        if going.sum() < 0.75 * len(rows):
            # a quarter has ended: the others go on without it
            cache = lm.select(cache, going.nonzero()[:, 0])
            rows = rows[going]
        hidden, cache = lm(token[rows], attention_mask[rows], cache)
    return tuple(torch.cat(column, 1) for column in zip(*columns))


def token_logprobs(logits, tokens):
    """How likely the model found each token, given those before it.

        log π(y_{t+1} | x, y_1 … y_t) = log softmax(logits_t)[y_{t+1}]   (book: eq-token-logprobs)

    Args:
        logits: (B, T, V) torch floats, as the model returns them for `tokens`.
        tokens: (B, T) ints.
    Returns:
        (B, T − 1) log-probabilities of tokens 1 … T − 1, nats; for responses of R
        tokens take the last R columns.
    Raises:
        ValueError: shapes that do not fit, or T < 2.
    """
    fits = tuple(logits.shape[:-1]) == tuple(tokens.shape) and tokens.ndim == 2
    if not fits or tokens.shape[1] < 2:
        raise ValueError(
            "logits must be (B, T, V) for tokens (B, T) with T >= 2, "
            f"got {tuple(logits.shape)} and {tuple(tokens.shape)}; "
            "pass the logits of the whole text, unshifted")
    before = logits[:, :-1].flatten(0, 1)  # (B·(T − 1), V)
    after = tokens[:, 1:].flatten()  # (B·(T − 1),)
    losses = F.cross_entropy(before, after, reduction="none")
    return -losses.view(len(tokens), -1)  # (B, T − 1)


def response_logprobs(model, tokens, attention_mask, width, temperature=1.0):
    """Log-probabilities of the last `width` tokens of every row, and the logits that they come from.

    Args:
        model: TinyLM or like it.
        tokens, attention_mask: (B, T).
        width: R < T.
        temperature: that of sampling.
    Returns: (B, R) nats, 0 at padding; (N, V) logits of the N real tokens among them,
        row by row.
    """
    real = attention_mask[:, -width:]  # (B, R)
    before = predicting(attention_mask, width)
    hidden, _ = model(tokens, attention_mask, read=before)
    logits = model.logits(hidden[before]) / temperature  # (N, V)
    written = tokens[:, -width:][real]  # (N,)
    logprobs = -F.cross_entropy(logits, written, reduction="none")  # (N,)
    return logprobs.new_zeros(real.shape).masked_scatter(real, logprobs), logits


def predicting(attention_mask, width):
    """(B, T) bools: True at the positions that predict the real ones of the last `width` tokens."""
    real = attention_mask[:, -width:]
    return F.pad(real, (attention_mask.shape[1] - width - 1, 1))


def next_token_loss(lm, tokens, attention_mask):
    """Mean negative log-probability of every real token given those before it, in nats."""
    hidden, _ = lm(tokens, attention_mask)
    real = attention_mask[:, :-1] & attention_mask[:, 1:]
    return -token_logprobs(lm.logits(hidden), tokens)[real].mean()


def save(lm, path):
    """Write weights as safetensors, half precision, atomically: the file is whole or absent."""
    half = {name: weight.detach().half().contiguous()
            for name, weight in lm.state_dict().items()}
    sizes = {name: str(size) for name, size in lm.sizes.items()}
    with atomic(path) as partial:
        save_file(half, partial, metadata=sizes)


def load(path):
    """Read weights that `save` wrote. Returns a TinyLM in float32.

    Raises: ValueError: any other file.
    """
    sizes = facts(path)
    if "vocabulary" not in sizes:
        raise ValueError(f"{path} is no saved TinyLM; lm.save writes one")
    lm = TinyLM(**{name: int(size) for name, size in sizes.items()})
    weights = load_file(path)
    shapes = {name: tuple(weight.shape) for name, weight in lm.state_dict().items()}
    check_whole(weights, shapes, path)
    lm.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return lm
