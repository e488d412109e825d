"""Several processes under torchrun: the same loop, each with its share of every batch."""

import inspect
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class ProcessGroup:
    """Which of how many processes this is."""

    rank: int = 0
    size: int = 1


def process_group() -> ProcessGroup:
    """The default process group, or a group of one where none was initialised.

    Example:
        >>> process_group()
        ProcessGroup(rank=0, size=1)
    """
    if dist.is_available() and dist.is_initialized():
        return ProcessGroup(dist.get_rank(), dist.get_world_size())
    return ProcessGroup()


def local_rows(start: int, size: int, group: ProcessGroup) -> slice:
    """The rows of a batch that this process takes.

    Example:
        >>> local_rows(10, 5, ProcessGroup(rank=1, size=2))
        slice(12, 15, None)
    """
    first = start + size * group.rank // group.size
    return slice(first, start + size * (group.rank + 1) // group.size)


def synchronised(model: nn.Module) -> nn.Module:
    """The model with gradients averaged over the processes.

    Buffers are left alone in steps: most are set by schedules, alike in every process.
    """
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    # renamed in torch 2.13
    name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    options: dict[str, Any] = {name: False}
    return DistributedDataParallel(model, **options)


def mean_over_processes(value: Tensor, group: ProcessGroup) -> Tensor:
    """The mean of a number over the processes: what they decide by must be one number."""
    if group.size == 1:
        return value
    value = value / group.size
    dist.all_reduce(value)
    return value


@torch.no_grad()
def share_buffers(model: nn.Module, group: ProcessGroup) -> None:
    """Give all processes the buffers of the first, whose running averages saw other rows."""
    if group.size > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)
