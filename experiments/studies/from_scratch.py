"""Table 3 of the paper, on a smaller network for fewer epochs: fixed mixtures of CE and EPG from random weights."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from experiments.config.entry import Entry
from experiments.presets.table3 import RECIPE
from experiments.reports.figures import final_accuracies, output_entropy
from experiments.runs.measures import columns
from experiments.studies.study import Study, StudyConfig, by_noise, by_objective, grid


@dataclass(frozen=True, kw_only=True)
class ScratchConfig(StudyConfig):
    """Fixed weights of CE x seeds."""

    alphas: tuple[float, ...] = (0.5, 0.2)
    """Weights of CE other than 1, which is ce, and 0, which is epg."""


def entries(config: ScratchConfig) -> list[Entry]:
    """CE, EPG and the mixtures between them."""
    contenders = by_objective(("ce", *(f"alpha:alpha={alpha:g}" for alpha in config.alphas), "epg"))
    return grid(config, by_noise(config, (0.0,)), contenders)


def figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """Final accuracy, and the entropy during training."""
    return {"final_accuracies": final_accuracies(runs), "output_entropy": output_entropy(runs)}


FROM_SCRATCH = Study(
    name="from-scratch",
    title="Fixed mixtures of CE and EPG from random weights, all classes at once (the paper's Table 3)",
    question="Does EPG need a pretrained backbone, and does a little CE suffice in its place?",
    published=(
        "ResNet-50, best test accuracy: CIFAR-10 CE 95.31, alpha 0.5 95.62, alpha 0.2 95.81, EPG 92.22; "
        "CIFAR-100 CE 77.95, alpha 0.5 79.95, alpha 0.2 80.80, EPG 7.32"
    ),
    config=ScratchConfig(
        dataset="cifar10",
        **RECIPE
        | {"model": "resnet18_32", "normalization": "half", "input_size": 32, "crop_fraction": 1.0, "epochs": 200},
    ),
    entries=entries,
    figures=figures,
    measures=columns("final_accuracy", "test_entropy"),
)
