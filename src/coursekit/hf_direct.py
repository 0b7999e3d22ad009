"""DPO for transformers models on files of comparisons: samples on the way, saved runs. Needs the extra `hf`.

Under torchrun every rank has a whole model and takes its share of each batch.
"""

from dataclasses import asdict, dataclass, field
from itertools import compress, islice

import numpy as np
import torch
from transformers import AutoTokenizer

from coursekit import distributed
from coursekit.direct import dpo_loss, implicit_rewards
from coursekit.hf import batches, last_groups, pretrained
from coursekit.hf_roles import Transformer
from coursekit.lm import pad, response_logprobs, sample
from coursekit.ppo import clipped_step
from coursekit.preference_data import Groups, load_pairs
from coursekit.preferences import accuracy
from coursekit.saved import atomic, check_whole, from_moments, read, to_moments, with_prefix, write

RUN = "run.safetensors"  # in the folder of the model
SHOWN, JUDGED = 16, 200  # held-out prompts to sample for, held-out pairs to judge, each time


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


def start(config):
    """A new Run. Raises: ValueError: no such model, or one that `Transformer` refuses."""
    tokenizer = pretrained(AutoTokenizer, config.model)
    if tokenizer.eos_token_id is None:
        raise ValueError(f"the tokenizer of {config.model} has no end token; give it one")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    policy, reference = (Transformer.from_pretrained(config.model).to(device) for _ in range(2))
    reference.requires_grad_(False)
    for head in (policy.value_head, policy.score_head):
        head.requires_grad_(False)
    learning = [p for p in policy.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=config.lr, weight_decay=0.0)
    return Run(config, policy, reference, tokenizer, optimiser)


def encode(tokenizer, pairs, longest):
    """(prompt, chosen, rejected) texts to tokens and mask, (2N, P + R), and the mask of the replies, (2N, R): the
    chosen replies first. Each reply ends in the end token; too long a reply is cut, too long a prompt loses its
    beginning."""
    texts = [(pair[0], pair[side]) for side in (1, 2) for pair in pairs]
    prompts, replies = [], []
    for prompt, reply in texts:
        reply = tokenizer(f" {reply}" if prompt else reply, add_special_tokens=False)["input_ids"]
        replies.append([*reply, tokenizer.eos_token_id][:longest - 1])
        prompt = tokenizer(prompt)["input_ids"] or [tokenizer.bos_token_id or tokenizer.eos_token_id]
        prompts.append(prompt[-(longest - len(replies[-1])):])
    (prompts, prompt_mask), (replies, mask) = pad(prompts, side="left"), pad(replies, side="right")
    return torch.cat([prompts, replies], 1), torch.cat([prompt_mask, mask], 1), mask


def train(run, path, *, every=20):
    """DPO, until the epochs are done. Changes `run` and its policy; the last groups of pairs are held out.

    Args: path: of comparisons, as for `hf.train_rm`. every: steps between two reports.
    Yields: dicts, before the first step, after every `every` steps and after the last: step; kl (nats a reply),
        length (tokens) and three replies, (prompt, text), to held-out prompts; and after the first step loss and
        margin (of implicit rewards, chosen − rejected), means since the last report, and accuracy on held-out
        pairs. Over-training shows in kl and replies, not in accuracy.
    Raises: ValueError: fewer than ten pairs, all in one group; load_pairs' own.
    """
    config, (differ, groups) = run.config, survey(path)
    if len(groups) < 10:
        raise ValueError(f"{path} holds {len(groups)} pairs that differ; training needs at least 10")
    last = last_groups(groups)

    def pairs_of(which):
        return compress(compress(load_pairs(path), differ), which)

    held_out = list(islice(pairs_of(last), JUDGED))
    if run.step == 0:
        yield report(run, held_out, [])
    step, recent = 0, []
    for epoch in range(config.epochs):
        rng = np.random.default_rng([config.seed, epoch])
        for pairs in batches(pairs_of(~last), config.batch, rng):
            step += 1
            if step <= run.step or len(pairs) < distributed.ranks():  # done before; or too few to share out
                continue
            recent.append(update(run, pairs, step))
            run.step = step
            if step % every == 0:
                yield report(run, held_out, recent)
                recent = []
    if recent:
        yield report(run, held_out, recent)


def survey(path):
    """Which pairs differ, and the groups of these. Reads all of the file, and so checks it."""
    differ, together = [], Groups()
    for pair in load_pairs(path):
        differ.append(pair[1] != pair[2])
        if differ[-1]:
            together.add(*pair)
    return differ, together.numbers()


def update(run, pairs, step):
    """One step of the optimiser on this rank's share of the pairs. Returns (loss, margin) of the share."""
    config, device = run.config, next(run.policy.parameters()).device
    share = pairs[distributed.rank()::distributed.ranks()]
    for group in run.optimiser.param_groups:
        group["lr"] = config.lr * min(1.0, step / max(config.warmup, 1))
    tokens, attention_mask, mask = (x.to(device) for x in encode(run.tokenizer, share, limit(run)))
    logprobs, ref_logprobs = both_logprobs(run, tokens, attention_mask, mask)
    loss = dpo_loss(logprobs, ref_logprobs, mask, beta=config.beta, label_smoothing=config.label_smoothing,
                    nll=config.nll)
    run.optimiser.zero_grad()
    (loss * len(share) * distributed.ranks() / len(pairs)).backward()  # the mean over ranks is that over pairs
    distributed.average_gradients(run.policy)
    clipped_step(run.optimiser, run.policy)
    rewards = implicit_rewards(logprobs.detach(), ref_logprobs, mask, beta=config.beta)
    return loss.item(), (rewards[:len(share)] - rewards[len(share):]).mean().item()


def both_logprobs(run, tokens, attention_mask, mask):
    """Log-probabilities of the replies under policy and reference, (2N, R) each."""
    text = tokens, attention_mask, mask.shape[1]
    with torch.no_grad():
        ref_logprobs, _ = response_logprobs(run.reference, *text)
    return response_logprobs(run.policy, *text)[0], ref_logprobs


def limit(run):
    """Tokens that a text may have."""
    config = run.policy.outer[0].config
    return min(run.config.longest, getattr(config, "max_position_embeddings", None) or run.config.longest)


@torch.no_grad()
def report(run, held_out, recent):
    """The entry of `train` for the history; every rank computes it, so that none waits."""
    found = dict(zip(("loss", "margin"), np.mean(recent, 0).tolist())) if recent else {}
    if run.step:  # before, policy and reference agree, and rounding decides
        margins = held_out_margins(run, held_out)
        found["accuracy"] = accuracy(margins, 0 * margins)
    device = next(run.policy.parameters()).device
    room = limit(run) - run.config.max_tokens
    prompts = [run.tokenizer(pair[0])["input_ids"][-room:] or [run.tokenizer.eos_token_id]
               for pair in held_out[:SHOWN]]
    prompts, prompt_mask = (x.to(device) for x in pad(prompts, side="left"))
    replies, mask, logprobs = sample(run.policy, prompts, prompt_mask, max_tokens=run.config.max_tokens,
                                     end=run.tokenizer.eos_token_id,
                                     generator=torch.Generator(device).manual_seed(run.config.seed))
    ref_logprobs, _ = response_logprobs(
        run.reference, torch.cat([prompts, replies], 1), torch.cat([prompt_mask, mask], 1), mask.shape[1])
    texts = [run.tokenizer.decode(row[real]) for row, real in zip(replies, mask)]
    return {"step": run.step, **found,
            "kl": implicit_rewards(logprobs, ref_logprobs, mask, beta=1.0).mean().item(),
            "length": mask.sum(-1).double().mean().item(),
            "replies": [[pair[0], text] for pair, text in zip(held_out[:3], texts)]}


@torch.no_grad()
def held_out_margins(run, held_out):
    """(N,) implicit rewards of chosen replies less those of rejected ones."""
    device, margins = next(run.policy.parameters()).device, []
    for i in range(0, len(held_out), run.config.batch):
        pairs = held_out[i:i + run.config.batch]
        tokens, attention_mask, mask = (x.to(device) for x in encode(run.tokenizer, pairs, limit(run)))
        rewards = implicit_rewards(*both_logprobs(run, tokens, attention_mask, mask), mask, beta=run.config.beta)
        margins.append(rewards[:len(pairs)] - rewards[len(pairs):])
    return torch.cat(margins).double().cpu().numpy()


def save_run(run, folder):
    """Write the run to a file in `folder`; rank 0 does. The file is the old one or the new one, never half."""
    if distributed.rank() > 0:
        return
    tensors = {f"model.{key}": weight for key, weight in run.policy.state_dict().items()}
    moments = from_moments(run.optimiser.state_dict()["state"])
    metadata = {"config": asdict(run.config), "step": run.step, "history": run.history, "moments": sorted(moments)}
    folder.mkdir(parents=True, exist_ok=True)
    write(tensors | moments, metadata, folder / RUN)


def load_run(folder):
    """Continue a saved run: a Run. Raises: ValueError: not a saved run, not a whole one, or its model is gone."""
    tensors, metadata = read(folder / RUN, Config, kind="saved run of DPO")
    run = start(metadata["config"])
    shapes = {f"model.{key}": tuple(weight.shape) for key, weight in run.policy.state_dict().items()}
    for name in metadata.get("moments", ()):  # not of every parameter: an expert that no token chose has none
        _, parameter, kind = name.split(".")
        weight = run.optimiser.param_groups[0]["params"][int(parameter)]
        shapes[name] = () if kind == "step" else tuple(weight.shape)
    check_whole(tensors, shapes, folder / RUN)
    run.policy.load_state_dict(with_prefix(tensors, "model"))
    run.optimiser.load_state_dict(run.optimiser.state_dict() | {"state": to_moments(tensors, int)})
    run.step, run.history = metadata["step"], metadata["history"]
    return run


def save_model(run, folder):
    """Write policy and tokenizer as transformers does; rank 0 does."""
    if distributed.rank() == 0:
        with atomic(folder) as partial:
            run.policy.outer[0].save_pretrained(partial)
            run.tokenizer.save_pretrained(partial)
