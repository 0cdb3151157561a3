"""The table of a stream, for the terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table

from cls_env import TaskStream
from cls_env.command_line.printable import printable


def stream_table(stream: TaskStream, seed: int, classes_named: int | None = None) -> Table:
    """A table of the tasks with their classes, domain and images. Its title identifies the stream.

    Args:
        stream: The stream.
        seed: The seed that the user gave; the stream's own is derived from it.
        classes_named: Number of classes of each task that are listed; by default all.
    """
    about = stream.describe()
    noise = about["label_noise"]
    title = (
        f"{about['dataset']}, {about['scenario']}, {about['num_classes']} classes, seed {seed}, "
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
