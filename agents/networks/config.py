"""The configuration of a policy, or of a features extractor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.networks.embedded_vits import MICRO_VIT
from agents.networks.model_names import timm_name
from agents.networks.views import INTERPOLATIONS
from cls_env.arguments import number, truth_value, whole_number, word
from cls_env.specification import lookup, quoted

RENAMED_ENTRIES = {"normalisation": "normalization"}
"""Entries of `PolicyConfig` in version 0.1.0, and their names now."""

LARGEST_SEED = 2**63 - 1
"""The largest number that PyTorch's generators take."""


@dataclass(frozen=True)
class PolicyConfig:
    """The configuration of a `ViTPolicy`, with the four seeds of all its random numbers."""

    model: str = MICRO_VIT.name
    """timm name of the backbone; `hf-hub:timm/NAME` and `timm/NAME` mean NAME."""
    pretrained: bool = True
    """Load the backbone's pretrained weights; otherwise they are random."""
    weights: str | None = None
    """A local file of weights for the model, see `agents.networks.weights`; nothing is downloaded then."""
    normalization: str = "checkpoint"
    """Mean and deviation of the pixels: checkpoint for those of the model's name, or imagenet, half, clip, none."""
    input_size: int | None = None
    """Side of the square inputs of the model in pixels. By default, height and width of the observation, without a
    narrow border that a ViT's patches do not fill: with 8 x 8 patches it sees the central 32 x 32 of 36 x 36 pixels."""
    crop_fraction: float | None = None
    """Side of the central crop over that of the resized image, if inputs are of another size than observations. By
    default that of the checkpoint in timm: 0.9 for augreg ViTs, 1 for DINOv2."""
    interpolation: str | None = None
    """bicubic or bilinear, if inputs are of another size than observations; by default that of the checkpoint."""
    peft: str = "lora"
    """The PEFT module: a name in `agents.peft_modules.PEFT_MODULES`, with or without arguments."""
    blocks: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Indices of the transformer blocks with the module, or with a method's prompts."""
    method: str = "sequential"
    """The continual-learning method: a name in `agents.methods.METHODS`, with or without arguments."""
    backbone_seed: int = 0
    """Fixes a random backbone."""
    peft_seed: int = 0
    """Fixes the module's initial values."""
    head_seed: int = 0
    """Fixes the initial values of the head."""
    method_seed: int = 0
    """Fixes the method's initial values and random numbers."""

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled configuration, also one of an earlier version."""
        for name, value in renamed_entries(state).items():
            object.__setattr__(self, name, value)


def renamed_entries(entries: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a saved configuration, under the names that they have now."""
    return {RENAMED_ENTRIES.get(name, name): value for name, value in entries.items()}


def _specification(name: str, value: Any) -> str:
    """Check that a specification is text. Its syntax is checked when the policy is built."""
    if not isinstance(value, str):
        raise ValueError(f"{name}: expected text, 'name' or 'name:key=value,key=value', not {quoted(value)}")
    return str(value)


def _file(name: str, value: Any) -> str | None:
    """The absolute path as text, which JSON can hold."""
    if value is None:
        return None
    if not isinstance(value, (str, PathLike)):
        raise ValueError(f"{name} must be the path of a file, or None, not {quoted(value)}")
    return str(Path(value).expanduser().absolute())


def _side(name: str, value: Any) -> int | None:
    return None if value is None else whole_number(name, value, least=1)


def _share_of_side(name: str, value: Any) -> float | None:
    if value is None:
        return None
    share = number(name, value)
    if not 0 < share <= 1:
        raise ValueError(f"{name} is a share of the side in (0, 1], not {quoted(value)}")
    return share


def _interpolation(name: str, value: Any) -> str | None:
    if value is not None:
        lookup(name, word(name, value), INTERPOLATIONS)
    return value


def _indices(name: str, value: Any) -> tuple[int, ...]:
    try:
        indices = tuple(whole_number(name, block, least=0) for block in value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} are indices of transformer blocks, as in (0, 1, 2), not {quoted(value)}") from error
    if len(set(indices)) < len(indices):
        raise ValueError(f"{name} names a transformer block twice: {quoted(value)}")
    return indices


def _seed(name: str, value: Any) -> int:
    seed = whole_number(name, value, least=0)
    if seed > LARGEST_SEED:
        raise ValueError(f"{name} must be at most 2**63 - 1, not {quoted(value)}")
    return seed


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "model": lambda name, value: timm_name(value),
    "pretrained": truth_value,
    "weights": _file,
    "normalization": word,
    "input_size": _side,
    "crop_fraction": _share_of_side,
    "interpolation": _interpolation,
    "peft": _specification,
    "blocks": _indices,
    "method": _specification,
    "backbone_seed": _seed,
    "peft_seed": _seed,
    "head_seed": _seed,
    "method_seed": _seed,
}
"""Checks of the entries: functions of name and value that return the value as plain Python."""


class AgentSeeds(NamedTuple):
    """The independent seeds that are derived from an agent's seed."""

    backbone: int
    peft: int
    head: int
    actions: int
    views: int
    method: int

    @classmethod
    def of(cls, seed: int | None) -> AgentSeeds:
        """Derived from one seed; random for None."""
        return cls(*map(int, np.random.SeedSequence(seed).generate_state(len(cls._fields))))
