"""What all processes of a fit must have in common, made sure before its first step."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch.distributed as dist

from anabranch.training.parallel import ProcessGroup, process_group


def check_alike(facts: Mapping[str, object]) -> None:
    """Refuse in all processes at once what differs between them.

    Args:
        facts: plain values that have to be equal, by what they are called.

    Raises:
        ValueError: naming what differs, and where.

    Example:
        >>> check_alike({"rows": 100})  # a process by itself agrees with itself
    """
    group = process_group()
    if group.size == 1:
        return
    found: list[Mapping[str, object]] = [{}] * group.size
    dist.all_gather_object(found, dict(facts))
    for rank, other in enumerate(found):
        for name in found[0]:
            if other[name] != found[0][name]:
                raise ValueError(
                    f"process {rank} was given other {name} than process 0 ({other[name]} and "
                    f"{found[0][name]}): all processes take the whole table and the same "
                    "settings, and each its share of every batch"
                )


def agreed_seed(seed: int) -> int:
    """The seed of the first process, in all of them.

    Example:
        >>> agreed_seed(7)
        7
    """
    if process_group().size == 1:
        return seed
    told = [seed]
    dist.broadcast_object_list(told, 0)
    return told[0]


@contextmanager
def launched_processes() -> Iterator[ProcessGroup]:
    """The group of processes that torchrun has started, for the length of the block.

    A group that there is already stays; without torchrun there is one process.

    Example:
        >>> with launched_processes() as group:
        ...     group
        ProcessGroup(rank=0, size=1)
    """
    launched = int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ
    if not launched or not dist.is_available() or dist.is_initialized():
        yield process_group()
        return
    dist.init_process_group("gloo")
    try:
        yield process_group()
    finally:
        dist.destroy_process_group()


def wait_for_all() -> None:
    """Go on when all processes have come this far."""
    if process_group().size > 1:
        dist.barrier()
