"""The comparison of RL algorithms, from the command line to its figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from agents.objectives import reinforce_loss
from experiments.__main__ import main
from experiments.rl.algorithms import ALGORITHMS, find_algorithm
from experiments.rl.config import RlConfig, algorithm_entries
from experiments.rl.runner import run_algorithm
from experiments.rl.variance import SAMPLES, gradient_variance, sampled, trace_of_covariance
from experiments.runs.run_folder import RunFolder
from tests.agents.policies import TINY

pytestmark = pytest.mark.long

OPTIONS = ("num_classes=4", "train_per_class=8", "test_per_class=4")
SMALL = ("--options", *OPTIONS, "--num-tasks", "2", "--batch-size", "8", "--model", "test_vit", "--no-pretrained")


def command(out: Path, *words: str) -> list[str]:
    return [
        "rl",
        *SMALL,
        "--epochs",
        "5",
        "--device",
        "cpu",
        "--workers",
        "0",
        "--tests-per-task",
        "2",
        "--gradient-draws",
        "4",
        "--out",
        str(out),
        *words,
    ]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of all kinds of algorithms, on two tasks of two classes."""
    out = tmp_path_factory.mktemp("rl") / "out"
    kinds = ("epg", "reinforce-baseline", "ppo", "dqn", "thompson")
    assert main(command(out, "--algorithms", *kinds, "--seeds", "0", "1")) == 0
    return out


def runs_of(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "runs.csv").set_index(["contender", "seed"])


def test_all_act_on_equally_many_images_and_pay_for_them(compared: Path) -> None:
    runs = runs_of(compared)
    assert len(runs) == 10 and set(runs["env_steps"]) == {2 * 80}
    assert runs["final_accuracy"].between(0, 1).all() and (runs["mean_regret"] > 0).all()
    steps = runs["gradient_steps"].groupby("contender").first()
    # PPO goes four times over every 5 x 8 images; a regression takes no gradient.
    assert steps.to_dict() == {"epg": 20, "reinforce-baseline": 20, "ppo": 80, "dqn": 20, "thompson": 0}


def test_curves_grow_with_what_is_spent(compared: Path) -> None:
    for folder in (compared / "runs").iterdir():
        curve = pd.read_csv(folder / "curve.csv")
        assert curve["task"].tolist() == [0, 0, 1, 1] and curve["env_steps"].tolist() == [40, 80, 120, 160]
        assert all(np.all(np.diff(curve[name]) >= 0) for name in ("gradient_steps", "seconds", "regret"))
        assert (curve["regret"].diff().dropna() <= curve["env_steps"].diff().dropna()).all()
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["mean_regret"] == pytest.approx(curve["regret"].iloc[-1] / 160)
        assert metrics["accuracy_over_images_curve"] == pytest.approx(metrics["accuracy_curve"])
        assert metrics["accuracy_curve"][-1] == pytest.approx(curve["accuracy"].iloc[-1])
        card = json.loads((folder / "protocol.json").read_text())
        assert card["algorithm"]["class"] and card["stream"]["fingerprint"] and card["versions"]["stable-baselines3"]


def test_it_draws_and_tabulates(compared: Path) -> None:
    curves = ("accuracy_against_cost", "accuracy_during_learning", "regret_during_learning", "entropy")
    for name in (*curves, "gradient_variance", "forgetting", "accuracy_matrices"):
        assert (compared / f"{name}.png").stat().st_size > 10_000
    assert "vs EPG" in (compared / "table.md").read_text()
    assert pd.read_csv(compared / "gradient_variance.csv")["seed"].nunique() == 2


def test_the_same_command_reuses_its_runs(compared: Path, capsys: pytest.CaptureFixture) -> None:
    before = {file: file.stat().st_mtime_ns for file in (compared / "runs").rglob("*.json")}
    smaller = ("--algorithms", "epg", "thompson", "--seeds", "0", "1")
    assert main(command(compared, *smaller)) == 2
    assert "leave out reinforce-baseline, ppo, dqn: name these too" in capsys.readouterr().err
    assert main(command(compared.with_name("fewer"), *smaller, "--runs", str(compared / "runs"))) == 0
    assert "4 of 4 runs already finished" in capsys.readouterr().out
    assert before == {file: file.stat().st_mtime_ns for file in (compared / "runs").rglob("*.json")}


def test_contenders_of_a_seed_begin_alike() -> None:
    config = RlConfig(algorithms=("epg", "ppo", "dqn"), seeds=(3,))
    seeds = {entry.config.seeds for entry in algorithm_entries(config)}
    assert len(seeds) == 1
    names = {entry.config.name for entry in algorithm_entries(config)}
    assert len(names) == 3


def test_a_run_is_the_same_again(tmp_path: Path) -> None:
    config = RlConfig(algorithms=("dqn",), seeds=(0,), options=OPTIONS, num_tasks=2, batch_size=8, epochs=2, **TINY)
    (entry,) = algorithm_entries(config)
    found = [run_algorithm(entry.config, RunFolder(tmp_path / name)) for name in ("a", "b")]
    assert all(found[0][key] == found[1][key] for key in found[0] if key != "training_seconds")


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_can_be_given_arguments(name: str) -> None:
    algorithm, arguments = find_algorithm(name)
    assert algorithm.title and isinstance(arguments, dict)
    with pytest.raises(ValueError, match="unknown argument"):
        find_algorithm(f"{name}:no_such=1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--algorithms", "epg", "pppo"], "did you mean 'ppo'"),
        (["--algorithms", "epg", "ppo:n_epoch=3"], "did you mean 'n_epochs'"),
        (["--method", "lae"], "--method lae: not every algorithm of this comparison knows it"),
        (["--optimizer", "sgd"], "--optimizer sgd"),
        (["--tests-per-task", "0"], "tests_per_task must be at least 1"),
        (["--algorithms"], "nothing to compare"),
    ],
)
def test_what_can_not_be_compared_is_refused(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(command(tmp_path / "out", *words)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([*command(tmp_path / "out"), "--dry-run"]) == 0
    assert not (tmp_path / "out").exists()
    assert "60 runs" in capsys.readouterr().out


@pytest.mark.slow
def test_variance_falls_with_the_number_of_samples() -> None:
    config = RlConfig(options=OPTIONS, num_tasks=2, batch_size=8)
    run = algorithm_entries(config)[0].config
    found = gradient_variance(run, moments=(0.0,), draws=100).set_index("estimator")  # type: ignore[arg-type]
    of_actions = [found.loc[f"REINFORCE, n = {count}", "actions"] for count in SAMPLES]
    assert np.array(of_actions) * SAMPLES == pytest.approx([of_actions[0]] * len(SAMPLES), rel=0.25)
    assert found.loc["EPG", "actions"] == 0
    assert found.loc["REINFORCE, n = 1", "total"] > 2 * found.loc["EPG", "total"] > 0


def test_measuring_variance_leaves_learning_as_it_is() -> None:
    config = RlConfig(options=OPTIONS, num_tasks=2, batch_size=8, epochs=4, **TINY)
    run = algorithm_entries(config)[0].config
    late = [
        gradient_variance(run, moments, draws=4).query("moment == 1")["total"].to_list()  # type: ignore[arg-type]
        for moments in ((1.0,), (0.0, 0.5, 1.0))
    ]
    assert late[0] == late[1]


def test_sampled_loss_is_reinforces() -> None:
    logits, rewards = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), torch.eye(4)[:3]
    generator = torch.Generator().manual_seed(1)
    actions = torch.multinomial(logits.softmax(dim=1), 4, replacement=True, generator=generator)
    found = sampled(4)(logits, rewards, torch.Generator().manual_seed(1))
    assert found.item() == pytest.approx(reinforce_loss(logits, rewards, actions).mean().item())


def test_trace_of_covariance_by_hand() -> None:
    assert trace_of_covariance(np.array([[0.0, 1.0], [2.0, 5.0]])) == 2.0 + 8.0


@pytest.mark.slow
def test_a_folder_for_runs_is_used_for_all_of_them(tmp_path: Path) -> None:
    words = ("--algorithms", "epg", "--seeds", "0", "--runs", str(tmp_path / "shared"))
    assert main(command(tmp_path / "out", *words)) == 0
    (folder,) = (file.parent for file in (tmp_path / "shared").glob("*/config.json"))
    assert (folder / "gradient_variance_4.csv").is_file()
    assert not list((tmp_path / "out").rglob("config.json")) and not (tmp_path / "out" / "runs").exists()
