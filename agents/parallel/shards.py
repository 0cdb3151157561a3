"""Passes through a network whose images are divided among processes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from agents.parallel.exchange import gathered
from agents.parallel.processes import current


def slices(rows: int, parts: int) -> list[slice]:
    """Divide rows into consecutive parts, whose lengths differ by at most one.

    >>> slices(5, 2)
    [slice(0, 3, None), slice(3, 5, None)]
    """
    size, more = divmod(rows, parts)
    ends = [part * size + min(part, more) for part in range(parts + 1)]
    return [slice(start, end) for start, end in pairwise(ends)]


def divided(rows: int, compute: Callable[[slice], Tensor]) -> Tensor:
    """The result of a computation that treats each row by itself, of which each process computes a part.

    All processes get the whole result, and the gradient of their own part. This gradient is multiplied by the number of
    processes. If each process computes the same loss, and `average_gradients` follows `backward`, the gradients are
    those of the whole result, whether a term of the loss was divided or not.

    Args:
        rows: Number of rows. If there are fewer than processes, each process computes them all.
        compute: Computes some of the rows.

    Returns:
        Shape (rows, ...).

    Raises:
        ConnectionError: A process has ended.
    """
    processes = current()
    if not processes.several or rows < processes.count:
        return compute(slice(0, rows))
    parts = slices(rows, processes.count)
    own = compute(parts[processes.rank])
    whole = gathered(own, [part.stop - part.start for part in parts])
    whole[processes.rank] = own if not own.requires_grad else _Multiplied.apply(own, processes.count)
    return torch.cat(whole)


class _Multiplied(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a number."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, factor: int) -> Tensor:
        ctx.factor = factor
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None
