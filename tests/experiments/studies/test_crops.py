from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from agents.networks.views import TrainView
from experiments.__main__ import main
from experiments.studies.crops import (
    CROPS,
    CropsConfig,
    at_own_rates,
    conditions,
    larger_rates,
    shared_entries,
    smaller_crops,
    view_name,
    view_settings,
)
from experiments.studies.gains import changes_of_gains, gain
from experiments.studies.study import with_settings


def small(**changes: object) -> CropsConfig:
    return CropsConfig(**({"rates": (1e-3, 2e-3), "seeds": (0, 1), "label_noise": (0.0,)} | changes))


def test_views() -> None:
    assert view_settings("central") == {"augment": "no"}
    assert view_settings("0.05") == {"augment": "yes", "crop_scale": (0.05, 1.0)}
    assert [view_name(view) for view in ("central", "flips", "0.3")] == ["central view", "flips", "crops from 30%"]
    for wrong in ("centre", "0", "1", "nan", "-0.1"):
        with pytest.raises(ValueError, match=f"--views {wrong}: a view is central, flips, or the area"):
            view_settings(wrong)


def test_flips_keep_the_whole_image() -> None:
    images = torch.arange(3 * 8 * 8, dtype=torch.uint8).reshape(1, 3, 8, 8).expand(20, -1, -1, -1)
    views = TrainView(8, scale=view_settings("flips")["crop_scale"], ratio=(1.0, 1.0))(images, torch.Generator())
    levels = (255 * views).round().to(torch.uint8)
    whole = [bool((level == images[0]).all()) for level in levels]
    mirrored = [bool((level.flip(2) == images[0]).all()) for level in levels]
    assert any(whole) and any(mirrored) and all(a or b for a, b in zip(whole, mirrored, strict=True))


@pytest.mark.parametrize("views", [("central", "flips", "0.3", "0.05"), ("0.05", "0.3", "central", "flips")])
def test_predictions_compare_ends_whatever_the_order(views: tuple[str, ...]) -> None:
    config = small(views=views, label_noise=(0.0, 0.2), multiples=(2.0, 4.0, 1.0))
    assert config.by_size == ["central", "flips", "0.3", "0.05"]
    assert smaller_crops(config) == [
        ("crops from 5%, 0% label noise", "central view, 0% label noise"),
        ("crops from 5%, 20% label noise", "central view, 20% label noise"),
    ]
    central = "central view, 0% label noise"
    assert larger_rates(config)[0] == (f"{central}, 4 x rate of ce", f"{central}, 1 x rate of ce")
    assert len(larger_rates(config)) == 8


def test_one_view_or_one_rate_leaves_nothing_to_compare() -> None:
    assert smaller_crops(small(views=("0.05",))) == [] and larger_rates(small(multiples=(2.0,))) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"views": ("central", "centre")}, "--views centre: a view is central, flips, or the area"),
        ({"views": ("0.05", "0.050")}, "'crops from 5%, 0% label noise' is given twice"),
        ({"objectives": ("ce", "ce")}, "'ce' is given twice"),
        ({"label_noise": (0.0, 0.0)}, "'0% label noise' is given twice"),
        ({"multiples": ()}, "--multiples names no shared rate"),
        ({"multiples": (1.0, 1.0)}, "'central view, 0% label noise, 1 x rate of ce' is given twice"),
        ({"multiples": (0.0,)}, "learning_rate must be in"),
        ({"validation_fraction": 0.2}, "--validation-fraction: this study sets it"),
    ],
)
def test_impossible_settings_are_refused_before_any_run(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        CROPS.entries(small(**changes))


def tuning_runs(config: CropsConfig) -> tuple[pd.DataFrame, dict[tuple[str, str], float]]:
    """Runs in which the larger rate is the best of EPG alone."""
    entries = CROPS.entries(config)
    best = {"ce": 1e-3, "epg": 2e-3, "aepg": 1e-3}
    rows = [
        {
            "condition": entry.condition,
            "contender": entry.contender,
            "seed": entry.config.seed,
            "validation_accuracy": 0.9 if entry.config.learning_rate == best[entry.contender] else 0.5,
            "validation_accuracy_clean": 0.5,
        }
        for entry in entries
    ]
    rates = {(condition, name): rate for condition in conditions(config) for name, rate in best.items()}
    return with_settings(pd.DataFrame(rows), entries), rates


def test_each_objective_has_its_own_rate_and_then_all_have_that_of_ce() -> None:
    config = small(views=("central", "0.05"))
    runs, rates = tuning_runs(config)
    own = at_own_rates(config, runs)
    entries = own.entries(config)
    assert {(entry.condition, entry.contender): entry.config.learning_rate for entry in entries} == rates
    assert {entry.config.validation_fraction for entry in entries} == {0.0}
    assert {entry.config.augment for entry in entries} == {"yes", "no"}
    shared = own.follow_up(config, pd.DataFrame())
    compared = shared.entries(config)
    assert len(compared) == 2 * 3 * 3 * 2
    assert {entry.config.learning_rate for entry in compared} == {1e-3, 2e-3, 4e-3}
    assert {entry.condition for entry in compared} >= {pair[0] for pair in larger_rates(config)}


def test_early_stopping_is_tuned_but_has_no_shared_rate() -> None:
    config = small(stopped=("ce",), views=("0.05",))
    tuned = {entry.contender for entry in CROPS.entries(config)}
    assert tuned == {"ce", "epg", "aepg", "ce, early stopping"}
    rates = {"crops from 5%, 0% label noise": 1e-3}
    assert {entry.contender for entry in shared_entries(config, rates)} == {"ce", "epg", "aepg"}


def test_changes_of_leads_by_hand() -> None:
    accuracies = {
        ("a", "ce"): [0.50, 0.60, 0.40],
        ("a", "epg"): [0.53, 0.64, 0.45],
        ("b", "ce"): [0.70, 0.50, 0.60],
        ("b", "epg"): [0.71, 0.49, 0.60],
    }
    rows = [
        {"condition": condition, "contender": contender, "seed": seed, "final_accuracy": value}
        for (condition, contender), values in accuracies.items()
        for seed, value in reversed(list(enumerate(values)))
    ]
    runs = pd.DataFrame(rows)
    assert gain(runs, "a", "epg").tolist() == pytest.approx([3, 4, 5])
    table = changes_of_gains(runs, [("a", "b")], ["ce", "epg"])
    (row,) = table.to_dict("records")
    assert (row["objective"], row["condition"], row["other condition"], row["seeds"]) == ("epg", "a", "b", 3)
    assert (row["lead"], row["lead under it"]) == ("+4.0", "+0.0")
    change = np.array([3 - 1, 4 + 1, 5 - 0])
    found = stats.ttest_1samp(change, 0).confidence_interval()
    assert row["change [95 %]"] == f"+4.0 [{found.low:+.1f}, {found.high:+.1f}]"
    assert row["p (Holm)"] == f"{stats.ttest_1samp(change, 0).pvalue:.3f}"
    (unpaired,) = changes_of_gains(runs[runs["condition"] == "a"], [("a", "b")], ["epg"]).to_dict("records")
    assert (unpaired["lead"], unpaired["change [95 %]"], unpaired["p (Holm)"], unpaired["seeds"]) == ("", "", "", 0)


@pytest.mark.slow
def test_tuning_leads_to_own_and_to_shared_rates(image_zip: Path, tmp_path: Path) -> None:
    images = ["--dataset", "folder", "--root", str(image_zip), "--num-tasks", "2"]
    short = ["--epochs", "1", "--batch-size", "8", "--device", "cpu", "--workers", "0", "--seeds", "0", "1"]
    grid = ["--rates", "1e-3", "--tuning-seeds", "7", "--label-noise", "0", "--objectives", "ce", "aepg"]
    places = ["--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs"), "--tuning-fraction", "0.5"]
    assert main(["study", "crops", *images, *short, *grid, *places, "--multiples", "1", "2"]) == 0
    own = tmp_path / "out" / "at-own-rates"
    assert len(pd.read_csv(own / "runs.csv")) == 2 * 2 * 2
    shared = tmp_path / "out" / "at-shared-rates"
    assert len(pd.read_csv(shared / "runs.csv")) == 2 * 2 * 2 * 2
    changes = pd.read_csv(own / "smaller_crops.csv")
    assert changes["other condition"].tolist() == ["central view, 0% label noise"]
    assert len(pd.read_csv(shared / "larger_rates.csv")) == 2
    assert "A change is the lead under the condition less" in (own / "smaller_crops.md").read_text()
    fewer = [*images, *short[:-2], "0", *grid, *places, "--multiples", "1", "2"]
    assert main(["study", "crops", *fewer]) == 2  # would replace a larger table of a later step
    assert len(pd.read_csv(own / "runs.csv")) == 2 * 2 * 2
    assert (shared / "lead_against_rate.png").exists()
