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
        model: a causal language model (actor, reference), or a causal sequence classifier with one output (reward
        model, whose copy becomes the critic); of the same tokenizer. It is used, not copied; dropout is off.
    Raises:
        ValueError: a classifier without one linear `score`; or a text that is padded on the left and read in two
        parts does not come out as the model has it whole: the model looks ahead, overlooks its mask, keeps no keys
        and values, or does more to its logits than a linear map.
    """

    def __init__(self, model):
        super().__init__()
        self.trunk = model.eval().base_model
        self.outer = (model,)  # a tuple hides it from Module, which would list its weights once more
        takes = inspect.signature(self.trunk.forward).parameters
        self.cache_name = "cache" if "cache" in takes else "past_key_values"  # before transformers 5.24
        width = model.config.get_text_config().hidden_size
        head = model.get_output_embeddings()
        tied = head is not None and head.weight is model.get_input_embeddings().weight
        self.head = None if tied else head
        self.value_head, self.score_head = (nn.Linear(width, 1, device=model.device) for _ in range(2))
        for weight in (*self.value_head.parameters(), *self.score_head.parameters()):
            nn.init.zeros_(weight)
        if head is None:
            if getattr(getattr(model, "score", None), "out_features", None) != 1:
                raise ValueError("model must be a causal language model, or a sequence classifier that scores with "
                                 f"one linear map (num_labels=1), got {type(model).__name__}")
            self.score_head.weight.data.copy_(model.score.weight)
        self._compare()

    @property
    def blocks(self):
        """The layers, for distributed.shard."""
        layers = self.outer[0].config.get_text_config().num_hidden_layers
        return next(m for m in self.trunk.modules() if isinstance(m, nn.ModuleList) and len(m) == layers)

    def forward(self, tokens, attention_mask, cache=None, read=None):
        """As TinyLM.forward, but whatever `read` asks for, all positions are computed; a cache is kept only where
        neither `read` is given nor gradients are taken."""
        steps, keys = tokens.shape[1], attention_mask.shape[1]
        limit = getattr(self.outer[0].config, "max_position_embeddings", None)
        if limit is not None and keys > limit:
            raise ValueError(f"tokens must be at most {limit} long, got {keys}; cut them")
        caching = cache is not None or (read is None and not torch.is_grad_enabled())
        found = self.trunk(
            input_ids=tokens, attention_mask=attention_mask.long(), use_cache=caching,
            position_ids=positions(attention_mask)[:, keys - steps:], **{self.cache_name: cache})
        return found.last_hidden_state, getattr(found, self.cache_name) if caching else None

    def logits(self, hidden):
        """(…, width) hidden states to (…, vocabulary) float32 logits of the next token."""
        weight = self.trunk.get_input_embeddings().weight
        return (hidden @ weight.T if self.head is None else self.head(hidden)).float()

    def values(self, hidden):
        """As TinyLM.values."""
        return self.value_head(hidden.to(self.value_head.weight.dtype))[..., 0].float()

    def scores(self, hidden, attention_mask):
        """As TinyLM.scores."""
        return self.score_head(hidden[last_token(attention_mask)].to(self.score_head.weight.dtype))[..., 0].float()

    def select(self, cache, rows):
        """As TinyLM.select."""
        cache.batch_select_indices(rows)
        return cache

    def copy(self):
        """A model of its own with the same weights."""
        return copy.deepcopy(self).requires_grad_(True)

    @classmethod
    def from_pretrained(cls, name, *, classifier=False, dtype=torch.float32):
        """Load a language model, or a reward model (classifier=True), by name or from a folder, with its heads if
        `save_pretrained` left them there. Raises: ValueError: no such model."""
        auto = AutoModelForSequenceClassification if classifier else AutoModelForCausalLM
        options = {"num_labels": 1} if classifier else {}
        model = cls(pretrained(auto, name, dtype=dtype, **options))
        if (heads := Path(name) / HEADS).is_file():
            model.load_state_dict(load_file(heads), strict=False)
        return model

    def save_pretrained(self, folder):
        """Write the model to a folder as transformers does, and our heads beside it; for a classifier's `score` has
        no room for a bias. Under torchrun every rank must call it; rank 0 writes."""
        full = distributed.full_tensor
        state = {key: full(weight) for key, weight in self.outer[0].state_dict().items()}
        heads = {key: full(weight) for key, weight in self.state_dict().items() if "_head." in key}
        if "score.weight" in state:
            state["score.weight"] = heads["score_head.weight"].to(state["score.weight"].dtype)
        if distributed.rank() == 0:
            with atomic(folder) as partial:
                self.outer[0].save_pretrained(partial, state_dict=state)
                save_file({key: weight.contiguous() for key, weight in heads.items()}, partial / HEADS)

    def _compare(self):
        """Refuse a model that reads a text, padded on the left and in two parts, otherwise than the whole text."""
        model = self.outer[0]
        try:
            found, expected = self._read_both_ways(model)
        except (AttributeError, RuntimeError, TypeError) as error:
            raise ValueError("model must take a mask, positions and earlier keys and values; "
                             f"{type(model).__name__} does not: {str(error).splitlines()[0]}") from error
        gap = (found - expected).abs().max().item()
        size = expected.abs().max().item()
        if not gap <= torch.finfo(expected.dtype).eps ** 0.5 * size:
            raise ValueError("model must read from left to right, mind its mask and have linear logits; "
                             f"{type(model).__name__}, on a padded text in two parts, is {gap:.2g} off the whole")

    @torch.no_grad()
    def _read_both_ways(self, model):
        tokens = torch.arange(4, device=model.device)[None]  # the first of them is padding
        attention_mask = tokens > 0
        first, cache = self(tokens[:, :3], attention_mask[:, :3])
        second, _ = self(tokens[:, 3:], attention_mask, cache)
        hidden = torch.cat([first, second], 1)[:, 1:]
        if model.get_output_embeddings() is not None:
            return self.logits(hidden), model(tokens[:, 1:]).logits
        return hidden, self.trunk(tokens[:, 1:]).last_hidden_state
