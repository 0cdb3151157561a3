"""A run is watched: what it tells, and that its results do not depend on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.config import watching
from experiments.config.resolved import ResolvedRun, resolve
from experiments.config.settings import RunConfig
from experiments.config.watching import WatchSettings, check_watch
from experiments.files import read_json
from experiments.reports.run_watch import TerminalWatch
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run, run_owned
from experiments.runs.watch import HELD_OUT, TaskReport, Watch
from experiments.runs.writers import TENSORBOARD, WANDB_ID

pytestmark = pytest.mark.long

CONFIG = RunConfig(
    model="test_vit",
    pretrained=False,
    options=("num_classes=4", "train_per_class=10", "test_per_class=4", "hard_fraction=0"),
    num_tasks=2,
    epochs=3,
    batch_size=8,
    validation_fraction=0.2,
    device="cpu",
)
IMAGES = 48
"""Of a task: three epochs of 16 images."""
TIMES = ("seconds", "images_per_second", "peak_memory_bytes")


class Listening(Watch):
    """Keeps what it is told."""

    measures_held_out = True

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.reports: list[TaskReport] = []

    def begin(self, run: ResolvedRun, folder: RunFolder, tasks_done: int) -> None:
        self.told.append(tasks_done)

    def begin_task(self, task: int) -> None:
        self.told.append(f"task {task}")

    def on_held_out(self, accuracy: float) -> None:
        self.told.append(accuracy)

    def on_task(self, report: TaskReport) -> None:
        self.reports.append(report)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Listening]:
    folder, listening = RunFolder(tmp_path_factory.mktemp("watched") / "run"), Listening()
    run_owned(resolve(CONFIG), folder, watch=listening)
    return folder, listening


def test_held_out_images_are_looked_at_after_each_epoch(watched: tuple[RunFolder, Listening]) -> None:
    folder, listening = watched
    assert [word for word in listening.told if not isinstance(word, float)] == [0, "task 0", "task 1"]
    steps = folder.read_steps()
    seen = steps[HELD_OUT].dropna()
    assert steps.loc[seen.index, "train/n_updates"].tolist() == [3, 5, 6, 9, 11, 12]  # the step after each epoch
    assert seen.tolist() == pytest.approx([word for word in listening.told if isinstance(word, float)])
    assert seen.between(0, 1).all() and len(steps) == 12


def test_the_results_do_not_depend_on_it(watched: tuple[RunFolder, Listening], tmp_path: Path) -> None:
    folder, _ = watched
    plain = RunFolder(tmp_path / "plain")
    metrics, other = run(CONFIG, plain), folder.metrics()
    assert {key: value for key, value in metrics.items() if key not in TIMES} == {
        key: value for key, value in other.items() if key not in TIMES
    }
    assert plain.read_steps()["train/loss"].equals(folder.read_steps()["train/loss"])
    for name in ("predictions", "entropy", "confidence"):
        assert np.array_equal(*(each.read_predictions("after_task_1")[name] for each in (plain, folder)))
    assert HELD_OUT not in plain.read_steps() and replace(CONFIG).name == CONFIG.name


def test_each_task_is_reported(watched: tuple[RunFolder, Listening]) -> None:
    folder, listening = watched
    first, last = listening.reports
    matrix, metrics = folder.read_matrix(), folder.metrics()
    assert (first.task, first.step, last.task, last.step) == (0, IMAGES, 1, 2 * IMAGES)
    assert first.figures["test/accuracy_on_task"] == first.figures["test/accuracy_on_seen"] == matrix[0, 0]
    assert first.figures["test/forgetting"] == 0 and last.figures["test/accuracy_on_task"] == matrix[1, 1]
    assert last.figures["test/accuracy_on_seen"] == pytest.approx(metrics["final_accuracy"])
    assert last.figures["test/forgetting"] == pytest.approx(metrics["forgetting"])


def watch_command_line(folder: RunFolder, settings: WatchSettings) -> None:
    resolved = resolve(CONFIG)
    with TerminalWatch(settings, "images", sum(resolved.images_per_task)) as watch:
        run_owned(resolved, folder, watch.on_images, watch)


def test_tensorboard_gets_one_run_whose_steps_count_on(watched: tuple[RunFolder, Listening], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = RunFolder(tmp_path / "run")
    watch_command_line(folder, WatchSettings(tensorboard=True, watch_validation=True))
    events = EventAccumulator(str(folder.path / TENSORBOARD)).Reload()

    def steps(name: str) -> Sequence[int]:
        return [event.step for event in events.Scalars(name)]

    assert len(list((folder.path / TENSORBOARD).iterdir())) == 1
    assert steps("train/loss") == list(range(8, 2 * IMAGES + 1, 8)) and len(steps(HELD_OUT)) == 6
    assert steps("test/accuracy_on_seen") == [IMAGES, 2 * IMAGES]
    losses = [event.value for event in events.Scalars("train/loss")]
    assert losses == pytest.approx(watched[0].read_steps()["train/loss"].tolist(), rel=1e-5)


def test_weights_and_biases_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = RunFolder(tmp_path / "run")
    watch_command_line(folder, WatchSettings(wandb="forgetting"))
    content = read_json(folder.path / WANDB_ID)
    (file,) = (folder.path / "wandb").glob(f"offline-run-*/run-{content['id']}.wandb")
    assert content["project"] == "forgetting"
    written = file.read_bytes()
    assert b"train/loss" in written and b"test/forgetting" in written and b"validation_fraction" in written


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            WatchSettings(tensorboard=True),
            '--tensorboard needs the package tensorboard: pip install "cls-env[tensorboard]"',
        ),
        (WatchSettings(wandb="x"), '--wandb needs the package wandb: pip install "cls-env[wandb]"'),
    ],
)
def test_a_missing_package_is_named_with_its_command(
    settings: WatchSettings, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError) as raised:
        check_watch(settings)
    assert str(raised.value) == line
