"""One run: an agent is trained on a stream, and evaluated after each task."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from agents import EPG, KeepBestPass
from agents.evaluation import TaskEvaluation, evaluate_tasks
from agents.networks.feature_memory import FeatureMemory
from agents.parallel.exchange import leader_first
from agents.parallel.processes import current
from agents.policy import ViTPolicy
from cls_env import TaskStream
from experiments.config.comparison import CHECKPOINT_EVERY
from experiments.config.processes import check_processes
from experiments.config.resolved import ResolvedRun, make_agent, resolve
from experiments.config.settings import RunConfig
from experiments.config.validation import check
from experiments.runs.agreed_interruptions import interruptions
from experiments.runs.card_notes import card_notes
from experiments.runs.finished_run import FinishedRun
from experiments.runs.label_fit import LabelFit, label_fit
from experiments.runs.measure import refuse_absurd
from experiments.runs.measures import measure_run
from experiments.runs.metrics import Matrix
from experiments.runs.paused import write_pause
from experiments.runs.peak_memory import peak_bytes, reset_peak
from experiments.runs.protocol import protocol_card
from experiments.runs.resumption import Resuming, contradiction, damage, load_newest
from experiments.runs.run_folder import RunFolder
from experiments.runs.shared_folder import owned_together
from experiments.runs.step_log import step_log
from experiments.runs.task_records import TaskRecords
from experiments.runs.watch import HeldOutAccuracy, TaskReport, Watch, write_figures
from experiments.runs.weight_change import initial_values

TEST_BATCH = 256
NEVER = 1e12
"""Minutes between two checkpoints of a process whose folder is a copy."""
Listener = Callable[[int], None]
Tester = Callable[[Sequence[int]], list[TaskEvaluation]]
"""Evaluates a policy on the tasks of these indices."""


def run(
    config: RunConfig,
    folder: RunFolder,
    on_images: Listener = lambda count: None,
    checkpoint_every: float = CHECKPOINT_EVERY,
    tasks: int | None = None,
) -> dict[str, Any]:
    """Execute a run, or what is left of it. The results of a finished run are read.

    SIGTERM and SIGINT stop it after the current gradient step, and SIGUSR1 writes a checkpoint. The next call goes on
    from the last checkpoint; on a CPU the results are the same, bit for bit.

    Args:
        config: What to run.
        folder: Folder of its results.
        on_images: Receives the number of images of every batch, and of all earlier batches of a resumed run at once.
        checkpoint_every: Minutes between two checkpoints within a task.
        tasks: How many tasks it has learned when it pauses; the next call goes on. By default it does not pause.

    Returns:
        The contents of `metrics.json`; of a paused run, its `validation_accuracies`, see `write_pause`.

    Raises:
        ValueError: The configuration names something unknown or impossible, and nothing has been written; or the
            folder holds a part of a run whose files lack what the measures need.
        FileExistsError: The folder holds another run.
        FolderInUseError: Another process executes it.
    """
    checked = check(config)
    check_processes(checked, current())
    with owned_together(folder) as owned:
        with leader_first():
            resolved = resolve(checked)
        return run_owned(resolved, owned, on_images, checkpoint_every=checkpoint_every, tasks=tasks)


def run_owned(
    run: ResolvedRun,
    folder: RunFolder,
    on_images: Listener = lambda count: None,
    watch: Watch | None = None,
    checkpoint_every: float = CHECKPOINT_EVERY,
    tasks: int | None = None,
) -> dict[str, Any]:
    """As `run`, for a caller that owns the folder and has resolved the configuration.

    Args:
        run: What to run.
        folder: Folder of its results.
        on_images: As in `run`.
        watch: Is told what happens.
        checkpoint_every: As in `run`.
        tasks: As in `run`.
    """
    watch, count = watch or Watch(), len(run.stream.tasks)
    last = count if tasks is None else min(tasks, count)
    torch.set_num_threads(run.config.threads)
    model = make_agent(run)
    run = replace(run, config=folder.claim(run.config))
    folder.record_protocol(protocol_card(run, model))
    if folder.finished:
        folder.tidy()
        on_images(sum(run.images_per_task))
        return folder.metrics()
    initial = initial_values(model.policy)
    model, matrix, fits = _resume(run, folder, model)
    if len(matrix) > last:
        raise ValueError(f"{folder.path} has learned {len(matrix)} tasks already, and can't pause after {last}")
    on_images(sum(run.images_per_task[: len(matrix)]))
    watch.begin(run, folder, len(matrix))
    reset_peak(model.device)
    started = time.perf_counter()
    with interruptions() as signals:
        resuming = Resuming(folder, signals, checkpoint_every if current().leads else NEVER)
        trained = _learn_tasks(run, model, matrix, fits, folder, on_images, watch, resuming, last)
    if last < count:
        return write_pause(folder, last, validation_accuracies(model, run.stream, last))
    return _finish(run, folder, model, initial, trained, time.perf_counter() - started)


def _finish(
    run: ResolvedRun, folder: RunFolder, model: EPG, initial: dict[str, torch.Tensor], trained: int, seconds: float
) -> dict[str, Any]:
    """Measure a run whose tasks are all learned, and write and return its metrics."""
    stream = run.stream
    metrics = measure_run(
        FinishedRun(
            folder=folder,
            stream=stream,
            policy=model.policy,
            initial=initial,
            trained_images=trained,
            seconds=seconds,
            peak_memory=peak_bytes(model.device),
            validation=validation_accuracies(model, stream, len(stream.tasks)) if stream.has_validation else {},
            extra_passes=run.extra_passes,
        )
    )
    refuse_absurd(metrics, run.config.learning_rate)
    folder.finish(metrics)
    return metrics


def _learn_tasks(
    run: ResolvedRun,
    model: EPG,
    matrix: Matrix,
    fits: list[LabelFit],
    folder: RunFolder,
    on_images: Listener,
    watch: Watch,
    resuming: Resuming,
    last: int,
) -> int:
    """Learn and test tasks until so many are learned, and return on how many images."""
    test = tester(model.policy, run.stream, "test")
    trained = 0
    for task in range(len(matrix), last):
        begun = time.perf_counter()
        watch.begin_task(task)
        trained += _learn(run, model, task, folder, test, on_images, watch, resuming)
        matrix = _finish_task(run, model, matrix, fits, folder, test)
        resuming.finish_task()
        report = TaskReport(matrix, time.perf_counter() - begun, model.num_timesteps)
        write_figures(watch.writers, report)
        watch.on_task(report)
    return trained


def validation_accuracies(model: EPG, stream: TaskStream, tasks: int) -> dict[str, float]:
    """Accuracy on the images held out of training, by their labels and by their true ones: a mean over some tasks.

    Args:
        model: The agent.
        stream: Its stream.
        tasks: How many tasks the agent has learned.
    """
    tests = tester(model.policy, stream, "validation")(range(tasks))
    true = [stream.clean_train_labels[task.validation_indices] for task in stream.tasks[:tasks]]
    return {
        "validation_accuracy": float(np.mean([test.accuracy for test in tests])),
        "validation_accuracy_clean": float(
            np.mean([(test.predictions == labels).mean() for test, labels in zip(tests, true, strict=True)])
        ),
    }


def tester(policy: ViTPolicy, stream: TaskStream, split: str) -> Tester:
    """Evaluates a policy on some tasks, as often as it is called.

    Args:
        policy: The policy.
        stream: The stream.
        split: `"test"`, or `"validation"` for the images that are held out of training.
    """
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=TEST_BATCH, dataset=stream, split=split)
    named, memory = stream.scenario.task_id_given, FeatureMemory()
    return lambda tasks: evaluate_tasks(policy, env, tasks, named, memory)


def early_stopping(model: EPG, stream: TaskStream, task: int) -> KeepBestPass:
    """Keep the epoch with the best accuracy on the task's held-out images, among all seen classes.

    If the task were given, early passes would look as good as later ones, although they still confuse the new classes
    with the old ones.
    """
    return KeepBestPass(*_held_out_accuracy(model, stream, task))


def _held_out_accuracy(model: EPG, stream: TaskStream, task: int) -> tuple[Callable[[], float], int]:
    """A measure of the accuracy on a task's held-out images, among all seen classes, and the images of an epoch."""
    test, tasks = tester(model.policy, stream, "validation"), model.policy.method.training_tasks(task)

    def accuracy() -> float:
        return float(np.mean([each.accuracy for each in test(tasks)]))

    return accuracy, sum(len(stream.tasks[visited].train_indices) for visited in tasks)


def _resume(run: ResolvedRun, folder: RunFolder, fresh: EPG) -> tuple[EPG, Matrix, list[LabelFit]]:
    """The agent after the last finished task, and the accuracy matrix and label fits up to it."""
    num_tasks, rate = len(run.stream.tasks), run.learner["learning_rate"]
    device = run.config.device
    model = load_newest(folder, lambda file: EPG.load(file, fresh.get_env(), device=device, learning_rate=rate))
    if model is None:
        return fresh, np.empty((0, num_tasks)), []
    done = model.policy.network.tasks_begun
    for task in range(done):
        TaskRecords(folder).check_task(task)
    matrix = folder.read_matrix()[:done]
    fits = folder.read_label_fits()[:done] if "label_fit" in run.extra_passes else []
    if matrix.shape != (done, num_tasks) or ("label_fit" in run.extra_passes and len(fits) != done):
        raise ValueError(
            f"{folder.path} holds an agent of {done} tasks and results of {min(len(matrix), len(fits or matrix))}: "
            "remove it, and the same command runs it anew"
        )
    logs = [folder.read_step_log(task) for task in range(done)]
    if wrong := damage(matrix, logs, run.config.early_stopping) or contradiction(folder, matrix):
        raise ValueError(f"{folder.path} is damaged: {wrong}; remove the folder, and the same command runs it anew")
    return model, matrix, fits


def _learn(
    run: ResolvedRun,
    model: EPG,
    task: int,
    folder: RunFolder,
    test: Tester,
    on_images: Listener,
    watch: Watch,
    resuming: Resuming,
) -> int:
    """Train on one task, and return on how many images, without those before a checkpoint."""
    config, stream, images = run.config, run.stream, run.images_per_task[task]
    env = model.get_env()
    assert env is not None
    env.seed((config.seeds.batch_order + task) % 2**31)
    env.set_options({"task": model.policy.method.training_tasks(task)})
    callbacks: list[BaseCallback] = [_ReportImages(on_images)]
    if "test_before_tasks" in run.extra_passes:
        callbacks.append(_BeforeTraining(lambda: folder.write_predictions(f"before_task_{task}", test([task]))))
    if watch.measures_held_out and stream.has_validation:
        callbacks.append(HeldOutAccuracy(*_held_out_accuracy(model, stream, task), watch.on_held_out))
    if config.early_stopping:
        callbacks.append(early_stopping(model, stream, task))
    saving = resuming.saving(task, callbacks)
    if saving.resume(model):
        on_images(saving.steps_done * config.batch_size)
    log = step_log(folder.steps, f"_task{task}", saving.log_text)
    model.set_logger(Logger(str(folder.steps), [log, *watch.writers]))
    with resuming.interruptions.training():
        model.learn(max(images, 1), callback=[saving, *callbacks], log_interval=1, reset_num_timesteps=task == 0)
    if not model.policy.method.learns_by_gradient:
        on_images(images)
    log.close()  # the watch's writers stay open for the next task
    return images - saving.steps_done * config.batch_size


def _finish_task(
    run: ResolvedRun, model: EPG, matrix: Matrix, fits: list[LabelFit], folder: RunFolder, test: Tester
) -> Matrix:
    """Test on all tasks so far, write the task's files, and return the accuracy matrix with its row."""
    task, num_tasks = len(matrix), len(run.stream.tasks)
    tests = test(range(task + 1))
    folder.write_predictions(f"after_task_{task}", tests)
    row = np.full(num_tasks, np.nan)
    row[: task + 1] = [each.accuracy for each in tests]
    matrix = np.vstack([matrix, row])
    if "label_fit" in run.extra_passes:
        fits.append(label_fit(model.policy, run.stream, task))
        folder.write_label_fits(fits)
    folder.write_matrix(matrix)
    model.card_notes = card_notes(run, matrix)
    if folder.model.exists():
        folder.model.replace(folder.model_before)
    model.save(folder.model)  # it says how far the run has come
    TaskRecords(folder).write(task)
    return matrix


class _BeforeTraining(BaseCallback):
    """Calls a function when the head has grown and nothing is trained yet."""

    def __init__(self, function: Callable[[], object]) -> None:
        super().__init__()
        self._function = function

    def _on_training_start(self) -> None:
        self._function()

    def _on_step(self) -> bool:
        return True


class _ReportImages(BaseCallback):
    """Reports the images of each step."""

    def __init__(self, on_images: Listener) -> None:
        super().__init__()
        self._on_images = on_images

    def _on_step(self) -> bool:
        self._on_images(self.training_env.num_envs)
        return True
