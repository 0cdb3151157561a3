from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from experiments.reports.statistics import statistics_table
from experiments.reports.tables import label_of, latex, rich_tables, summary_table, with_tests, write_report


@pytest.fixture
def runs() -> pd.DataFrame:
    rows = [
        {"condition": "20% label noise", "contender": contender, "seed": seed, "folder": "f", "accuracy_curve": [0.1]}
        | {"final_accuracy": value + seed / 10, "average_accuracy": value, "forgetting": 0.1, "test_entropy": 1.0}
        | {"task_aware_accuracy": 0.9 + seed / 50, "ece": 0.2}
        for contender, value in (("ce", 0.5), ("reinforce:samples=1", 0.4))
        for seed in (0, 1)
    ]
    return pd.DataFrame(rows)


def test_latex_escapes_what_is_special_to_it() -> None:
    table = pd.DataFrame({"A_T %": ["70.0 ± 14.1", "5 % & #1"], "contender": ["my_loss", "a~b^{c}$"]})
    lines = latex(table).splitlines()
    assert lines[0] == r"\begin{tabular}{ll}" and lines[1] == r"\toprule"
    assert lines[2] == r"A\_T \% & contender \\"
    assert lines[4] == r"70.0 $\pm$ 14.1 & my\_loss \\"
    assert lines[5].startswith(r"5 \% \& \#1 & a\textasciitilde ") and r"\$" in lines[5]


def test_latex_typesets_signs_of_numbers_alone() -> None:
    line = latex(pd.DataFrame({"condition": ["blocks 0-4"], "vs ce": ["-0.4 [-0.9, +0.1]"], "p": ["<0.001"]}))
    assert r"blocks 0-4 & $-$0.4 [$-$0.9, +0.1] & $<$0.001 \\" in line


def test_small_numbers_are_told_as_what_they_are(runs: pd.DataFrame) -> None:
    nothing = pd.Series([0.5, 0.7, 0.5001, 0.6998], runs.index)
    assert summary_table(runs.assign(final_accuracy=nothing), "ce").iloc[1, -1].startswith("+0.0 [")
    clear = runs.assign(final_accuracy=[0.5, 0.7, 0.60001, 0.8])
    full = with_tests(summary_table(clear, "ce"), statistics_table(clear, "ce"), "final_accuracy")
    assert full["p"].tolist() == full["p (Holm)"].tolist() == ["", "<0.001"]


def test_report_writes_all_forms_of_the_table(runs: pd.DataFrame, tmp_path: Path) -> None:
    table = write_report(runs, "ce", tmp_path, "python -m experiments x", introduction="# Why")
    assert {file.name for file in tmp_path.iterdir()} == {
        *("runs.csv", "statistics.csv", "summary.csv", "table.md", "table.tex")
    }
    page = (tmp_path / "table.md").read_text()
    assert "| 95 % interval |" in page and "[-8.5, 118.5]" in page  # 55 ± 12.7 times a standard error of 5
    assert "below 8 seeds" in page and "paired t-test" in page and "| p | p (Holm) |" in page
    assert "confusion between tasks. ECE: expected calibration error." in page and "A_T images" not in page
    assert page.startswith("# Why\n\n| condition |") and page.endswith("Made by `python -m experiments x`.\n")
    assert pd.read_csv(tmp_path / "summary.csv", dtype=str, keep_default_na=False).equals(table)
    assert not {"folder", "accuracy_curve"} & set(pd.read_csv(tmp_path / "runs.csv").columns)
    numbers = pd.read_csv(tmp_path / "statistics.csv")
    assert list(numbers.columns) == [
        *("condition", "contender", "measure", "seeds", "mean", "std", "low", "high"),
        *("difference", "difference_low", "difference_high", "p", "p_holm"),
    ]
    assert (tmp_path / "table.tex").read_text().count(r"20\% label noise") == 2


def test_table_shows_the_measures_asked_for_and_differences_of_the_first(runs: pd.DataFrame) -> None:
    table = summary_table(runs.assign(final_accuracy=0.5), "ce", ("average_accuracy", "final_accuracy"))
    assert list(table.columns[3:5]) == ["avg. A %", "A_T %"]
    assert table.iloc[1, -1] == "-10.0"


def test_measure_that_no_run_has_is_left_empty(runs: pd.DataFrame) -> None:
    measures = ("final_accuracy", "train_recovered")
    for missing in (runs, runs.assign(train_recovered=float("nan")), runs.assign(train_recovered=None)):
        assert summary_table(missing, "ce", measures)["recovered %"].tolist() == ["", ""]


def test_accuracy_over_images_is_shown_where_tasks_differ_in_size(runs: pd.DataFrame) -> None:
    alike = runs.assign(final_accuracy_over_images=runs["final_accuracy"] + 1e-7)
    assert summary_table(alike, "ce").equals(summary_table(runs, "ce"))
    apart = runs.assign(final_accuracy_over_images=[0.6, 0.8, None, None])  # an older run has none
    table = summary_table(apart, "ce")
    assert table["A_T images %"].tolist() == ["70.0 ± 14.1", ""]
    assert list(table.columns)[3:6] == ["A_T %", "A_T images %", "avg. A %"]
    assert "A_T images %" not in summary_table(apart, "ce", ("forgetting",))


def test_terminal_shows_short_labels_within_100_columns(runs: pd.DataFrame) -> None:
    console = Console(width=100, record=True, force_terminal=False)
    console.print(*rich_tables(summary_table(runs, "ce")))
    printed = console.export_text()
    assert "reinforce 1 " in printed and "…" not in printed and "task named % ECE %" in printed
    assert max(map(len, printed.splitlines())) <= 100


def test_labels_drop_the_names_of_parameters_alone() -> None:
    assert label_of("alpha:alpha=0.5") == "alpha 0.5"
    assert label_of("frozen random") == "frozen random"
