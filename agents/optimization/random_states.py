"""States of random generators as tensors, which a file holds without pickle."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import torch
from torch import Tensor


def numpy_state(generator: np.random.Generator) -> Tensor:
    """The state of a generator of NumPy, uint8 of shape (n,)."""
    return _as_tensor(generator.bit_generator.state)


def set_numpy_state(generator: np.random.Generator, state: Tensor) -> None:
    """Set the state of a generator to that of `numpy_state`.

    Raises:
        ValueError: It is not a state of this kind of generator.
    """
    generator.bit_generator.state = _from_tensor(state)


def global_states() -> dict[str, Tensor]:
    """The states of the generators that a process shares: those of Python, NumPy and PyTorch, also on GPUs."""
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002  # the one that libraries use
    states = {
        "python": _as_tensor(random.getstate()),
        "numpy": _as_tensor([name, np.asarray(keys).tolist(), *rest]),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states |= {f"cuda{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def set_global_states(states: dict[str, Tensor]) -> None:
    """Set the generators that a process shares to the states of `global_states`.

    Raises:
        ValueError: A state is damaged.
    """
    version, internal, gauss = _from_tensor(states["python"])
    try:
        random.setstate((version, tuple(internal), gauss))
        np.random.set_state(tuple(_from_tensor(states["numpy"])))  # noqa: NPY002
        torch.set_rng_state(states["torch"])
    except (TypeError, RuntimeError) as error:
        raise ValueError(f"a saved random state is damaged: {error}") from error
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(count):
        if (state := states.get(f"cuda{index}")) is not None:
            torch.cuda.set_rng_state(state, index)


def _as_tensor(content: Any) -> Tensor:
    return torch.frombuffer(bytearray(json.dumps(content).encode()), dtype=torch.uint8)


def _from_tensor(tensor: Tensor) -> Any:
    try:
        return json.loads(bytes(tensor.cpu().numpy()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"a saved random state is damaged: {error}") from error
