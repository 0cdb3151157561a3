"""The chosen settings as a table, and the trials as a figure."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from cls_env.specification import parse_specification
from experiments.reports.axes import legend_outside
from experiments.reports.captions import add_caption
from experiments.reports.colors import looks
from experiments.reports.display_names import display_name
from experiments.reports.numbers import rounded
from experiments.tuning.rounds import DIVERGED, FINISHED, STOPPED, chosen_points
from experiments.tuning.space import Space

EXPLANATION = (
    "Chosen: the settings with the highest mean validation accuracy over the tuning seeds, with a mark at a learning "
    "rate near an end of what was tried, since a better one may lie beyond. Validation: accuracy on held-out training "
    "images, whose labels are as noisy as the others; with true labels: the same, by their true labels."
)
EMPTY = "Empty: trials that were stopped early, with their accuracy on fewer tasks: their heights can't be compared."
NEAR = 1.02
"""A rate by less than this factor from an end of the range is marked."""


def chosen_table(trials: pd.DataFrame, spaces: list[Space]) -> pd.DataFrame:
    """A row for each condition and contender: the chosen settings, their accuracy, and how many trials there were.

    Args:
        trials: As `run_trials` returns them.
        spaces: The settings among which was chosen.
    """
    rows, ends = [], {space.contender: space.ranges[0] for space in spaces}
    for (condition, contender), point in chosen_points(trials).items():
        its = trials[(trials["condition"] == condition) & (trials["contender"] == contender)]
        settings = (its["objective"] == point.objective) & (its["learning_rate"] == point.learning_rate)
        best = its[settings & (its["state"] == FINISHED)].iloc[0]
        rate, low, high = point.learning_rate, ends[contender].low, ends[contender].high
        mark = " (lowest)" if rate < low * NEAR else " (highest)" if rate > high / NEAR else ""
        arguments = parse_specification(point.objective)[1]
        rows.append(
            {
                "condition": condition,
                "objective": contender,
                "learning rate": f"{rate:g}{mark}",
                "arguments": ", ".join(f"{name} {value}" for name, value in arguments.items()),
                "validation %": rounded(100 * best["validation_accuracy"]),
                "with true labels %": rounded(100 * best["validation_accuracy_clean"]),
                "trials": len(its),
                "stopped early": int((its["state"] == STOPPED).sum()),
                "diverged": int((its["state"] == DIVERGED).sum()),
                "tasks learned": int(its["tasks"].sum()),
            }
        )
    table = pd.DataFrame(rows)
    return table if table["arguments"].any() else table.drop(columns="arguments")


def trials_figure(trials: pd.DataFrame) -> Figure:
    """The validation accuracy of each trial against its learning rate; a panel for each condition.

    Args:
        trials: As `run_trials` returns them.
    """
    conditions, look = list(trials["condition"].unique()), looks(trials["contender"])
    figure = Figure(figsize=(max(6.4, 4.2 * len(conditions)), 4), layout=ConstrainedLayoutEngine(h_pad=0.08))
    panels = figure.subplots(1, len(conditions), squeeze=False, sharey=True).ravel()
    chosen = chosen_points(trials)
    for axes, condition in zip(panels, conditions, strict=True):
        here = trials[(trials["condition"] == condition) & (trials["state"] != DIVERGED)]
        for contender, rows in here.groupby("contender", sort=False):
            color, _, marker = look[str(contender)]
            ended = rows[rows["state"] == FINISHED]
            stopped = rows[rows["state"] == STOPPED]
            axes.plot(
                *_places(ended), marker, color=color, markersize=5, linestyle="", label=display_name(str(contender))
            )
            axes.plot(*_places(stopped), marker, color=color, markersize=5, linestyle="", markerfacecolor="none")
            point = chosen[condition, str(contender)]
            best = ended[
                (ended["learning_rate"] == point.learning_rate) & (ended["objective"] == point.objective)
            ].head(1)
            axes.plot(*_places(best), "*", color=color, markersize=13)
        axes.set(title=display_name(str(condition)), xlabel="learning rate", xscale="log")
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("validation accuracy, %")
    named = {label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    legend_outside(figure, named.values(), named.keys())
    stopped_early = EMPTY if _any(trials, STOPPED) else ""
    left_out = "Trials that diverged are left out." if _any(trials, DIVERGED) else ""
    add_caption(
        figure, "Each point: a trial, mean over the tuning seeds. Stars: the chosen ones.", stopped_early, left_out
    )
    return figure


def _places(rows: pd.DataFrame) -> tuple[pd.Series[float], pd.Series[float]]:
    return rows["learning_rate"], 100 * rows["validation_accuracy"]


def _any(trials: pd.DataFrame, state: str) -> bool:
    return bool((trials["state"] == state).any())
