"""The state of an optimizer as named tensors, which a file holds without pickle."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_NUMBERS = {"int": int, "float": float, "bool": bool}
"""Kinds of numbers in a state; each is saved as a float64 under the name of its kind."""


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimizer keeps of each parameter, by `INDEX.NAME`, or `INDEX.NAME.KIND` for a number.

    Raises:
        ValueError: The optimizer keeps something else than tensors and numbers.
    """
    found: dict[str, Tensor] = {}
    for index, entries in optimizer.state_dict()["state"].items():
        for name, value in entries.items():
            kind = type(value).__name__
            if isinstance(value, Tensor):
                found[f"{index}.{name}"] = value
            elif kind in _NUMBERS:
                found[f"{index}.{name}.{kind}"] = torch.tensor(value, dtype=torch.float64)
            elif value is not None:
                raise ValueError(
                    f"the state of {type(optimizer).__name__} can't be saved: its {name!r} is of type {kind}"
                )
    return found


def load_optimizer_state(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimizer, of the same parameters, the state of `optimizer_state`. Its settings stay.

    Raises:
        ValueError: The state does not fit.
    """
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        index, _, entry = name.partition(".")
        entry, _, kind = entry.partition(".")
        state.setdefault(int(index), {})[entry] = _NUMBERS[kind](tensor.item()) if kind else tensor.clone()
    parameters = [tensor for group in optimizer.param_groups for tensor in group["params"]]
    for number, kept in state.items():
        if number >= len(parameters) or any(
            isinstance(value, Tensor) and value.ndim and value.shape != parameters[number].shape
            for value in kept.values()
        ):
            raise ValueError(f"the saved state of the optimizer does not fit parameter {number}")
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
