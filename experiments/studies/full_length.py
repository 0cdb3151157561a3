"""The paper's protocol at its full length, on photographs at 224 pixels: a job for a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd
from matplotlib.figure import Figure

from experiments.config.entry import Entry
from experiments.studies.figures import differences, heat_map
from experiments.studies.methods import BASELINE, MethodsConfig, contenders
from experiments.studies.study import Study, grid


@dataclass(frozen=True, kw_only=True)
class FullLengthConfig(MethodsConfig):
    """Methods x objectives x numbers of tasks x seeds, with the paper's epochs, batches and crops."""

    dataset: str = "caltech101"
    model: str = "vit_small_patch16_224.augreg_in21k_ft_in1k"
    crop_fraction: float | None = 0.875
    methods: tuple[str, ...] = ("sequential", "lae:decay=0.999,reference_batch=256")
    """Methods, in place of --method, each with the PEFT module that it is made for, or else --peft."""
    left_out: tuple[str, ...] = ("lae + epg",)
    """Pairs of a method and an objective that are not run."""
    tasks: tuple[int, ...] = (10,)
    """Numbers of tasks, in place of --num-tasks."""
    epochs: int = 50
    """Number of passes over each task's training images."""
    batch_size: int = 256
    """Number of images per gradient step."""
    learning_rate: float = 5e-4
    """Learning rate."""
    augment: Literal["auto", "yes", "no"] = "yes"
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Every contender runs on each of them."""


def entries(config: FullLengthConfig) -> list[Entry]:
    """All pairs of methods and objectives but those left out, seed after seed, so that a stopped study has whole seeds.

    Raises:
        ValueError: A pair to be left out is not among them.
    """
    pairs = contenders(config)
    chosen = config.left_out != FullLengthConfig.left_out
    if chosen and (unknown := set(config.left_out) - set(pairs)):
        raise ValueError(f"--left-out {sorted(unknown)[0]!r} is none of the pairs: {', '.join(pairs)}")
    kept = {label: changes for label, changes in pairs.items() if label not in config.left_out}
    return grid(config, {f"{tasks} tasks": {"num_tasks": tasks} for tasks in config.tasks}, kept)


def figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """A_T of each pair, and differences to sequential fine-tuning by CE."""
    return {"final_accuracies": heat_map(runs), "differences": differences(runs, BASELINE)}


FULL_LENGTH = Study(
    name="full-length",
    title="The paper's protocol at its full length, with a ViT-S on Caltech-101",
    question="Does aEPG add to LoRA and to LAE on photographs other than the paper's?",
    published=(
        "not on this dataset; with ViT-B/16 on Split-ImageNet-R, 10 tasks, aEPG is 1.5 points above CE with LoRA, and "
        "1.3 with LAE"
    ),
    config=FullLengthConfig(),
    entries=entries,
    figures=figures,
    baseline=BASELINE,
)
