"""What a policy, or a features extractor, is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.networks.micro_vit import MICRO_VIT
from agents.networks.model_names import timm_name
from agents.networks.views import INTERPOLATIONS
from cls_env.arguments import number, truth_value, whole_number, word
from cls_env.specification import lookup

LARGEST_SEED = 2**63 - 1
"""The largest number that PyTorch's generators take."""


@dataclass(frozen=True)
class PolicyConfig:
    """What a `ViTPolicy` is made of; all its random numbers come from four seeds."""

    model: str = MICRO_VIT
    """timm name of the backbone; `hf-hub:timm/NAME` and `timm/NAME` mean NAME."""
    pretrained: bool = True
    """Load the backbone's weights; otherwise they are random."""
    weights: str | None = None
    """A local file of weights for the model, see `agents.networks.weights`; nothing is fetched then."""
    normalization: str = "checkpoint"
    """Mean and deviation of the pixels: checkpoint for those of the model's name, or imagenet, half, clip, none."""
    input_size: int | None = None
    """Side of the square views that the model sees; by default, the observation's own height and width."""
    crop_fraction: float | None = None
    """Where views are of another size than observations: side of the central view over that of the resized image. By
    default that of the checkpoint, as timm has it: 0.9 for augreg ViTs, 1 for DINOv2."""
    interpolation: str | None = None
    """Where views are of another size than observations: bicubic or bilinear resizing; by default the checkpoint's."""
    peft: str = "lora"
    """What learns in the backbone: a name in `agents.peft_modules.PEFT_MODULES`, with arguments or without."""
    blocks: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Transformer blocks that get the module, or a method's prompts."""
    method: str = "sequential"
    """What is done about earlier tasks: a name in `agents.methods.METHODS`, with arguments or without."""
    backbone_seed: int = 0
    """Draws a random backbone."""
    peft_seed: int = 0
    """Initialises the module."""
    head_seed: int = 0
    """Initialises the head's rows."""
    method_seed: int = 0
    """Initialises what the method learns or draws, anew for each task."""

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))


def _specification(name: str, value: Any) -> str:
    """Check that a specification is text. Its syntax is checked when the policy is built."""
    if not isinstance(value, str):
        raise ValueError(f"{name}: expected text, 'name' or 'name:key=value,key=value', not {value!r}")
    return str(value)


def _file(name: str, value: Any) -> str | None:
    """The absolute path as text, which JSON can hold."""
    if value is None:
        return None
    if not isinstance(value, (str, PathLike)):
        raise ValueError(f"{name} must be the path of a file, or None, not {value!r}")
    return str(Path(value).expanduser().absolute())


def _side(name: str, value: Any) -> int | None:
    return None if value is None else whole_number(name, value, least=1)


def _share_of_side(name: str, value: Any) -> float | None:
    if value is None:
        return None
    share = number(name, value)
    if not 0 < share <= 1:
        raise ValueError(f"{name} is a share of the side in (0, 1], not {value!r}")
    return share


def _interpolation(name: str, value: Any) -> str | None:
    if value is not None:
        lookup(name, word(name, value), INTERPOLATIONS)
    return value


def _indices(name: str, value: Any) -> tuple[int, ...]:
    try:
        indices = tuple(whole_number(name, block, least=0) for block in value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} are indices of transformer blocks, as in (0, 1, 2), not {value!r}") from error
    if len(set(indices)) < len(indices):
        raise ValueError(f"{name} names a transformer block twice: {value!r}")
    return indices


def _seed(name: str, value: Any) -> int:
    seed = whole_number(name, value, least=0)
    if seed > LARGEST_SEED:
        raise ValueError(f"{name} must be at most 2**63 - 1, not {value!r}")
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
"""What each entry must be: functions of its name and value that return it as plain Python."""


class AgentSeeds(NamedTuple):
    """The independent seeds that an agent's one seed stands for."""

    backbone: int
    peft: int
    head: int
    actions: int
    views: int
    method: int

    @classmethod
    def of(cls, seed: int | None) -> AgentSeeds:
        """From one seed; from None, others each time."""
        return cls(*map(int, np.random.SeedSequence(seed).generate_state(len(cls._fields))))
