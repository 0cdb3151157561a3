from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from experiments.reports.statistics import statistics_table
from experiments.reports.tables import rich_tables, summary_table, with_display_names, with_tests, write_report
from experiments.runs.measure import Measure
from experiments.runs.measures import MEASURES, columns, register_measure


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


def test_small_numbers_are_told_as_what_they_are(runs: pd.DataFrame) -> None:
    nothing = pd.Series([0.5, 0.7, 0.5001, 0.6998], runs.index)
    assert summary_table(runs.assign(final_accuracy=nothing), "ce").iloc[1, -1].startswith("+0.0 [")
    clear = runs.assign(final_accuracy=[0.5, 0.7, 0.60001, 0.8])
    full = with_tests(summary_table(clear, "ce"), statistics_table(clear, "ce"), MEASURES["final_accuracy"])
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
    typeset = (tmp_path / "table.tex").read_text()
    assert typeset.count(r"20\% label noise") == 2 and r"\caption{Why. 2 seeds. Mean $\pm$" in typeset
    assert "| A_T % ↑ | 95 % interval | avg. A % ↑ | forgetting ↓ |" in page and "| entropy |" in page


def test_table_shows_the_measures_asked_for_and_differences_of_the_first(runs: pd.DataFrame) -> None:
    table = summary_table(runs.assign(final_accuracy=0.5), "ce", columns("average_accuracy", "final_accuracy"))
    assert list(table.columns[3:5]) == ["avg. A %", "A_T %"]
    assert table.iloc[1, -1] == "-10.0"


def test_measure_that_no_run_has_is_left_empty(runs: pd.DataFrame) -> None:
    measures = columns("final_accuracy", "train_recovered")
    for missing in (runs, runs.assign(train_recovered=float("nan")), runs.assign(train_recovered=None)):
        assert summary_table(missing, "ce", measures)["recovered %"].tolist() == ["", ""]


def test_accuracy_over_images_is_shown_where_tasks_differ_in_size(runs: pd.DataFrame) -> None:
    alike = runs.assign(final_accuracy_over_images=runs["final_accuracy"] + 1e-7)
    assert summary_table(alike, "ce").equals(summary_table(runs, "ce"))
    apart = runs.assign(final_accuracy_over_images=[0.6, 0.8, None, None])  # an older run has none
    table = summary_table(apart, "ce")
    assert table["A_T images %"].tolist() == ["70.0 ± 14.1", ""]
    assert list(table.columns)[3:6] == ["A_T %", "A_T images %", "avg. A %"]
    assert "A_T images %" not in summary_table(apart, "ce", columns("forgetting"))


def test_terminal_shows_short_labels_within_100_columns(runs: pd.DataFrame) -> None:
    console = Console(width=100, record=True, force_terminal=False)
    console.print(*rich_tables(summary_table(runs, "ce")))
    printed = console.export_text()
    assert (
        "REINFORCE 1 " in printed
        and "vs CE [95 %]" in printed
        and "…" not in printed
        and "task named % ECE %" in printed
    )
    assert max(map(len, printed.splitlines())) <= 100


def test_tables_show_display_names_and_csv_files_ids(runs: pd.DataFrame, tmp_path: Path) -> None:
    write_report(runs, "ce", tmp_path, "x")
    page, typeset = (tmp_path / "table.md").read_text(), (tmp_path / "table.tex").read_text()
    for text in (page, typeset):
        assert "CE" in text and "REINFORCE (samples=1)" in text and "vs CE [95" in text
    for name in ("runs.csv", "summary.csv", "statistics.csv"):
        assert set(pd.read_csv(tmp_path / name)["contender"]) == {"ce", "reinforce:samples=1"}
    assert "vs ce [95 %]" in pd.read_csv(tmp_path / "summary.csv")
    costs = pd.DataFrame({"method": ["lae", "mine:a=1"], "stream": ["lae", "5 tasks"]})
    assert with_display_names(costs).to_numpy().tolist() == [["LAE", "lae"], ["mine (a=1)", "5 tasks"]]


def test_chosen_columns_are_shown_and_csv_files_stay_as_they_are(runs: pd.DataFrame, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    write_report(runs, "ce", before, "x")
    table = write_report(runs, "ce", after, "x", shown=columns("ece", "nll", "forgetting"))
    assert list(table.columns[3:]) == ["ECE %", "NLL", "forgetting", "vs ce [95 %]"]
    assert table["NLL"].tolist() == ["", ""] and table.iloc[1, -1] == "+0.0"
    assert "| ECE % ↓ | 95 % interval | NLL ↓ | forgetting ↓ | vs CE [95 %] | p |" in (after / "table.md").read_text()
    for name in ("runs.csv", "summary.csv", "statistics.csv"):
        assert (before / name).read_bytes() == (after / name).read_bytes()


def test_measure_of_ones_own_is_a_column(runs: pd.DataFrame, tmp_path: Path) -> None:
    best = Measure("best_task", "best task %", 100, "accuracy on the best task", lambda run: max(run.matrix[-1]))
    register_measure(best)
    try:
        with pytest.raises(ValueError, match="measure 'best_task' is already registered"):
            register_measure(best)
        table = write_report(runs.assign(best_task=0.5), "ce", tmp_path, "x", shown=columns("best_task"))
        assert table["best task %"].tolist() == ["50.0 ± 0.0"] * 2
        assert "| best task % |" in (tmp_path / "table.md").read_text()
        assert "best_task" in set(pd.read_csv(tmp_path / "statistics.csv")["measure"])
        assert "best_task" in pd.read_csv(tmp_path / "runs.csv")
    finally:
        MEASURES.pop("best_task")


def test_first_column_that_no_run_has_gives_no_difference(runs: pd.DataFrame, tmp_path: Path) -> None:
    table = write_report(runs, "ce", tmp_path, "x", shown=columns("validation_accuracy", "final_accuracy"))
    assert table["validation %"].tolist() == table["vs ce [95 %]"].tolist() == ["", ""]


@pytest.mark.parametrize(
    ("name", "message"),
    [("nl", "unknown measure 'nl'; did you mean 'nll'"), ("accuracy_curve", "unknown measure 'accu")],
)
def test_unknown_columns_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        columns(name)
