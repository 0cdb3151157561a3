"""The processes that train one agent together, as torchrun and `accelerate launch` start them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What a launcher sets in the environment of each process."""
PATIENCE = timedelta(hours=24)
"""How long a process waits for the others, for example while the first one decodes images. If one ends, the others
learn it at once."""


@dataclass(frozen=True)
class Processes:
    """How many processes train together, and which of them this one is.

    Attributes:
        rank: Of this process, from 0.
        count: Number of processes.
        local_rank: Of this process among those of its machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        """Whether there is more than one process."""
        return self.count > 1


_current = Processes()


def current() -> Processes:
    """The processes that train together at the moment: this one alone, except within `joined`."""
    return _current


def launched(environment: Mapping[str, str] = os.environ) -> Processes:
    """The processes that a launcher has started with this one; this one alone without a launcher.

    Args:
        environment: Variables of the environment.

    Raises:
        ValueError: A variable is not a number.

    >>> launched(dict.fromkeys(VARIABLES, "1") | {"WORLD_SIZE": "2"})
    Processes(rank=1, count=2, local_rank=1)
    >>> launched({"WORLD_SIZE": "2"})
    Processes(rank=0, count=1, local_rank=0)
    """
    if not all(environment.get(name) for name in VARIABLES):
        return Processes()
    try:
        rank, count, local_rank = (int(environment[name]) for name in VARIABLES[:3])
    except ValueError as error:
        raise ValueError(f"{', '.join(VARIABLES[:3])} must be numbers, as torchrun sets them: {error}") from None
    return Processes(rank, count, local_rank)


@contextmanager
def joined(processes: Processes) -> Iterator[Processes]:
    """A context in which processes train together; each of them must enter it.

    Training and evaluation in it must be the same in all processes, in the same order: each computes its part of a
    batch and waits for the parts of the others. Tensors on a CPU are exchanged by gloo, those on GPUs by nccl.

    Args:
        processes: Of `launched`. One process alone needs no context, and the call does nothing.

    Raises:
        ConnectionError: The processes don't find each other.
    """
    global _current
    if not processes.several:
        yield processes
        return
    import torch
    from torch import distributed

    cuda = torch.cuda.is_available()
    if cuda and processes.local_rank < torch.cuda.device_count():
        torch.cuda.set_device(processes.local_rank)  # so that "cuda" is another GPU in each process
    try:
        distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise ConnectionError(f"the {processes.count} processes don't find each other: {error}") from error
    _current = processes
    try:
        yield processes
    finally:
        _current = Processes()
    distributed.destroy_process_group()  # not after an error: others may still wait for this process
