"""Run by torchrun in test_distributed: four updates, each rank with its own share of the same replies.

    torchrun --nproc-per-node 2 tests/ranks.py OUT global|local|sharded
"""

import sys

import numpy as np
import torch
from torch import distributed as dist

from coursekit import distributed, helpdesk, rlhf
from coursekit.checkpoints import help_desk
from coursekit.lm import TinyLM, sample

RECIPE = rlhf.Recipe(batch=8, minibatch=8, epochs=1, max_tokens=24, lr=1e-3)


def models():
    vocabulary, sizes = len(helpdesk.VOCABULARY), dict(width=32, layers=1, heads=2)
    return rlhf.four_models(TinyLM(vocabulary, seed=0, **sizes), TinyLM(vocabulary, seed=1, **sizes))


def given_replies():
    """Eight replies of 2, 5, … 23 tokens: the ranks have uneven token counts."""
    _, prompts, mask = help_desk(np.random.default_rng(0), 8)
    written, reply, old = sample(models().actor, prompts, mask, max_tokens=24, end=helpdesk.END,
                                 generator=torch.Generator().manual_seed(3))
    reply = reply & (torch.arange(reply.shape[1]) < torch.arange(2, 26, 3)[:, None])
    return torch.cat([prompts, written], 1), torch.cat([mask, reply], 1), reply, old


def four_updates(how, rank=0, ranks=1):
    """Actor and critic after four updates on this rank's replies: two flat tensors."""
    four = models()
    if how == "sharded":
        for model in (four.actor, four.critic):
            distributed.shard(model)
    run = rlhf.start(four, RECIPE)
    share = len(given_replies()[0]) // ranks
    tokens, mask, reply, old = (x[rank * share:(rank + 1) * share] for x in given_replies())
    for _ in range(4):
        batch = rlhf.appraise(four, tokens, mask, reply, old, RECIPE, end=helpdesk.END)
        rlhf.learn(four, run.optimiser, batch, RECIPE, rng=np.random.default_rng(0))
    return [torch.cat([distributed.whole(p).flatten() for p in model.parameters()])
            for model in (four.actor, four.critic)]


if __name__ == "__main__":
    torch.set_num_threads(1)
    out, how = sys.argv[1:]
    distributed.start()
    if how == "local":  # the mistake: every rank its own mean, sd and token count
        distributed.total = distributed.mean_total = lambda part: part
    found = four_updates(how, distributed.rank(), distributed.ranks())
    if distributed.rank() == 0:
        torch.save(found, out)
    dist.destroy_process_group()
