"""A trained model learns new classes as its next task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from agents import EPG, load_agent
from agents.methods import METHODS
from cls_env import load_dataset
from experiments.continuation.continuation import Continuation, begin, grown_stream, moved_classes
from tests.slow_cases import slow_but

pytestmark = pytest.mark.long
LEARNED = ("dog", "bee", "elk", "cat")


def continued(model: Path, root: Path) -> Continuation:
    found = begin(model, root, {}, "cpu")
    found.learn(4, 0, lambda count: None)
    return found


def test_the_classes_of_the_model_keep_their_place(model: Path, june: Path) -> None:
    start = begin(model, june, {}, "cpu")
    agent, stream = start.agent, start.stream
    assert start.learned == LEARNED and start.new == ("ant", "fox") and start.shows_learned
    assert agent.class_names == stream.class_names == (*LEARNED, "ant", "fox")
    assert [task.classes.tolist() for task in stream.tasks] == [[0, 1], [2, 3], [4, 5]]
    images = np.array(stream.dataset.test_images)
    with torch.no_grad():
        before = load_agent(model, device="cpu").policy(torch.from_numpy(images))
        assert torch.equal(agent.policy(torch.from_numpy(images))[:, :4], before)


def test_new_classes_are_learned_and_old_ones_kept(model: Path, june: Path) -> None:
    start = begin(model, june, {}, "cpu")
    steps, seen = start.agent._n_updates, []
    start.learn(4, 0, seen.append)
    assert sum(seen) == 64 and start.agent._n_updates == steps + 8  # 2 classes x 8 images x 4 epochs, in batches of 8
    assert start.agent.policy.network.tasks_begun == 3
    assert sorted(start.agent.policy.seen_classes.tolist()) == list(range(6))
    assert start.test_images([0, 1]) == 8 and start.test_images([2]) == 4
    both = start.accuracy([0, 1, 2])
    assert both == pytest.approx((8 * start.accuracy([0, 1]) + 4 * start.accuracy([2])) / 12)


def test_the_seed_fixes_what_is_learned(model: Path, june: Path, tmp_path: Path) -> None:
    heads = [continued(model, june).agent.policy.network.head.weight for _ in range(2)]
    assert torch.equal(*heads)


def test_the_seen_test_images_of_old_classes_were_held_out_before(may: Path, june: Path) -> None:
    before, after = (load_dataset("folder", root=root, image_size=32) for root in (may, june))
    stream = grown_stream(after, before.class_names, 2)
    tested = [image.tobytes() for image, label in zip(after.test_images, stream.test_labels, strict=True) if label < 4]
    assert set(tested) == {image.tobytes() for image in before.test_images}


@pytest.mark.parametrize("method", slow_but(["inflora", "coda-prompt", "ncm"], METHODS))
def test_every_method_learns_new_classes_alone(
    method: str, make_model: Callable[..., Path], new_alone: Path, june: Path, tmp_path: Path
) -> None:
    model = make_model(method)
    if method == "joint":
        with pytest.raises(ValueError, match=r"method 'joint' trains on the images of all tasks again: give a folder"):
            continued(model, new_alone)
        assert continued(model, june).agent.policy.network.tasks_begun == 3
        return
    found = continued(model, new_alone)
    assert not found.shows_learned and found.stream.class_names == (*LEARNED, "ant", "fox")
    found.agent.save(tmp_path / "june.zip")
    again = load_agent(tmp_path / "june.zip", device="cpu")
    assert again.class_names == (*LEARNED, "ant", "fox") and again.policy.network.tasks_begun == 3
    images = np.array(found.stream.dataset.test_images)
    assert np.array_equal(*(agent.predict(images, deterministic=True)[0] for agent in (found.agent, again)))


def test_a_method_without_room_for_a_further_task_says_so(make_model: Callable[..., Path], new_alone: Path) -> None:
    model = make_model("coda-prompt:components=60")  # of 64 that can be orthogonal, 30 in each of two tasks
    with pytest.raises(ValueError, match=r"60 components are used, .* no room for the 20 of task 2: train anew"):
        continued(model, new_alone)


def test_classes_that_were_not_reached_are_new(make_model: Callable[..., Path], june: Path) -> None:
    start = begin(make_model(tasks=1), june, {}, "cpu")
    assert start.learned == ("dog", "bee") and start.new == ("ant", "cat", "elk", "fox")
    assert len(start.stream.tasks) == 2


def test_a_model_that_cannot_go_on_is_refused(
    model: Path, make_model: Callable[..., Path], june: Path, may: Path
) -> None:
    with pytest.raises(ValueError, match=r"was trained at a rate that changed .*: give --learning-rate"):
        begin(make_model(learning_rate=lambda left: 1e-3), june, {}, "cpu")
    with pytest.raises(ValueError, match="has learned no class yet"):
        begin(make_model(tasks=0), june, {}, "cpu")
    with pytest.raises(ValueError, match="nothing is new"):
        begin(model, may, {}, "cpu")
    with pytest.raises(ValueError, match=r"image_size=16: it is the model's; leave it out"):
        begin(model, june, {"image_size": 16}, "cpu")


def test_another_rate_is_taken(model: Path, june: Path) -> None:
    start = begin(model, june, {}, "cpu", learning_rate=2e-3)
    assert isinstance(start.agent, EPG) and start.agent.learning_rate == 2e-3


def test_moved_classes() -> None:
    assert moved_classes(["ant", "bee", "cat"], ["cat", "bee"]) == "'bee', 'cat'"
    assert moved_classes(["bee", "cat", "dog"], ["cat", "bee"]) is None
