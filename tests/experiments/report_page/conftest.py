"""Small real runs, their report, and a headless browser that shows it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from experiments.__main__ import main

SMALL = [
    *("--model", "test_vit", "--no-pretrained", "--num-tasks", "2", "--epochs", "2", "--batch-size", "4"),
    *("--options", "num_classes=4", "train_per_class=6", "test_per_class=4", "--learning-rate", "0.02"),
    *("--device", "cpu", "--workers", "0"),
]


@pytest.fixture(scope="session")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `compare`: two objectives, two shares of label noise, two seeds, tested before each task."""
    out = tmp_path_factory.mktemp("comparison")
    words = ["compare", *SMALL, "--objectives", "ce", "aepg", "--label-noise", "0", "0.5", "--seeds", "0", "1"]
    assert main([*words, "--test-before-tasks", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def algorithms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `rl`: two algorithms, one seed."""
    out = tmp_path_factory.mktemp("algorithms")
    words = [
        "rl",
        *SMALL,
        "--algorithms",
        "epg",
        "ppo",
        "--seeds",
        "0",
        "--gradient-draws",
        "2",
        "--tests-per-task",
        "2",
    ]
    assert main([*words, "--out", str(out)]) == 0
    return out


@dataclass
class Shown:
    """A page in a browser, with what went wrong on it.

    Attributes:
        page: Playwright's page.
        faults: Errors of the page, lines of its console, and requests to a network.
    """

    page: Any
    faults: list[str] = field(default_factory=list)

    def drawn(self) -> None:
        """Wait until all charts are drawn."""
        self.page.wait_for_function("!document.querySelector('[aria-busy]')")

    def cells(self, table: str = "leaderboard-table") -> list[list[str]]:
        """The text of the shown cells of a table, without headings of groups."""
        script = "table => [...table.rows].filter(row => !row.classList.contains('group')).map(row =>"
        script += " [...row.cells].filter(cell => !cell.hidden).map(cell => cell.textContent.trim()))"
        return self.page.locator(f"#{table}").evaluate(script)

    def chart_rows(self, group: str) -> list[list[dict[str, Any]]]:
        """The rows of data of each chart of a group."""
        return self.page.evaluate(
            "id => [...document.querySelectorAll(`#${id} .plot`)].map(plot => plot.view.data('rows'))", group
        )


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed, with which the report is tested")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def show(browser: Any) -> Iterator[Any]:
    """`show(file, width=..., color_scheme=...)` opens a report and waits until it is drawn."""
    opened: list[Shown] = []

    def open_page(file: Path, width: int = 1280, color_scheme: str = "light") -> Shown:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=color_scheme)
        shown = Shown(page)
        page.on("console", lambda message: shown.faults.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: shown.faults.append(f"error: {error}"))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("file:", "data:", "blob:"))
                else shown.faults.append(f"request: {request.url}")
            ),
        )
        page.goto(file.as_uri())
        page.wait_for_selector("body[data-drawn]", timeout=60_000)
        opened.append(shown)
        return shown

    yield open_page
    for each in opened:
        each.page.close()
        assert each.faults == []
