"""The measures of a run: each is declared once, with its heading, its definition, and how it is computed.

Their order is that of `metrics.json` and of the columns of `runs.csv`.
"""

from __future__ import annotations

from typing import Any

from experiments.runs.finished_run import FinishedRun, state_bytes, trainable_parameters
from experiments.runs.measure import Measure, by_name, find_measures
from experiments.runs.metrics import (
    accuracy_curve,
    average_accuracy,
    backward_transfer,
    expected_calibration_error,
    final_accuracy,
    forgetting,
    forward_transfer,
    negative_log_likelihood,
    plasticity,
)
from experiments.runs.weight_change import parameter_distance, weight_distance

_TABLE = (
    Measure(
        "final_accuracy",
        "A_T %",
        100,
        "A_T: mean over all tasks of the accuracy after the last task",
        lambda run: final_accuracy(run.matrix),
        better="higher",
    ),
    Measure(
        "average_accuracy",
        "avg. A %",
        100,
        "mean over t of A_t, A_t being the mean accuracy over tasks 1 ... t after task t",
        lambda run: average_accuracy(run.matrix),
        better="higher",
    ),
    Measure(
        "forgetting",
        "forgetting",
        100,
        "mean over all tasks but the last of (best accuracy before the last task - accuracy after it)",
        lambda run: forgetting(run.matrix),
        better="lower",
    ),
    Measure(
        "test_entropy",
        "entropy",
        1,
        "mean entropy in nats of the policy over all classes seen, on all test images after the last task",
        lambda run: float(run.last["entropy"].mean()),
    ),
    Measure(
        "accuracy_curve",
        "",
        1,
        "A_t for every t",
        lambda run: accuracy_curve(run.matrix).tolist(),
        better="higher",
    ),
    Measure(
        "final_accuracy_over_images",
        "A_T images %",
        100,
        "accuracy over all test images after the last task, each image weighing alike; A_T where all tasks have "
        "equally many",
        lambda run: float(run.over_images[-1]),
        better="higher",
    ),
    Measure(
        "accuracy_over_images_curve",
        "",
        1,
        "for every t, the same over all test images of tasks 1 ... t, after task t",
        lambda run: run.over_images.tolist(),
        better="higher",
    ),
    Measure(
        "per_task_accuracy",
        "",
        1,
        "accuracy on each task after the last task",
        lambda run: run.matrix[-1].tolist(),
        better="higher",
    ),
    Measure(
        "backward_transfer",
        "BWT",
        100,
        "mean over all tasks but the last of (accuracy after the last task - accuracy right after its own); "
        "Lopez-Paz and Ranzato 2017",
        lambda run: backward_transfer(run.matrix),
        better="higher",
    ),
    Measure(
        "forward_transfer",
        "FWT",
        100,
        "mean over all tasks but the first of (accuracy before learning it, the task named - chance); the form of "
        "Lopez-Paz and Ranzato 2017, with chance for a fresh model; a new class's row of the head is random, so it "
        "is near 0 by construction",
        lambda run: forward_transfer(run.before, run.chance),
        "test_before_tasks",
        better="higher",
    ),
    Measure(
        "plasticity",
        "plasticity %",
        100,
        "mean over all tasks of the accuracy right after learning it; learning accuracy in Riemer et al. 2019",
        lambda run: plasticity(run.matrix),
        better="higher",
    ),
    Measure(
        "task_aware_accuracy",
        "task named %",
        100,
        "mean over all tasks of the accuracy after the last task, the task being named",
        lambda run: float(run.task_aware.mean()),
        better="higher",
    ),
    Measure(
        "per_task_aware_accuracy",
        "",
        1,
        "the same for each task",
        lambda run: run.task_aware.tolist(),
        better="higher",
    ),
    Measure(
        "between_task_confusion",
        "confusion",
        100,
        "task_aware_accuracy - final_accuracy: images that are right with their task given, and wrong without, "
        "since a class of another task is chosen",
        lambda run: float(run.task_aware.mean()) - final_accuracy(run.matrix),
        better="lower",
    ),
    Measure(
        "ece",
        "ECE %",
        100,
        "expected calibration error over all classes seen, on all test images after the last task: mean over 15 "
        "equal bins of the top probability of |accuracy - confidence|, weighted by images; Guo et al. 2017",
        lambda run: expected_calibration_error(run.last["confidence"], run.last["predictions"] == run.last["labels"]),
        better="lower",
    ),
    Measure(
        "nll",
        "NLL",
        1,
        "mean of -log pi(y|x) in nats over all classes seen, on all test images after the last task",
        lambda run: negative_log_likelihood(run.last["log_likelihood"]),
        better="lower",
    ),
    Measure(
        "task_test_entropy",
        "within task",
        1,
        "mean entropy in nats of the policy over the classes of the image's own task, on all test images after the "
        "last task",
        lambda run: float(run.last["task_entropy"].mean()),
    ),
    Measure(
        "train_entropy",
        "in training",
        1,
        "mean over all gradient steps of the batch's mean entropy in nats over the classes of its task; null "
        "without gradient steps",
        lambda run: run.train_entropy,
    ),
    Measure(
        "train_accuracy_clean",
        "clean %",
        100,
        "right after each task, on its training images whose label is true: share classified as labeled, the task "
        "named; over all tasks, images weighing alike",
        lambda run: run.label_fit["train_accuracy_clean"],
        "label_fit",
        better="higher",
    ),
    Measure(
        "train_accuracy_flipped",
        "memorised %",
        100,
        "the same where the label was flipped: share classified as the wrong label says, which is memorized; null "
        "where none is flipped",
        lambda run: run.label_fit["train_accuracy_flipped"],
        "label_fit",
        better="lower",
    ),
    Measure(
        "train_recovered",
        "recovered %",
        100,
        "the same where the label was flipped: share classified as the true label",
        lambda run: run.label_fit["train_recovered"],
        "label_fit",
        better="higher",
    ),
    Measure(
        "parameter_distance",
        "moved",
        1,
        "L2 norm of (trainable parameters of the backbone after the last task - their initial values); null where a "
        "method has each task learn tensors of its own",
        lambda run: parameter_distance(run.policy, run.initial),
    ),
    Measure(
        "weight_distance",
        "weights moved",
        1,
        "Frobenius norm of (the backbone's weights with the module merged, after the last task - before the first: "
        "the pretrained ones where the module changes nothing at first); null where the module can't be merged",
        lambda run: weight_distance(run.policy, run.initial),
    ),
    Measure(
        "peft_parameters",
        "PEFT, k",
        0.001,
        "scalars of the PEFT modules in the backbone, including frozen adapters of earlier tasks",
        lambda run: run.parameters["peft"],
        better="lower",
    ),
    Measure(
        "method_parameters",
        "method, k",
        0.001,
        "scalars that learn in the method itself, such as prompts",
        lambda run: run.parameters["method"],
        better="lower",
    ),
    Measure(
        "trainable_parameters",
        "trainable, k",
        0.001,
        "scalars that learned by gradients at the end of the last task: in backbone, method, head",
        lambda run: trainable_parameters(run.policy),
        better="lower",
    ),
    Measure(
        "state_bytes",
        "kept, kB",
        0.001,
        "bytes that are kept from task to task in addition to the pretrained backbone: PEFT modules, head, and the "
        "method's state, such as averages, subspaces, prompts or buffers",
        lambda run: state_bytes(run.policy),
        better="lower",
    ),
    Measure(
        "head_parameters",
        "head, k",
        0.001,
        "scalars of the head at the end",
        lambda run: run.parameters["head"],
        better="lower",
    ),
    Measure(
        "validation_accuracy",
        "validation %",
        100,
        "mean over all tasks of the accuracy on their held-out training images, after the last task; their labels "
        "are as noisy as those of the training images",
        lambda run: run.validation["validation_accuracy"],
        better="higher",
    ),
    Measure(
        "validation_accuracy_clean",
        "true labels %",
        100,
        "the same by the true labels, which a user with noisy labels does not have",
        lambda run: run.validation["validation_accuracy_clean"],
        better="higher",
    ),
    Measure(
        "peak_memory_bytes",
        "peak, MB",
        1e-06,
        "most memory while tasks are learned and tested, since the run was last started: allocated on the GPU, else "
        "resident in the process; null where the system does not tell",
        lambda run: run.peak_memory,
        better="lower",
    ),
    Measure(
        "seconds",
        "seconds",
        1,
        "wall time since the run was last started, with its tests",
        lambda run: round(run.seconds, 2),
        better="lower",
    ),
    Measure(
        "images_per_second",
        "images/s",
        1,
        "training images by these seconds",
        lambda run: round(run.trained_images / run.seconds, 1),
        better="higher",
    ),
)

MEASURES: dict[str, Measure] = by_name(_TABLE)
"""All measures of a run by name."""
OF_VALIDATION = ("validation_accuracy", "validation_accuracy_clean")
"""Measures of runs that hold training images out."""


def register_measure(measure: Measure) -> Measure:
    """Add a measure of your own to runs that start from now on, their CSV files, and the names for `--measures`.

    The comparison of RL algorithms has a table of its own, `experiments.rl.measures`.

    Raises:
        TypeError: It is no `Measure`, or its `compute` can't be called.
        ValueError: The name is taken.
    """
    if not (isinstance(measure, Measure) and callable(measure.compute)):
        raise TypeError(f"a measure is a Measure whose compute is a function, unlike {measure!r}")
    if measure.name in MEASURES:
        raise ValueError(f"measure {measure.name!r} is already registered; choose another name")
    MEASURES[measure.name] = measure
    return measure


def columns(*names: str) -> tuple[Measure, ...]:
    """Measures for the columns of a table.

    Raises:
        ValueError: A name is unknown, or of a list of numbers.
    """
    return find_measures(names, MEASURES)


def measure_run(run: FinishedRun) -> dict[str, Any]:
    """The metrics of a finished run, by name."""
    known = [measure for name, measure in MEASURES.items() if run.validation or name not in OF_VALIDATION]
    return {
        measure.name: measure.compute(run) if measure.needs in ("", *run.extra_passes) else None for measure in known
    }


def definitions() -> dict[str, str]:
    """What each measure means, for the protocol card."""
    return {name: measure.definition for name, measure in MEASURES.items()}
