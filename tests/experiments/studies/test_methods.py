"""Runs and studies with continual-learning methods."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from agents.methods import METHODS, Method, register_method
from agents.methods.common.lora_per_task import lora_layers
from experiments.__main__ import main
from experiments.benchmarks import methods as benchmark
from experiments.config.builders import images_per_task, make_stream
from experiments.config.resolved import make_agent, resolve
from experiments.config.settings import RunConfig
from experiments.config.validation import check
from experiments.presets import PRESETS
from experiments.presets.paper import fine_tuning
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run
from experiments.runs.weight_change import initial_values, parameter_distance, weight_distance
from experiments.studies.full_length import FULL_LENGTH
from experiments.studies.method_figures import forgetting_by_task, pareto_front
from experiments.studies.methods import MethodsConfig, contenders, entries, module_of

pytestmark = pytest.mark.long

RESULTS = Path(__file__).parents[3] / "experiments" / "results" / "studies"


@pytest.fixture
def config(image_zip: Path) -> RunConfig:
    """Four classes of photographs in two tasks of twelve images each."""
    return RunConfig(
        dataset="folder",
        root=str(image_zip),
        num_tasks=2,
        epochs=2,
        batch_size=4,
        blocks=(0, 1, 2),
        device="cpu",
        freeze_fraction=0.5,
    )


def with_method(config: RunConfig, method: str) -> RunConfig:
    definition = METHODS[method.partition(":")[0]]
    objective = "ce" if definition.learns_by_gradient else "none"
    return replace(config, method=method, peft=module_of(method.partition(":")[0], "lora"), objective=objective)


@pytest.mark.parametrize("method", ["ncm", "ranpac:projections=50", "inflora", "replay:size=10", "joint", "frozen"])
def test_a_run_is_measured_and_resumed(method: str, config: RunConfig, tmp_path: Path) -> None:
    config = with_method(config, method)
    seen: list[int] = []
    metrics = run(config, RunFolder(tmp_path / "whole"), seen.append)
    expected = {"ncm": 24, "ranpac": 24, "frozen": 0, "joint": 24 + 48}
    assert sum(seen) == expected.get(method.partition(":")[0], 48)
    gradient = METHODS[method.partition(":")[0]].learns_by_gradient
    assert (metrics["train_entropy"] is None) != gradient
    assert (metrics["trainable_parameters"] > 0) == gradient
    assert metrics["state_bytes"] >= 4 * metrics["head_parameters"]
    # Interrupted after the first task, it ends where it would have ended.
    folder = RunFolder(tmp_path / "part")
    stop = iter(range(10_000))

    def interrupt(count: int) -> None:
        if folder.model.exists() and next(stop) >= 0:
            raise KeyboardInterrupt

    if gradient:
        with pytest.raises(KeyboardInterrupt):
            run(config, folder, interrupt)
        resumed = run(config, folder)
        same = ("final_accuracy", "nll", "state_bytes", "weight_distance", "trainable_parameters")
        assert [resumed[key] for key in same] == [metrics[key] for key in same]


def test_images_of_a_task(config: RunConfig) -> None:
    stream = make_stream(check(config))
    counts = {"sequential": (24, 24), "joint": (24, 48), "ncm": (12, 12), "frozen": (0, 0)}
    for method, images in counts.items():
        assert images_per_task(check(with_method(config, method)), stream) == images


def test_online_streams_show_no_image_again(config: RunConfig) -> None:
    online = replace(config, scenario="online", epochs=1)
    for method, message in (("inflora", "looks at a task's images again"), ("joint", "learns from old ones again")):
        with pytest.raises(ValueError, match=f"--scenario online shows each image once, but {method} {message}"):
            check(with_method(online, method))
    check(with_method(online, "lae"))
    seen = with_method(online, "ncm")
    assert resolve(seen).images_per_task == (12, 12)
    with pytest.raises(ValueError, match="less than a batch of 16"):
        resolve(replace(seen, batch_size=16))


@pytest.mark.parametrize("method", ["ncm", "replay", "lae"])
def test_online_and_domain_streams_run(method: str, tmp_path: Path) -> None:
    small = ("num_classes=4", "train_per_class=8", "test_per_class=4")
    shared = {"options": small, "batch_size": 8, "epochs": 1, "device": "cpu", "blocks": (0,)}
    online = with_method(RunConfig(scenario="online", num_tasks=2, **shared), method)
    assert run(online, RunFolder(tmp_path / "online"))["final_accuracy"] >= 0
    shifts = ("identity", "rotate-90")
    domains = with_method(RunConfig(scenario="domain-incremental", domains=shifts, **shared), method)
    assert run(domains, RunFolder(tmp_path / "domains"))["final_accuracy"] > 0.25


def test_distance_of_a_lora_for_each_task_by_hand(config: RunConfig) -> None:
    config = with_method(config, "inflora")
    agent = make_agent(resolve(config))
    initial = initial_values(agent.policy)
    for task in (0, 1):
        agent.get_env().set_options({"task": task})
        agent.learn(16)
    assert parameter_distance(agent.policy, initial) is None  # other tensors learn now than at first
    changes = [
        sum(layer.get_delta_weight(name).double() for name in ("default", "task1"))
        for layer in lora_layers(agent.policy.network)
    ]
    expected = torch.stack([change.square().sum() for change in changes]).sum().sqrt().item()
    assert expected > 0
    assert weight_distance(agent.policy, initial) == pytest.approx(expected, rel=1e-4)


def test_a_method_is_named_in_the_run_and_refused_in_a_line(
    config: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "-lae-lora-" in with_method(config, "lae").name and "sequential" not in config.name
    place = ["--out", str(tmp_path / "run")]
    assert main(["run", "--method", "l2p", *place]) == 2
    assert "l2p learns prompts of its own: it requires peft 'none', not 'lora'" in capsys.readouterr().err
    assert main(["run", "--method", "ncm", "--peft", "none", *place]) == 2
    assert "ncm learns without gradients: it requires objective 'none', not 'aepg'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_compare_draws_what_learned_without_steps(image_zip: Path, tmp_path: Path) -> None:
    small = ["--dataset", "folder", "--root", str(image_zip), "--num-tasks", "2", "--batch-size", "4", "--seeds", "0"]
    method = ["--method", "ncm", "--peft", "none", "--objectives", "none", "--label-noise", "0", "--device", "cpu"]
    assert main(["compare", *small, *method, "--workers", "0", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "choices.png").exists() and "| none | 1 |" in (tmp_path / "table.md").read_text()
    assert not (tmp_path / "output_entropy.png").exists()  # it would be blank


def test_ones_own_method_on_the_command_line(image_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_method.py").write_text(
        "from agents.methods import Method, register_method\n\n\n"
        '@register_method("mine")\nclass Mine(Method):\n    """Mine."""\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    small = ["--dataset", "folder", "--root", str(image_zip), "--num-tasks", "2", "--epochs", "1", "--batch-size", "4"]
    try:
        assert main(["run", "--imports", "my_method", "--method", "mine", *small, "--out", str(tmp_path / "run")]) == 0
        assert json.loads((tmp_path / "run" / "protocol.json").read_text())["policy"]["method"] == "mine"
    finally:
        METHODS.pop("mine", None)


def test_contenders_of_the_study() -> None:
    config = MethodsConfig(methods=("sequential", "inflora", "sd-lora", "l2p", "ncm"), objectives=("ce", "epg"))
    found = contenders(config)
    assert found["inflora + epg"] == {"method": "inflora", "peft": "lora:r=10", "objective": "epg"}
    assert found["sd-lora + ce"]["peft"] == "lora:scale=true" and found["l2p + ce"]["peft"] == "none"
    assert found["ncm"] == {"method": "ncm", "peft": "none", "objective": "none"} and len(found) == 9
    joint = [entry for entry in entries(config) if entry.config.num_tasks == 1]
    assert {entry.contender for entry in joint} == {"sequential + ce", "sequential + epg"}
    twice = contenders(replace(config, methods=("replay:size=10", "replay:size=20"), objectives=("ce",)))
    assert list(twice) == ["replay:size=10 + ce", "replay:size=20 + ce"]


def test_small_study_from_runs_to_figures(image_zip: Path, tmp_path: Path) -> None:
    small = ["--dataset", "folder", "--root", str(image_zip), "--epochs", "1", "--batch-size", "4", "--device", "cpu"]
    small += ["--workers", "0"]
    methods = ["--methods", "sequential", "lae", "ncm", "--objectives", "ce", "aepg", "--tasks", "1", "2"]
    places = ["--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
    assert main(["study", "methods", *small, *methods, "--seeds", "0", "1", *places]) == 0
    out = tmp_path / "out"
    assert {file.stem for file in out.glob("*.png")} == {
        *("accuracy_against_tasks", "accuracy_against_cost", "forgetting_by_task")
    }
    table = pd.read_csv(out / "table_1.csv", keep_default_na=False).set_index("method and objective")
    assert table.loc["lae + aepg", "paper, 10 tasks"] == "76.7 / 81.4" and table.loc["ncm", "paper, 5 tasks"] == ""
    assert "/" in table.loc["ncm", "1 tasks"] and "/" in table.loc["ncm", "2 tasks"]
    cost = pd.read_csv(out / "cost.csv")
    assert (
        set(cost["method"]) == {"sequential", "lae", "ncm"} and cost["trainable"].astype(str).tolist().count("0") == 2
    )


def test_forgetting_of_each_task_by_hand(tmp_path: Path) -> None:
    matrix = np.array([[0.9, np.nan, np.nan], [0.5, 0.8, np.nan], [0.6, 0.7, 1.0]])
    RunFolder(tmp_path).write_matrix(matrix)
    runs = pd.DataFrame({"condition": "3 tasks", "contender": "lae + ce", "seed": [0], "folder": str(tmp_path)})
    shown = forgetting_by_task(runs).axes[0].images[0].get_array()
    assert np.allclose(shown, [[30, 10]])


def test_front_of_what_no_other_beats() -> None:
    cost, gain = np.array([3.0, 1.0, 1.0, 2.0, 5.0]), np.array([0.9, 0.2, 0.4, 0.3, 0.8])
    assert pareto_front(cost, gain).tolist() == [2, 0]


def test_cost_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "TASKS", (2, 3))
    monkeypatch.setattr(benchmark, "BATCHES", 1)
    monkeypatch.setattr(benchmark, "TEST_IMAGES", 16)
    rows = {row.row: row for row in benchmark.benchmark_methods(1)}
    for name, method in METHODS.items():
        for tasks in (2, 3):
            kept = rows[f"kept from task to task, {name}, {tasks} tasks"].value
            learning = rows[f"learns by gradients, {name}, {tasks} tasks"].value
            assert kept > 0 and (learning > 0) == method.learns_by_gradient
            assert name == "sequential" or rows[f"test, {name} / sequential, {tasks} tasks"].value > 0
    growth = "kept from task to task, sd-lora, {} tasks"
    lora = 2 * 5 * (2 * 4 * 128 + 1) * 4 / 1000  # another LoRA with its scale in keys and values of five blocks
    assert rows[growth.format(3)].value - rows[growth.format(2)].value == pytest.approx(lora + 2 * 129 * 4 / 1000)


def test_full_length_runs_five_pairs_at_the_papers_settings() -> None:
    entries = FULL_LENGTH.entries(replace(FULL_LENGTH.config, seeds=(0,)))
    pairs = ["sequential + ce", "sequential + epg", "sequential + aepg", "lae + ce", "lae + aepg"]
    assert [entry.contender for entry in entries] == pairs
    paper = fine_tuning("caltech101", 10)
    for name in ("epochs", "batch_size", "learning_rate", "crop_scale", "crop_fraction", "freeze_fraction", "blocks"):
        assert {getattr(entry.config, name) for entry in entries} == {getattr(paper, name)}
    with pytest.raises(ValueError, match="--left-out 'lae' is none of the pairs: sequential \\+ ce"):
        FULL_LENGTH.entries(replace(FULL_LENGTH.config, left_out=("lae",)))
    fewer = FULL_LENGTH.entries(replace(FULL_LENGTH.config, seeds=(0,), objectives=("ce", "aepg")))
    assert [entry.contender for entry in fewer] == ["sequential + ce", "sequential + aepg", "lae + ce", "lae + aepg"]


def test_papers_rows_of_other_methods() -> None:
    lae = PRESETS["table1-20tasks-lae"]
    assert lae.reported == {"ce": "73.9 / 79.2", "aepg": "75.0 / 80.0"}
    assert lae.config.method == "lae:decay=0.999,reference_batch=256" and lae.config.peft == "lora:r=4"
    inflora = PRESETS["table1-5tasks-inflora"].config
    assert (inflora.peft, len(inflora.blocks), inflora.freeze_fraction) == ("lora:r=10", 12, 0.0)
    assert PRESETS["lae-cifar100"].config.method == "lae:decay=0.9999,reference_batch=24"


def test_registering_twice_leaves_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(Method):
        """Mine."""

    try:
        assert register_method("mine")(Mine) is Mine and METHODS["mine"] is Mine
        with pytest.raises(ValueError, match="'mine' is there already"):
            register_method("mine")
    finally:
        METHODS.pop("mine", None)


def test_every_method_lies_between_the_bounds_on_the_embedded_stream() -> None:
    """Of the committed study: above the head that learns nothing, and not above joint training."""
    runs = pd.read_csv(RESULTS / "methods" / "runs.csv")
    means = runs.groupby(["condition", "contender"])["final_accuracy"].mean()
    joint = runs["condition"].str.contains("joint")
    upper = means[means.index.get_level_values(0).str.contains("joint")].max()
    for condition in runs.loc[~joint, "condition"].unique():
        found = means[condition].drop("frozen")
        assert (found > 5 * means[condition, "frozen"]).all() and (found < upper).all()
    assert runs.groupby(["condition", "contender"])["seed"].nunique().min() >= 3
