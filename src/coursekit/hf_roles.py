"""Transformers models in the four roles of PPO. Needs the extra `hf`, see `hf`."""

import copy
import inspect
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from coursekit import distributed
from coursekit.hf import pretrained
from coursekit.lm import positions
from coursekit.saved import atomic
from coursekit.tokens import last_token

HEADS = "heads.safetensors"  # value and score head, beside the model's own files


class Transformer(nn.Module):
    """A transformers model that plays TinyLM's part: `rlhf.four_models(Transformer(lm), Transformer(classifier))`.

    Args:
        model: a causal language model (actor, reference), or a causal sequence
            classifier with one output (reward model, whose copy becomes the critic); of
            the same tokenizer. It is used, not copied; dropout is off.
    Raises:
        ValueError: a classifier without one linear `score`; or a text that is padded on
            the left and read in two parts does not come out as the model has it whole:
            the model looks ahead, overlooks its mask, keeps no keys and values, or does
            more to its logits than a linear map.
    """

    def __init__(self, model):
        super().__init__()
        self.trunk = model.eval().base_model
        # a tuple hides it from Module, which would list its weights once more
        self.outer = (model,)
        takes = inspect.signature(self.trunk.forward).parameters
        # the second name is that of transformers before 5.24
        self.cache_name = "cache" if "cache" in takes else "past_key_values"
        width = model.config.get_text_config().hidden_size
        head = model.get_output_embeddings()
        tied = head is not None and head.weight is model.get_input_embeddings().weight
        self.head = None if tied else head
        self.value_head = nn.Linear(width, 1, device=model.device)
        self.score_head = nn.Linear(width, 1, device=model.device)
        for weight in (*self.value_head.parameters(), *self.score_head.parameters()):
            nn.init.zeros_(weight)
        if head is None:
            score = getattr(model, "score", None)
            if getattr(score, "out_features", None) != 1:
                raise ValueError(
                    "model must be a causal language model, or a sequence classifier "
                    "that scores with one linear map (num_labels=1), "
                    f"got {type(model).__name__}")
            self.score_head.weight.data.copy_(score.weight)
        self._compare()

    @property
    def blocks(self):
        """The layers, for distributed.shard."""
        layers = self.outer[0].config.get_text_config().num_hidden_layers
        lists = [m for m in self.trunk.modules() if isinstance(m, nn.ModuleList)]
        return next(found for found in lists if len(found) == layers)

    def forward(self, tokens, attention_mask, cache=None, read=None):
        """As TinyLM.forward, but whatever `read` asks for, all positions are computed.

        A cache is kept only where neither `read` is given nor gradients are taken.
        """
        steps, keys = tokens.shape[1], attention_mask.shape[1]
        limit = getattr(self.outer[0].config, "max_position_embeddings", None)
        if limit is not None and keys > limit:
            raise ValueError(
                f"tokens must be at most {limit} long, got {keys}; cut them")
        caching = cache is not None or (read is None and not torch.is_grad_enabled())
        found = self.trunk(
            input_ids=tokens, attention_mask=attention_mask.long(), use_cache=caching,
            position_ids=positions(attention_mask)[:, keys - steps:],
            **{self.cache_name: cache})
        cache = getattr(found, self.cache_name) if caching else None
        return found.last_hidden_state, cache

    def logits(self, hidden):
        """(…, width) hidden states to (…, vocabulary) float32 logits of the next token."""
        if self.head is not None:
            return self.head(hidden).float()
        weight = self.trunk.get_input_embeddings().weight
        return (hidden @ weight.T).float()

    def values(self, hidden):
        """As TinyLM.values."""
        return self.value_head(hidden.to(self.value_head.weight.dtype))[..., 0].float()

    def scores(self, hidden, attention_mask):
        """As TinyLM.scores."""
        last = hidden[last_token(attention_mask)].to(self.score_head.weight.dtype)
        return self.score_head(last)[..., 0].float()

    def select(self, cache, rows):
        """As TinyLM.select."""
        cache.batch_select_indices(rows)
        return cache

    def copy(self):
        """A model of its own with the same weights."""
        return copy.deepcopy(self).requires_grad_(True)

    @classmethod
    def from_pretrained(cls, name, *, classifier=False, dtype=torch.float32):
        """Load a language model, or a reward model (classifier=True), by name or folder.

        Its heads are loaded too, if `save_pretrained` left them in the folder.

        Raises: ValueError: no such model.
        """
        if classifier:
            auto, options = AutoModelForSequenceClassification, {"num_labels": 1}
        else:
            auto, options = AutoModelForCausalLM, {}
        model = cls(pretrained(auto, name, dtype=dtype, **options))
        heads = Path(name) / HEADS
        if heads.is_file():
            model.load_state_dict(load_file(heads), strict=False)
        return model

    def save_pretrained(self, folder):
        """Write the model to a folder as transformers does, and our heads beside it.

        A classifier's `score` has no room for the bias of our head. Under torchrun every
        rank must call this; rank 0 writes.
        """
        full = distributed.full_tensor
        model, ours = self.outer[0].state_dict(), self.state_dict()
        state = {key: full(weight) for key, weight in model.items()}
        heads = {key: full(weight) for key, weight in ours.items() if "_head." in key}
        if "score.weight" in state:
            dtype = state["score.weight"].dtype
            state["score.weight"] = heads["score_head.weight"].to(dtype)
        if distributed.rank() == 0:
            heads = {key: weight.contiguous() for key, weight in heads.items()}
            with atomic(folder) as partial:
                self.outer[0].save_pretrained(partial, state_dict=state)
                save_file(heads, partial / HEADS)

    def _compare(self):
        """Refuse a model that reads a text, padded on the left and in two parts, otherwise than the whole text."""
        model = self.outer[0]
        try:
            found, expected = self._read_both_ways(model)
        except (AttributeError, RuntimeError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                "model must take a mask, positions and earlier keys and values; "
                f"{type(model).__name__} does not: {reason}") from error
        gap = (found - expected).abs().max().item()
        size = expected.abs().max().item()
        if not gap <= torch.finfo(expected.dtype).eps ** 0.5 * size:
            raise ValueError(
                "model must read from left to right, mind its mask and have linear "
                f"logits; {type(model).__name__}, on a padded text in two parts, "
                f"is {gap:.2g} off the whole")

    @torch.no_grad()
    def _read_both_ways(self, model):
        # the first of these tokens is padding
        tokens = torch.arange(4, device=model.device)[None]
        attention_mask = tokens > 0
        first, cache = self(tokens[:, :3], attention_mask[:, :3])
        second, _ = self(tokens[:, 3:], attention_mask, cache)
        hidden = torch.cat([first, second], 1)[:, 1:]
        if model.get_output_embeddings() is not None:
            return self.logits(hidden), model(tokens[:, 1:]).logits
        return hidden, self.trunk(tokens[:, 1:]).last_hidden_state
