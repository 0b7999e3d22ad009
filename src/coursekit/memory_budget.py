"""How much memory four models take: weights, gradients, Adam's states, activations and KV cache, in bytes.

GB are 10⁹ bytes, as on a card's label. Every term is one product, written out in its
docstring.
"""

import math
from dataclasses import dataclass

from coursekit.arrays import fraction, not_negative, positive, positive_int

GB = 1e9
# bytes of a parameter's weight, gradient and Adam states (main copy if there is one, m, v)
PRECISIONS = {
    "float32": (4, 4, 4 + 4),
    "mixed": (2, 2, 4 + 4 + 4),
    "mixed, float32 gradients": (2, 4, 4 + 4 + 4),
    "mixed, 8-bit Adam": (2, 2, 4 + 1 + 1),
}
TERMS = ("weights", "gradients", "adam", "activations", "kv_cache")


@dataclass(frozen=True)
class Architecture:
    """What memory depends on.

    key_value_heads: less than the heads of the queries under grouped-query attention.
    """

    parameters: float
    layers: int
    width: int
    key_value_heads: int
    head_width: int = 128

    def __post_init__(self):
        positive(**vars(self))


LLAMA_7B = Architecture(6.74e9, layers=32, width=4096, key_value_heads=32)
LLAMA_8B = Architecture(8.03e9, layers=32, width=4096, key_value_heads=8)
LLAMA_70B = Architecture(68.98e9, layers=80, width=8192, key_value_heads=8)


@dataclass(frozen=True)
class Role:
    """One model of a run.

    trained: has gradients and Adam states.
    samples: needs a KV cache.
    shares_base: under LoRA its frozen weights are those of another role, and counted
    there.
    """

    model: Architecture
    trained: bool = False
    samples: bool = False
    shares_base: bool = False


def four_roles(policy, reward=None):
    """Actor and reference of one architecture, critic and reward model of another, or of the same.

    `budget` takes fewer roles as well: without a critic leave it out, with a verifier
    the reward model, too.
    """
    reward = reward or policy
    return {"actor": Role(policy, trained=True, samples=True, shares_base=True),
            "reference": Role(policy),
            "critic": Role(reward, trained=True, shares_base=True),
            "reward": Role(reward)}


def states(role, *, precision="mixed", lora=None):
    """Weights, gradients and Adam states: a dict of bytes.

        frozen:   N·w                              N parameters, w, g, a bytes of PRECISIONS
        trained:  N·w + N·g + N·a
        LoRA:     N·w (0 if shared) + ℓN·(w + g + a)

    Args:
        role: Role.
        precision: a key of PRECISIONS.
        lora: adapters' parameters as a share ℓ of N, or None.
    Source: Rajbhandari et al. 2020, section 3.1 (16 bytes a parameter); Hu et al. 2022
        (LoRA).
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if lora is not None and not 0 < lora < 1:
        raise ValueError(
            f"lora must be a share between 0 and 1, got {lora!r}; 0.01 is usual")
    weight, gradient, adam = PRECISIONS[precision]
    base = role.model.parameters
    adapters = base * lora if role.trained and lora is not None else 0
    trained = (adapters or base) if role.trained else 0
    if adapters and role.shares_base:
        base = 0
    return {"weights": (base + adapters) * weight,
            "gradients": trained * gradient,
            "adam": trained * adam}


def kv_cache(model, sequences, tokens, *, size=2):
    """Keys and values of all layers while responses are sampled.

        2 · layers · key-value heads · head width · sequences · tokens · size bytes
    """
    numbers = 2 * model.layers * model.key_value_heads * model.head_width
    return numbers * sequences * tokens * size


def activations(model, sequences, tokens, *, size=2, checkpointing=True):
    """What the forward pass keeps for the backward pass.

        checkpointing:  layers · sequences · tokens · width · size
                        (each layer's input; the rest is redone)
        all kept:       layers · sequences · tokens · width · 17 · size
                        (with attention that stores no scores)

    Source: Korthikanti et al. 2022, eq. 2 (34 bytes at 2 a number) and section 5.
    """
    kept = 1 if checkpointing else 17  # numbers a token, layer and unit of width
    return model.layers * sequences * tokens * model.width * size * kept


def budget(roles, *, precision="mixed", cards=1, sharded=True, offload=False, lora=None,
           sampling=(0, 0), training=(0, 0), checkpointing=True):
    """Bytes on each card, for one model or several.

        states / cards if sharded (FSDP, ZeRO-3), else whole on every card (DDP);
        KV cache and activations / cards

    Args:
        roles: {name: Role}, as `four_roles` makes them.
        precision, lora: as `states`.
        cards: how many share.
        offload: Adam's states lie in the host's memory; the row "host" counts them
            instead of their role's.
        sampling, training: (sequences, tokens each) that all cards together sample, or
            train on at a time.
        checkpointing: as `activations`.
    Returns:
        {name: {term: bytes}} for every role, "all", and "host" (a dict with adam alone)
        if offloaded.
    Raises:
        ValueError: cards < 1; as `states`.
    """
    positive_int(cards=cards)
    # bytes of a number in activations and cache, as in weights
    size = PRECISIONS.get(precision, (2,))[0]
    table, host = {}, 0
    for name, role in roles.items():
        row = states(role, precision=precision, lora=lora)
        if sharded:
            row = {term: x / cards for term, x in row.items()}
        if offload:
            host += row["adam"]
            row["adam"] = 0
        kept = activations(
            role.model, *training, size=size, checkpointing=checkpointing)
        cached = kv_cache(role.model, *sampling, size=size)
        row["activations"] = role.trained * kept / cards
        row["kv_cache"] = role.samples * cached / cards
        table[name] = row
    table["all"] = {term: sum(row[term] for row in table.values()) for term in TERMS}
    return table | ({"host": {"adam": host}} if offload else {})


def total(row):
    """Sum of a row's terms, bytes."""
    return sum(row.values())


def cards_needed(size, *, card=80 * GB, usable=0.85, working=0.0):
    """How many cards hold `size` bytes in equal shares.

        ⌈ size·(1 + working) / (card·usable) ⌉

    Args:
        size, card: bytes.
        usable: share that the runtime and fragments leave.
        working: room for activations, KV cache and buffers, as a share of size.
    """
    positive(size=size, card=card, usable=fraction(usable=usable))
    not_negative(working=working)
    return math.ceil(size * (1 + working) / (card * usable))


def lines(table):
    """The table of `budget` as lines of text, GB."""
    named = {"kv_cache": "KV cache", "adam": "Adam"}
    titles = [named.get(term, term) for term in TERMS]
    heads = "".join(f"{title:>12}" for title in [*titles, "total"])
    rows = [f"{'GB a card':10}{heads}"]
    for name, row in table.items():
        cells = [f"{row[term] / GB:12.1f}" if term in row else " " * 12
                 for term in TERMS]
        rows.append(f"{name:10}{''.join(cells)}{total(row) / GB:12.1f}")
    return rows
