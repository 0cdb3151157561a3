"""Parameters without a gradient stay as they are, also under weight decay."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

DECAYS = ("weight_decay", "lambd")
"""Names of weight decay in the parameter groups of optimizers; the second is ASGD's."""


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
    rows = _HELD[optimizer] = _Rows()
    optimizer.register_step_pre_hook(rows.before_step)
    optimizer.register_step_post_hook(rows.after_step)


def rows_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Which rows have had a gradient: bool of shape (rows,) by the index of each parameter that lacks one so far.

    A parameter of which all rows had one has an empty tensor.
    """
    rows = _HELD.get(optimizer)
    if rows is None:
        return {}
    found = {}
    for index, tensor in enumerate(_parameters(optimizer)):
        if tensor in rows.complete:
            found[str(index)] = torch.empty(0, dtype=torch.bool)
        elif tensor in rows.had_gradient:
            found[str(index)] = rows.had_gradient[tensor]
    return found


def load_rows_state(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Go on from the state of `rows_state`, for an optimizer of the same parameters."""
    rows, parameters = _HELD[optimizer], _parameters(optimizer)
    for index, had in tensors.items():
        tensor = parameters[int(index)]
        if len(had):
            rows.had_gradient[tensor] = had.to(tensor.device, copy=True)
        else:
            rows.complete.add(tensor)


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [tensor for group in optimizer.param_groups for tensor in group["params"]]


class _Rows:
    def __init__(self) -> None:
        self.had_gradient: dict[Tensor, Tensor] = {}
        self.complete: set[Tensor] = set()
        self._values: dict[Tensor, Tensor] = {}

    @torch.no_grad()
    def before_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Note which rows have a gradient, and store the values of tensors with rows that never had one."""
        self._values.clear()
        for group in optimizer.param_groups:
            if "weight_decay" in group and not any(group.get(name) for name in DECAYS):
                continue  # without decay a new optimizer leaves what has no gradient
            for tensor in group["params"]:
                if tensor.grad is not None and tensor.numel() and tensor not in self.complete:
                    self._note(tensor, tensor.grad)

    def _note(self, tensor: Tensor, gradient: Tensor) -> None:
        rows = gradient.reshape(len(tensor) if tensor.ndim else 1, -1).ne(0).any(dim=1)
        if tensor in self.had_gradient:
            rows |= self.had_gradient[tensor]
        if rows.all():
            self.complete.add(tensor)
            self.had_gradient.pop(tensor, None)
        else:
            self.had_gradient[tensor] = rows
            self._values[tensor] = tensor.detach().clone()

    @torch.no_grad()
    def after_step(self, *_: Any) -> None:
        """Put back the rows that never had a gradient."""
        for tensor, values in self._values.items():
            shape = (len(tensor), *[1] * (tensor.ndim - 1)) if tensor.ndim else ()
            tensor.copy_(torch.where(self.had_gradient[tensor].reshape(shape), tensor, values))
        self._values.clear()


_HELD: WeakKeyDictionary[torch.optim.Optimizer, _Rows] = WeakKeyDictionary()
