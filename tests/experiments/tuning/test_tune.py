"""The whole command, on runs of a second."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from experiments.__main__ import main
from experiments.tuning import rounds

pytestmark = pytest.mark.long

SMALL = [
    *("--options", "num_classes=6", "train_per_class=8", "test_per_class=4", "--num-tasks", "3", "--epochs", "2"),
    *("--batch-size", "8", "--model", "test_vit", "--no-pretrained", "--device", "cpu", "--workers", "0"),
    *("--label-noise", "0.2", "--seeds", "0", "--tuning-seeds", "100"),
]


def tune(out: Path, *words: str) -> int:
    return main(["tune", *SMALL, *words, "--out", str(out)])


def tables(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in ("trials.csv", "chosen_settings.csv", "runs.csv")}


def test_a_grid_and_the_comparison_at_the_chosen_rates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(tmp_path, "--objectives", "ce", "epg", "--rates", "1e-3", "1e-1", "--trials", "2") == 0
    trials = pd.read_csv(tmp_path / "trials.csv")
    assert trials.groupby("contender")["learning_rate"].apply(list).to_dict() == {
        "ce": [0.001, 0.1],
        "epg": [0.001, 0.1],
    }
    best = trials.loc[trials.groupby("contender")["validation_accuracy"].idxmax()].set_index("contender")
    compared = pd.read_csv(tmp_path / "runs.csv")
    assert list(compared["contender"]) == ["ce", "epg"] and set(compared["seed"]) == {0}
    configs = [json.loads(file.read_text()) for file in tmp_path.glob("runs/*/config.json")]
    assert {config["validation_fraction"] for config in configs if config["seed"] == 100} == {0.2}
    found = {(each["objective"], each["learning_rate"]) for each in configs if each["seed"] == 0}
    assert found == {(contender, best.loc[contender, "learning_rate"]) for contender in ("ce", "epg")}
    assert {config["validation_fraction"] for config in configs if config["seed"] == 0} == {0.0}
    assert (tmp_path / "trials.png").is_file() and (tmp_path / "report.html").is_file()
    assert "comparison at the chosen settings" in capsys.readouterr().out


@pytest.mark.slow
def test_a_search_goes_on_after_a_stop_with_the_same_choices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    words = ("--objectives", "ce", "gce:q=0.2..0.9", "--rates", "1e-3", "10")
    words += ("--search", "tpe", "--trials", "6", "--halving", "2")
    assert tune(tmp_path / "whole", *words) == 0
    whole = pd.read_csv(tmp_path / "whole" / "trials.csv")
    assert set(whole["state"]) == {"finished", "stopped"} and set(whole["tasks"]) >= {1, 3}
    calls, real = [], rounds._run_stage

    def interrupted(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(rounds, "_run_stage", interrupted)
    assert tune(tmp_path / "stopped", *words) == 130
    assert tune(tmp_path / "stopped", *words) == 0
    assert tune(tmp_path / "stopped", *words) == 0  # all is done: nothing may change
    ours, expected = tables(tmp_path / "stopped"), tables(tmp_path / "whole")
    assert (
        ours["trials.csv"] == expected["trials.csv"] and ours["chosen_settings.csv"] == expected["chosen_settings.csv"]
    )


@pytest.mark.slow
def test_a_trial_that_paused_has_the_results_of_one_that_did_not(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    words = ("--objectives", "ce", "--rates", "1e-3", "1e-1", "--search", "random", "--trials", "3")
    assert tune(tmp_path / "paused", *words, "--halving", "3") == 0
    assert tune(tmp_path / "whole", *words) == 0
    paused, whole = (pd.read_csv(tmp_path / name / "trials.csv") for name in ("paused", "whole"))
    finished = paused["state"] == "finished"
    assert 0 < finished.sum() < 3
    pd.testing.assert_frame_equal(paused[finished], whole[finished])


@pytest.mark.slow
def test_a_trial_that_diverges_counts_as_accuracy_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(tmp_path, "--objectives", "ce", "--rates", "1e-2", "1e8", "--trials", "2", "--round-size", "2") == 0
    trials = pd.read_csv(tmp_path / "trials.csv")
    assert list(trials["state"]) == ["finished", "diverged"] and trials["validation_accuracy"][1] == 0
    assert "training diverged" in capsys.readouterr().out
    code = tune(tmp_path / "all", "--objectives", "ce", "--rates", "1e7", "1e8", "--trials", "2")
    assert code == 2 and "all trials of ce diverged, 20% label noise: give lower --rates" in capsys.readouterr().err


def test_a_run_that_fails_otherwise_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object, **further: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("experiments.tuning.trial_run.run", fails)
    assert tune(tmp_path, "--objectives", "ce", "--trials", "1") != 0
    assert not (tmp_path / "trials.csv").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--objectives", "ce", "--learning-rate", "0.1"], "--learning-rate 0.1 has no effect"),
        (["--objectives", "ce", "gce:q=0.2..0.9", "--trials", "8"], "does not have 8 trials"),
        (["--objectives", "aegp"], "did you mean 'aepg'"),
        (["--objectives", "gce:q=0.5..2", "--trials", "9"], "q must be in [0, 1]"),
        (["--objectives", "ce", "--store", ""], "--store is empty"),
        (["--objectives", "ce", "--engine", "ray", "--workers", "0"], "--workers 0 runs in this process"),
    ],
)
def test_wrong_input_is_one_line_before_any_run(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_plan_counts_the_runs_of_search_and_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(tmp_path / "out", "--objectives", "ce", "epg", "--trials", "2", "--dry-run") == 0
    assert "all 6 runs" in capsys.readouterr().out and not (tmp_path / "out").exists()
