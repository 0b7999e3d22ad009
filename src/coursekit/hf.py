"""Transformers models: our GPT-2 as theirs and back, and any of their classifiers as a reward model.

Needs the extra `hf`: `pip install -e '.[hf]'` in a clone of the course.
"""

from itertools import compress, islice

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
)

from coursekit.arrays import positive, positive_int
from coursekit.lm import TinyLM
from coursekit.ppo import clipped_step
from coursekit.preference_data import Groups, load_pairs
from coursekit.progress import bar
from coursekit.reward_model import bradley_terry_loss
from coursekit.saved import atomic

# our names: theirs, outside and inside of a block
OUTER = {"embed": "wte", "position": "wpe", "norm": "ln_f"}
INNER = {"norm_1": "ln_1", "attend": "attn.c_attn", "project": "attn.c_proj",
         "norm_2": "ln_2", "widen": "mlp.c_fc", "narrow": "mlp.c_proj"}
# what a model must have as GPT-2 has it
SETTINGS = ("activation_function", "layer_norm_epsilon", "scale_attn_weights",
            "tie_word_embeddings", "scale_attn_by_inverse_layer_idx",
            "add_cross_attention")
BUFFER = 1000  # pairs that are shuffled together


def to_gpt2(lm):
    """A TinyLM as a transformers GPT2LMHeadModel with the same logits; its value and score heads stay behind.

    Pass it attention_mask, and with left-padded prompts
    position_ids = (mask.cumsum(-1) - 1).clamp(min=0): without them transformers numbers
    positions from the first column, padding included.
    """
    sizes = lm.sizes
    config = GPT2Config(
        vocab_size=sizes["vocabulary"], n_positions=sizes["context"], n_embd=sizes["width"],
        n_layer=sizes["layers"], n_head=sizes["heads"], resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, bos_token_id=None, eos_token_id=None)
    model = GPT2LMHeadModel(config)
    ours, theirs = lm.state_dict(), model.transformer.state_dict()
    _copy_weights(ours, theirs, sizes["layers"], from_ours=True)
    return model.eval()


def from_gpt2(model):
    """A GPT2LMHeadModel as a TinyLM with the same logits; its value and score heads are new.

    Raises:
        ValueError: the model departs from GPT-2's block (activation, width of the MLP,
            attention scale).
    """
    config, default = model.config, GPT2Config()
    for name in SETTINGS:
        found, wanted = getattr(config, name), getattr(default, name)
        if found != wanted:
            raise ValueError(f"model must have GPT-2's {name}, {wanted}, got {found}")
    if config.n_inner not in (None, 4 * config.n_embd):
        raise ValueError(
            f"model must have an MLP of 4 × {config.n_embd}, "
            f"got n_inner {config.n_inner}")
    lm = TinyLM(
        config.vocab_size, width=config.n_embd, layers=config.n_layer,
        heads=config.n_head, context=config.n_positions)
    ours, theirs = lm.state_dict(), model.transformer.state_dict()
    _copy_weights(ours, theirs, config.n_layer, from_ours=False)
    return lm


def _copy_weights(ours, theirs, layers, *, from_ours):
    """Copy in place.

    GPT-2's Conv1D keeps (inputs, outputs) where nn.Linear keeps (outputs, inputs).
    """
    names = dict(OUTER)
    for i in range(layers):
        names |= {f"blocks.{i}.{ours}": f"h.{i}.{theirs}"
                  for ours, theirs in INNER.items()}
    for our_name, their_name in names.items():
        for kind in ("weight", "bias"):
            our_weight = ours.get(f"{our_name}.{kind}")
            if our_weight is None:  # embeddings have no bias
                continue
            their_weight = theirs[f"{their_name}.{kind}"]
            if ".c_" in their_name and kind == "weight":
                their_weight = their_weight.T
            if from_ours:
                their_weight.copy_(our_weight)
            else:
                our_weight.copy_(their_weight)


def train_rm(
        name, path, out, *, epochs=1, batch=8, lr=2e-5, longest=1024, seed=0,
        dtype=torch.float32):
    """Fine-tune a transformers sequence classifier as a reward model on a file of comparisons, and save it.

    Args:
        name: a model by name or folder, with its tokenizer.
        path: as for load_pairs, read more than once; the last groups of its pairs,
            about a tenth, are held out whole.
        out: folder for model and tokenizer.
        epochs, batch, lr, seed: of AdamW.
        longest: tokens of a text, or what the model takes if that is less; longer texts
            lose their beginning.
        dtype: of the weights.
    Returns:
        (N,) held-out margins, chosen − rejected; of all pairs that differ their groups
        and which are held out; the numbers of pairs that are skipped (both texts are
        equal, or become so where they are cut) and repeated.
    Raises:
        ValueError: fewer than ten pairs, all in one group, no such model, a loss that
            is not finite; load_pairs'.
    """
    positive_int(epochs=epochs, batch=batch, longest=longest)
    positive_int(0, seed=seed)
    positive(lr=lr)
    torch.manual_seed(seed)
    model, tokenizer = _load(name, longest, dtype)
    differ, together = _survey(path, tokenizer)
    groups = together.numbers()
    count = sum(differ)
    if count < 10:
        raise ValueError(
            f"{path} holds {count} pairs that differ; training needs at least 10")
    held_out = last_groups(groups)
    model.to("cuda" if torch.cuda.is_available() else "cpu").train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr)
    rng = np.random.default_rng(seed)

    def pairs(which, rng=None):
        different = compress(load_pairs(path), differ)
        return batches(compress(different, which), batch, rng)

    with bar(epochs * int((~held_out).sum()), unit=" pairs") as shown:
        for _ in range(epochs):
            for part in pairs(~held_out, rng):
                chosen, rejected = score_pairs(model, tokenizer, part)
                loss = bradley_terry_loss(chosen, rejected)
                optimiser.zero_grad()
                loss.backward()
                clipped_step(optimiser, model)
                shown.update(len(part))
    model.eval()
    with torch.no_grad():
        scores = [score_pairs(model, tokenizer, part) for part in pairs(held_out)]
    with atomic(out) as partial:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
    margins = torch.cat([chosen - rejected for chosen, rejected in scores])
    margins = margins.double().cpu().numpy()
    return margins, groups, held_out, len(differ) - count, together.repeated


def score_pairs(model, tokenizer, pairs):
    """Scores of (prompt, chosen, rejected) texts: two (N,) float32 tensors, chosen and rejected, in log-odds."""
    tokens = tokenizer(_texts(pairs), padding=True, truncation=True, return_tensors="pt")
    scores = model(**tokens.to(model.device)).logits[:, 0]
    return scores.float().chunk(2)


def pretrained(auto, name, **options):
    """auto.from_pretrained(name, ...).

    Raises: ValueError: no such model, or one that lacks weights.
    """
    if auto is not AutoTokenizer:
        options["output_loading_info"] = True
    try:
        found = auto.from_pretrained(name, **options)
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"no model {name}, in a folder or from the hub: {reason}") from None
    if auto is AutoTokenizer:
        return found
    model, report = found
    # transformers draws them at random, as it should a new reward model's head alone
    heads = "score", "classifier"
    missing = sorted(x for x in report["missing_keys"] if not x.startswith(heads))
    if missing:
        raise ValueError(
            f"{name} has no weights for {missing[0]}, which would be random; "
            "it is another kind of model, or not whole")
    return model


def _load(name, longest, dtype=torch.float32):
    """Model with one output and tokenizer, with a padding token and texts cut at their beginning."""
    tokenizer = pretrained(
        AutoTokenizer, name, truncation_side="left", padding_side="right")
    model = pretrained(
        AutoModelForSequenceClassification, name, num_labels=1, dtype=dtype,
        ignore_mismatched_sizes=True)
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise ValueError(
                f"the tokenizer of {name} has neither a padding nor an end token; "
                "give it one")
        tokenizer.pad_token = tokenizer.eos_token
    # the score is read before the padding
    model.config.pad_token_id = tokenizer.pad_token_id
    limit = getattr(model.config, "max_position_embeddings", None) or longest
    tokenizer.model_max_length = min(tokenizer.model_max_length, limit, longest)
    return model, tokenizer


def _texts(pairs):
    return [f"{pair[0]} {pair[side]}".strip() for side in (1, 2) for pair in pairs]


def _survey(path, tokenizer):
    """Which pairs differ as the model reads them, and the Groups of these.

    Reads all of the file, so checks it.
    """
    differ, together = [], Groups()
    for pair in load_pairs(path):
        chosen, rejected = tokenizer(_texts([pair]), truncation=True)["input_ids"]
        differ.append(chosen != rejected)
        if differ[-1]:
            together.add(*pair)
    return differ, together


def last_groups(groups):
    """(N,) bools, True for the pairs of the last groups, of about a tenth of the pairs."""
    sizes = np.bincount(groups)
    room = max(len(groups) // 10, sizes.min())
    held_out = np.zeros(len(sizes), bool)
    for group in reversed(range(len(sizes))):
        held_out[group] = sizes[group] <= room
        room -= sizes[group] * held_out[group]
    if held_out.all():
        raise ValueError(
            f"all {len(groups)} pairs share prompts or texts: none can be held out; "
            "bring others")
    return held_out[groups]


def batches(pairs, batch, rng=None):
    """Lists of `batch` pairs from a stream, shuffled within a buffer if there is an rng."""
    while buffer := list(islice(pairs, BUFFER)):
        order = np.arange(len(buffer))
        if rng is not None:
            order = rng.permutation(len(buffer))
        for rows in np.split(order, range(batch, len(order), batch)):
            yield [buffer[i] for i in rows]
