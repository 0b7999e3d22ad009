"""The same run on several processes under torchrun: numbers that belong to the whole batch are added up over ranks.

Alone, every function here is the identity: one code path.
"""

import os
import re
import warnings
from contextlib import contextmanager

import torch
from torch import distributed as dist
from torch.distributed.fsdp import FSDPModule, fully_shard


def active():
    return dist.is_available() and dist.is_initialized()


def rank():
    return dist.get_rank() if active() else 0


def ranks():
    return dist.get_world_size() if active() else 1


def start():
    """Join the group that torchrun describes: nccl where every rank has a GPU, else gloo.

    Returns the device.
    """
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        dist.init_process_group("nccl")
        return device
    dist.init_process_group("gloo")
    return torch.device("cpu")


def is_peer_failure(error):
    """Whether an error says that a message to or from another rank failed."""
    words = re.search("gloo|connection|nccl", str(error), re.IGNORECASE)
    return isinstance(error, dist.DistError) or words is not None


def total(part):
    """Add a tensor up over all ranks; not differentiable."""
    if not active():
        return part
    part = part.detach().clone()
    dist.all_reduce(part)
    return part


def mean(part):
    """Mean over ranks of a tensor or a float that each rank has its own of."""
    if not active():
        return part
    if isinstance(part, torch.Tensor):
        return total(part) / ranks()
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    return total(torch.tensor(part, dtype=torch.float64, device=device)).item() / ranks()


def average_gradients(model):
    """Replace each gradient by its mean over ranks, in one message.

    DistributedDataParallel does the same. Sharded models have done it already.
    """
    if not active() or isinstance(model, FSDPModule):
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    means = mean(torch.cat([g.flatten() for g in gradients]))
    for gradient, part in zip(gradients, means.split([g.numel() for g in gradients])):
        gradient.copy_(part.view_as(gradient))


def shard(model):
    """Split a model's weights over the ranks, block by block, in place (FSDP2): it may be too large for one GPU."""
    # the views are keys and values, which are only read
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view")
    for block in model.blocks:
        fully_shard(block)
    return fully_shard(model)


@contextmanager
def unsharded(model):
    """Within it every rank holds all of a sharded model's weights, fetched once.

    Sampling takes a forward pass for each token. Sharded, the ranks would wait for each
    other at every block, and for ever once the first of them is done.
    """
    parts = [m for m in model.modules() if isinstance(m, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    yield
    for part in parts:
        part.set_reshard_after_forward(part is not model, recurse=False)
        part.reshard()


def full_tensor(parameter):
    """A parameter's full value on every rank, sharded or not."""
    value = parameter.detach()
    return value.full_tensor() if hasattr(value, "full_tensor") else value
