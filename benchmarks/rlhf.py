"""Our training against TRL's, with a critic and without: CPU seconds per update, from the same weights and prompts.

Both start from the shipped models and answer the same complaints, batch 128, at most 48 tokens, two epochs of two
minibatches, on one thread. They take turns; TRL's PPO runs as it is and with its calls of gc.collect taken out.
Without a critic there are 16 complaints with 8 replies each and k3 in the loss: our GRPO and TRL's. The floor
is the time that the products with the weights alone would take, real tokens only, at the rate measured in between.

    pip install -e '.[torch]' -r requirements-bench.txt
    python benchmarks/rlhf.py [--turns 5]           about 15 CPU seconds a turn
"""

import argparse
import gc
import io
import logging
import tempfile
import time
import warnings
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import torch
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast
from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

from coursekit import helpdesk, rlhf
from coursekit.checkpoints import help_desk_models, sample_prompts
from coursekit.hf import to_gpt2
from coursekit.lm import pad

CONFIG = rlhf.Config(beta=0.05, batch=128, minibatch=64, epochs=2)
GROUPS = replace(CONFIG, estimator="grpo", group=8, kl="k3")
UPDATES, STAGES = 4, ("sampling", "scoring", "training")


@contextmanager
def timed(module, write, whiten):
    """Time the three stages of every update. Yields a list of dicts: CPU seconds by stage, and reply tokens.

    An update is sampling while `module.write` runs, scoring until `module.whiten` returns, training until the next.
    """
    updates, last = [], time.process_time()

    def lap(stage):
        nonlocal last
        now = time.process_time()
        if updates:
            updates[-1][stage] = now - last
        last = now

    def written(*args, **options):
        lap("training")
        updates.append({})
        result = write(*args, **options)
        lap("sampling")
        return result

    def whitened(advantages, mask, **options):
        result = whiten(advantages, mask, **options)
        updates[-1]["tokens"] = int(mask.sum())
        lap("scoring")
        return result

    with patch.object(module, write.__name__, written), patch.object(module, whiten.__name__, whitened):
        yield updates
        lap("training")


def ours(prompts, mask):
    """One turn of ours: UPDATES updates."""
    run = rlhf.start(help_desk_models(), CONFIG)

    def next_prompts(rng, n):
        rows = slice(run.update * n, (run.update + 1) * n)
        return None, prompts[rows], mask[rows]

    with timed(rlhf, rlhf.sample, rlhf.whiten) as updates:
        list(rlhf.train(run, next_prompts, updates=UPDATES, end=helpdesk.END))
    return updates


def theirs(prompts, mask, *, collect_garbage=True):
    """One turn of TRL's."""
    models = help_desk_models()
    actor, critic, reference, reward = map(to_gpt2, (models.actor, models.critic, models.reference, models.reward))
    critic.score, reward.score = models.critic.value_head, models.reward.score_head
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        config = PPOConfig(
            output_dir=folder, report_to="none", save_strategy="no", use_cpu=True, bf16=False, disable_tqdm=True,
            gradient_checkpointing=False, num_sample_generations=0, total_episodes=len(prompts),
            per_device_train_batch_size=CONFIG.batch, local_rollout_forward_batch_size=CONFIG.batch,
            gradient_accumulation_steps=1, num_mini_batches=CONFIG.batch // CONFIG.minibatch,
            num_ppo_epochs=CONFIG.epochs, learning_rate=CONFIG.lr, lr_scheduler_type="constant",
            response_length=CONFIG.max_tokens, temperature=CONFIG.temperature, stop_token_id=helpdesk.END,
            kl_coef=CONFIG.beta, missing_eos_penalty=CONFIG.missing_eos_penalty, gamma=CONFIG.gamma, lam=CONFIG.lam,
            cliprange=CONFIG.clip, cliprange_value=CONFIG.value_clip, vf_coef=1.0)
        trainer = PPOTrainer(
            config, SimpleNamespace(pad_token_id=helpdesk.PAD, eos_token_id=helpdesk.END), actor, reference, reward,
            list(prompts), critic, data_collator=lambda rows: {"input_ids": torch.stack(rows)})
        garbage = nullcontext() if collect_garbage else patch.object(gc, "collect", lambda *_: 0)
        with garbage, timed(ppo_trainer, ppo_trainer.batch_generation, ppo_trainer.masked_whiten) as updates:
            trainer.train()
    return updates


def our_groups(prompts, mask):
    """CPU seconds of each of UPDATES updates of our GRPO."""
    run = rlhf.start(help_desk_models(), GROUPS)

    def next_prompts(rng, n):
        rows = slice(run.update * n, (run.update + 1) * n)
        return None, prompts[rows], mask[rows]

    began, seconds = time.process_time(), []
    for _ in rlhf.train(run, next_prompts, updates=UPDATES, end=helpdesk.END):
        seconds.append(time.process_time() - began)
        began = time.process_time()
    return seconds


def their_groups(prompts, mask):
    """CPU seconds of each update of TRL's GRPO, from one call of its sampling to the next."""
    four, words = help_desk_models(), helpdesk.VOCABULARY
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, padding_side="left",
                                        pad_token=words[helpdesk.PAD], eos_token=words[helpdesk.END])

    def score(prompts, completion_ids, **_):
        rows = [helpdesk.encode(prompt) + list(reply) for prompt, reply in zip(prompts, completion_ids)]
        with torch.no_grad():
            return rlhf.text_scores(four.reward, *pad(rows, side="right")).tolist()

    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        to_gpt2(four.actor).save_pretrained(Path(folder) / "actor")  # it reads the reference from there
        config = trl.GRPOConfig(
            output_dir=folder, report_to="none", save_strategy="no", logging_strategy="no", use_cpu=True,
            bf16=False, disable_tqdm=True, gradient_checkpointing=False,
            per_device_train_batch_size=GROUPS.minibatch,
            steps_per_generation=GROUPS.batch // GROUPS.minibatch, num_iterations=GROUPS.epochs,
            num_generations=GROUPS.group, max_steps=UPDATES * GROUPS.epochs * GROUPS.batch // GROUPS.minibatch,
            max_completion_length=GROUPS.max_tokens, temperature=GROUPS.temperature, beta=GROUPS.beta,
            use_bias_correction_kl=False, loss_type="bnpo", learning_rate=GROUPS.lr, lr_scheduler_type="constant")
        texts = [helpdesk.decode(row[real]) for row, real in zip(prompts, mask)]
        trainer = trl.GRPOTrainer(GPT2LMHeadModel.from_pretrained(Path(folder) / "actor"), score, config,
                                  train_dataset=Dataset.from_dict({"prompt": texts}), processing_class=tokenizer)
        sampling, laps = trainer._generate_and_score_completions, []

        def sampled(*args, **options):
            laps.append(time.process_time())
            return sampling(*args, **options)
        with patch.object(trainer, "_generate_and_score_completions", sampled):
            trainer.train()
        laps.append(time.process_time())
    return np.diff(laps).tolist()


def products(model, texts, replies):
    """What an update multiplies: {(inputs, outputs): (rows forward, rows backward)}, real tokens only.

    The text passes through the actor to be written, through reference, reward model and critic to be scored, and in
    every epoch through actor and critic, forward and backward; logits are needed for replies alone.
    """
    trains = 2 * CONFIG.epochs * texts
    rows = {}
    for block in model.blocks:
        for layer in (block.attend, block.project, block.widen, block.narrow):
            shape = (layer.in_features, layer.out_features)
            forward, backward = rows.get(shape, (0, 0))
            rows[shape] = forward + 4 * texts + trains, backward + trains
    vocabulary, width = model.embed.weight.shape
    rows[width, vocabulary] = (2 + CONFIG.epochs) * replies, CONFIG.epochs * replies
    return rows


def floor(rows, texts):
    """CPU seconds of these products, each at the rate of a minibatch with so many real tokens; and their FLOP."""
    seconds = flop = 0
    for (inputs, outputs), (forward, backward) in rows.items():
        x, weight, g = (torch.randn(shape) for shape in ((texts, inputs), (inputs, outputs), (texts, outputs)))
        seconds += median_seconds(torch.mm, x, weight) * forward / texts
        seconds += (median_seconds(torch.mm, g, weight.T) + median_seconds(torch.mm, x.T, g)) * backward / texts
        flop += 2 * inputs * outputs * (forward + 2 * backward)
    return seconds, flop


def median_seconds(f, *args, times=15):
    laps = []
    for _ in range(times):
        start = time.process_time()
        f(*args)
        laps.append(time.process_time() - start)
    return np.median(laps)


def logit_gap(prompts, mask):
    """Largest difference between the logits of the actor and of its GPT-2 on these prompts."""
    actor = help_desk_models().actor
    theirs = to_gpt2(actor)(prompts, attention_mask=mask, position_ids=(mask.long().cumsum(-1) - 1).clamp(min=0))
    return (actor.logits(actor(prompts, mask)[0]) - theirs.logits)[mask].abs().max().item()


def report(turns, lowest, flop):
    """Print medians over all updates of all turns, and what they are multiples of."""
    totals = {name: np.median([sum(u[stage] for stage in STAGES) for u in updates])
              for name, updates in turns.items()}
    print("CPU s per update".ljust(26), *(stage.rjust(9) for stage in STAGES), "      all   × ours  × floor")
    for name, updates in turns.items():
        stages = [np.median([u[stage] for u in updates]) for stage in STAGES]
        print(name.ljust(26), *(f"{s:9.3f}" for s in (*stages, totals[name])),
              f"{totals[name] / totals['coursekit']:8.2f} {totals[name] / lowest:8.2f}")
    print("floor".ljust(55), f"{lowest:9.3f}   {flop / 1e9:.1f} GFLOP at {flop / lowest / 1e9:.0f} GFLOP/s")
    print("\nreply tokens per CPU s")
    for name, updates in turns.items():
        rates = [np.median([u["tokens"] / u[stage] for u in updates]) for stage in STAGES]
        print(name.ljust(26), *(f"{rate:9,.0f}" for rate in rates),
              f"  {np.median([u['tokens'] for u in updates]):,.0f} tokens an update")


def report_groups(turns):
    """Medians without a critic, and the range of the ratio over turns."""
    print("\nwithout a critic           CPU s per update   × ours")
    mine, theirs = turns.values()
    ratios = [np.median(b) / np.median(a) for a, b in zip(mine, theirs)]
    for name, seconds in turns.items():
        print(f"{name:26} {np.median(seconds):16.3f} {np.median(seconds) / np.median(mine):8.2f}")
    print(f"turn by turn               {min(ratios):.2f} to {max(ratios):.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=5)
    count = parser.parse_args().turns
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=FutureWarning)
    logging.disable(logging.WARNING)
    _, prompts, mask = sample_prompts(np.random.default_rng(0), CONFIG.batch * UPDATES)
    print(f"logits differ by at most {logit_gap(prompts, mask):.1g}")
    names = {"coursekit": ours, f"TRL {trl.__version__}": theirs,
             "  without gc.collect": lambda *batch: theirs(*batch, collect_garbage=False)}
    groups = {"coursekit GRPO": our_groups, f"TRL {trl.__version__} GRPO": their_groups}
    turns, floors, group_turns = {name: [] for name in names}, [], {name: [] for name in groups}
    for _ in range(count):
        for name, turn in names.items():
            turns[name] += turn(prompts, mask)
        for name, turn in groups.items():
            group_turns[name].append(turn(prompts, mask))
        replies = int(np.median([u["tokens"] for u in turns["coursekit"]]))
        texts = replies + int(mask.sum()) // UPDATES
        rows = products(help_desk_models().actor, texts, replies)
        floors.append(floor(rows, texts * CONFIG.minibatch // CONFIG.batch))
    report(turns, *np.median(floors, axis=0))
    report_groups(group_turns)


if __name__ == "__main__":
    main()
