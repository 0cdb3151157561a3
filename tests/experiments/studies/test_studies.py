from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.__main__ import main
from experiments.config.settings import RunConfig
from experiments.config.validation import check
from experiments.reports.captions import caption_of
from experiments.reports.figures import FORMATS, output_entropy, save_figures
from experiments.studies import STUDIES
from experiments.studies.annealing import fixed_alpha
from experiments.studies.beyond_aepg import CONTENDERS, FINALISTS, AttemptsConfig, attempts
from experiments.studies.blocks_and_rank import depth, placement
from experiments.studies.figures import minus_baseline
from experiments.studies.learning_rate import RatesConfig, compared, entries
from experiments.studies.line_figures import plot_lines
from experiments.studies.study import StudyConfig, by_noise, with_settings
from experiments.studies.tuning import chosen_rates, rates_table, tuned_entries

pytestmark = pytest.mark.long

WRITTEN = {"report.html", "runs.csv", "statistics.csv", "summary.csv", "table.md", "table.tex"}
METRICS = {
    **{"final_accuracy": 0.6, "average_accuracy": 0.7, "forgetting": 0.1, "test_entropy": 1.0},
    **{"train_accuracy_clean": 0.9, "train_accuracy_flipped": 0.4, "train_recovered": 0.3, "validation_accuracy": 0.5},
}


def drawn(*figures: str) -> set[str]:
    """The files of some figures."""
    return {f"{name}.{kind}" for name in figures for kind in FORMATS}


@pytest.fixture
def small(image_zip: Path) -> list[str]:
    settings = [
        "--num-tasks",
        "2",
        "--epochs",
        "1",
        "--batch-size",
        "8",
        "--device",
        "cpu",
        "--workers",
        "0",
        "--seeds",
        "0",
        "1",
    ]
    return ["--dataset", "folder", "--root", str(image_zip), *settings]


@pytest.mark.parametrize("study", STUDIES.values(), ids=lambda study: study.name)
def test_default_runs_are_possible_and_different(study: object) -> None:
    entries = study.entries(study.config)
    for entry in entries:
        check(entry.config)
    assert len({entry.config.name for entry in entries}) == len(entries)
    assert len({(entry.condition, entry.contender, entry.config.seed) for entry in entries}) == len(entries)
    assert study.baseline in {entry.contender for entry in entries}
    assert study.question.endswith("?") and study.published


DRAWN_FROM_LOGS = ("entropy", "from-scratch")


@pytest.mark.parametrize("name", [name for name in STUDIES if name not in DRAWN_FROM_LOGS])
@pytest.mark.parametrize("alone", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_figures_are_drawn_of_every_run_and_of_the_baseline_alone(name: str, alone: bool, tmp_path: Path) -> None:
    study = STUDIES[name]
    entries = study.entries(replace(study.config, seeds=(0, 1)))
    entries = [entry for entry in entries if not alone or entry.contender == study.baseline]
    random = np.random.default_rng(0)
    runs = pd.DataFrame(
        [
            {"condition": entry.condition, "contender": entry.contender, "seed": entry.config.seed}
            | {name: value + random.normal(scale=0.02) for name, value in METRICS.items()}
            for entry in entries
        ]
    )
    figures = study.figures(with_settings(runs, entries))
    for figure in (figures[name] for name in figures if name.startswith(("differences", "gain_"))):
        assert "paired by seed; their intervals are not corrected" in caption_of(figure)
    files = save_figures(figures, tmp_path, study.config.data_name)
    with_data = [figure for figure in figures.values() if any(axes.has_data() for axes in figure.axes)]
    assert with_data and (alone or len(with_data) == len(figures))
    assert len(files) == 2 * len(with_data) and all(file.stat().st_size > 5000 for file in files)
    for figure in with_data:
        assert caption_of(figure).startswith(f"Dataset: {study.config.data_name}. ") and "seeds" in caption_of(figure)


def test_study_leaves_tables_and_figures_and_reuses_runs(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = ["--runs", str(tmp_path / "runs"), *small]
    assert main(["study", "entropy", "--objectives", "ce", "epg", *shared, "--out", str(tmp_path / "a")]) == 0
    assert {file.name for file in (tmp_path / "a").iterdir()} == WRITTEN | drawn("output_entropy", "differences")
    page = (tmp_path / "a" / "table.md").read_text()
    assert "Published:" in page and page.count("| 0% label noise") == 2 and "Made by `cls-env" in page
    assert "4 runs, mean ± standard deviation over 2 seeds" in capsys.readouterr().out
    written = {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").rglob("*")}
    arguments = ["study", "objectives-by-module", "--objectives", "ce", "epg", "--modules", "lora", *shared]
    assert main([*arguments, "--out", str(tmp_path / "b")]) == 0
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").rglob("*")} == written
    first, second = (pd.read_csv(tmp_path / place / "runs.csv") for place in ("a", "b"))
    assert first["final_accuracy"].equals(second["final_accuracy"])


def test_rates_are_tuned_and_then_compared(small: list[str], tmp_path: Path) -> None:
    small += ["--objectives", "ce", "aepg", "--rates", "0.001", "0.01", "--tuning-seeds", "7", "--label-noise", "0"]
    places = ["--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
    assert main(["study", "learning-rate", *small, *places, "--tuning-fraction", "0.5"]) == 0
    out = tmp_path / "out"
    chosen = pd.read_csv(out / "chosen_rates.csv")
    assert set(chosen["condition"]) == {"0% label noise"}
    assert chosen["objective"].tolist() == ["ce", "aepg", "ce, early stopping", "ce, 10 epochs"]
    assert "tried" in chosen.loc[0, "chosen rate"]
    assert {file.name for file in out.iterdir()} == WRITTEN | {
        *("chosen_rates.csv", "chosen_rates.md", "chosen_rates.tex"),
        *("at-chosen-rates", *drawn("accuracy_against_rate")),
    }
    assert {file.name for file in (out / "at-chosen-rates").iterdir()} == WRITTEN | drawn("differences")
    assert len(pd.read_csv(out / "runs.csv")) == 8 and len(pd.read_csv(out / "at-chosen-rates" / "runs.csv")) == 8


@pytest.mark.slow
def test_attempts_lead_to_finalists_with_tables_that_fit_the_terminal(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small += ["--attempts", "aepg", "epg", "--finalists", "aepg", "--fresh-seeds", "10", "--label-noise", "0"]
    out = tmp_path / "out"
    assert main(["study", "beyond-aepg", *small, "--out", str(out), "--runs", str(tmp_path / "runs")]) == 0
    pictures = drawn("differences", "final_accuracies")
    more = {"against_epg.md", "against_epg.tex", "against_epg.csv", "fresh-seeds"}
    assert {file.name for file in out.iterdir()} == WRITTEN | pictures | more
    assert {file.name for file in (out / "fresh-seeds").iterdir()} == WRITTEN | pictures
    page = (out / "against_epg.md").read_text()
    assert "not corrected for the number of comparisons. Made by" in page  # neither p nor a mean's interval to explain
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("contender ")]
    assert len(heads) == 3 and "vs EPG [95 %]" in heads[1]


@pytest.fixture
def tuning() -> pd.DataFrame:
    accuracies = {
        (0.0, "ce"): {1e-3: (0.5, 0.6), 2e-3: (0.7, 0.5), 4e-3: (0.9, 0.2)},  # means 0.55, 0.60, 0.55
        (0.0, "epg"): {1e-3: (0.4, 0.4), 2e-3: (0.4, 0.4), 4e-3: (0.1, 0.2)},  # the first two are equal
        (0.2, "ce"): {1e-3: (0.3, 0.3), 2e-3: (0.2, 0.2), 4e-3: (0.1, 0.1)},
        (0.2, "epg"): {1e-3: (0.3, 0.3), 2e-3: (0.3, 0.2), 4e-3: (0.1, 0.9)},
    }
    rows = [
        {
            "condition": f"{100 * noise:g}% label noise, rate {rate:g}",
            "contender": contender,
            "label_noise": noise,
            "noise_matrix": None,
            "learning_rate": rate,
            "validation_accuracy": value,
            "validation_accuracy_clean": 1 - value,
        }
        for (noise, contender), rates in accuracies.items()
        for rate, values in reversed(rates.items())
        for value in values
    ]
    return pd.DataFrame(rows)


def test_rate_of_the_best_mean_validation_accuracy_is_chosen(tuning: pd.DataFrame) -> None:
    found = chosen_rates(tuning).set_index(["condition", "contender"])["learning_rate"].to_dict()
    clean, noisy = "0% label noise", "20% label noise"
    assert found == {(clean, "ce"): 2e-3, (clean, "epg"): 1e-3, (noisy, "ce"): 1e-3, (noisy, "epg"): 4e-3}
    assert rates_table(tuning)["chosen rate"].tolist() == [
        *("0.002", "0.001 (smallest tried)", "0.001 (smallest tried)", "0.004 (largest tried)")
    ]
    assert rates_table(tuning)["true labels would choose"].tolist() == [
        *("0.001 (smallest tried)", "0.004 (largest tried)", "0.004 (largest tried)", "0.002")
    ]
    without_noise = rates_table(tuning[tuning["label_noise"] == 0])
    assert "true labels would choose" not in without_noise and len(without_noise) == 2


def test_comparison_trains_on_all_images_at_the_chosen_rates(tuning: pd.DataFrame) -> None:
    config = RatesConfig(objectives=("ce", "epg"), stopped=(), fewer_epochs=(), rates=(1e-3, 2e-3, 4e-3), seeds=(0,))
    noises = by_noise(config, config.label_noise)
    verdict = tuned_entries(config, noises, compared(config), chosen_rates(tuning))
    assert [(entry.condition, entry.contender, entry.config.learning_rate) for entry in verdict] == [
        *(("0% label noise", "ce", 2e-3), ("0% label noise", "epg", 1e-3)),
        *(("20% label noise", "ce", 1e-3), ("20% label noise", "epg", 4e-3)),
    ]
    assert {entry.config.validation_fraction for entry in verdict} == {0.0}
    budget = entries(config)
    assert {entry.config.seed for entry in budget} == {100, 101}
    assert {entry.config.validation_fraction for entry in budget} == {0.2}
    assert len(budget) == 2 * 2 * 3 * 2


def test_early_stopping_is_a_contender_that_holds_images_out() -> None:
    config = RatesConfig(objectives=("ce",), rates=(1e-3,), seeds=(0,), label_noise=(0.2,))
    named = ["ce", "ce, early stopping", "ce, 10 epochs"]
    chosen = pd.DataFrame({"condition": "20% label noise", "contender": named, "learning_rate": [1e-3, 2e-3, 5e-3]})
    noises = by_noise(config, config.label_noise)
    plain, stopped, shorter = (each.config for each in tuned_entries(config, noises, compared(config), chosen))
    assert (shorter.epochs, shorter.learning_rate, shorter.validation_fraction) == (10, 5e-3, 0.0)
    assert (plain.early_stopping, plain.validation_fraction, plain.learning_rate) == (False, 0.0, 1e-3)
    assert (stopped.early_stopping, stopped.validation_fraction, stopped.learning_rate) == (True, 0.2, 2e-3)
    assert [entry.config.early_stopping for entry in entries(config)] == [False, True, False] * 2


def test_contender_may_change_settings_beside_its_objective() -> None:
    (entry,) = attempts(AttemptsConfig(attempts=("aepg b2 0.99",), label_noise=(0.0,), seeds=(3,)))
    assert entry.config == RunConfig(objective="aepg", adam_betas=(0.9, 0.99), seed=3)
    assert set(FINALISTS) <= set(CONTENDERS) and max(map(len, CONTENDERS)) <= 14


def test_finalists_run_on_seeds_that_chose_nothing() -> None:
    study = STUDIES["beyond-aepg"]
    second = study.follow_up(study.config, pd.DataFrame())
    entries = second.entries(study.config)
    assert {entry.contender for entry in entries} == set(FINALISTS)
    assert {entry.config.seed for entry in entries} == set(range(10, 20))


def test_placements() -> None:
    assert depth(StudyConfig()) == 6 and depth(StudyConfig(model="vit_base_patch16_224.augreg_in21k")) == 12
    assert placement((2,)) == "blocks 2" and placement((1, 2)) == "blocks 1-2"
    assert [fixed_alpha(name) for name in ("epg", "alpha:alpha=0.7", "aepg-linear")] == [0.0, 0.7, None]


def test_legend_of_many_contenders_stays_within_the_figure(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    log = pd.DataFrame({"train/task": 0, "train/progress": [0.0, 1.0], "train/entropy": [2.3, 1.0]})
    log.to_csv(tmp_path / "steps" / "progress_task0.csv", index=False)
    contenders = [f"reinforce:samples={count}" for count in range(1, 13)]
    runs = pd.DataFrame({"condition": "0% label noise", "contender": contenders, "seed": 0, "folder": str(tmp_path)})
    figure = output_entropy(runs)
    figure.savefig(io.BytesIO())
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1


def test_gains_are_taken_within_condition_and_seed() -> None:
    rows = [("a", "ce", 0, 0.5), ("a", "ce", 1, 0.6), ("b", "ce", 0, 0.1), ("b", "epg", 0, 0.3), ("a", "epg", 1, 0.9)]
    runs = pd.DataFrame(rows, columns=["condition", "contender", "seed", "final_accuracy"])
    gained = minus_baseline(runs, "ce")
    assert gained["final_accuracy"].tolist() == pytest.approx([0, 0, 0, 0.2, 0.3])
    assert gained["contender"].equals(runs["contender"])  # so that the baseline keeps its colour, in every figure


def test_star_marks_the_highest_mean() -> None:
    drawn = pd.DataFrame({"x": [1.0, 2.0, 4.0] * 2, "panel": "p", "contender": "ce", "value": [1, 5, 2, 1, 3, 4]})
    axes = plot_lines(drawn, ("x", "y"), starred=True).axes[0]
    (star,) = [line for line in axes.lines if line.get_marker() == "*"]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (2.0, 4.0)


QUICK = ("entropy", "methods")
"""Studies whose plans are made in the suite; those of the others are made by `make slow`."""


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in STUDIES]
)
def test_dry_run_writes_nothing(
    name: str, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    few = ["--tasks", "2", "--methods", "sequential", "inflora", "ncm"]
    shapes = {"objectives-by-module": ["--modules", "lora"], "blocks-and-rank": ["--ranks", "1"]}
    shapes |= {"methods": few, "methods-under-noise": few, "length": ["--tasks", "2", "--lengths", "1"]}
    shapes |= {"full-length": ["--tasks", "2"]}
    assert main(["study", name, *small, *shapes.get(name, []), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "published:" in printed and "time on this machine" in printed
    assert list(tmp_path.iterdir()) == []


def test_studies_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in STUDIES) and "150 runs" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["anealing"], "unknown study 'anealing'; did you mean 'annealing'"),
        (["entropy", "--objectives", "epg"], "differences are taken to 'ce': name it too, in addition to epg"),
        (["entropy", "--seeds"], "nothing to compare"),
        (["learning-rate", "--seeds", "100"], "seed 100 is to tune and to compare"),
        (["learning-rate", "--tuning-fraction", "0"], "tuning_fraction is a share of the training images"),
        (["beyond-aepg", "--attempts", "apg"], "unknown contender 'apg'; did you mean"),
        (["beyond-aepg", "--seeds", "10"], "seed 10 is not fresh"),
        (["beyond-aepg", "--finalists", "apg"], "unknown contender 'apg'; did you mean"),
        (["beyond-aepg", "--finalists", "ce"], "differences are taken to 'aepg': name it too, in addition to ce"),
        (["beyond-aepg", "--fresh-seeds"], "nothing to compare"),
        (["learning-rate", "--seeds"], "nothing to compare"),
        (["label-noise", "--label-noise", "0", "2", "--dry-run"], "label_noise must be in [0, 1)"),
        (["blocks-and-rank", "--model", "resnet18"], "resnet18 has no transformer blocks"),
        (["methods", "--methods", "sequential", "lea"], "unknown method 'lea'; did you mean 'lae'"),
        (
            ["methods", "--methods", "lae"],
            "differences are taken to 'sequential + ce': name it too, in addition to lae + ce",
        ),
    ],
)
def test_wrong_input_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study", *arguments]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and message in printed and len(printed.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
