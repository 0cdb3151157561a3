"""Text for the terminal: a stream, and the plan of a dry run."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.table import Table

from cls_env import TaskStream
from experiments.console import printable
from experiments.runs.plan import ASSUMED_RATES, Plan


def stream_table(stream: TaskStream, classes_named: int | None = None) -> Table:
    """A table of the tasks with their classes, domain and images. Its title identifies the stream.

    Args:
        stream: The stream.
        classes_named: Number of classes of each task that are listed; by default all.
    """
    about = stream.describe()
    noise = about["label_noise"]
    title = (
        f"{about['dataset']}, {about['scenario']}, {about['num_classes']} classes, seed {about['seed']}, "
        f"label noise {noise['share']} ({noise['type']}), stream {about['fingerprint'][:12]}"
    )
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False)
    columns = ["task", "classes", "which", "train", "test"]
    held_out = any(task["validation_images"] for task in about["tasks"])
    flipped = any(task["flipped_labels"] for task in about["tasks"])
    for column in (*columns, *["validation"] * held_out, *["flipped labels"] * flipped):
        table.add_column(column, no_wrap=column != "which")
    for task in about["tasks"]:
        names = task["classes"]
        shown = names[:classes_named]
        listed = ", ".join(shown) + (" ..." if len(shown) < len(names) else "")
        table.add_row(
            str(task["task"]),
            str(len(names)),
            printable(task["domain"] or listed),
            f"{task['train_images']:,}",
            f"{task['test_images']:,}",
            *[f"{task['validation_images']:,}"] * held_out,
            *[f"{task['flipped_labels']:,}"] * flipped,
        )
    return table


def plan_lines(plan: Plan, precision: str) -> Iterator[Table | str]:
    """The task table, the trainable parameters, and the estimated cost of one run."""
    yield f"images: {plan.images}"
    if plan.fingerprint is not None:
        yield f"stream SHA-256 {plan.fingerprint}"
    tasks = Table(box=SIMPLE_HEAD)
    for column in ("task", "classes", "which", "train", "validation", "test", "images to learn from"):
        tasks.add_column(column, no_wrap=column != "which")
    for index, task in enumerate(plan.tasks):
        counts = (task.train_images, task.validation_images, task.test_images, task.learned_images)
        tasks.add_row(str(index), str(task.classes), printable(task.content), *(f"{count:,}" for count in counts))
    yield tasks
    frozen, learning, own, head = (plan.parameters[part] for part in ("backbone", "peft", "method", "head"))
    yield (
        f"parameters: {frozen:,} frozen in the backbone, {learning:,} of PEFT modules in it, {own:,} of the method, "
        f"{head:,} in the head"
    )
    yield (
        f"an image costs {plan.test_flops / 1e9:.3g} GFLOP in a test, and {plan.step_flops / 1e9:.3g} GFLOP in a step "
        f"that trains the backbone's module; tests are {plan.evaluation_flops / plan.total_flops:.0%} of all"
    )
    yield (
        f"estimate: {compute(plan.total_flops, precision)} a run; memory {plan.memory / 2**30:.2g} GiB for weights, "
        "gradients, optimizer and a step's activations"
    )


def compute(flops: float, precision: str) -> str:
    """Floating-point operations, with the hours on a GPU at the assumed rate."""
    rate = ASSUMED_RATES[precision]
    return f"{flops / 1e15:.3g} PFLOP ({flops / rate / 3600:.2g} h on a GPU that sustains {rate / 1e12:.0f} TFLOP/s)"
