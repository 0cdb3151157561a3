"""Figure 2 of the paper: how certain the policy becomes during training."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from experiments.config.entry import Entry
from experiments.reports.figures import output_entropy
from experiments.runs.measures import columns
from experiments.studies.figures import differences
from experiments.studies.study import OBJECTIVES, Study, StudyConfig, by_noise, by_objective, grid


@dataclass(frozen=True, kw_only=True)
class EntropyConfig(StudyConfig):
    """Objectives x label noise x seeds."""

    objectives: tuple[str, ...] = OBJECTIVES
    """Contenders; ce is the baseline."""
    label_noise: tuple[float, ...] = (0.0,)
    """Shares of flipped training labels."""


def entries(config: EntropyConfig) -> list[Entry]:
    """Every objective."""
    return grid(config, by_noise(config, config.label_noise), by_objective(config.objectives))


def figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """The entropy over the gradient steps, and the differences in accuracy."""
    return {"output_entropy": output_entropy(runs), "differences": differences(runs, "ce")}


ENTROPY = Study(
    name="entropy",
    title="Entropy of the output while it learns (the paper's Figure 2)",
    question="Which objectives make the output more certain than CE does, and which less?",
    published=(
        "each task starts near-uniform; EPG, aEPG and the entropy penalty fall lower than CE, "
        "focal loss, label smoothing and confidence penalty stay higher"
    ),
    config=EntropyConfig(),
    entries=entries,
    figures=figures,
    measures=columns("final_accuracy", "train_entropy", "test_entropy", "task_test_entropy"),
)
