"""The effect of wrong labels on each objective: accuracy, and memorization of the wrong labels."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from experiments.config.entry import Entry
from experiments.reports.captions import PAIRED
from experiments.runs.measures import columns
from experiments.studies.figures import minus_baseline
from experiments.studies.line_figures import plot_data, plot_lines
from experiments.studies.study import Study, StudyConfig, by_noise, by_objective, grid

LABEL_MEASURES = {
    "train_accuracy_clean": "right labels learned",
    "train_accuracy_flipped": "wrong labels memorized",
    "train_recovered": "true class seen despite a wrong label",
}
"""Shares of the training labels, by measure, with their titles in figures."""


@dataclass(frozen=True, kw_only=True)
class NoiseConfig(StudyConfig):
    """Objectives x label noise x seeds."""

    objectives: tuple[str, ...] = ("ce", "epg", "aepg", "ep:beta=1", "gce:q=0.7", "sce")
    """Contenders; ce is the baseline."""
    label_noise: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4)
    """Shares of flipped training labels."""


def entries(config: NoiseConfig) -> list[Entry]:
    """Every objective under every label noise."""
    return grid(config, by_noise(config, config.label_noise), by_objective(config.objectives))


def figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """A_T, the gain over CE, and the shares of labels learned, memorized and corrected, against the noise."""
    share, axis = 100 * runs["label_noise"], "wrong training labels, %"
    accuracy = plot_data(runs, share, pd.Series("", runs.index))
    shares = [
        plot_data(runs, share, pd.Series(title, runs.index), key)
        for key, title in LABEL_MEASURES.items()
        if key in runs
    ]
    gained = minus_baseline(runs, "ce")
    gain = plot_data(gained, 100 * gained["label_noise"], pd.Series("", gained.index))
    drawn = {
        "accuracy_against_noise": plot_lines(accuracy, (axis, "A_T, %")),
        "gain_against_noise": plot_lines(gain, (axis, "A_T less that of CE, points"), note=PAIRED),
    }
    if any(len(part) for part in shares):
        drawn["fate_of_training_labels"] = plot_lines(pd.concat(shares), (axis, "training images, %"), one_scale=False)
    return drawn


LABEL_NOISE = Study(
    name="label-noise",
    title="Objectives under label noise",
    question="How fast does each objective lose accuracy as labels become wrong, and does it memorize them?",
    published="at 20 % symmetric noise aEPG gains most over CE; other shares and robust losses were not studied",
    config=NoiseConfig(),
    entries=entries,
    figures=figures,
    measures=columns("final_accuracy", "train_accuracy_clean", "train_accuracy_flipped", "train_recovered"),
)
