"""Figures of the comparison, drawn from the run folders alone."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from experiments.files import reading
from experiments.reports.display_names import display_name
from experiments.reports.figures import INTERVALS, accuracy_matrices, styles
from experiments.reports.statistics import mean_interval
from experiments.rl.algorithms import find_algorithm
from experiments.rl.curve import CURVE, CurvePoint

COSTS = {
    "env_steps": "environment steps (images)",
    "gradient_steps": "gradient steps",
    "seconds": "seconds of learning",
}
Curves = dict[str, dict[str, NDArray[np.float64]]]


def algorithm_figures(runs: pd.DataFrame, variance: pd.DataFrame) -> dict[str, Figure]:
    """All figures, by name.

    Args:
        runs: One row a run, as `run_all` returns them.
        variance: As `gradient_variance` returns it, of all seeds.
    """
    curves = read_curves(runs)
    return {
        "accuracy_against_cost": against_cost(curves, "accuracy", "accuracy on all tasks so far, %", 100),
        "regret_against_cost": against_cost(curves, "regret", "cumulative regret", 1),
        "entropy": entropies(curves),
        "forgetting": forgetting_bars(runs),
        "gradient_variance": variance_of_gradients(variance),
        "accuracy_matrices": accuracy_matrices(runs),
    }


def read_curves(runs: pd.DataFrame) -> Curves:
    """For each algorithm, the columns of its curves: a row a seed, a column a test."""
    curves: Curves = {}
    for algorithm, group in runs.groupby("contender", sort=False):
        tables = [_read_curve(Path(folder)) for folder in group["folder"]]
        curves[str(algorithm)] = {str(name): np.stack([table[name] for table in tables]) for name in tables[0]}
    return curves


def _read_curve(folder: Path) -> pd.DataFrame:
    with reading(folder / CURVE, f"remove the folder {folder}, and the same command runs it anew"):
        curve = pd.read_csv(folder / CURVE)
        return curve[[field.name for field in fields(CurvePoint)]].astype(float)


def against_cost(curves: Curves, measure: str, title: str, factor: float) -> Figure:
    """A measure against environment steps, gradient steps and wall time: mean over seeds, its 95 % interval.

    Algorithms that learn a policy are in the upper row, those that predict rewards in the lower.
    """
    groups = [
        [name for name in curves if find_algorithm(name)[0].outputs_policy is policies] for policies in (True, False)
    ]
    groups = [names for names in groups if names]
    figure = Figure(figsize=(15, 4.2 * len(groups)), layout="constrained")
    look = styles(curves)
    grid = figure.subplots(len(groups), len(COSTS), sharex="col", sharey=True, squeeze=False)
    for row, names in zip(grid, groups, strict=True):
        for axes, cost in zip(row, COSTS, strict=True):
            for name in names:
                spent = curves[name][cost].mean(axis=0)
                if spent[-1] > 0:
                    _line(axes, spent, factor * curves[name][measure], look[name], display_name(name))
            axes.grid(alpha=0.25)
        _mark_tasks(row[0], curves)
        row[0].set_ylabel(title)
        row[2].legend(
            *row[0].get_legend_handles_labels(),
            loc="center left",
            bbox_to_anchor=(1.01, 0.5),
            frameon=False,
            title=INTERVALS,
        )
    for axes, words in zip(grid[-1], COSTS.values(), strict=True):
        axes.set_xlabel(words)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    return figure


def entropies(curves: Curves) -> Figure:
    """Entropy of policies on test images, within their task and over all seen classes."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    panels = figure.subplots(1, 2)
    look = styles(curves)
    words = {"task_entropy": "among the image's task's classes", "entropy": "among all seen classes"}
    for axes, (measure, title) in zip(panels, words.items(), strict=True):
        for algorithm, columns in curves.items():
            if find_algorithm(algorithm)[0].outputs_policy:
                _line(
                    axes, columns["env_steps"].mean(axis=0), columns[measure], look[algorithm], display_name(algorithm)
                )
        axes.set(xlabel=COSTS["env_steps"], ylabel="entropy, nats", title=title)
        axes.grid(alpha=0.25)
        if axes.has_data():
            _mark_tasks(axes, curves)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, title=INTERVALS
    )
    return figure


def forgetting_bars(runs: pd.DataFrame) -> Figure:
    """Forgetting and accuracy of each algorithm: the mean as a bar, every seed as a dot."""
    names = list(runs["contender"].unique())
    figure = Figure(figsize=(10, 0.8 + 0.34 * len(names)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    look = styles(names)
    measures = {"final_accuracy": "final accuracy A_T, %", "forgetting": "forgetting, points"}
    for axes, (measure, words) in zip(panels, measures.items(), strict=True):
        for row, name in enumerate(names):
            values = 100 * runs.loc[runs["contender"] == name, measure].to_numpy()
            axes.barh(row, values.mean(), color=look[name][0], alpha=0.6)
            axes.plot(values, [row] * len(values), "k.", alpha=0.6)
        axes.set(xlabel=words)
        axes.grid(alpha=0.25, axis="x")
    panels[0].set_yticks(range(len(names)), [display_name(name) for name in names])
    panels[0].invert_yaxis()
    return figure


def variance_of_gradients(variance: pd.DataFrame) -> Figure:
    """Variance of the estimates of REINFORCE, against its number of samples, and EPG, at several points of a task."""
    moments = sorted(variance["moment"].unique())
    figure = Figure(figsize=(4.6 * len(moments), 4.6), layout="constrained")
    panels = figure.subplots(1, len(moments), squeeze=False)[0]
    for axes, moment in zip(panels, moments, strict=True):
        here = variance[variance["moment"] == moment]
        for column, colour, words in (
            ("total", "#1b7fbd", "images and actions"),
            ("actions", "#d95f02", "actions alone"),
        ):
            counts, means, reach = _by_samples(here, column)
            axes.errorbar(counts, means, yerr=reach, fmt="o-", color=colour, capsize=3, label=f"REINFORCE, {words}")
            if column == "actions":
                axes.plot(counts, means[0] / counts, ":", color=colour, label="its first point / n")
        with_baseline = here.loc[here["estimator"].str.endswith("baseline"), "actions"].mean()
        axes.plot([1], [with_baseline], "D", color="#5aae61", label="actions alone, n = 1, with baseline")
        expected = here.loc[here["estimator"] == "EPG", "total"].mean()
        axes.axhline(expected, color="#4d4d4d", linestyle="--", label="EPG (images alone)")
        axes.set(xscale="log", yscale="log", xlabel="actions sampled for each image, n")
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_title(f"after {moment:.0%} of the task's steps")
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("variance of the gradient / |gradient|²")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, title=INTERVALS
    )
    return figure


def _by_samples(rows: pd.DataFrame, column: str) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Numbers of samples, means over seeds, and the reach of the 95 % interval below and above."""
    plain = rows[rows["estimator"].str.fullmatch(r"REINFORCE, n = \d+")]
    counts = plain["estimator"].str.extract(r"(\d+)", expand=False).astype(int)
    found = {int(count): mean_interval(plain.loc[counts == count, column]) for count in sorted(counts.unique())}
    means = np.array([interval.mean for interval in found.values()])
    reach = np.array([[each.mean - each.low, each.high - each.mean] for each in found.values()]).T
    return np.array(list(found)), means, np.nan_to_num(reach)


def _line(axes: Axes, x: NDArray[Any], values: NDArray[Any], look: tuple[str, str], label: str) -> None:
    colour, line = look
    intervals = [mean_interval(column) for column in values.T]
    marker = "o" if len(x) == 1 else None  # a single point has no line
    axes.plot(x, values.mean(axis=0), color=colour, linestyle=line, marker=marker, label=label)
    low, high = (np.array([getattr(each, end) for each in intervals]) for end in ("low", "high"))
    axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)


def _mark_tasks(axes: Axes, curves: Curves) -> None:
    """A thin line where a task ends."""
    columns = next(iter(curves.values()))
    tasks, steps = columns["task"][0], columns["env_steps"].mean(axis=0)
    for place in np.flatnonzero(np.diff(tasks)):
        axes.axvline(steps[place], color="#bbbbbb", linewidth=0.7, zorder=0)
