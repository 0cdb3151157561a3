"""Runs are grouped into settings and rows, and named by what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.config.settings import RunConfig
from experiments.report_page.collect import Run
from experiments.report_page.colors import BACKGROUNDS, CONTRAST, contrast, readable
from experiments.report_page.contenders import arrange, data_name, differing
from experiments.reports.colors import PALETTE
from experiments.rl.config import AlgorithmRun
from experiments.runs.run_folder import RunFolder


def run_of(kind: type[RunConfig] = RunConfig, card: dict[str, Any] | None = None, **settings: Any) -> Run:
    config = kind(precision="float32", **settings).as_json()
    return Run(RunFolder(Path("nowhere")), config, card or {}, {}, np.array([[1.0]]))


def names(*runs: Run) -> list[tuple[str, str, list[int]]]:
    settings, rows = arrange(runs)
    return [(settings[row.setting].name, row.contender, [run.seed for run in row.runs]) for row in rows]


def test_runs_that_differ_in_the_seed_are_one_row() -> None:
    found = names(run_of(objective="ce", seed=1), run_of(objective="ce", seed=0), run_of(objective="aepg", seed=0))
    assert found == [("glyphs", "CE", [0, 1]), ("glyphs", "aEPG", [0])]


def test_weights_devices_and_imported_modules_make_rows() -> None:
    cards = [
        {"weights": {"sha256": weights, "pretrained": True}, "hardware": {"device": device}}
        for weights, device in (("a" * 64, "cpu"), ("b" * 64, "cpu"), ("a" * 64, "cuda"))
    ]
    runs = [
        *(run_of(objective="ce", card=card) for card in cards),
        run_of(objective="ce", card=cards[0], imports=("m",)),
    ]
    assert len({contender for _, contender, _ in names(*runs)}) == 4
    assert names(*runs)[1][1] == "CE, trained on cpu, weights bbbbbbbb"


def test_images_of_a_folder_are_a_setting() -> None:
    cards = [{"stream": {"images_sha256": images * 64}} for images in "ab"]
    runs = [run_of(objective="ce", dataset="folder", root="photos", card=card) for card in cards]
    assert [setting for setting, *_ in names(*runs)] == ["photos, images aaaaaaaa", "photos, images bbbbbbbb"]


def test_augmentation_by_default_and_by_word_are_the_same() -> None:
    assert len(names(run_of(dataset="photos", augment="auto"), run_of(dataset="photos", augment="yes", seed=1))) == 1


def test_settings_differ_in_images_tasks_and_noise() -> None:
    found = names(
        run_of(objective="ce"), run_of(objective="ce", label_noise=0.2), run_of(objective="ce", dataset="photos")
    )
    assert [(setting, contender) for setting, contender, _ in found] == [
        ("glyphs, label noise 0 %", "CE"),
        ("glyphs, label noise 20 %", "CE"),
        ("photos, label noise 0 %", "CE"),
    ]


def test_contenders_are_named_by_what_differs_within_a_setting() -> None:
    runs = [
        run_of(objective="ce", peft="lora:r=4", epochs=3),
        run_of(objective="ce", peft="adapter", epochs=3),
        run_of(objective="ce", peft="adapter", epochs=3, method="lae"),
        run_of(objective="ce", peft="adapter", epochs=9, label_noise=0.2),  # another setting, so epochs are not named
    ]
    assert [contender for _, contender, _ in names(*runs)] == [
        "CE, LoRA (r=4)",
        "CE, Adapter",
        "LAE + CE, Adapter",
        "CE, Adapter",
    ]


def test_algorithms_and_objectives_of_one_name_are_different_contenders() -> None:
    found = names(run_of(objective="ce"), run_of(AlgorithmRun, algorithm="ce"))
    assert [contender for _, contender, _ in found] == ["CE, by cls-env run", "CE, by cls-env rl"]


def test_settings_without_effect_do_not_make_rows() -> None:
    assert len(names(run_of(label_fit=True), run_of(seed=1, cache_features=False))) == 1


def test_a_folder_has_its_own_name(tmp_path: Path) -> None:
    assert data_name({"dataset": "folder", "root": str(tmp_path / "my photos.zip")}) == "my photos"
    assert differing([{"a": 1, "b": [1]}, {"a": 1}]) == ["b"]


@pytest.mark.parametrize("scheme", BACKGROUNDS)
def test_colors_are_readable(scheme: str) -> None:
    assert all(contrast(readable(color, scheme), BACKGROUNDS[scheme]) >= CONTRAST for color in PALETTE)
