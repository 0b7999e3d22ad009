"""Run by torchrun in test_distributed: four updates, each rank with its own share of the same replies.

    torchrun --nproc-per-node 2 tests/ranks.py OUT global|local|sharded|resumed|groups|train
"""

import sys
from dataclasses import replace

import numpy as np
import torch
from torch import distributed as dist

from coursekit import distributed, helpdesk, rlhf
from coursekit.checkpoints import sample_prompts
from coursekit.lm import TinyLM, sample
from coursekit.resume import load_run, save_run

CONFIG = rlhf.Config(batch=8, minibatch=8, epochs=1, max_tokens=24, lr=1e-3)


WITHOUT_CRITIC = replace(CONFIG, estimator="batch mean", kl="k3", normalisation="sequence", warm_up=3)


def models():
    vocabulary, sizes = len(helpdesk.VOCABULARY), dict(width=32, layers=1, heads=2)
    return rlhf.four_models(TinyLM(vocabulary, seed=0, **sizes), TinyLM(vocabulary, seed=1, **sizes))


def given_replies():
    """Eight replies of 2, 5, … 23 tokens: the ranks have uneven token counts."""
    _, prompts, prompt_mask = sample_prompts(np.random.default_rng(0), 8)
    responses, response_mask, old_logprobs = sample(
        models().actor, prompts, prompt_mask, max_tokens=24, end=helpdesk.END,
        generator=torch.Generator().manual_seed(3))
    lengths = torch.arange(2, 26, 3)[:, None]
    response_mask = response_mask & (torch.arange(response_mask.shape[1]) < lengths)
    tokens = torch.cat([prompts, responses], 1)
    return tokens, torch.cat([prompt_mask, response_mask], 1), response_mask, old_logprobs


def four_updates(how, rank=0, ranks=1, path=None):
    """The learning models after four updates on this rank's replies: flat tensors. "groups": without a critic.
    "resumed": sharded, and saved to `path` and loaded into new models after the second update."""
    config = WITHOUT_CRITIC if how == "groups" else CONFIG
    run = rlhf.start(prepared(how), config)
    share = len(given_replies()[0]) // ranks
    replies = [x[rank * share:(rank + 1) * share] for x in given_replies()]
    for update in range(4):
        if how == "resumed" and update == 2:
            save_run(run, [], path)
            distributed.total(torch.zeros(1))  # rank 0 has written
            run, _ = load_run(prepared(how), path)
        batch = rlhf.make_experience(run.models, *replies, config, end=helpdesk.END)
        rlhf.learn(run.models, run.optimiser, batch, config, rng=np.random.default_rng(0))
    return [torch.cat([distributed.full_tensor(p).flatten() for p in model.parameters()])
            for model in rlhf.learning(run.models)]


def trained(how):
    """The actor after three updates of the whole loop, and of each update: beta, steps of the optimiser, tokens
    that this rank wrote and that a rank wrote on average. A rank that is done stops writing before the other."""
    config = replace(CONFIG, batch=2, minibatch=1, epochs=4, max_tokens=60, lr=0.01, target_kl=0.042, kl_target=1.0)
    run = rlhf.start(prepared(how), config)
    history = list(rlhf.train(run, sample_prompts, updates=3, end=helpdesk.END))
    numbers = [[h["beta"], h["updates"], h["length"], distributed.mean(h["length"])] for h in history]
    weights = [distributed.full_tensor(p).flatten() for p in run.models.actor.parameters()]
    return [torch.cat(weights), torch.tensor(numbers)]


def prepared(how):
    """Four models; if sharded, all four: the frozen ones are as large as the others."""
    four = models()
    if how in ("sharded", "resumed"):
        for model in (four.actor, four.critic, four.reference, four.reward):
            distributed.shard(model)
    return four


if __name__ == "__main__":
    torch.set_num_threads(1)
    out, how = sys.argv[1:]
    distributed.start()
    if how == "local":  # the mistake: every rank its own mean, sd and token count
        distributed.total = distributed.mean = lambda part: part
    if how == "train":
        found = [*trained("sharded"), *trained("global")]
    else:
        found = four_updates(how, distributed.rank(), distributed.ranks(), f"{out}.safetensors")
    if distributed.rank() == 0:
        torch.save(found, out)
    dist.destroy_process_group()
