"""Figures of the comparison, drawn from the run folders and tables alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from experiments.reports.axes import cost_axis, legend_outside, short_number
from experiments.reports.captions import add_caption, means_of, seed_count, seeds_of
from experiments.reports.colors import BACKGROUND, Look, looks
from experiments.reports.display_names import display_name
from experiments.reports.figures import accuracy_matrices
from experiments.reports.statistics import mean_interval
from experiments.rl.algorithms import find_algorithm
from experiments.rl.curve import read_curve
from experiments.rl.variance import VARIANCES
from experiments.runs.run_folder import RunFolder

MEASURES = {
    "final_accuracy": ("final accuracy A_T, %", 100),
    "mean_regret": ("regret, % of images", 100),
    "gradient_steps": ("gradient steps", 1),
    "training_seconds": ("seconds of learning", 1),
}
"""Columns of `runs.csv` that are shown beside one another: their titles and factors. The last two are costs."""
STEPS = "images"
GROUPS = {
    ("full", True): "full feedback, policies",
    ("full", False): "full feedback, predicted rewards",
    ("bandit", True): "bandit feedback, policies",
    ("bandit", False): "bandit feedback, predicted rewards",
}
"""Kinds of algorithms by their feedback and whether they output a policy: the rows of figures."""
Curves = dict[str, dict[str, NDArray[np.float64]]]


def algorithm_figures(runs: pd.DataFrame, variance: pd.DataFrame) -> dict[str, Figure]:
    """All figures, by name.

    Args:
        runs: One row a run, as `run_all` returns them.
        variance: As `gradient_variance` returns it, of all seeds.
    """
    curves = read_curves(runs)
    return {
        "accuracy_against_cost": against_cost(runs),
        "accuracy_during_learning": during_learning(curves, "accuracy", "accuracy on tasks so far, %", 100),
        "regret_during_learning": during_learning(curves, "regret", "cumulative regret", 1),
        "entropy": entropies(curves),
        "forgetting": forgetting_bars(runs),
        "gradient_variance": variance_of_gradients(variance),
        "accuracy_matrices": accuracy_matrices(runs),
    }


def group_of(algorithm: str) -> str:
    """The kind of an algorithm, a value of `GROUPS`."""
    known, _ = find_algorithm(algorithm)
    return GROUPS[known.feedback, known.outputs_policy]


def read_curves(runs: pd.DataFrame) -> Curves:
    """For each algorithm, the columns of its curves: a row a seed, a column a test."""
    curves: Curves = {}
    for algorithm, group in runs.groupby("contender", sort=False):
        tables = [read_curve(RunFolder(Path(folder))) for folder in group["folder"]]
        curves[str(algorithm)] = {str(name): np.stack([table[name] for table in tables]) for name in tables[0]}
    return curves


def by_group(algorithms: Iterable[str]) -> dict[str, list[str]]:
    """The algorithms of each kind, in the order of `GROUPS`; kinds without any are left out."""
    groups: dict[str, list[str]] = {group: [] for group in GROUPS.values()}
    for name in algorithms:
        groups[group_of(name)].append(name)
    return {group: names for group, names in groups.items() if names}


def against_cost(runs: pd.DataFrame) -> Figure:
    """Accuracy, regret, gradient steps and wall time, a row for each algorithm: means with 95 % intervals.

    Args:
        runs: One row a run: contender, seed and the columns of `MEASURES`.
    """
    look, groups = looks(runs["contender"]), by_group(runs["contender"].unique())
    names = [name for members in groups.values() for name in members]
    figure = Figure(figsize=(12, 1 + 0.34 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(MEASURES), sharey=True)
    for axes, (measure, (title, factor)) in zip(panels, MEASURES.items(), strict=True):
        for row, name in enumerate(names):
            found = mean_interval(factor * runs.loc[runs["contender"] == name, measure])
            reach = np.nan_to_num([[found.mean - found.low], [found.high - found.mean]])
            axes.errorbar([found.mean], [row], xerr=reach, fmt="o", color=look[name].color, capsize=2)
        if factor == 1:
            cost_axis(axes, runs.groupby("contender")[measure].mean().tolist())
        for end in np.cumsum([len(members) for members in groups.values()])[:-1]:
            axes.axhline(end - 0.5, color="#999999", linewidth=0.8)
        axes.set(xlabel=title)
        axes.grid(alpha=0.25)
    panels[0].set_yticks(range(len(names)), [display_name(name) for name in names])
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    kinds = "; ".join(groups)
    add_caption(figure, means_of(seeds_of(runs), "Bars"), f"From top to bottom: {kinds}.")
    return figure


def during_learning(curves: Curves, measure: str, title: str, factor: float) -> Figure:
    """A measure against images learned from: a panel for each algorithm, the others in gray, a row for each kind.

    Args:
        curves: Of `read_curves`.
        measure: A column of the curves.
        title: Of the vertical axes.
        factor: By which the measure is multiplied.
    """
    rows = by_group(curves)
    columns = max(map(len, rows.values()))
    figure = Figure(figsize=(max(6.4, 2.6 * columns), 0.6 + 2.3 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, sharex=True, sharey=True, squeeze=False)
    for row, (group, names) in zip(grid, rows.items(), strict=True):
        for axes, name in zip(row, names, strict=False):
            _panel(axes, curves, name, measure, factor)
            axes.tick_params(labelbottom=True)
        for axes in row[len(names) :]:
            axes.set_visible(False)
        row[0].set_ylabel(f"{fill(group, 18)}\n{title}", fontsize=8)
    add_caption(figure, *_about(curves))
    return figure


def entropies(curves: Curves) -> Figure:
    """Entropy of policies on test images, within their task (above) and over all seen classes (below)."""
    policies = {name: columns for name, columns in curves.items() if find_algorithm(name)[0].outputs_policy}
    words = {"task_entropy": "among the task's classes", "entropy": "among all seen classes"}
    count = max(1, len(policies))
    figure = Figure(figsize=(max(6.4, 2.1 * count), 4.8), layout="constrained")
    grid = figure.subplots(2, count, sharex=True, sharey="row", squeeze=False)
    for row, (measure, title) in zip(grid, words.items(), strict=True):
        for axes, name in zip(row, policies, strict=False):
            _panel(axes, policies, name, measure, 1)
        row[0].set_ylabel(f"entropy, nats,\n{title}")
    add_caption(figure, *_about(policies))
    return figure


def _panel(axes: Axes, curves: Curves, name: str, measure: str, factor: float) -> None:
    """One algorithm in its color with its interval, and the means of the others in gray."""
    for other, columns in curves.items():
        if other != name:
            mean = factor * columns[measure].mean(axis=0)
            axes.plot(columns["env_steps"].mean(axis=0), mean, color=BACKGROUND, linewidth=0.8, zorder=0)
    columns = curves[name]
    _line(axes, columns["env_steps"].mean(axis=0), factor * columns[measure], looks(curves)[name])
    _mark_tasks(axes, columns)
    axes.set_title(display_name(name), fontsize=10)
    axes.set_xlabel(STEPS, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    axes.grid(alpha=0.25)


def _about(curves: Curves) -> tuple[str, ...]:
    seeds = seed_count([len(columns["env_steps"]) for columns in curves.values()])
    return means_of(seeds), "Gray: the means of the other algorithms. Vertical lines: a task ends."


def forgetting_bars(runs: pd.DataFrame) -> Figure:
    """Forgetting and accuracy of each algorithm: the mean as a bar, every seed as a dot."""
    names = list(runs["contender"].unique())
    figure = Figure(figsize=(10, 0.8 + 0.34 * len(names)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    look = looks(names)
    measures = {"final_accuracy": "final accuracy A_T, %", "forgetting": "forgetting, points"}
    for axes, (measure, words) in zip(panels, measures.items(), strict=True):
        for row, name in enumerate(names):
            values = 100 * runs.loc[runs["contender"] == name, measure].to_numpy()
            axes.barh(row, values.mean(), color=look[name].color, alpha=0.6)
            axes.plot(values, [row] * len(values), "k.", alpha=0.6)
        axes.set(xlabel=words)
        axes.grid(alpha=0.25, axis="x")
    panels[0].set_yticks(range(len(names)), [display_name(name) for name in names])
    panels[0].invert_yaxis()
    add_caption(figure, f"Bars: means over {seeds_of(runs)}. Dots: single seeds.")
    return figure


def variance_of_gradients(variance: pd.DataFrame) -> Figure:
    """Variance of the estimates of REINFORCE, against its number of samples, and EPG, at several points of a task."""
    moments = sorted(variance["moment"].unique())
    figure = Figure(figsize=(4.6 * len(moments), 4.6), layout="constrained")
    panels = figure.subplots(1, len(moments), squeeze=False)[0]
    look = looks(["reinforce", "reinforce-baseline", "epg"])
    words = {"total": "images and actions", "actions": "actions alone"}
    for axes, moment in zip(panels, moments, strict=True):
        here = variance[variance["moment"] == moment]
        for column, line in zip(VARIANCES, ("-", "--"), strict=True):
            counts, means, reach = _by_samples(here, column)
            style = {"color": look["reinforce"].color, "linestyle": line, "capsize": 3}
            label = f"REINFORCE, {words[column]}"
            axes.errorbar(counts, means, yerr=reach, marker="o", label=label, **style)
        axes.plot(counts, means[0] / counts, ":", color="#999999", label="the first point of the latter / n")
        baseline = here.loc[here["estimator"].str.endswith("baseline"), "actions"].mean()
        color = look["reinforce-baseline"].color
        axes.plot([1], [baseline], "D", color=color, label="REINFORCE-baseline, actions alone, n = 1")
        expected = here.loc[here["estimator"] == "EPG", "total"].mean()
        axes.axhline(expected, color=look["epg"].color, label="EPG (images alone)")
        axes.set(xscale="log", yscale="log", xlabel="actions sampled for each image, n")
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_xticks([], minor=True)
        axes.set_title(f"after {moment:.0%} of the task's steps")
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("variance of the gradient / |gradient|²")
    legend_outside(figure, *panels[0].get_legend_handles_labels())
    add_caption(figure, means_of(seed_count([variance["seed"].nunique()]), "Bars"))
    return figure


def _by_samples(rows: pd.DataFrame, column: str) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Numbers of samples, means over seeds, and the reach of the 95 % interval below and above."""
    plain = rows[rows["estimator"].str.fullmatch(r"REINFORCE, n = \d+")]
    counts = plain["estimator"].str.extract(r"(\d+)", expand=False).astype(int)
    found = {int(count): mean_interval(plain.loc[counts == count, column]) for count in sorted(counts.unique())}
    means = np.array([interval.mean for interval in found.values()])
    reach = np.array([[each.mean - each.low, each.high - each.mean] for each in found.values()]).T
    return np.array(list(found)), means, np.nan_to_num(reach)


def _line(axes: Axes, x: NDArray[Any], values: NDArray[Any], look: Look) -> None:
    intervals = [mean_interval(column) for column in values.T]
    marker = look.marker if len(x) == 1 else None  # a single point has no line
    axes.plot(x, values.mean(axis=0), color=look.color, linestyle=look.line, marker=marker)
    low, high = (np.array([getattr(each, end) for each in intervals]) for end in ("low", "high"))
    axes.fill_between(x, low, high, color=look.color, alpha=0.15, linewidth=0)


def _mark_tasks(axes: Axes, columns: dict[str, NDArray[np.float64]]) -> None:
    """A thin line where a task ends."""
    tasks, steps = columns["task"][0], columns["env_steps"].mean(axis=0)
    for place in np.flatnonzero(np.diff(tasks)):
        axes.axvline(steps[place], color="#bbbbbb", linewidth=0.7, zorder=0)
