"""What must not reach training: test images, held-out images, and images and labels of other tasks.

Each is poisoned. If training is bit for bit as before, it has not been seen.
"""

from __future__ import annotations

import numpy as np
import pytest

from agents import EPG
from cls_env import ImageDataset, TaskStream
from tests.leaks.conftest import (
    TRIED,
    WITHOUT_MEMORY,
    assert_bit_equal,
    learn,
    new_agent,
    vector_env,
    with_poisoned_images,
    with_poisoned_test,
    with_shifted_labels,
)

pytestmark = pytest.mark.long


def stream_of(dataset: ImageDataset, **options: object) -> TaskStream:
    return TaskStream(dataset, 3, class_order="natural", seed=1, **options)


@pytest.mark.parametrize("method", TRIED)
def test_test_images_and_their_labels_do_not_reach_training(method: str, glyphs: ImageDataset) -> None:
    """Not even where each task is tested before the next is learned."""
    clean, poisoned = stream_of(glyphs), stream_of(with_poisoned_test(glyphs))
    tested = learn(new_agent(method, clean), range(3), tested_on=clean)
    assert_bit_equal(tested.policy, learn(new_agent(method, poisoned), range(3), tested_on=poisoned).policy)
    assert_bit_equal(tested.policy, learn(new_agent(method, clean), range(3)).policy)


@pytest.mark.parametrize("method", TRIED)
def test_tasks_to_come_do_not_reach_training(method: str, glyphs: ImageDataset) -> None:
    stream = stream_of(glyphs)
    rows = stream.tasks[2].train_indices
    poisoned = stream_of(with_shifted_labels(with_poisoned_images(glyphs, rows), rows))
    assert not np.array_equal(poisoned.train_labels, stream.train_labels)
    assert np.array_equal(poisoned.tasks[2].train_indices, rows)
    one, other = (learn(new_agent(method, each), range(2)) for each in (stream, poisoned))
    assert_bit_equal(one.policy, other.policy)


def after_the_first_task(method: str, stream: TaskStream, further: TaskStream) -> EPG:
    """An agent that learned the first task of a stream, and the second one of another."""
    agent = learn(new_agent(method, stream), range(1))
    agent.set_env(vector_env(further))
    return learn(agent, range(1, 2))


@pytest.mark.parametrize("method", WITHOUT_MEMORY)
def test_earlier_tasks_do_not_reach_the_training_of_a_method_without_memory(method: str, glyphs: ImageDataset) -> None:
    stream = stream_of(glyphs)
    rows = stream.tasks[0].train_indices
    poisoned = stream_of(with_shifted_labels(with_poisoned_images(glyphs, rows), rows))
    one, other = (after_the_first_task(method, stream, further) for further in (stream, poisoned))
    assert_bit_equal(one.policy, other.policy)


def test_a_memory_holds_the_images_that_were_shown(glyphs: ImageDataset) -> None:
    """A buffer replays what it saw, whatever the environment holds by then."""
    stream = stream_of(glyphs)
    poisoned = stream_of(with_poisoned_images(glyphs, stream.tasks[0].train_indices))
    one, other = (after_the_first_task("der++", stream, further) for further in (stream, poisoned))
    assert_bit_equal(one.policy, other.policy)


@pytest.mark.parametrize("method", TRIED)
def test_held_out_images_do_not_reach_training(method: str, glyphs: ImageDataset) -> None:
    stream = stream_of(glyphs, validation_fraction=0.25, label_noise=0.2, noisy_validation=True)
    held_out = np.concatenate([task.validation_indices for task in stream.tasks])
    assert len(held_out) == 18
    poisoned = stream_of(
        with_poisoned_images(glyphs, held_out), validation_fraction=0.25, label_noise=0.2, noisy_validation=True
    )
    one, other = (learn(new_agent(method, each), range(3)) for each in (stream, poisoned))
    assert_bit_equal(one.policy, other.policy)


def test_poison_is_noticed(glyphs: ImageDataset) -> None:
    """Poisoned images and labels of the task itself change training, so that the tests above can fail."""
    stream = stream_of(glyphs)
    rows = stream.tasks[0].train_indices
    for dataset in (with_poisoned_images(glyphs, rows[:1]), with_shifted_labels(glyphs, rows)):
        with pytest.raises(AssertionError):
            assert_bit_equal(
                learn(new_agent("sequential", stream), range(1)).policy,
                learn(new_agent("sequential", stream_of(dataset)), range(1)).policy,
            )
