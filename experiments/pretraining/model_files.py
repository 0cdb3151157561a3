"""The files of a pretrained model: weights in half precision, and a card in JSON."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from experiments.files import read_json, replace_file, write_json


def half_precision(model: nn.Module) -> dict[str, Tensor]:
    """The weights of a model in float16, loaded into it too, so that a test of it is a test of what is written.

    Raises:
        ValueError: One is NaN or infinite: training diverged.
    """
    half = {name: tensor.detach().half().contiguous() for name, tensor in model.state_dict().items()}
    if not all(torch.isfinite(tensor).all() for tensor in half.values()):
        raise ValueError("training diverged; give a smaller --learning-rate")
    model.load_state_dict(half)
    return half


def refuse_other_weights(folder: Path, name: str, config: dict[str, Any]) -> None:
    """Check that a folder has no weights of the same name that were trained with other settings.

    Args:
        folder: The folder.
        name: Name of the model.
        config: The settings of training.

    Raises:
        ValueError: It has.
    """
    weights = folder / f"{name}.safetensors"
    if not weights.is_file():
        return
    card = weights.with_suffix(".json")
    if not card.is_file() or read_json(card).get("config") != config:
        raise ValueError(f"{weights} is there already, from training with other settings: choose another --out")


def write_model(folder: Path, name: str, tensors: dict[str, Tensor], facts: dict[str, Any]) -> dict[str, Any]:
    """Write `<name>.safetensors` and `<name>.json` to a folder.

    Args:
        folder: Is created if missing.
        name: Name of the model.
        tensors: Its weights.
        facts: What the card says besides name, number of parameters, hash and versions.

    Returns:
        The card.
    """
    weights = folder / f"{name}.safetensors"
    replace_file(weights, lambda aside: save_file(tensors, aside))
    card = {
        "model": name,
        **facts,
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
        "dtype": "float16",
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "timm": timm.__version__},
    }
    write_json(folder / f"{name}.json", card)
    return card


def normalized(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Images of shape [N, 3, H, W] with values in [0, 1], standardized by channel."""
    center, scale = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std))
    return (images - center) / scale
