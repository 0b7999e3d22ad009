"""DPO for transformers models on files of comparisons: samples on the way, saved runs.

Needs the extra `hf`. Under torchrun every rank has a whole model and takes its share of
each batch.
"""

import math
import zlib
from dataclasses import asdict, dataclass, field
from itertools import compress, islice

import numpy as np
import torch
from transformers import AutoTokenizer

from coursekit import distributed
from coursekit.arrays import check_numbers, positive_int
from coursekit.direct import dpo_loss, implicit_rewards
from coursekit.hf import batches, last_groups, pretrained
from coursekit.hf_roles import Transformer
from coursekit.lm import pad, response_logprobs, sample
from coursekit.ppo import clipped_step
from coursekit.preference_data import Groups, load_pairs
from coursekit.preferences import accuracy
from coursekit.saved import (
    atomic,
    check_whole,
    from_moments,
    read,
    to_moments,
    with_prefix,
    write,
)

RUN = "run.safetensors"  # in the folder of the model
SHOWN = 16  # held-out prompts to sample for, each time
JUDGED = 200  # held-out pairs to judge, each time


@dataclass(frozen=True)
class Config:
    """The numbers of one run."""

    model: str  # a language model by name or folder, with its tokenizer
    beta: float = 0.1  # reward per nat
    label_smoothing: float = 0.0
    nll: float = 0.0  # weight of the chosen replies' negative log-likelihood
    epochs: int = 1
    batch: int = 8  # pairs of a step, on all processes
    lr: float = 5e-6
    warmup: int = 10  # steps until the learning rate is whole
    longest: int = 1024  # tokens of prompt and reply
    max_tokens: int = 64  # of a reply that is sampled
    seed: int = 0

    def __post_init__(self):
        at_least_1, at_least_0 = (int, 1, math.inf, True), (int, 0, math.inf, True)
        above_0 = float, 0, math.inf, False
        check_numbers(
            self, epochs=at_least_1, batch=at_least_1, max_tokens=at_least_1,
            longest=(int, 2, math.inf, True), warmup=at_least_0, seed=at_least_0,
            beta=above_0, lr=above_0, nll=(float, 0, math.inf, True),
            label_smoothing=(float, 0, 0.499, True))


@dataclass
class Run:
    """Policy, reference and what a run remembers between two steps."""

    config: Config
    policy: Transformer
    reference: Transformer
    tokenizer: AutoTokenizer
    optimiser: torch.optim.AdamW
    step: int = 0
    history: list = field(default_factory=list)
    pairs: int | None = None  # a checksum of those that it learns from


def start(config):
    """A new Run. Raises: ValueError: no such model, or one that `Transformer` refuses."""
    tokenizer = pretrained(AutoTokenizer, config.model)
    if tokenizer.eos_token_id is None:
        raise ValueError(
            f"the tokenizer of {config.model} has no end token; give it one")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    policy = Transformer.from_pretrained(config.model).to(device)
    reference = Transformer.from_pretrained(config.model).to(device)
    reference.requires_grad_(False)
    for head in (policy.value_head, policy.score_head):
        head.requires_grad_(False)
    learning = [p for p in policy.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=config.lr, weight_decay=0.0)
    vocabulary = policy.outer[0].get_input_embeddings().weight.shape[0]
    if len(tokenizer) > vocabulary:
        raise ValueError(
            f"the tokenizer of {config.model} knows {len(tokenizer)} tokens, and the model "
            f"{vocabulary}; they do not belong together")
    run = Run(config, policy, reference, tokenizer, optimiser)
    if config.max_tokens >= limit(run):
        raise ValueError(
            f"max_tokens must be less than the {limit(run)} tokens that {config.model} "
            f"takes, so that a prompt has room, got {config.max_tokens}")
    return run


def encode(tokenizer, pairs, longest):
    """Comparisons as rows of tokens: all chosen replies first, then all rejected ones.

    Each reply ends in the end token; too long a reply is cut. A prompt that leaves too
    little room for the longer of its two replies loses its beginning, the same for both.

    Args: pairs: N (prompt, chosen, rejected) texts. longest: tokens of a row.
    Returns: tokens and mask, (2N, P + R), and the mask of the replies, (2N, R).
    """
    end = tokenizer.eos_token_id
    prompts, chosen, rejected = [], [], []
    for prompt, *sides in pairs:
        for reply, replies in zip(sides, (chosen, rejected)):
            reply = f" {reply}" if prompt else reply
            reply = tokenizer(reply, add_special_tokens=False)["input_ids"]
            replies.append([*reply, end][:longest - 1])
        room = longest - max(len(chosen[-1]), len(rejected[-1]))
        prompt = tokenizer(prompt)["input_ids"] or [tokenizer.bos_token_id or end]
        prompts.append(prompt[-room:])
    prompts, prompt_mask = pad(prompts * 2, side="left")
    replies, mask = pad(chosen + rejected, side="right")
    return torch.cat([prompts, replies], 1), torch.cat([prompt_mask, mask], 1), mask


def train(run, path, *, every=20):
    """DPO, until the epochs are done.

    Changes `run` and its policy; the last groups of pairs are held out.

    Args: path: of comparisons, as for `hf.train_rm`. every: steps between two reports.
    Yields: dicts, before the first step, after every `every` steps and after the last:
        step; kl (nats a reply), length (tokens) and three replies, (prompt, text), to
        held-out prompts; and after the first step loss and margin (of implicit rewards,
        chosen − rejected), means since the last report, and accuracy on held-out pairs.
        Over-training shows in kl and replies, not in accuracy.
    Raises: ValueError: fewer than ten pairs, all in one group; load_pairs' own.
    """
    config = run.config
    differ, groups, pairs = survey(run, path)
    if run.pairs not in (None, pairs):
        raise ValueError(
            f"{path} holds other pairs than the run began with; "
            "resume it with the same file")
    run.pairs = pairs
    if len(groups) < 10:
        raise ValueError(
            f"{path} holds {len(groups)} pairs that differ; "
            "training needs at least 10")
    last = last_groups(groups)

    def pairs_of(which):
        different = compress(load_pairs(path), differ)
        return compress(different, which)

    held_out = list(islice(pairs_of(last), JUDGED))
    if run.step == 0:
        yield report(run, held_out, [])
    step, recent = 0, []
    for epoch in range(config.epochs):
        rng = np.random.default_rng([config.seed, epoch])
        for pairs in batches(pairs_of(~last), config.batch, rng):
            step += 1
            done = step <= run.step
            too_few = len(pairs) < distributed.ranks()  # for every rank to have one
            if done or too_few:
                continue
            recent.append(update(run, pairs, step))
            run.step = step
            if step % positive_int(every=every) == 0:
                yield report(run, held_out, recent)
                recent = []
    if recent:
        yield report(run, held_out, recent)


def survey(run, path):
    """Which pairs differ once they are cut, the groups of these, and a checksum of all.

    Reads all of the file, and so checks it.
    """
    differ, together, checksum = [], Groups(), 0
    for pair in load_pairs(path):
        checksum = zlib.crc32(repr(pair).encode(), checksum)
        tokens, real, _ = encode(run.tokenizer, [pair], limit(run))
        differ.append(not (torch.equal(*tokens) and torch.equal(*real)))
        if differ[-1]:
            together.add(*pair)
    return differ, together.numbers(), checksum


def update(run, pairs, step):
    """One step of the optimiser on this rank's share of the pairs.

    Returns (loss, margin) of the share.
    """
    config = run.config
    share = pairs[distributed.rank()::distributed.ranks()]
    for group in run.optimiser.param_groups:
        group["lr"] = config.lr * min(1.0, step / max(config.warmup, 1))
    logprobs, ref_logprobs, mask = both_logprobs(run, share)
    loss = dpo_loss(
        logprobs, ref_logprobs, mask,
        beta=config.beta, label_smoothing=config.label_smoothing, nll=config.nll)
    run.optimiser.zero_grad()
    # the mean over ranks of the weighted losses is the mean over pairs
    weighted = loss * len(share) * distributed.ranks() / len(pairs)
    weighted.backward()
    distributed.average_gradients(run.policy)
    clipped_step(run.optimiser, run.policy)
    rewards = implicit_rewards(logprobs.detach(), ref_logprobs, mask, beta=config.beta)
    margins = rewards[:len(share)] - rewards[len(share):]
    return loss.item(), margins.mean().item()


def both_logprobs(run, pairs):
    """Log-probabilities of the replies under policy and reference, and their mask.

    (2N, R) each, in the order of `encode`.
    """
    device = next(run.policy.parameters()).device
    encoded = encode(run.tokenizer, pairs, limit(run))
    tokens, attention_mask, mask = (x.to(device) for x in encoded)
    text = tokens, attention_mask, mask.shape[1]
    with torch.no_grad():
        ref_logprobs, _ = response_logprobs(run.reference, *text)
    logprobs, _ = response_logprobs(run.policy, *text)
    return logprobs, ref_logprobs, mask


def limit(run):
    """Tokens that a text may have."""
    longest = run.config.longest
    model = run.policy.outer[0].config
    return min(longest, getattr(model, "max_position_embeddings", None) or longest)


@torch.no_grad()
def report(run, held_out, recent):
    """The entry of `train` for the history; every rank computes it, so that none waits."""
    found = {}
    if recent:
        found["loss"], found["margin"] = np.mean(recent, 0).tolist()
    if run.step:  # before, policy and reference agree, and rounding decides
        margins = held_out_margins(run, held_out)
        found["accuracy"] = accuracy(margins, 0 * margins)
    device = next(run.policy.parameters()).device
    room = limit(run) - run.config.max_tokens
    end = run.tokenizer.eos_token_id
    prompts = [run.tokenizer(pair[0])["input_ids"][-room:] or [end]
               for pair in held_out[:SHOWN]]
    prompts, prompt_mask = (x.to(device) for x in pad(prompts, side="left"))
    generator = torch.Generator(device).manual_seed(run.config.seed)
    replies, mask, logprobs = sample(
        run.policy, prompts, prompt_mask,
        max_tokens=run.config.max_tokens, end=end, generator=generator)
    tokens = torch.cat([prompts, replies], 1)
    attention_mask = torch.cat([prompt_mask, mask], 1)
    ref_logprobs, _ = response_logprobs(
        run.reference, tokens, attention_mask, mask.shape[1])
    kl = implicit_rewards(logprobs, ref_logprobs, mask, beta=1.0)
    texts = [run.tokenizer.decode(row[real]) for row, real in zip(replies, mask)]
    return {"step": run.step, **found,
            "kl": kl.mean().item(),
            "length": mask.sum(-1).double().mean().item(),
            "replies": [[pair[0], text] for pair, text in zip(held_out[:3], texts)]}


@torch.no_grad()
def held_out_margins(run, held_out):
    """(N,) implicit rewards of chosen replies less those of rejected ones."""
    margins = []
    for i in range(0, len(held_out), run.config.batch):
        pairs = held_out[i:i + run.config.batch]
        logprobs, ref_logprobs, mask = both_logprobs(run, pairs)
        rewards = implicit_rewards(logprobs, ref_logprobs, mask, beta=run.config.beta)
        margins.append(rewards[:len(pairs)] - rewards[len(pairs):])
    return torch.cat(margins).double().cpu().numpy()


def save_run(run, folder):
    """Write the run to a file in `folder`; rank 0 does.

    The file is the old one or the new one, never half.
    """
    if distributed.rank() > 0:
        return
    tensors = {f"model.{key}": weight for key, weight in run.policy.state_dict().items()}
    moments = from_moments(run.optimiser.state_dict()["state"])
    metadata = {"config": asdict(run.config),
                "step": run.step,
                "history": run.history,
                "pairs": run.pairs,
                "moments": sorted(moments)}
    folder.mkdir(parents=True, exist_ok=True)
    write(tensors | moments, metadata, folder / RUN)


def load_run(folder):
    """Continue a saved run: a Run.

    Raises: ValueError: not a saved run, not a whole one, or its model is gone.
    """
    tensors, metadata = read(folder / RUN, Config, kind="saved run of DPO")
    run = start(metadata["config"])
    weights = run.policy.state_dict()
    shapes = {f"model.{key}": tuple(weight.shape) for key, weight in weights.items()}
    # not every parameter has moments: an expert that no token chose has none
    for name in metadata.get("moments", ()):
        _, parameter, kind = name.split(".")
        weight = run.optimiser.param_groups[0]["params"][int(parameter)]
        shapes[name] = () if kind == "step" else tuple(weight.shape)
    check_whole(tensors, shapes, folder / RUN)
    run.policy.load_state_dict(with_prefix(tensors, "model"))
    optimiser = run.optimiser.state_dict() | {"state": to_moments(tensors, int)}
    run.optimiser.load_state_dict(optimiser)
    run.step, run.history = metadata["step"], metadata["history"]
    run.pairs = metadata.get("pairs")
    return run


def save_model(run, folder):
    """Write policy and tokenizer as transformers does; rank 0 does."""
    if distributed.rank() == 0:
        with atomic(folder) as partial:
            run.policy.outer[0].save_pretrained(partial)
            run.tokenizer.save_pretrained(partial)
