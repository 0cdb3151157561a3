"""Runs that are stopped by signals, within a task and between tasks, end with the results of undisturbed runs."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.benchmarks.faults.same_results import differences
from experiments.config.settings import RunConfig
from experiments.runs.errors import FolderInUseError
from experiments.runs.ownership import owned
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run
from experiments.runs.set_aside import set_aside

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return RunConfig(dataset="digits", num_tasks=2, epochs=3, max_per_class=4, batch_size=4, device="cpu")


@pytest.fixture(scope="module")
def whole(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = RunFolder(tmp_path_factory.mktemp("whole") / "run")
    run(config, folder)
    return folder


def signal_after(images: int, number: int) -> Callable[[int], None]:
    """A listener that sends this process a signal once, in the step with which so many images are learned."""
    seen = 0

    def listen(count: int) -> None:
        nonlocal seen
        before, seen = seen, seen + count
        if before < images <= seen:
            os.kill(os.getpid(), number)

    return listen


def assert_same_run(ours: RunFolder, expected: RunFolder) -> None:
    assert differences(ours.path, expected.path) == []


@pytest.mark.parametrize("images", [20, 80])
@pytest.mark.parametrize(
    ("number", "raised", "code"), [(signal.SIGTERM, SystemExit, 143), (signal.SIGINT, KeyboardInterrupt, None)]
)
def test_a_signal_stops_a_run_which_goes_on_within_the_task(
    images: int,
    number: int,
    raised: type[BaseException],
    code: int | None,
    config: RunConfig,
    whole: RunFolder,
    tmp_path: Path,
) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(raised) as stopped:
        run(config, folder, signal_after(images, number))
    assert code is None or stopped.value.code == code  # type: ignore[attr-defined]
    assert list(folder.training.glob("task_*/step_*.zip")) and not (folder.path / ".lock").exists()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    learned: list[int] = []
    run(config, folder, learned.append)
    assert sum(learned) == 120 and [count for count in learned if count not in (0, 4, 60)][:1] == [20]
    assert_same_run(folder, whole)


@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM, signal.SIGINT)])
def test_further_signals_do_not_disturb_a_stop(
    numbers: tuple[int, ...], config: RunConfig, whole: RunFolder, tmp_path: Path
) -> None:
    folder, seen = RunFolder(tmp_path / "run"), 0

    def listen(count: int) -> None:
        nonlocal seen
        seen += count
        if seen == 20:
            for number in numbers:
                os.kill(os.getpid(), number)

    with pytest.raises((SystemExit, KeyboardInterrupt)):
        run(config, folder, listen)
    assert list(folder.training.glob("task_0/step_*.zip")) and not (folder.path / ".lock").exists()
    run(config, folder)
    assert_same_run(folder, whole)


def test_the_lock_of_a_process_that_was_killed_after_the_run_is_removed(
    config: RunConfig, whole: RunFolder, tmp_path: Path
) -> None:
    folder = RunFolder(Path(shutil.copytree(whole.path, tmp_path / "run")))
    (folder.path / ".owner").write_text('{"pid": 1, "host": "gone"}')
    os.utime(folder.path / ".owner", (0, 0))
    (folder.path / ".lock").touch()
    run(config, folder)
    assert_same_run(folder, whole)


def test_sigusr1_writes_a_checkpoint_and_the_run_goes_on(config: RunConfig, whole: RunFolder, tmp_path: Path) -> None:
    folder, written, send = RunFolder(tmp_path / "run"), [], signal_after(20, signal.SIGUSR1)

    def listen(count: int) -> None:
        send(count)
        if count:
            written.append(len(list(folder.training.glob("task_0/step_*.zip"))))

    run(config, folder, listen)
    assert written[:6] == [0, 0, 0, 0, 0, 1]
    assert_same_run(folder, whole)


@pytest.mark.parametrize(
    "changes",
    [
        {"early_stopping": True, "validation_fraction": 0.25},
        {"method": "lae:decay=0.9,reference_batch=4", "augment": "yes"},
        {"objective": "reinforce:samples=2,baseline=running-mean", "label_noise": 0.2, "measure_label_fit": True},
    ],
    ids=["early stopping", "lae and crops", "reinforce"],
)
def test_checkpoints_at_every_step_change_nothing(changes: dict[str, Any], config: RunConfig, tmp_path: Path) -> None:
    config = replace(config, **{key: value for key, value in changes.items() if hasattr(config, key)})
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")
    run(config, whole)
    for images in (30, 30, 60):
        with pytest.raises(SystemExit):
            run(config, stopped, _counted_from_now(images), checkpoint_every=0)
    run(config, stopped)
    assert_same_run(stopped, whole)


def _counted_from_now(images: int) -> Callable[[int], None]:
    """As `signal_after`, but the images that a resumed run reports at once do not count."""
    send = signal_after(images, signal.SIGTERM)
    return lambda count: send(count) if count == 4 else None


def test_a_damaged_agent_is_named_and_the_one_before_is_taken(
    config: RunConfig, whole: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(tmp_path / "run")
    three = replace(config, num_tasks=5)
    with pytest.raises(SystemExit):
        run(three, folder, signal_after(24 * 2 + 12, signal.SIGTERM))
    folder.model.write_bytes(folder.model.read_bytes()[:200])
    undisturbed = RunFolder(tmp_path / "undisturbed")
    run(three, undisturbed)
    run(three, folder)
    assert "model.zip" in (message := capsys.readouterr().err) and "goes on from the task before" in message
    assert_same_run(folder, undisturbed)


def stopped_in_second_task(config: RunConfig, folder: RunFolder) -> RunFolder:
    with pytest.raises(SystemExit):
        run(config, folder, signal_after(80, signal.SIGTERM))
    return folder


@pytest.mark.parametrize("name", ["steps/progress_task0.csv", "predictions/after_task_0.npz"])
@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_a_file_of_a_finished_task_that_is_changed_or_missing_is_named(
    name: str, harm: str, config: RunConfig, tmp_path: Path
) -> None:
    folder = stopped_in_second_task(config, RunFolder(tmp_path / "run"))
    file = folder.path / name
    content = file.read_bytes()
    file.write_bytes(content[:-2] + b"7\n")
    if harm == "missing":
        file.unlink()
    with pytest.raises(ValueError, match=rf"{file.name} (is not as this run has written it|is missing|lacks steps)"):
        run(config, folder)


def test_the_record_of_a_finished_task_that_is_missing_is_named(config: RunConfig, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(SystemExit):
        run(replace(config, num_tasks=3), folder, signal_after(100, signal.SIGTERM))
    records = sorted(file.name for file in folder.finished_tasks.iterdir())
    assert records == ["0.json", "1.json"]
    (folder.finished_tasks / "0.json").unlink()
    with pytest.raises(ValueError, match=r"0\.json is missing: start the run again with --fresh"):
        run(replace(config, num_tasks=3), folder)


def test_a_summary_of_another_run_is_named(config: RunConfig, whole: RunFolder, tmp_path: Path) -> None:
    folder = stopped_in_second_task(config, RunFolder(tmp_path / "run"))
    shutil.copy(whole.path / "metrics.json", folder.path)
    wrong = r"metrics\.json can't be read \(.*: its accuracy_curve ends with .* after 2 tasks, and .* after 1 tasks\)"
    with pytest.raises(ValueError, match=wrong):
        run(config, folder)
    (folder.path / "metrics.json").unlink()
    run(config, folder)
    assert_same_run(folder, whole)


class KilledError(BaseException):
    """In place of SIGKILL."""


def test_a_run_that_is_killed_at_its_very_end_is_finished(
    config: RunConfig, whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: RunFolder) -> None:
        (folder.finished_tasks / "1.json").unlink()
        raise KilledError

    folder = RunFolder(tmp_path / "run")
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(RunFolder, "tidy", killed)
        run(config, folder)
    assert folder.finished_tasks.exists() and folder.model_before.exists()
    assert run(config, folder) == folder.metrics()
    assert_same_run(folder, whole)


def test_the_files_of_another_run_are_refused(config: RunConfig, tmp_path: Path) -> None:
    folder = stopped_in_second_task(config, RunFolder(tmp_path / "run"))
    other = stopped_in_second_task(replace(config, objective="ce"), RunFolder(tmp_path / "other"))
    shutil.copy(other.model, folder.model)
    with pytest.raises(ValueError, match=r"model\.zip is not as this run has written it"):
        run(config, folder)
    again = stopped_in_second_task(config, RunFolder(tmp_path / "again"))
    shutil.rmtree(again.training)
    shutil.copytree(other.training, again.training)
    with pytest.raises(ValueError, match="holds a training state of another run"):
        run(config, again)


def test_temporary_files_of_a_killed_process_are_removed(config: RunConfig, whole: RunFolder, tmp_path: Path) -> None:
    folder = stopped_in_second_task(config, RunFolder(tmp_path / "run"))
    (folder.path / ".model.zip.abc").mkdir()
    (folder.path / ".model.zip.abc" / "head.safetensors").touch()
    for name in (".metrics.json.7.tmp", "predictions/.after_task_1.npz.7.tmp", "training/task_1/.step_1.zip.x"):
        (folder.path / name).touch()
    run(config, folder)
    assert_same_run(folder, whole)


def test_a_fresh_run_keeps_the_earlier_one(config: RunConfig, tmp_path: Path) -> None:
    folder = stopped_in_second_task(config, RunFolder(tmp_path / "run"))
    assert set_aside(folder.path) == tmp_path / "run.1" and not folder.path.exists()
    stopped_in_second_task(config, folder)
    assert set_aside(folder.path) == tmp_path / "run.2"
    assert set_aside(folder.path) is None
    folder.path.mkdir()
    (folder.path / "notes.txt").touch()
    with pytest.raises(FileExistsError, match="holds no run"):
        set_aside(folder.path)
    with owned(tmp_path / "run.1"), pytest.raises(FolderInUseError):
        set_aside(tmp_path / "run.1")
