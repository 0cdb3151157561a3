"""Undo the changes of a module if they fail midway."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def undone_on_failure(module: nn.Module, written: Iterable[Tensor]) -> Iterator[None]:
    """A context that restores a module if its block raises an exception, including `KeyboardInterrupt`.

    Restored are the modules, parameters and buffers that it has, which of them require gradients, its attributes with
    the content of dicts, lists and sets, and the values of some tensors.

    Args:
        module: The module, with its submodules.
        written: The tensors whose values the block may write to.
    """
    attributes = [(each, vars(each).copy()) for each in module.modules()]
    containers = [
        (value, value.copy())
        for _, kept in attributes
        for value in kept.values()
        if isinstance(value, (dict, list, set))
    ]
    gradients = [(tensor, tensor.requires_grad) for tensor in module.parameters()]
    values = [(tensor, tensor.detach().clone()) for tensor in written]
    try:
        yield
    except BaseException:
        for each, kept in attributes:
            vars(each).clear()
            vars(each).update(kept)
        for container, content in containers:
            _refill(container, content)
        for tensor, value in values:
            with torch.no_grad():
                tensor.copy_(value)
        for tensor, wanted in gradients:
            tensor.requires_grad_(wanted)
        raise


def _refill(container: Any, content: Any) -> None:
    container.clear()
    if isinstance(container, list):
        container.extend(content)
    else:
        container.update(content)
