"""What a policy, or a features extractor, is made of."""

from __future__ import annotations

from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agents.micro_vit import MICRO_VIT


@dataclass(frozen=True)
class PolicyConfig:
    """What a `ViTPolicy` is made of; all its random numbers come from four seeds."""

    model: str = MICRO_VIT
    """timm name of the backbone."""
    pretrained: bool = True
    """Load the backbone's weights; otherwise they are random."""
    weights: str | None = None
    """A local .npz, .safetensors, .pth, .pt or .bin file of weights for the model; nothing is fetched then."""
    normalisation: str = "checkpoint"
    """Mean and deviation of the pixels: checkpoint for those of the model's name, or imagenet, half, clip, none."""
    input_size: int | None = None
    """Side of the square views that the model sees; by default, the observation's own height and width."""
    crop_fraction: float = 0.875
    """Where views are of another size than observations: side of the central view over that of the resized image."""
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
        if self.weights is not None:  # also a Path, which JSON could not hold
            object.__setattr__(self, "weights", str(Path(self.weights).expanduser().absolute()))
        try:  # a range or an array could not be saved as JSON either
            object.__setattr__(self, "blocks", tuple(int(index(block)) for block in self.blocks))
        except TypeError as error:
            raise ValueError(
                f"blocks are indices of transformer blocks, as in (0, 1, 2), not {self.blocks!r}"
            ) from error


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
