"""DPO against TRL's trainer: the same loss and gradient, and CPU seconds for a step, in one run.

Both start from the shipped supervised model as a GPT-2. On 200 random batches of 8 pairs of the help desk, in
float64, the loss and the gradient of every weight are compared: plain DPO, and DPO with the chosen replies'
likelihood. Then they take turns, 16 steps of 64 pairs each, on one thread: ours on TinyLM, ours on the same GPT-2
(as `coursekit dpo` trains it), TRL's, and the two GPT-2s with nothing around them.

On the same GPT-2 we are 1.1 to 1.2 times as fast as TRL, not 2 times: the two forward passes, the backward pass and
AdamW take 0.19 of our 0.20 CPU seconds, and TRL's step takes 0.22 to 0.25. On TinyLM, which the course trains, a
step takes 0.09.

    pip install -e '.[torch]' -r requirements-bench.txt
    python benchmarks/dpo.py [--turns 3]           about 20 CPU seconds a turn
"""

import argparse
import io
import tempfile
import time
import warnings
from contextlib import contextmanager, redirect_stdout
from functools import partial

import numpy as np
import torch
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import DPOConfig, DPOTrainer

from coursekit import helpdesk, hf_direct
from coursekit.checkpoints import checkpoint, compare
from coursekit.direct import dialogues, dpo_loss, train_policy
from coursekit.hf import to_gpt2
from coursekit.hf_roles import Transformer
from coursekit.lm import response_logprobs

BATCHES, SMALL, STEPS, BATCH, BETA, LR = 200, 8, 16, 64, 1.0, 2e-4
LOSSES = {"DPO": {}, "DPO + likelihood": dict(nll=0.5)}


def tokenizer():
    """The words of the help desk as a transformers tokenizer."""
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(helpdesk.VOCABULARY)}, unk_token="<pad>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="<end>")


class Clock(TrainerCallback):
    """CPU seconds from the first step's beginning to the last one's end."""

    def on_step_begin(self, args, state, control, **options):
        if state.global_step == 0:
            self.began = time.process_time()

    def on_step_end(self, args, state, control, **options):
        self.seconds = time.process_time() - self.began


@contextmanager
def trainer(pairs, *, losses=("sigmoid",), weights=None):
    """TRL's trainer on these pairs, and its clock."""
    rows = [{"prompt": p, "chosen": f" {c}", "rejected": f" {r}"}
            for p, c, r in zip(pairs.prompts, pairs.chosen, pairs.rejected)]
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        config = DPOConfig(
            output_dir=folder, report_to="none", save_strategy="no", use_cpu=True, bf16=False, disable_tqdm=True,
            gradient_checkpointing=False, per_device_train_batch_size=BATCH, num_train_epochs=1, learning_rate=LR,
            lr_scheduler_type="constant", beta=BETA, loss_type=list(losses), loss_weights=weights, max_length=None,
            logging_strategy="no")
        clock = Clock()
        policy, reference = (to_gpt2(checkpoint("supervised")) for _ in range(2))
        yield DPOTrainer(policy, reference, config, train_dataset=Dataset.from_list(rows),
                         processing_class=tokenizer(), callbacks=[clock]), clock


def move(model):
    """To float64, and every weight a little away, so that policy and reference differ."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.double().parameters():
            weight += 0.02 * torch.randn(weight.shape, generator=generator, dtype=torch.float64)


def largest_gaps(pairs, options):
    """Over all batches, the largest difference of the losses and of an entry of the gradients; and their sizes."""
    kinds = dict(losses=("sigmoid", "sft"), weights=[1.0, options["nll"]]) if options else {}
    gaps, sizes = np.zeros(2), np.zeros(2)
    with trainer(pairs, **kinds) as (theirs, _):
        policy, reference = theirs.model, theirs.ref_model
        ours, frozen = Transformer(policy), Transformer(reference)
        move(policy), reference.double()
        for i in range(BATCHES):
            part = pairs.take(np.arange(i * SMALL, (i + 1) * SMALL))
            tokens, attention_mask, mask = dialogues(part.prompts * 2, part.chosen + part.rejected)
            text = tokens, attention_mask, mask.shape[1]
            logprobs, ref_logprobs = (doubles(model, *text) for model in (ours, frozen))
            loss = dpo_loss(logprobs, ref_logprobs, mask, beta=BETA, **options)
            gradient = flat_gradient(loss, policy)
            inputs = theirs.data_collator([{key: theirs.train_dataset[i * SMALL + j][key] for key in (
                "prompt_ids", "chosen_ids", "rejected_ids")} for j in range(SMALL)])
            their_loss = theirs._compute_loss(policy, inputs, False)
            their_gradient = flat_gradient(their_loss, policy)
            gaps = np.maximum(gaps, [abs(loss.item() - their_loss.item()),
                                     (gradient - their_gradient).abs().max().item()])
            sizes = np.maximum(sizes, [abs(loss.item()), gradient.abs().max().item()])
    return gaps, sizes


def doubles(model, tokens, attention_mask, width):
    """response_logprobs in float64, where `Transformer.logits` makes float32."""
    model.logits = lambda hidden: hidden @ model.trunk.get_input_embeddings().weight.T
    return response_logprobs(model, tokens, attention_mask, width)[0]


def flat_gradient(loss, model):
    weights = [p for p in model.parameters()]
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(weights, found)])


def tiny(pairs):
    """CPU seconds for a step of ours on TinyLM."""
    supervised = checkpoint("supervised")
    began = time.process_time()
    train_policy(supervised, pairs, partial(dpo_loss, beta=BETA), epochs=1, batch=BATCH, lr=LR, progress=False)
    return (time.process_time() - began) / STEPS


def gpt2(pairs):
    """CPU seconds for a step of ours on the same GPT-2, with texts tokenised as `coursekit dpo` does."""
    policy, reference = (Transformer(to_gpt2(checkpoint("supervised"))) for _ in range(2))
    reference.requires_grad_(False)
    for head in (policy.value_head, policy.score_head):
        head.requires_grad_(False)
    optimiser = torch.optim.AdamW([p for p in policy.parameters() if p.requires_grad], lr=LR)
    run = hf_direct.Run(hf_direct.Config("", beta=BETA, lr=LR), policy, reference, tokenizer(), optimiser)
    texts = list(zip(pairs.prompts, pairs.chosen, pairs.rejected))
    began = time.process_time()
    for step in range(STEPS):
        hf_direct.update(run, texts[step * BATCH:(step + 1) * BATCH], step + 1)
    return (time.process_time() - began) / STEPS


def bare(pairs):
    """CPU seconds for a step of the two GPT-2s: what any DPO on them has to spend."""
    policy, reference = (to_gpt2(checkpoint("supervised")) for _ in range(2))
    optimiser = torch.optim.AdamW(policy.parameters(), lr=LR)
    parts = [pairs.take(np.arange(i * BATCH, (i + 1) * BATCH)) for i in range(STEPS)]
    batches = [dialogues(part.prompts * 2, part.chosen + part.rejected) for part in parts]

    def logprobs(model, tokens, attention_mask, width):
        logits = model(input_ids=tokens, attention_mask=attention_mask).logits[:, -width - 1:-1]
        return logits.log_softmax(-1).gather(-1, tokens[:, -width:, None])[..., 0]
    began = time.process_time()
    for tokens, attention_mask, mask in batches:
        text = tokens, attention_mask, mask.shape[1]
        with torch.no_grad():
            ref_logprobs = logprobs(reference, *text)
        optimiser.zero_grad()
        dpo_loss(logprobs(policy, *text), ref_logprobs, mask, beta=BETA).backward()
        optimiser.step()
    return (time.process_time() - began) / STEPS


def theirs(pairs):
    """CPU seconds for a step of TRL's."""
    with trainer(pairs) as (found, clock):
        found.train()
        return clock.seconds / STEPS


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=3)
    count = parser.parse_args().turns
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    pairs = compare(checkpoint("supervised"), max(BATCHES * SMALL, STEPS * BATCH), seed=1)
    for name, options in LOSSES.items():
        gaps, sizes = largest_gaps(pairs, options)
        print(f"{name:18} {BATCHES} batches: loss off by at most {gaps[0]:.1g} (of {sizes[0]:.2g}), "
              f"gradient by {gaps[1]:.1g} (of {sizes[1]:.2g})", flush=True)
    part = pairs.take(np.arange(STEPS * BATCH))
    ways = {"coursekit, TinyLM": tiny, "coursekit, GPT-2": gpt2, f"TRL {trl.__version__}, GPT-2": theirs,
            "two GPT-2s alone": bare}
    turns = {name: [] for name in ways}
    for _ in range(count):
        for name, way in ways.items():
            turns[name].append(way(part))
    best = np.median(turns["coursekit, TinyLM"])
    print("CPU s a step of 64 pairs        median      all turns      × ours")
    for name, laps in turns.items():
        each = " ".join(f"{lap:.3f}" for lap in laps)
        print(f"{name:28} {np.median(laps):9.3f}   {each}   {np.median(laps) / best:.2f}")


if __name__ == "__main__":
    main()
