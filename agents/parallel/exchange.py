"""What processes tell each other. Each function must be called by all of them, in the same order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from agents.parallel.processes import current

Content = TypeVar("Content")


@contextmanager
def _connection() -> Iterator[None]:
    """Turn the error of a lost process into one line."""
    try:
        yield
    except RuntimeError as error:
        raise ConnectionError(f"another of the {current().count} processes has ended, so this one ends too") from error


def gathered(own: Tensor, rows: Sequence[int]) -> list[Tensor]:
    """The parts of all processes, without gradient.

    Args:
        own: The part of this process, whose length is its entry of `rows`.
        rows: Lengths of the parts of all processes; they may differ by one.

    Raises:
        ConnectionError: A process has ended.
    """
    from torch import distributed

    longest = max(rows)
    sent = own.detach().contiguous()
    if len(sent) < longest:  # gloo gathers tensors of one shape
        sent = torch.cat([sent, sent.new_zeros(longest - len(sent), *sent.shape[1:])])
    received = [torch.empty_like(sent) for _ in rows]
    with _connection():
        distributed.all_gather(received, sent)
    return [part[:count] for part, count in zip(received, rows, strict=True)]


@torch.no_grad()
def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace each gradient by its mean over the processes; one process alone keeps its own.

    Args:
        parameters: The same ones in each process. Those without a gradient have none in any process.

    Raises:
        ConnectionError: A process has ended.
    """
    if not current().several:
        return
    from torch import distributed

    gradients = [tensor.grad for tensor in parameters if tensor.grad is not None]
    for dtype in dict.fromkeys(gradient.dtype for gradient in gradients):
        alike = [gradient for gradient in gradients if gradient.dtype == dtype]
        flat = torch.cat([gradient.reshape(-1) for gradient in alike])
        with _connection():
            distributed.all_reduce(flat)
        flat /= current().count
        for gradient, mean in zip(alike, flat.split([gradient.numel() for gradient in alike]), strict=True):
            gradient.copy_(mean.view_as(gradient))


def largest(values: Sequence[int]) -> list[int]:
    """The largest value that a process has, for each of some values.

    Raises:
        ConnectionError: A process has ended.
    """
    if not current().several:
        return list(values)
    from torch import distributed

    agreed = torch.tensor(values, dtype=torch.int64)
    with _connection():
        distributed.all_reduce(agreed, distributed.ReduceOp.MAX)
    return [int(value) for value in agreed]


def wait_for_all() -> None:
    """Wait until all processes have come here.

    Raises:
        ConnectionError: A process has ended.
    """
    largest([0])


def from_leader(content: Content) -> Content:
    """What the first process passes, in all processes.

    Args:
        content: Numbers and text in lists, tuples and dicts; that of the other processes is not used.

    Raises:
        ConnectionError: A process has ended.
    """
    if not current().several:
        return content
    from torch import distributed

    sent = [content]
    with _connection():
        distributed.broadcast_object_list(sent, device=torch.device("cpu"))
    return sent[0]


@contextmanager
def leader_first() -> Iterator[None]:
    """A block that the first process executes alone, and the others when it is done."""
    if not current().leads:
        wait_for_all()
    yield
    if current().leads:
        wait_for_all()


def check_same(what: str, tensors: Iterable[Tensor]) -> None:
    """Check that some tensors are the same in all processes, bit for bit.

    Args:
        what: What they are, for the message.
        tensors: The tensors.

    Raises:
        RuntimeError: They are not.
        ConnectionError: A process has ended.
    """
    if not current().several:
        return
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    own = torch.tensor(list(digest.digest()), dtype=torch.int64)[None]
    if any(not torch.equal(own, other) for other in gathered(own, [1] * current().count)):
        raise RuntimeError(
            f"{what} differ between the {current().count} processes: all must compute the same, in the same order"
        )
