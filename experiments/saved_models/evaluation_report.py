"""Tables, files and the figure of an evaluation."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.table import Table

from cls_env.command_line.printable import printable
from experiments.files import replace_file, write_json
from experiments.reports.captions import add_caption
from experiments.reports.figures import save_figures
from experiments.saved_models.evaluation import Evaluation

MOST_CONFUSIONS = 10
MOST_TICKS = 40
MOST_NUMBERS = 15
"""The most classes for which the figure names each class, and has a number in each cell."""


def evaluation_tables(evaluation: Evaluation) -> list[Table]:
    """The tables of the classes, the largest confusions, and the measures."""
    classes = _table("class", "images", "right", "accuracy")
    for name, images, right, accuracy in evaluation.per_class:
        classes.add_row(printable(name), f"{images:,}", f"{right:,}", f"{accuracy:.1%}")
    confusions = _table("true class", "predicted class", "images")
    for true, predicted, count in evaluation.confusions[:MOST_CONFUSIONS]:
        confusions.add_row(printable(true), printable(predicted), f"{count:,}")
    found = evaluation.measures
    measures = _table("measure", "value")
    measures.add_row("accuracy", f"{found['accuracy']:.1%}")
    measures.add_row("mean accuracy of the classes", f"{found['macro_accuracy']:.1%}")
    measures.add_row("expected calibration error", f"{found['ece']:.1%}")
    measures.add_row("negative log-likelihood", f"{found['nll']:.3f}")
    return [classes, *[confusions] * bool(confusions.row_count), measures]


def write_evaluation(evaluation: Evaluation, about: dict[str, Any], folder: Path) -> None:
    """Write metrics.json, per_class.csv, confusion.csv, confusion.png and confusion.pdf, each atomically.

    Args:
        evaluation: The evaluation.
        about: Further entries of metrics.json.
        folder: Where the files go.
    """
    write_json(folder / "metrics.json", about | evaluation.measures)
    _write_csv(folder / "per_class.csv", ("class", "images", "right", "accuracy"), evaluation.per_class)
    names = evaluation.class_names
    rows = ((name, *counts) for name, counts in zip(names, evaluation.confusion.tolist(), strict=True))
    _write_csv(folder / "confusion.csv", ("true \\ predicted", *names), rows)
    save_figures({"confusion": confusion_figure(evaluation)}, folder)


def confusion_figure(evaluation: Evaluation) -> Figure:
    """Shares of the images of each class (rows) by predicted class (columns)."""
    counts, count = evaluation.confusion, len(evaluation.class_names)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 3 + 0.3 * min(count, MOST_TICKS)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(shares, vmin=0, vmax=100, cmap="viridis")
    axes.set(xlabel="predicted class", ylabel="true class")
    if count <= MOST_TICKS:
        axes.set_xticks(range(count), evaluation.class_names, rotation=90)
        axes.set_yticks(range(count), evaluation.class_names)
    if count <= MOST_NUMBERS:
        for (row, column), images in np.ndenumerate(counts):
            colour = "white" if shares[row, column] < 60 else "black"
            axes.text(column, row, f"{images:,}", ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(shown, ax=axes, label="share of the class, %", shrink=0.7)
    add_caption(figure, f"Share of the images of each class by predicted class. {counts.sum():,} images.")
    return figure


def _table(*columns: str) -> Table:
    """A table whose last columns are numbers."""
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for column in columns:
        words = column.endswith("class") or column == "measure"
        table.add_column(column, no_wrap=True, justify="left" if words else "right")
    return table


def _write_csv(path: Path, heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    def write(aside: Path) -> None:
        with aside.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(heading)
            writer.writerows(rows)

    replace_file(path, write)
