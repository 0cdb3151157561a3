"""The measures of a real, small run with wrong labels, whole and interrupted."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from importlib.util import find_spec
from mmap import PAGESIZE, mmap
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.config.identity import ADDED
from experiments.config.resolved import make_agent, resolve
from experiments.config.settings import RunConfig
from experiments.runs.label_fit import LabelFit, label_fit, shares
from experiments.runs.measures import MEASURES
from experiments.runs.peak_memory import peak_bytes, reset_peak
from experiments.runs.run_folder import RunFolder, run_path, run_paths
from experiments.runs.runner import run
from experiments.runs.weight_change import initial_values, parameter_distance, weight_distance
from tests.experiments.interruption import Interrupted, interrupt_after

pytestmark = pytest.mark.long

PASSING = {"seconds", "images_per_second", "peak_memory_bytes"}
ASKED_FOR = {"forward_transfer", "train_accuracy_clean", "train_accuracy_flipped", "train_recovered"}
OPTIONS = ("num_classes=6", "train_per_class=12", "test_per_class=5", "hard_fraction=0.0")


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return RunConfig(
        options=OPTIONS,
        num_tasks=3,
        epochs=3,
        batch_size=8,
        learning_rate=5e-3,
        label_noise=0.25,
        device="cpu",
        test_before_tasks=True,
        label_fit=True,
    )


@pytest.fixture(scope="module")
def whole(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run, which no test changes."""
    folder = RunFolder(tmp_path_factory.mktemp("whole") / "run")
    run(config, folder)
    return folder


def test_every_measure_is_there_and_an_interruption_changes_none(
    config: RunConfig, whole: RunFolder, tmp_path: Path
) -> None:
    measures = whole.metrics()
    assert set(measures) | {"validation_accuracy", "validation_accuracy_clean"} == set(MEASURES)
    with pytest.raises(Interrupted):
        run(config, RunFolder(tmp_path / "broken"), interrupt_after(100))  # in the second task
    resumed = run(config, RunFolder(tmp_path / "broken"))
    assert {name: value for name, value in resumed.items() if name not in PASSING} == {
        name: value for name, value in measures.items() if name not in PASSING
    }
    assert measures["peak_memory_bytes"] > 1e7


def test_what_is_not_asked_for_is_not_measured_and_changes_nothing_else(
    config: RunConfig, whole: RunFolder, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "plain")
    metrics = run(replace(config, test_before_tasks=False, label_fit=False), folder)
    assert {name for name, value in metrics.items() if value is None} == ASKED_FOR
    assert list(metrics) == list(whole.metrics())
    alike = metrics.keys() - ASKED_FOR - PASSING
    assert {name: metrics[name] for name in alike} == {name: whole.metrics()[name] for name in alike}
    assert not (folder.path / "training_labels.csv").exists()
    assert not any(folder.has_predictions(f"before_task_{task}") for task in range(3))
    with pytest.raises(FileExistsError, match="test_before_tasks is false there and true here, label_fit is false"):
        run(config, folder)


def test_a_run_that_measured_more_serves(config: RunConfig, whole: RunFolder, tmp_path: Path) -> None:
    """So does one of a version without a choice, which measured everything."""
    plain = replace(config, test_before_tasks=False, label_fit=False)
    place = Path(shutil.copytree(whole.path, tmp_path / config.name))
    assert run_path(plain, tmp_path) == place != tmp_path / plain.name
    assert run(plain, RunFolder(place)) == whole.metrics()

    (tmp_path / plain.name).mkdir()
    (tmp_path / plain.name / "config.json").write_text(json.dumps(plain.as_json()))  # begun, and not finished
    assert run_path(plain, tmp_path) == place
    shutil.rmtree(tmp_path / plain.name)
    place = place.rename(tmp_path / plain.name)
    old = {name: value for name, value in config.as_json().items() if name not in ADDED}
    (place / "config.json").write_text(json.dumps(old))
    assert run_paths([plain, config], tmp_path) == [place, place]
    (place / "metrics.json").unlink()
    (place / "model.zip").unlink()  # it starts again, and measures what that version did
    again = run(plain, RunFolder(place))
    assert {name: again[name] for name in ASKED_FOR} == {name: whole.metrics()[name] for name in ASKED_FOR}


def test_an_early_stopped_run_goes_on_too(config: RunConfig, tmp_path: Path) -> None:
    """Where the best pass is not the last, the last step is left out of the log."""
    config = replace(config, epochs=6, validation_fraction=0.3, early_stopping=True)
    seen = 0

    def interrupt(count: int) -> None:
        nonlocal seen
        seen += count
        if seen > 130:  # within the second or third task
            raise Interrupted

    whole = run(config, RunFolder(tmp_path / "whole"))
    steps = [len(RunFolder(tmp_path / "whole").read_step_log(task)) for task in range(3)]
    assert len(set(steps)) > 1
    with pytest.raises(Interrupted):
        run(config, RunFolder(tmp_path / "broken"), interrupt)
    assert RunFolder(tmp_path / "broken").read_matrix().shape[0] > 0
    assert run(config, RunFolder(tmp_path / "broken"))["final_accuracy"] == whole["final_accuracy"]


def test_measures_agree_with_the_files(config: RunConfig, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    config = replace(config, options=("num_classes=7", *OPTIONS[1:]), num_tasks=(3, 2, 2))
    metrics = run(config, folder)
    matrix, last = folder.read_matrix(), folder.read_predictions("after_task_2")
    assert metrics["per_task_accuracy"] == matrix[-1].tolist()
    assert metrics["plasticity"] == pytest.approx(matrix.diagonal().mean())
    within = [(last["task_predictions"] == last["labels"])[last["task"] == task].mean() for task in range(3)]
    assert metrics["per_task_aware_accuracy"] == pytest.approx(within)
    confusion = metrics["task_aware_accuracy"] - metrics["final_accuracy"]
    assert metrics["between_task_confusion"] == pytest.approx(confusion) and confusion >= 0
    right = last["predictions"] == last["labels"]
    assert metrics["final_accuracy_over_images"] == pytest.approx(right.mean())
    assert metrics["final_accuracy_over_images"] != pytest.approx(metrics["final_accuracy"], abs=1e-5)
    first = folder.read_predictions("after_task_1")
    early = (first["predictions"] == first["labels"]).mean()
    assert metrics["accuracy_over_images_curve"] == pytest.approx([matrix[0, 0], early, right.mean()])
    assert metrics["nll"] == pytest.approx(-last["log_likelihood"].mean(), rel=1e-5)
    assert (last["task_entropy"] <= np.log(3) + 1e-5).all() and (last["entropy"] <= np.log(7) + 1e-5).all()
    assert ((last["confidence"] > 1 / 7 - 1e-6) & (last["confidence"] <= 1)).all()
    assert metrics["train_entropy"] == pytest.approx(folder.read_steps()["train/entropy"].mean())
    # Before a task its classes have no learned rows: naming the task leaves a guess.
    before = folder.read_predictions("before_task_1")
    assert metrics["forward_transfer"] == pytest.approx(
        np.mean(
            [
                (answers["task_predictions"] == answers["labels"]).mean() - 0.5
                for answers in (before, folder.read_predictions("before_task_2"))
            ]
        )
    )


def test_true_and_flipped_labels_are_told_apart(config: RunConfig, whole: RunFolder) -> None:
    metrics = whole.metrics()
    fits, stream = whole.read_label_fits(), resolve(config).stream
    for fit, task in zip(fits, stream.tasks, strict=True):
        rows = task.train_indices
        assert fit.flipped == (stream.train_labels[rows] != stream.clean_train_labels[rows]).sum() == 6
        assert fit.clean == 18 and fit.clean_right <= fit.clean
        assert fit.memorised + fit.recovered == fit.flipped  # of two classes it is one or the other
    assert metrics["train_accuracy_flipped"] == pytest.approx(sum(fit.memorised for fit in fits) / 18)
    assert metrics["train_recovered"] == pytest.approx(1 - metrics["train_accuracy_flipped"])


def test_without_flipped_labels_there_is_nothing_to_memorise() -> None:
    measures = shares([LabelFit(10, 9, 0, 0, 0), LabelFit(10, 7, 0, 0, 0)])
    assert measures == {"train_accuracy_clean": 0.8, "train_accuracy_flipped": None, "train_recovered": None}


def test_a_large_task_is_sampled(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.runs.label_fit.MOST_IMAGES", 10)
    agent = make_agent(run := resolve(config))
    stream = run.stream
    agent.policy.begin_task([0, 1], freeze_peft=False)
    fit = label_fit(agent.policy, stream, 0)
    assert fit.clean + fit.flipped == 10


@pytest.mark.parametrize(("peft", "merges"), [("lora", True), ("ssf", True), ("adapter", False), ("full", True)])
def test_distances_by_hand(config: RunConfig, peft: str, merges: bool) -> None:
    agent = make_agent(resolve(RunConfig(**{**config.as_json(), "options": OPTIONS, "peft": peft, "blocks": (0,)})))
    policy = agent.policy
    initial = initial_values(policy)
    assert parameter_distance(policy, initial) == 0
    assert not weight_distance(policy, initial)
    with torch.no_grad():
        for tensor in policy.network.peft_parameters:
            tensor.add_(0.5)
    count = sum(tensor.numel() for tensor in policy.network.peft_parameters)
    assert parameter_distance(policy, initial) == pytest.approx(0.5 * count**0.5, rel=1e-5)
    found = weight_distance(policy, initial)
    assert (found is not None) == merges
    if peft == "full":
        assert found == pytest.approx(0.5 * count**0.5, rel=1e-5)
    if peft == "lora":
        adapted = [module for module in policy.network.backbone.modules() if hasattr(module, "get_delta_weight")]
        squares = sum(module.get_delta_weight("default").square().sum().item() for module in adapted)
        assert found == pytest.approx(squares**0.5, rel=1e-4)


def test_measuring_the_distance_leaves_the_policy_as_it_was(config: RunConfig) -> None:
    agent = make_agent(resolve(replace(config, blocks=(0,))))
    initial = initial_values(agent.policy)
    with torch.no_grad():
        for tensor in agent.policy.network.peft_parameters:
            tensor.add_(0.5)
    before = {name: tensor.clone() for name, tensor in agent.policy.network.backbone.state_dict().items()}
    assert weight_distance(agent.policy, initial) == weight_distance(agent.policy, initial)
    after = agent.policy.network.backbone.state_dict()
    assert list(before) == list(after) and all(torch.equal(before[name], after[name]) for name in before)


def test_a_part_of_a_run_without_what_the_measures_need_is_refused(
    config: RunConfig, whole: RunFolder, tmp_path: Path
) -> None:
    folder, metrics = RunFolder(Path(shutil.copytree(whole.path, tmp_path / "run"))), whole.metrics()
    (folder.path / "training_labels.csv").unlink()
    assert run(config, folder) == metrics  # a finished run is only read
    (folder.path / "metrics.json").unlink()
    with pytest.raises(ValueError, match=r"training_labels\.csv is missing, or an older version began this run"):
        run(config, folder)


def test_a_run_with_damaged_results_does_not_go_on(config: RunConfig, whole: RunFolder, tmp_path: Path) -> None:
    whole = RunFolder(Path(shutil.copytree(whole.path, tmp_path / "whole")))
    (whole.path / "metrics.json").unlink()
    log = whole.steps / "progress_task1.csv"
    lines, matrix = log.read_text().splitlines(keepends=True), (whole.path / "accuracy_matrix.csv").read_text()
    for name, content, message in (
        ("steps/progress_task1.csv", None, "the step log of task 1 is missing"),
        ("steps/progress_task1.csv", "".join(lines[: len(lines) // 2]), "the step log of task 1 lacks steps"),
        ("steps/progress_task1.csv", "".join([lines[0], *lines[2:]]), "the step log of task 1 lacks steps"),
        ("accuracy_matrix.csv", matrix.replace(",0", ",7", 1), r"the accuracy 7\S* of task 0 after task \d is not in"),
        (
            "accuracy_matrix.csv",
            matrix.replace(",,", ",0.5,", 1),
            "the row of task 0 has accuracies of tasks that were not learned yet",
        ),
        (
            "accuracy_matrix.csv",
            re.sub("^0,[^,]*,", "0,0.123,", matrix, count=1, flags=re.MULTILINE),
            r"the accuracy 0\.123 of task 0 after task 0 is \S+ by its predictions",
        ),
    ):
        damaged = RunFolder(tmp_path / "damaged")
        shutil.copytree(whole.path, damaged.path)
        if content is None:
            (damaged.path / name).unlink()
        else:
            assert content != (damaged.path / name).read_text()
            (damaged.path / name).write_text(content)
        with pytest.raises(ValueError, match=f"is damaged: {message}.*; remove the folder"):
            run(config, damaged)
        shutil.rmtree(damaged.path)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory can be reset on Linux alone")
def test_peak_memory_begins_anew() -> None:
    device = torch.device("cpu")
    with mmap(-1, 60_000_000) as block:  # unlike an array's memory, sure to go back to the system
        for page in range(0, len(block), PAGESIZE):
            block[page] = 1
        high = peak_bytes(device)
    reset_peak(device)
    low = peak_bytes(device)
    assert high is not None and low is not None
    assert low < high - 30_000_000


@pytest.mark.skipif(
    find_spec("resource") is None, reason="Windows has no resource module, which tells the peak of memory"
)
def test_peak_memory_where_it_cannot_begin_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("experiments.runs.peak_memory._CLEAR", tmp_path)  # there, but no file to write to
    monkeypatch.setattr("experiments.runs.peak_memory._STATUS", tmp_path / "status")
    (tmp_path / "status").write_text("Name:\tpython\n")
    reset_peak(torch.device("cpu"))
    found = peak_bytes(torch.device("cpu"))
    assert found is not None and 1e7 < found < 1e12
