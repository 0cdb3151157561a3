"""The optimizer of a policy: how it is made, and checked before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from agents.optimization.learning_arguments import rate_at
from agents.optimization.rows_without_gradient import hold_rows_without_gradient
from cls_env.arguments import check_savable


def make_optimizer(
    optimizer_class: Callable[..., torch.optim.Optimizer],
    parameters: Iterable[nn.Parameter],
    lr_schedule: Schedule,
    arguments: Mapping[str, Any],
) -> torch.optim.Optimizer:
    """A new optimizer, which leaves rows without a gradient as they are (`hold_rows_without_gradient`).

    Args:
        optimizer_class: A class of optimizers, or a function that makes one.
        parameters: Trained by it.
        lr_schedule: Its value at remaining progress 1 is the first learning rate.
        arguments: Further arguments of `optimizer_class`.
    """
    parameters = list(parameters)
    fast = fast_implementation(optimizer_class, parameters, arguments)
    optimizer = optimizer_class(parameters, lr=lr_schedule(1), **arguments, **fast)
    hold_rows_without_gradient(optimizer)
    return optimizer


def fast_implementation(
    optimizer_class: Callable[..., torch.optim.Optimizer],
    parameters: Sequence[nn.Parameter],
    arguments: Mapping[str, Any],
) -> dict[str, bool]:
    """The argument that chooses the fastest implementation of PyTorch's Adam, AdamW and SGD.

    It is fused on a GPU. On a CPU all tensors are updated together, to the same numbers as one after the other. PyTorch
    itself does neither by default.

    Args:
        optimizer_class: Other optimizers keep their own default.
        parameters: Trained by it.
        arguments: Those that name an implementation are left as they are.
    """
    chosen = {"foreach", "fused", "differentiable"} & set(arguments)
    if optimizer_class not in (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD) or chosen or not parameters:
        return {}
    return {"fused": True} if all(parameter.is_cuda for parameter in parameters) else {"foreach": True}


def is_torchs_own(optimizer: Any) -> bool:
    """Whether an optimizer is a class of `torch.optim`, which a checkpoint can name."""
    return getattr(torch.optim, getattr(optimizer, "__name__", ""), None) is optimizer


def check_optimizer(optimizer: Any, arguments: Any, lr_schedule: Schedule) -> None:
    """Check that an optimizer accepts its arguments and steps, and that a checkpoint can hold the arguments.

    Args:
        optimizer: A class of optimizers, or a function that makes one.
        arguments: Its arguments other than the learning rate.
        lr_schedule: Its value at remaining progress 1 is the first learning rate.

    Raises:
        ValueError: It does not, or it can't.
    """
    if not isinstance(arguments, dict):
        raise ValueError(f"optimizer_kwargs is a dict of the optimizer's arguments, not {arguments!r}")
    if not callable(optimizer):
        raise ValueError(f"optimizer_class must be a class such as torch.optim.Adam, not {optimizer!r}")
    if is_torchs_own(optimizer):
        check_savable({f"optimizer_kwargs.{name}": value for name, value in arguments.items()})
    rate, name = rate_at(lr_schedule, 1), getattr(optimizer, "__name__", repr(optimizer))
    tried = torch.zeros(1, requires_grad=True)
    try:
        made = optimizer([tried], lr=rate, **arguments)
    except Exception as error:  # the optimizer's own
        raise ValueError(f"{name} does not take optimizer_kwargs {arguments}: {error}") from error
    tried.grad = torch.ones(1)
    try:
        made.step()
    except Exception as error:  # LBFGS needs a closure, SparseAdam sparse gradients
        reason = " ".join(str(error).split())
        raise ValueError(
            f"optimizer_class {name} can't be used here, where step() is called after backward(): {reason}; choose "
            "another one, such as torch.optim.Adam"
        ) from error
