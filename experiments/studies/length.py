"""More and smaller tasks, and longer training: does the order of the objectives depend on them?"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from experiments.config.entry import Entry
from experiments.reports.captions import PAIRED
from experiments.studies.figures import differences, minus_baseline
from experiments.studies.gains import EXPLANATION, changes_table
from experiments.studies.line_figures import plot_data, plot_lines
from experiments.studies.study import Study, StudyConfig, by_objective, grid, unique_names


@dataclass(frozen=True, kw_only=True)
class LengthConfig(StudyConfig):
    """Objectives x numbers of tasks x epochs x seeds. All share one learning rate, as in the paper."""

    dataset: str = "photos"
    learning_rate: float = 4e-3
    """Learning rate of all runs."""
    objectives: tuple[str, ...] = ("ce", "epg", "aepg")
    """Contenders; ce is the baseline."""
    tasks: tuple[int, ...] = (5, 10, 20)
    """Numbers of tasks, in place of --num-tasks."""
    lengths: tuple[int, ...] = (10, 20, 50)
    """Epochs of each task, in place of --epochs."""


def entries(config: LengthConfig) -> list[Entry]:
    """Every objective with every number of tasks and epochs."""
    conditions = unique_names(
        (condition(tasks, epochs), {"num_tasks": tasks, "epochs": epochs})
        for tasks in config.tasks
        for epochs in config.lengths
    )
    return grid(config, conditions, by_objective(config.objectives))


def condition(tasks: int, epochs: int) -> str:
    """The name of a condition.

    >>> condition(10, 1)
    '10 tasks of 1 epoch'
    """
    return f"{tasks} tasks of {epochs} epoch{'s' if epochs != 1 else ''}"


def tables(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """How leads over CE change with the number of epochs, and with that of tasks."""
    tasks, epochs = sorted(runs["num_tasks"].unique()), sorted(runs["epochs"].unique())
    longer = [(condition(count, epochs[-1]), condition(count, epochs[0])) for count in tasks if len(epochs) > 1]
    more = [(condition(tasks[-1], length), condition(tasks[0], length)) for length in epochs if len(tasks) > 1]
    contenders = list(runs["contender"].unique())
    return changes_table("longer", runs, longer, contenders) | changes_table("more_tasks", runs, more, contenders)


def figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """A_T, and the lead over CE, against the number of epochs; a panel for each number of tasks."""
    panels = runs["num_tasks"].astype(str) + " tasks"
    lead = plot_data(minus_baseline(runs, "ce"), runs["epochs"], panels)
    return {
        "accuracy_against_epochs": plot_lines(
            plot_data(runs, runs["epochs"], panels), ("epochs", "A_T, %"), logarithmic=True
        ),
        "lead_against_epochs": plot_lines(
            lead, ("epochs", "A_T less that of CE, points"), logarithmic=True, note=PAIRED
        ),
        "differences": differences(runs, "ce"),
    }


LENGTH = Study(
    name="length",
    title="Number of tasks and of epochs",
    question="Does the order of the objectives depend on how many tasks there are, and how long each is trained?",
    published="5, 10 and 20 tasks of 50 epochs on Split-ImageNet-R; the gain of aEPG falls with the number of tasks",
    config=LengthConfig(),
    entries=entries,
    figures=figures,
    tables=tables,
    explanations=dict.fromkeys(("longer", "more_tasks"), EXPLANATION),
)
