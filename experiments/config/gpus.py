"""GPUs for which a dry run estimates hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GpuName = Literal["h200", "h100", "a100", "l40s", "l4", "v100", "t4", "rtx4090", "rtx3090"]
SUSTAINED = 1 / 6
"""Share of the peak rate that training sustains: ViT-B/16 with LoRA reaches 170 of an H100's 989 TFLOP/s (gpu.json)."""


@dataclass(frozen=True)
class Gpu:
    """Dense peak rates in TFLOP/s from the maker's data sheet; None for arithmetic that the GPU does not have.

    Attributes:
        title: Name for the user.
        float32: Peak without tensor cores.
        tf32: Peak in TF32.
        bfloat16: Peak in bfloat16.
    """

    title: str
    float32: float
    tf32: float | None = None
    bfloat16: float | None = None

    def rate(self, precision: str) -> float:
        """Floating-point operations a second that training sustains.

        Args:
            precision: A value of the setting. What the GPU does not have is computed in float32.
        """
        peaks = {"auto": self.bfloat16, "bfloat16": self.bfloat16, "tf32": self.tf32}
        return SUSTAINED * 1e12 * (peaks.get(precision) or self.float32)


DEFAULT_GPU: GpuName = "h100"
GPUS: dict[GpuName, Gpu] = {
    "h200": Gpu("H200", 67, 495, 989),
    "h100": Gpu("H100", 67, 495, 989),
    "a100": Gpu("A100", 19.5, 156, 312),
    "l40s": Gpu("L40S", 91.6, 183, 362),
    "l4": Gpu("L4", 30.3, 60, 121),
    "v100": Gpu("V100", 15.7),
    "t4": Gpu("T4", 8.1),
    "rtx4090": Gpu("RTX 4090", 82.6, 82.6, 165),
    "rtx3090": Gpu("RTX 3090", 35.6, 35.6, 71),
}


def check_gpu(gpu: GpuName | None, dry_run: bool) -> None:
    """Check that a GPU is named only for a dry run.

    Raises:
        ValueError: It is named for a run that is executed.
    """
    if gpu is not None and not dry_run:
        raise ValueError(f"--gpu {gpu} is the GPU for which --dry-run estimates hours: give --dry-run too, or drop it")
