"""The same run on several processes under torchrun: numbers that belong to the whole batch are added up over ranks.

Alone, every function here is the identity: one code path.
"""

import os

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
    """Join the group that torchrun describes: nccl where every rank has a GPU, else gloo. Returns the device."""
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        dist.init_process_group("nccl")
        return device
    dist.init_process_group("gloo")
    return torch.device("cpu")


def total(part):
    """Add a tensor up over all ranks; not differentiable."""
    if not active():
        return part
    return _add_up(part.detach().clone())


def mean_total(part):
    """total(part) / ranks: divide a rank's sum of losses by this, and the mean of gradients over ranks is the
    gradient of the mean over all."""
    return total(part) / ranks()


def average_gradients(model):
    """Replace each gradient by its mean over ranks, in one message, as DistributedDataParallel does. Sharded models
    have done it already."""
    if not active() or isinstance(model, FSDPModule):
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = _add_up(torch.cat([g.flatten() for g in gradients])) / ranks()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients])):
        gradient.copy_(mean.view_as(gradient))


def shard(model):
    """Split a model's weights over the ranks, block by block (FSDP2), in place: for models that fit on no card."""
    for block in model.blocks:
        fully_shard(block)
    return fully_shard(model)


def whole(parameter):
    """A parameter's full value on every rank, sharded or not."""
    value = parameter.detach()
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def _add_up(tensor):
    dist.all_reduce(tensor)
    return tensor
