from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.comparisons.entries import objective_entries
from experiments.config.resolved import resolve
from experiments.config.settings import CompareConfig, RunConfig
from experiments.config.validation import check
from experiments.execution.engines.local import LocalEngine
from experiments.execution.run_all import run_all
from experiments.reports.figures import comparison_figures, save_figures
from experiments.runs.errors import RunFailedError
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run
from tests.experiments.interruption import Interrupted, interrupt_after

pytestmark = pytest.mark.long

EXPECTED_FILES = {
    "accuracy_matrix.csv",
    "config.json",
    "metrics.json",
    "model.zip",
    "predictions",
    "protocol.json",
    "steps",
}


@pytest.fixture(scope="module")
def config(image_zip: Path) -> RunConfig:
    return RunConfig(dataset="folder", root=str(image_zip), num_tasks=2, epochs=2, batch_size=4, device="cpu")


@dataclass(frozen=True)
class Whole:
    """A finished run, which no test changes."""

    folder: RunFolder
    metrics: dict[str, Any]
    images: list[int]


@pytest.fixture(scope="module")
def whole(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    images: list[int] = []
    folder = RunFolder(tmp_path_factory.mktemp("whole") / "run")
    return Whole(folder, run(config, folder, images.append), images)


def test_run_leaves_a_whole_folder(whole: Whole) -> None:
    folder, metrics = whole.folder, whole.metrics
    assert {file.name for file in folder.path.iterdir()} == EXPECTED_FILES
    assert sum(whole.images) == 2 * 24
    assert folder.read_matrix().shape == (2, 2) and np.isnan(folder.read_matrix()[0, 1])
    assert metrics["final_accuracy"] == pytest.approx(folder.read_matrix()[1].mean())
    assert len(folder.read_steps()) == 2 * 24 // 4
    assert not folder.has_predictions("before_task_1") and metrics["forward_transfer"] is None
    assert metrics["train_accuracy_clean"] is None
    assert folder.read_predictions("after_task_1")["task"].tolist() == [0] * 6 + [1] * 6


def test_model_card_tells_what_was_run(whole: Whole) -> None:
    with zipfile.ZipFile(whole.folder.model) as archive:
        card = archive.read("README.md").decode("utf-8")
    command = next(line for line in card.splitlines() if line.startswith("cls-env run "))
    assert command.startswith("cls-env run --dataset folder --root images.zip --num-tasks 2 --epochs 2 --batch-size 4")
    curve = ", ".join(f"`{accuracy:.1%}`" for accuracy in whole.metrics["accuracy_curve"])
    assert f"- accuracy on all classes seen, after each task: {curve}\n" in card
    assert "- dataset: `images`\n" in card and "- training images: `24`\n" in card and "`brücke`" in card


def test_protocol_card_tells_what_was_run(config: RunConfig, whole: Whole) -> None:
    card = json.loads((whole.folder.path / "protocol.json").read_text())
    stream = resolve(config).stream
    assert card["config"] == config.as_json()
    assert card["stream"]["fingerprint"] == stream.fingerprint
    assert card["stream"]["class_order"] == stream.class_order.tolist()
    assert card["normalization"] == {"mean": [0.5] * 3, "std": [0.5] * 3}
    assert card["weights"]["sha256"] and card["versions"]["torch"] and card["metrics"]["forgetting"]


def test_finished_run_is_reused(config: RunConfig, whole: Whole) -> None:
    folder = whole.folder
    written = {file: file.stat().st_mtime_ns for file in folder.path.rglob("*")}
    images: list[int] = []
    assert run(config, folder, images.append) == whole.metrics
    assert images == [2 * 24]
    assert {file: file.stat().st_mtime_ns for file in folder.path.rglob("*")} == written


def test_interrupted_run_goes_on_to_the_same_end(config: RunConfig, whole: Whole, tmp_path: Path) -> None:
    broken = RunFolder(tmp_path / "broken")
    with pytest.raises(Interrupted):
        run(config, broken, interrupt_after(30))  # in the second task
    assert not broken.finished and len(broken.read_matrix()) == 1
    images: list[int] = []
    run(config, broken, images.append)
    assert images[0] == 24 and sum(images) == 48
    assert np.array_equal(whole.folder.read_matrix(), broken.read_matrix(), equal_nan=True)
    assert whole.folder.read_steps()["train/loss"].equals(broken.read_steps()["train/loss"])
    for name in ("predictions", "entropy"):
        after = [folder.read_predictions("after_task_1")[name] for folder in (whole.folder, broken)]
        assert np.array_equal(*after)


def test_run_killed_between_two_files_of_a_task_goes_on(config: RunConfig, whole: Whole, tmp_path: Path) -> None:
    broken = RunFolder(tmp_path / "broken")
    first_agent = b""

    def remember(count: int) -> None:
        nonlocal first_agent
        if broken.model.exists():
            first_agent = first_agent or broken.model.read_bytes()

    run(config, broken, remember)
    broken.model.write_bytes(first_agent)  # as if killed after the last matrix and before the agent was saved
    (broken.path / "metrics.json").unlink()
    run(config, broken)
    assert np.array_equal(whole.folder.read_matrix(), broken.read_matrix(), equal_nan=True)
    assert broken.model.read_bytes() != first_agent


def test_other_images_are_noticed(config: RunConfig, image_tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "images"
    shutil.copytree(image_tree, root)
    own = replace(config, root=str(root))
    folder = RunFolder(tmp_path / "run")
    run(own, folder)
    card = (folder.path / "protocol.json").read_bytes()
    shutil.copy(root / "train" / "dog" / "0.png", root / "train" / "cat" / "0.png")
    with pytest.raises(FileExistsError, match=r"other data or weights \(stream, images_sha256\)"):
        run(own, folder)
    assert (folder.path / "protocol.json").read_bytes() == card


def test_folder_of_another_run_is_left_alone(config: RunConfig, whole: Whole, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="another configuration"):
        run(replace(config, seed=1), whole.folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds no run"):
        run(config, RunFolder(other))
    assert [file.name for file in other.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "glyhps"}, "unknown dataset 'glyhps'; did you mean 'glyphs'"),
        ({"objective": "aegp"}, "unknown objective 'aegp'; did you mean 'aepg'"),
        ({"peft": "lorra"}, "unknown PEFT module 'lorra'"),
        ({"model": "vit_bse_patch16_224"}, "unknown model 'vit_bse_patch16_224'; did you mean"),
        ({"root": None}, "--dataset folder needs --root PATH"),
        ({"dataset": "glyphs"}, "unknown argument of dataset 'glyphs' 'root'. Known: num_classes"),
        ({"options": ("resize",)}, "of the form name=value, not 'resize'"),
        ({"options": ("resize=crp",)}, "did you mean 'crop'"),
        ({"scenario": "online"}, "shows each image once: give --epochs 1, not 2"),
        ({"scenario": "clas-incremental"}, "did you mean 'class-incremental'"),
        ({"label_noise": 0.1, "noise_matrix": "x.csv"}, "drop --label-noise"),
        ({"noise_matrix": "nowhere.csv"}, "nowhere.csv can't be read"),
        ({"rate_milestones": (1.5,)}, r"each of rate_milestones must be in \(0, 1\), not 1.5"),
        ({"weights": "w.safetensors", "pretrained": False}, "give one of them"),
        ({"model": "vit_base_patch16_224.nowhere"}, "but not the weights 'vit_base_patch16_224.nowhere'"),
        ({"learning_rate": float("inf")}, r"learning_rate must be in \(0, inf\), not inf"),
        ({"learning_rate": float("nan")}, r"learning_rate must be in \(0, inf\), not nan"),
        ({"momentum": -3.0}, r"momentum must be in \[0, 1\), not -3"),
        ({"weight_decay": -1.0}, r"weight_decay must be in \[0, inf\), not -1"),
        ({"seed": -1}, r"seed must be in \[0, inf\), not -1"),
        ({"crop_scale": (0.9, 0.1)}, "crop_scale holds two shares of the area"),
        ({"crop_fraction": 1.5}, r"crop_fraction must be in \(0, 1\], not 1.5"),
        ({"input_size": 0}, r"input_size must be in \[1, inf\), not 0"),
        ({"init_classes": 2, "num_tasks": None}, "needs increment"),
        ({"num_tasks": 5}, "5 tasks can't be made of 4 classes"),
        ({"epochs": 0}, r"epochs must be in \[1, inf\), not 0"),
        ({"freeze_fraction": 2.0}, "freeze_fraction"),
        ({"dataset": "glyphs", "root": None, "image_size": 64}, "unknown argument of dataset 'glyphs' 'image_size'"),
        *([] if torch.cuda.is_available() else [({"device": "cuda"}, "torch sees no GPU")]),
    ],
)
def test_impossible_runs_write_nothing(
    config: RunConfig, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(replace(config, **changes), RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_names_tell_configurations_apart(config: RunConfig) -> None:
    others = [replace(config, **change) for change in ({"seed": 1}, {"epochs": 3}, {"root": "x"}, {"peft": "lora:r=2"})]
    assert len({run.name for run in [config, *others]}) == 5
    assert replace(config).name == config.name


def test_objectives_share_their_seeds_and_nothing_else_differs(config: RunConfig) -> None:
    settings = {name: getattr(config, name) for name in ("dataset", "root", "num_tasks", "epochs", "batch_size")}
    entries = objective_entries(CompareConfig(seeds=(3,), label_noise=(0.1,), **settings))
    assert [entry.config.objective for entry in entries] == ["ce", "epg", "aepg"]
    assert len({entry.config.seeds for entry in entries}) == 1
    assert len({replace(entry.config, objective="") for entry in entries}) == 1
    streams = {resolve(entry.checked).stream.fingerprint for entry in entries}
    assert len(streams) == 1


def test_parallel_runs_equal_single_ones_and_are_drawn(config: RunConfig, tmp_path: Path) -> None:
    compare = CompareConfig(
        objectives=("ce", "aepg"),
        label_noise=(0.0, 0.2),
        seeds=(0,),
        **{name: getattr(config, name) for name in ("dataset", "root", "num_tasks", "epochs", "batch_size", "device")},
    )
    entries = objective_entries(compare)
    runs, single = (run_all(entries, tmp_path / str(workers), LocalEngine(workers)) for workers in (2, 0))
    assert len(runs) == len(single) == 4
    for places in zip(single["folder"], runs["folder"], strict=True):
        alone, there = (RunFolder(Path(place)) for place in places)
        assert np.array_equal(alone.read_matrix(), there.read_matrix(), equal_nan=True)
        assert np.array_equal(
            alone.read_predictions("after_task_1")["entropy"], there.read_predictions("after_task_1")["entropy"]
        )
    files = save_figures(comparison_figures(runs, resolve(entries[0].checked).stream), tmp_path)
    assert [file.stat().st_size > 5000 for file in files] == [True] * 8  # four figures, as PNG and PDF


def test_failed_run_is_named(config: RunConfig, tmp_path: Path) -> None:
    entries = objective_entries(
        CompareConfig(
            objectives=("ce",),
            label_noise=(0.0,),
            seeds=(0,),
            **{name: getattr(config, name) for name in ("dataset", "root", "num_tasks", "epochs", "batch_size")},
        )
    )
    place = tmp_path / "runs" / entries[0].config.name
    place.mkdir(parents=True)
    (place / "foreign.txt").write_text("x")
    with pytest.raises(RunFailedError, match=rf"{entries[0].config.name} failed: FileExistsError"):
        run_all(entries, tmp_path / "runs", LocalEngine(0))


def test_check_accepts_the_defaults() -> None:
    check(RunConfig())


def test_runs_in_the_calling_process_start_no_other(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("multiprocessing.process.BaseProcess.start", refuse)
    threads = torch.get_num_threads()
    settings = {name: getattr(config, name) for name in ("dataset", "root", "num_tasks", "batch_size", "device")}
    compare = CompareConfig(objectives=("ce",), label_noise=(0.0,), seeds=(0,), epochs=1, threads=2, **settings)
    runs = run_all(objective_entries(compare), tmp_path, LocalEngine(0))
    assert 0 <= runs["final_accuracy"].item() <= 1 and torch.get_num_threads() == threads
