"""Figures say what they show, are written for reading and for papers, and nothing in them overlaps."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from experiments.reports.captions import add_caption, caption_of, means_of, seed_count, seeds_of
from experiments.reports.colors import LOOKS
from experiments.reports.figures import accuracy_curves, final_accuracies, save_figures
from experiments.rl.figures import against_cost, during_learning, entropies, forgetting_bars
from experiments.studies.figures import differences, heat_map
from experiments.studies.line_figures import plot_lines
from experiments.studies.method_figures import accuracy_against_cost, gain_over

pytestmark = pytest.mark.long

METHODS = ("sequential", "lae", "inflora", "ncm", "frozen")
ALGORITHMS = ("epg", "ce", "reinforce", "ppo", "dqn", "linucb")


def _runs(contenders: tuple[str, ...], seeds: int = 3, tasks: int = 30) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {"condition": condition, "contender": contender, "seed": seed}
            | {"accuracy_curve": np.linspace(0.9, random.uniform(0.5, 0.8), tasks).tolist()}
            | {name: random.uniform(0.5, 0.9) for name in ("final_accuracy", "forgetting", "mean_regret")}
            for condition in ("0% label noise", "20% label noise")
            for contender in contenders
            for seed in range(seeds)
        ]
    )


def _of_methods() -> pd.DataFrame:
    runs = _runs(tuple(f"{method} + {name}" for method in METHODS for name in ("ce", "aepg")))
    parts = runs["contender"].str.partition(" + ")
    random = np.random.default_rng(1)
    costs = {name: random.uniform(*ends, len(runs)) for name, ends in
             {"trainable_parameters": (6e3, 7e4), "state_bytes": (2e4, 9e6), "seconds": (5, 60)}.items()}  # fmt: skip
    costs["trainable_parameters"][parts[0] == "ncm"] = 0
    runs = runs.assign(method_name=parts[0], objective_name=parts[2], **costs)
    runs.loc[parts[0] == "frozen", "final_accuracy"] = 0.02
    return runs


def _curves() -> dict[str, dict[str, np.ndarray]]:
    random = np.random.default_rng(2)
    steps = np.tile(np.arange(800, 20_001, 800), (3, 1))
    return {
        name: {"env_steps": steps, "task": (steps - 1) // 4000}
        | {measure: random.uniform(0, 1, steps.shape) for measure in ("accuracy", "regret", "entropy", "task_entropy")}
        for name in ALGORITHMS
    }


def _lines() -> pd.DataFrame:
    grid = itertools.product([1.25e-4, 2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3], "abc", ("ce", "epg", "gce:q=0.7"), (60, 70))
    return pd.DataFrame(grid, columns=["x", "panel", "contender", "value"])


def _of_algorithms() -> pd.DataFrame:
    runs = _runs(ALGORITHMS)
    runs = runs[runs["condition"] == "0% label noise"]
    steps = runs["contender"].map(dict.fromkeys(ALGORITHMS, 625) | {"ppo": 2500, "linucb": 0})
    return runs.assign(gradient_steps=steps, training_seconds=28.0 + runs["contender"].map(len) ** 3)


FIGURES = {
    "accuracy_curves": lambda: accuracy_curves(_runs(("ce", "epg", "aepg", "reinforce:samples=1"))),
    "final_accuracies": lambda: final_accuracies(_runs(("sequential", "joint"))),
    "differences": lambda: differences(_runs(("ce", "epg", "aepg", "sce")), "ce"),
    "heat_map": lambda: heat_map(_runs(("ce", "epg", "aepg", "sce"))),
    "plot_lines": lambda: plot_lines(_lines(), ("rate", "A_T, %"), logarithmic=True),
    "others_in_gray": lambda: plot_lines(_lines().query("x == 5e-4"), ("tasks", "A_T, %"), others_in_gray=True),
    "accuracy_against_cost": lambda: accuracy_against_cost(_of_methods()),
    "gain_over": lambda: gain_over(_of_methods(), "ce"),
    "against_cost": lambda: against_cost(_of_algorithms()),
    "forgetting_bars": lambda: forgetting_bars(_of_algorithms()),
    "accuracy_during_learning": lambda: during_learning(_curves(), "accuracy", "accuracy, %", 100),
    "entropies": lambda: entropies(_curves()),
}


@pytest.fixture(scope="module", params=FIGURES)
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Figure:
    """A figure after it was saved, so that its layout is that of the file."""
    figure: Figure = FIGURES[request.param]()
    save_figures({"figure": figure}, tmp_path_factory.mktemp("figures"), "glyphs")
    return figure


def test_captions_say_dataset_and_seeds(drawn: Figure) -> None:
    caption = caption_of(drawn)
    assert caption.startswith("Dataset: glyphs. ") and (" 3 seeds" in caption or " 2 seeds" in caption)
    if any(axes.collections for axes in drawn.axes if axes.get_label() != "<colorbar>"):
        assert "95 % confidence intervals" in caption


def test_tick_labels_do_not_overlap(drawn: Figure) -> None:
    drawn.canvas.draw()
    for axes in drawn.axes:
        for axis in (axes.xaxis, axes.yaxis):
            boxes = [label.get_window_extent() for label in _shown(axis)]
            assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2)), axes.get_title()


def test_caption_and_legends_cover_nothing(drawn: Figure) -> None:
    drawn.canvas.draw()
    (caption,) = [text for text in drawn.texts if text.get_gid() == "caption"]
    below = caption.get_window_extent()
    legends = [legend.get_window_extent() for legend in drawn.legends]
    panels = [axes.get_tightbbox() for axes in drawn.axes if axes.get_visible() and axes.axison]
    assert not any(below.overlaps(box) for box in (*legends, *panels))
    assert not any(legend.overlaps(panel) for legend in legends for panel in panels)


def _shown(axis: Axis) -> list:
    low, high = sorted(axis.get_view_interval())
    ticks = axis.get_major_ticks()
    return [
        label
        for tick in ticks
        for label in (tick.label1, tick.label2)
        if label.get_visible() and label.get_text() and low <= tick.get_loc() <= high
    ]


def test_contenders_have_their_colors_in_every_figure() -> None:
    curves = accuracy_curves(_runs(("aepg", "mine", "ce"))).axes[0]
    assert [line.get_color() for line in curves.lines[:3:2]] == [LOOKS["aepg"].color, LOOKS["ce"].color]
    lines = plot_lines(_lines(), ("x", "y")).axes[0]
    assert [line.get_color() for line in lines.lines] == [LOOKS[name].color for name in ("ce", "epg", "gce")]


def test_bands_of_curves_are_confidence_intervals() -> None:
    runs = pd.DataFrame({"condition": "c", "contender": "ce", "seed": [0, 1, 2], "final_accuracy": 0.5})
    runs["accuracy_curve"] = [[0.02], [0.03], [0.04]]
    (band,) = accuracy_curves(runs).axes[0].collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((0.516, 5.484), abs=1e-3)  # 3 ± 4.303 / sqrt(3)


def test_figures_are_written_for_reading_and_for_papers(tmp_path: Path) -> None:
    for place in ("a", "b"):
        figures = {"curves": accuracy_curves(_runs(("ce", "epg"))), "blank": Figure()}
        files = save_figures(figures, tmp_path / place, "glyphs")
        assert [file.name for file in files] == ["curves.png", "curves.pdf"]
        assert {file.name for file in (tmp_path / place).iterdir()} == {"curves.png", "curves.pdf"}
    for name in ("curves.png", "curves.pdf"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    pdf = (tmp_path / "a" / "curves.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and b"/CIDFontType2" in pdf and b"/Type3" not in pdf and b"CreationDate" not in pdf


def test_captions_are_extended_and_wrapped() -> None:
    figure = Figure(figsize=(3, 2))
    add_caption(figure, "One sentence that is much longer than the figure is wide, so that it is broken.", "")
    add_caption(figure, "Another.")
    (text,) = figure.texts
    assert caption_of(figure).endswith("it is broken. Another.") and "\n" in text.get_text()
    assert text.get_window_extent().width <= figure.bbox.width


def test_seeds_in_words() -> None:
    runs = pd.DataFrame({"condition": "c", "contender": ["ce", "ce", "epg"], "seed": [0, 1, 0]})
    assert seeds_of(runs) == "1 to 2 seeds" and seeds_of(runs[:2]) == "2 seeds"
    assert means_of(seed_count([1])) == "One seed."
