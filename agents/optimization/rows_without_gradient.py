"""Parameters without a gradient stay as they are, also under weight decay."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor

DECAYS = ("weight_decay", "lambd")
"""Names of weight decay in the parameter groups of optimizers; the second is ASGD's."""
_HELD: WeakSet[torch.optim.Optimizer] = WeakSet()


def hold_rows_without_gradient(optimizer: torch.optim.Optimizer) -> None:
    """Keep rows exactly as they are until their first non-zero gradient under this optimizer.

    Under the local loss the rows of old classes in the head have zero gradients. Weight decay would pull them towards
    zero: Adam adds the decay to the gradient, so that each step changes a row by a full learning rate, and old classes
    are forgotten. A row is a slice along the first dimension: the weights of a class, a prompt of a pool, a bias.

    Args:
        optimizer: An optimizer of `torch.optim`, or one with the same interface, whose `step` is called after
            `backward`. A second call has no effect; a copy of an optimizer needs its own call.
    """
    if optimizer in _HELD:
        return
    _HELD.add(optimizer)
    rows = _Rows()
    optimizer.register_step_pre_hook(rows.before_step)
    optimizer.register_step_post_hook(rows.after_step)


class _Rows:
    def __init__(self) -> None:
        self._had_gradient: dict[Tensor, Tensor] = {}
        self._complete: set[Tensor] = set()
        self._values: dict[Tensor, Tensor] = {}

    @torch.no_grad()
    def before_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Note which rows have a gradient, and store the values of tensors with rows that never had one."""
        self._values.clear()
        for group in optimizer.param_groups:
            if "weight_decay" in group and not any(group.get(name) for name in DECAYS):
                continue  # without decay a new optimizer leaves what has no gradient
            for tensor in group["params"]:
                if tensor.grad is not None and tensor.numel() and tensor not in self._complete:
                    self._note(tensor, tensor.grad)

    def _note(self, tensor: Tensor, gradient: Tensor) -> None:
        rows = gradient.reshape(len(tensor) if tensor.ndim else 1, -1).ne(0).any(dim=1)
        if tensor in self._had_gradient:
            rows |= self._had_gradient[tensor]
        if rows.all():
            self._complete.add(tensor)
            self._had_gradient.pop(tensor, None)
        else:
            self._had_gradient[tensor] = rows
            self._values[tensor] = tensor.detach().clone()

    @torch.no_grad()
    def after_step(self, *_: Any) -> None:
        """Put back the rows that never had a gradient."""
        for tensor, values in self._values.items():
            shape = (len(tensor), *[1] * (tensor.ndim - 1)) if tensor.ndim else ()
            tensor.copy_(torch.where(self._had_gradient[tensor].reshape(shape), tensor, values))
        self._values.clear()
