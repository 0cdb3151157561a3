"""The settings of a probe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.config.fields import settle
from experiments.config.settings import Device, RunConfig


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """Backbones, and the dataset on which they are compared."""

    dataset: str = "photos"
    """Name of the dataset."""
    root: str | None = None
    """Folder or archive of your images (with --dataset folder), or folder of a published dataset."""
    options: tuple[str, ...] = ()
    """Further arguments of the dataset's loader."""
    models: tuple[str, ...] = ("auto",)
    """Backbones: timm names, NAME=FILE for a local file of weights, or auto for the dataset's own."""
    input_size: int | None = None
    """Side in pixels of the models' input. By default the size of their pretraining."""
    crops: tuple[float, ...] = ()
    """Also test the linear classifier on random crops of the test images: the smallest fraction of the image's area in
    a crop, in (0, 1]. This tells how many crops of training images still show their class."""
    device: Device = "auto"
    """Device of the models. auto is an NVIDIA GPU if there is one, else the CPU."""
    threads: int = 1
    """Number of CPU threads."""
    out: Path | None = None
    """CSV file for the table."""
    imports: tuple[str, ...] = ()
    """Your own Python modules to import first, which register datasets."""

    def __post_init__(self) -> None:
        settle(self)

    def runs(self) -> list[RunConfig]:
        """One configuration for each model: all classes in one task, and nothing to train in the backbone.

        Raises:
            ValueError: No model is named, `=` is followed by no file, or a crop is out of range.
        """
        wrong = [crop for crop in self.crops if not 0 < crop <= 1]
        if wrong:
            raise ValueError(f"--crops {wrong[0]:g}: give a fraction of the image's area in (0, 1]")
        if not self.models:
            raise ValueError("nothing to compare: name backbones after --models")
        if unnamed := next((named for named in self.models if named.endswith("=")), None):
            raise ValueError(f"--models {unnamed}: give the file of the weights after =")
        return [
            RunConfig(
                dataset=self.dataset,
                root=self.root,
                options=self.options,
                num_tasks=1,
                model=model,
                weights=weights or None,
                input_size=self.input_size,
                peft="none",
                blocks=(),
                device=self.device,
                threads=self.threads,
                imports=self.imports,
            )
            for model, _, weights in (named.partition("=") for named in self.models)
        ]
