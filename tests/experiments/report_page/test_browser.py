"""The page in a headless browser. The fixture `show` checks that there is no error and no request to a network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.report_page.page import write_page
from experiments.reports.statistics import mean_interval, paired_difference

pytestmark = pytest.mark.long


@pytest.fixture
def page_file(comparison: Path) -> Path:
    return comparison / "report.html"


@pytest.fixture
def runs(comparison: Path) -> pd.DataFrame:
    return pd.read_csv(comparison / "runs.csv")


def values(runs: pd.DataFrame, contender: str, condition: str, measure: str = "final_accuracy") -> np.ndarray[Any, Any]:
    chosen = runs[(runs["contender"] == contender) & (runs["condition"] == condition)].sort_values("seed")
    return 100 * chosen[measure].to_numpy()


def test_the_leaderboard_has_the_numbers_of_the_table(show: Any, page_file: Path, runs: pd.DataFrame) -> None:
    heading, *lines = show(page_file).cells()
    assert heading[:3] == ["contender", "seeds", "A_T %, mean [95 %]"]
    assert len(lines) == 4 and {line[1] for line in lines} == {"2"}
    for condition, here in (("0% label noise", lines[:2]), ("50% label noise", lines[2:])):
        shown = {line[0]: line for line in here}
        for name, contender in (("CE", "ce"), ("aEPG", "aepg")):
            interval = mean_interval(values(runs, contender, condition))
            assert float(shown[name][2].split(" [")[0]) == pytest.approx(interval.mean, abs=0.06)
        difference = paired_difference(values(runs, "aepg", condition), values(runs, "ce", condition))
        assert shown["CE"][4] == "baseline"
        assert float(shown["aEPG"][4].split(" [")[0]) == pytest.approx(difference.mean, abs=0.06)


def test_the_baseline_turns_the_differences(show: Any, page_file: Path) -> None:
    shown = show(page_file)
    before = {line[0]: line[4] for line in shown.cells()[1:3]}
    shown.page.get_by_label("Baseline of the differences").select_option(label="aEPG")
    after = {line[0]: line[4] for line in shown.cells()[1:3]}
    assert before["CE"] == after["aEPG"] == "baseline"
    assert float(after["CE"].split(" [")[0]) == -float(before["aEPG"].split(" [")[0])


def test_measure_and_order_can_be_chosen(show: Any, page_file: Path, runs: pd.DataFrame) -> None:
    shown = show(page_file)
    shown.page.get_by_label("Measure", exact=True).select_option(value="nll")
    lines = shown.cells()[1:3]
    expected = (values(runs, name, "0% label noise", "nll").mean() / 100 for name in ("ce", "aepg"))
    means = [float(line[2].split(" [")[0]) for line in lines]
    assert means == pytest.approx(sorted(expected), abs=0.006)  # the best, which is the lowest, first
    assert "Lower is better" in shown.page.locator("#definition").inner_text()
    column = shown.page.locator("th[data-column=mean]")
    assert column.get_attribute("aria-sort") == "ascending"
    column.get_by_role("button").press("Enter")
    assert column.get_attribute("aria-sort") == "descending"
    assert [line[0] for line in shown.cells()[1:3]] == [line[0] for line in reversed(lines)]


def test_filters_choose_rows_and_charts(show: Any, page_file: Path) -> None:
    shown = show(page_file)
    assert shown.page.locator("#count").inner_text() == "4 of 4 rows are shown."
    shown.page.get_by_label("label noise", exact=True).select_option(label="50 %")
    shown.page.get_by_label("objective", exact=True).select_option(label="aEPG")
    shown.drawn()
    assert shown.page.locator("#count").inner_text() == "1 of 4 rows are shown."
    assert shown.page.locator("#leaderboard-table tr.group").all_inner_texts() == ["glyphs, label noise 50 %"]
    charts = shown.chart_rows("accuracy-charts")
    assert len(charts) == 1 and {row["contender"] for row in charts[0]} == {"aEPG"}


def test_curves_are_those_of_the_runs_and_can_be_switched_off(show: Any, page_file: Path, comparison: Path) -> None:
    shown = show(page_file)
    files = sorted(comparison.glob("runs/*-ce-*noise0-*/accuracy_matrix.csv"))
    matrices = [pd.read_csv(file, index_col=0) for file in files]
    curves = [[100 * np.nanmean(row) for row in matrix.to_numpy()] for matrix in matrices]
    rows = [row for row in shown.chart_rows("accuracy-charts")[0] if row["contender"] == "CE"]
    assert [row["mean"] for row in rows] == pytest.approx(np.mean(curves, axis=0), rel=1e-4)
    cells = shown.chart_rows("matrix-charts")[0]
    mean = 100 * np.mean([matrix.to_numpy() for matrix in matrices], axis=0)
    assert [cell["value"] for cell in cells] == pytest.approx([mean[0, 0], mean[1, 0], mean[1, 1]], rel=1e-4)
    box = shown.page.get_by_role("checkbox", name="CE", exact=True)
    box.focus()
    shown.page.keyboard.press("Space")
    shown.drawn()
    for group in ("accuracy-charts", "entropy-charts", "calibration-charts", "cost-charts"):
        assert {row["contender"] for chart in shown.chart_rows(group) for row in chart} == {"aEPG"}
    assert len(shown.chart_rows("matrix-charts")) == 2
    assert shown.page.locator("#shown").inner_text() == "1 of 2 contenders are in the charts."


def test_axes_can_be_chosen(show: Any, page_file: Path) -> None:
    shown = show(page_file)
    shown.page.get_by_label("Against", exact=True).select_option(label="training images")
    shown.page.get_by_label("Horizontal", exact=True).select_option(value="trainable_parameters")
    shown.page.get_by_label("Show", exact=True).select_option(value="forgetting")
    shown.page.get_by_label("95 % intervals over seeds").uncheck()
    shown.drawn()
    points = shown.chart_rows("accuracy-charts")[0]
    assert [row["x"] for row in points[:2]] == [24, 48]  # 12 images a task, twice
    assert all(row["low"] == row["mean"] == row["high"] for row in points)
    assert all(cell["value"] >= 0 for cell in shown.chart_rows("matrix-charts")[0])
    assert "trainable parameters" in shown.page.locator("#cost-charts svg").first.inner_html()


def test_predictions_are_those_of_the_chosen_row(show: Any, page_file: Path, comparison: Path) -> None:
    shown = show(page_file)
    shown.page.get_by_label("Contender", exact=True).select_option(label="aEPG · glyphs, label noise 0 %")
    shown.drawn()
    folder = next(iter(comparison.glob("runs/*-aepg-*noise0-seed0-*")))
    with np.load(folder / "predictions" / "after_task_1.npz") as answers:
        right = int((answers["labels"] == answers["predictions"]).sum())
        wrong = len(answers["labels"]) - right
    cells = shown.chart_rows("confusion-chart")[0]
    assert sum(cell["count"] for cell in cells) == right + wrong
    assert sum(cell["count"] for cell in cells if cell["label"] == cell["chosen"]) == right
    assert sum(int(line[2]) for line in shown.cells("confusions")[1:]) == wrong
    assert shown.page.locator("#errors li").count() == min(wrong, 8)
    pictures = shown.page.locator("#errors img, #samples img")
    assert pictures.evaluate_all("all => all.every(each => each.naturalWidth > 0 && each.alt)")
    assert shown.cells("samples")[0][3:] == ["before its task", "after its task", "after the last task"]


def test_tables_are_saved(show: Any, page_file: Path) -> None:
    shown = show(page_file)
    saved = {}
    for kind in ("CSV", "LaTeX"):
        with shown.page.expect_download() as download:
            shown.page.get_by_role("button", name=f"Save table as {kind}").click()
        saved[kind] = Path(download.value.path()).read_text(encoding="utf-8")
    lines = saved["CSV"].splitlines()
    assert len(lines) == 5 and lines[0].startswith('setting,contender,seeds,"A_T %, mean [95 %]"')
    assert lines[1].startswith('"glyphs, label noise 0 %",')
    assert saved["LaTeX"].startswith("\\begin{tabular}{llllllll}\n\\toprule\nsetting & contender")
    assert "label noise 0 \\% & " in saved["LaTeX"] and "A\\_T \\%" in saved["LaTeX"]
    with shown.page.expect_download() as download:
        shown.page.get_by_role("button", name="as SVG").first.click()
    assert Path(download.value.path()).read_text(encoding="utf-8").startswith("<svg")


def test_the_baseline_of_a_setting_may_have_another_rate(show: Any, comparison: Path, tmp_path: Path) -> None:
    shutil.copytree(comparison / "runs", tmp_path / "runs")
    for file in (tmp_path / "runs").glob("*/config.json"):
        config = json.loads(file.read_text())
        if config["objective"] == "ce" and config["label_noise"]:
            file.write_text(json.dumps(config | {"learning_rate": 0.5}))
    write_page(sorted((tmp_path / "runs").iterdir()), tmp_path / "page.html", [])
    shown = show(tmp_path / "page.html")
    differences = shown.page.locator("#leaderboard-table td:nth-child(6)").all_inner_texts()
    assert len(differences) == 4 and differences.count("baseline") == 2 and "no baseline here" not in differences


def test_a_filter_finds_what_is_not_set(show: Any, comparison: Path, tmp_path: Path) -> None:
    shutil.copytree(comparison / "runs", tmp_path / "runs")
    config = next(iter(sorted((tmp_path / "runs").glob("*/config.json"))))
    config.write_text(json.dumps(json.loads(config.read_text()) | {"class_order": "natural", "seed": 7}))
    write_page(sorted((tmp_path / "runs").iterdir()), tmp_path / "page.html", [])
    shown = show(tmp_path / "page.html")
    shown.page.get_by_label("class order", exact=True).select_option(label="natural")
    assert shown.page.locator("#count").inner_text() == "1 of 5 rows are shown."
    shown.page.get_by_label("class order", exact=True).select_option(label="not set")
    assert shown.page.locator("#count").inner_text() == "4 of 5 rows are shown."


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_color_schemes(show: Any, page_file: Path, scheme: str) -> None:
    other = {"light": "dark", "dark": "light"}[scheme]
    shown = show(page_file, color_scheme=scheme)
    lightness = "() => getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)[0]"
    line = "() => document.querySelector('#legend line').getAttribute('stroke')"
    first, color = shown.page.evaluate(lightness), shown.page.evaluate(line)
    assert (first > 128) == (scheme == "light")
    shown.page.get_by_label("Colors", exact=True).select_option(other)
    shown.page.wait_for_selector("body[data-drawn]")
    assert (shown.page.evaluate(lightness) > 128) == (other == "light")
    assert shown.page.evaluate(line) != color  # the grey of the first contender is lighter in the dark


@pytest.mark.parametrize("source", ["comparison", "algorithms"])
def test_a_narrow_window_has_no_overflow(show: Any, source: str, request: pytest.FixtureRequest) -> None:
    shown = show(request.getfixturevalue(source) / "report.html", width=390)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    shown.page.locator("#cards summary").first.click()
    assert '"images_sha256"' in shown.page.locator("#cards pre").first.inner_text()
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_keyboard_reaches_all_controls_and_all_have_names(show: Any, page_file: Path) -> None:
    shown = show(page_file)
    script = """() => [...document.querySelectorAll('a, button, select, input, summary, [tabindex="0"]')]
        .filter(each => each.checkVisibility()).length"""
    count = shown.page.evaluate(script)
    reached = set()
    for _ in range(count + 1):
        shown.page.keyboard.press("Tab")
        reached.add(shown.page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
    assert len(reached - {-1}) >= count
    for role in ("button", "combobox", "checkbox", "link", "img"):
        for control in shown.page.get_by_role(role).all():
            assert shown.page.evaluate(NAME, control.element_handle()), control.evaluate("each => each.outerHTML")
    for role in ("banner", "main", "contentinfo", "navigation"):
        assert shown.page.get_by_role(role).count() == 1


NAME = """each => each.ariaLabel || each.alt || each.textContent.trim() && each.tagName !== 'SELECT'
    || (each.labels && [...each.labels].some(label => label.textContent.trim()))"""


def test_algorithms_have_curves_against_their_costs(show: Any, algorithms: Path) -> None:
    shown = show(algorithms / "report.html")
    shown.page.get_by_label("Against", exact=True).select_option(label="gradient steps")
    shown.drawn()
    curve = pd.read_csv(next(iter(algorithms.glob("runs/*-ppo-*/curve.csv"))))
    rows = [row for row in shown.chart_rows("accuracy-charts")[0] if row["contender"] == "PPO"]
    assert [row["x"] for row in rows] == pytest.approx(curve["gradient_steps"], rel=1e-4)
    assert [row["mean"] for row in rows] == pytest.approx(100 * curve["accuracy"], rel=1e-4)
    assert shown.page.locator("#row-status").inner_text() == "cls-env rl does not save predictions."
    assert not shown.page.locator("#row-content").is_visible()
