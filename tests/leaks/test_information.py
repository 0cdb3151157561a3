"""What `info` tells of a test image with bandit feedback: nothing that depends on its label."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cls_env import ClassIncrementalEnv, ClassIncrementalVectorEnv, ImageDataset, TaskStream

TASKS = [0, 1, 2]
Infos = dict[bytes, dict[str, Any]]
"""What is told of an image, by its pixels."""


def relabeled(dataset: ImageDataset, rows: Any) -> ImageDataset:
    """The dataset in which some test images exchange their labels."""
    labels = np.array(dataset.test_labels)
    labels[rows] = labels[rows][::-1]
    return replace(dataset, test_labels=labels)


def infos_of(stream: TaskStream, num_envs: int) -> Infos:
    """What is told of each test image before it is classified."""
    env = ClassIncrementalVectorEnv(num_envs, stream, split="test", task=TASKS, feedback="bandit")
    images, info = env.reset(seed=0)
    told: Infos = {}
    while len(told) < env.epoch_length:
        names = set(info) - {"final_info", "final_obs"} - {name for name in info if name.startswith("_")}
        told |= {image.tobytes(): {name: info[name][row] for name in names} for row, image in enumerate(images)}
        images, *_, info = env.step(np.zeros(num_envs, dtype=np.int64))
    return told


def differing(one: Infos, other: Infos) -> set[str]:
    """The entries that are not the same of every image."""
    assert one.keys() == other.keys() and len(one) == 30
    pairs = [(one[image], other[image]) for image in one]
    return {name for here, there in pairs for name in here if not np.array_equal(here[name], there[name])}


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("further", [{}, {"reward_noise": "gaussian"}, {"abstain_reward": 0.5}])
def test_bandit_feedback_names_neither_label_nor_row(split: str, further: dict[str, Any], glyphs: ImageDataset) -> None:
    stream = TaskStream(glyphs, 3, seed=1, validation_fraction=0.25)
    env = ClassIncrementalEnv(stream, split=split, feedback="bandit", **further)
    _, info = env.reset(seed=0)
    secrets = {"label", "image_index", "action_rewards"}
    assert not secrets & set(info)
    after = env.step(0)[4]
    assert not secrets & (set(after) | set(after["outcome"]))


@pytest.mark.parametrize("num_envs", [1, 5])
def test_within_a_task_nothing_depends_on_the_label(num_envs: int, glyphs: ImageDataset) -> None:
    stream = TaskStream(glyphs, 3, class_order="natural")
    other = TaskStream(relabeled(glyphs, stream.tasks[0].test_indices), 3, class_order="natural")
    assert not np.array_equal(stream.test_labels, other.test_labels)
    assert differing(infos_of(stream, num_envs), infos_of(other, num_envs)) == set()


@pytest.mark.parametrize("num_envs", [1, 5])
@pytest.mark.parametrize(
    ("scenario", "told"), [("class-incremental", {"task"}), ("task-incremental", {"task", "action_mask"})]
)
def test_between_tasks_nothing_but_the_task_itself_depends_on_it(
    scenario: str, told: set[str], num_envs: int, glyphs: ImageDataset
) -> None:
    """`info["task"]` is for the experimenter. Only in the task-incremental scenario a mask names the task too."""
    stream, other = (
        TaskStream(dataset, 3, class_order="natural", scenario=scenario)
        for dataset in (glyphs, relabeled(glyphs, np.arange(len(glyphs.test_labels))))
    )
    assert differing(infos_of(stream, num_envs), infos_of(other, num_envs)) == told
