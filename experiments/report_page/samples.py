"""Pictures of a run: its most confident errors, and what it chose for sample images at several moments."""

from __future__ import annotations

from typing import Any

import numpy as np

from cls_env import TaskStream
from experiments.report_page.answers import Answers, worst_errors
from experiments.report_page.collect import Run
from experiments.report_page.compact import compact
from experiments.report_page.images import Pictures

WORST = 8
"""Errors that are shown of a run."""
MOST_TASKS, IMAGES_PER_TASK = 8, 2
"""Tasks with sample images, and images of each."""


def error_pictures(answers: Answers, stream: TaskStream | None, pictures: Pictures) -> list[list[Any]]:
    """Picture, true label, chosen label and confidence in percent of the worst errors; no picture without a stream."""
    return [
        [
            pictures.test_image(stream, wrong.task, wrong.position) if stream else None,
            wrong.label,
            wrong.chosen,
            *compact([100 * wrong.confidence]),
        ]
        for wrong in worst_errors(answers, WORST)
    ]


def sample_pictures(run: Run, stream: TaskStream | None, pictures: Pictures) -> dict[str, Any]:
    """Sample images of a run's first tasks with the labels chosen for them.

    Returns:
        `moments`, the titles of the moments, and `images`: for each its picture, its task from 1, its true label, and
        the label chosen at each moment.
    """
    moments = {"before its task": "before_task_{task}", "after its task": "after_task_{task}"}
    if not run.folder.has_predictions("before_task_0"):
        moments.pop("before its task")
    moments["after the last task"] = run.last_test
    images = []
    for task in range(min(len(run.matrix), MOST_TASKS)):
        tests = [run.folder.read_predictions(moment.format(task=task)) for moment in moments.values()]
        here = [{name: test[name][test["task"] == task] for name in ("labels", "predictions")} for test in tests]
        for position in spread_positions(len(here[0]["labels"])):
            picture = pictures.test_image(stream, task, position) if stream else None
            label = int(here[0]["labels"][position])
            images.append([picture, task + 1, label, [int(test["predictions"][position]) for test in here]])
    return {"moments": list(moments), "images": images}


def spread_positions(length: int) -> list[int]:
    """Different positions spread over `range(length)`, `IMAGES_PER_TASK` of them if there are as many.

    >>> spread_positions(10), spread_positions(1)
    ([3, 6], [0])
    """
    return sorted(set(np.linspace(0, max(length - 1, 0), IMAGES_PER_TASK + 2).astype(int)[1:-1].tolist()))[:length]
