"""`cls-env stream`: a description of a stream."""

from __future__ import annotations

from typing import Annotated

from cls_env import TaskStream
from cls_env.datasets.files.load_report import report_lines
from experiments.commands.option_groups import NO_PREFIX
from experiments.config.settings import RunConfig


def stream_command(config: Annotated[RunConfig, NO_PREFIX]) -> None:
    """Describe a stream: tasks, classes, images, order, seed and the hash of its index lists.

    Args:
        config: Which stream; what concerns the policy and its learning does not matter.
    """
    from experiments.config.builders import make_stream
    from experiments.config.validation import check
    from experiments.console import say

    stream = make_stream(check(config))
    show_stream(stream, config.seed)
    say(f"images SHA-256 {stream.dataset.images_sha256}")
    say(f"stream SHA-256 {stream.fingerprint}")


def show_stream(stream: TaskStream, seed: int, classes_named: int | None = None) -> None:
    """Print the tasks of a stream, and the loader's report of omitted files and other remarks.

    Args:
        stream: The stream.
        seed: The seed that the user gave; the stream's own is derived from it.
        classes_named: How many classes of each task are named; by default all.
    """
    from experiments.console import say, show
    from experiments.reports.terminal import stream_table

    show(stream_table(stream, seed, classes_named))
    for line in report_lines(stream.dataset.left_out, stream.dataset.remarks):
        say(line, highlight=False)
