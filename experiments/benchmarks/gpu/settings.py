"""What the GPU benchmark measures, and at which size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

PATHS: dict[str, dict[str, Any]] = {
    "host": {"device_images": "no"},
    "device": {"device_images": "yes"},
    "compiled": {"device_images": "yes", "compile": True},
}
"""Where images are kept and whether the backbone is compiled: arguments of `EPG` and of `RunConfig`."""
CROP_SCALE = (0.05, 1.0)


@dataclass(frozen=True, kw_only=True)
class GpuSettings:
    """Measure training on a GPU. Where there is none, the CPU is measured, for which small sizes suffice:
    --model test_vit --image-size 32 --batch-size 16 --images 200 --classes 10 --tasks 2 --matrix-size 256.

    --debug, anywhere on the line, shows the traceback of an error.
    """

    minutes: float = 8
    """Time for all parts. What a part has not begun when its share is over is skipped."""
    parts: tuple[Literal["facts", "right", "waits", "speed", "peers", "product"], ...] = (
        "facts",
        "right",
        "waits",
        "speed",
        "peers",
        "product",
    )
    """facts (versions, copies, rate of matrix products), right (results are those of the CPU), waits (no step waits for
    the GPU), speed (of steps and tests), peers (other ways to train the same model), product (a run)."""
    whole: bool = False
    """Let the product be all 50 epochs a task, as in --parts facts product --whole; by default 5, from which the time
    of all is estimated."""
    paths: tuple[Literal["host", "device", "compiled"], ...] = ("host", "device", "compiled")
    """host (images in main memory), device (images on the GPU), compiled (and a compiled backbone). The product is
    measured on the last one."""
    json: Path | None = None
    """Write the rows here, each as soon as it is known."""
    model: str = "vit_base_patch16_224.augreg_in21k_ft_in1k"
    """timm name of the backbone; its weights are random."""
    image_size: int = 224
    """Side of what the model sees; images are 8/7 as large."""
    batch_size: int = 256
    """Images a step."""
    images: int = 24_000
    """Training images of the product; a fourth of them are the test images."""
    classes: int = 200
    """Classes of the product."""
    tasks: int = 10
    """Tasks of the product."""
    steps: int = 20
    """Steps that are timed."""
    matrix_size: int = 8192
    """Side of the square matrices whose product gives the reference rate."""

    def check(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: A setting is out of range.
        """
        if not self.minutes > 0:
            raise ValueError(f"minutes must be above 0, not {self.minutes}")
        for name in ("image_size", "batch_size", "images", "classes", "tasks", "steps", "matrix_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("paths", "parts"):
            if not getattr(self, name):
                raise ValueError(f"{name} must name at least one")

    @property
    def device(self) -> torch.device:
        """The GPU, or the CPU if there is none."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @property
    def observed_size(self) -> int:
        """Side of the images, out of which the model's inputs are cropped."""
        return self.image_size * 8 // 7
