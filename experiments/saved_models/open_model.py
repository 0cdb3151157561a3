"""Load a saved model for a command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents import load_agent
from agents.algorithms.one_step import OneStepAlgorithm


def open_model(model: Path, device: str = "auto", weights: Path | None = None, **arguments: Any) -> OneStepAlgorithm:
    """Load a saved model.

    Args:
        model: The file.
        device: Where the policy runs.
        weights: The backbone's weights file, in place of the one that the model was trained with. It must have the
            same content.
        **arguments: Further arguments of `load_agent`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or the weights are others.
    """
    if weights is not None:
        arguments["policy_kwargs"] = {"weights": str(weights)}
    return load_agent(model, device=device, **arguments)
