"""What a frame shows, before and after the step."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import GrayscaleObservation

from cls_env import ClassIncrementalEnv, ImageDataset, TaskStream
from cls_env.envs import rendering
from cls_env.envs.rendering import Answer, render_frame, short_names

LONG = "heavy teardrop-spoked pinwheel asterisk of a very long kind that no frame of this width can hold"


def rendered(stream: TaskStream, **arguments: Any) -> ClassIncrementalEnv:
    env = ClassIncrementalEnv(stream, render_mode="rgb_array", **arguments)
    env.reset(seed=0)
    return env


def shown(env: ClassIncrementalEnv, action: int) -> Answer:
    """The answer with which the frame after an action is drawn."""
    drawn: list[Answer | None] = []
    env.step(action)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "cls_env.envs.class_incremental.render_frame", lambda image, choices, answer: drawn.append(answer)
        )
        env.render()
    (answer,) = drawn
    assert answer is not None
    return answer


def test_a_frame_shows_the_image_then_also_the_answer(stream: TaskStream) -> None:
    env = rendered(stream)
    image, info = env.reset(seed=0)
    before = env.render()
    assert before.shape == (336, 256, 3) and before.dtype == np.uint8
    assert np.array_equal(before[4:256:8, 4:256:8], image)
    env.step((info["label"] + 1) % 6)
    after = env.render()
    assert np.array_equal(before[:256], after[:256]) and not np.array_equal(before[256:], after[256:])


def test_before_the_step_no_frame_depends_on_the_label(stream: TaskStream) -> None:
    env = rendered(stream)
    captions = {env.render()[256:].tobytes() for _ in range(10) for _ in [env.reset()]}
    labels = {env.reset()[1]["label"] for _ in range(10)}
    assert len(captions) == 1 < len(labels)
    assert captions == {render_frame(np.zeros((8, 8, 3), dtype=np.uint8), 2)[256:].tobytes()}


def test_bandit_frames_never_tell_the_label_unless_it_was_chosen(stream: TaskStream) -> None:
    _, info = rendered(stream).reset(seed=0)
    label = info["label"]
    wrong = (label + 1) % 6
    names = short_names(stream.class_names)
    assert shown(rendered(stream), wrong) == Answer(names[wrong], False, names[label])
    assert shown(rendered(stream, feedback="bandit"), wrong) == Answer(names[wrong], False, None)
    assert shown(rendered(stream, feedback="bandit"), label) == Answer(names[label], True, names[label])
    secret = {"feedback": "bandit", "reward_noise": "flip:probability=0.5"}
    assert shown(rendered(stream, **secret), label) == Answer(names[label], None, None)


def test_code_points_are_left_out_where_names_differ_without_them() -> None:
    assert short_names(["U+2190 leftwards arrow", "dog", "abstain"]) == ("leftwards arrow", "dog", "abstain")
    alike = ["U+2190 arrow", "U+2191 arrow"]
    assert short_names(alike) == tuple(alike)


@pytest.mark.parametrize("text", ["true: dog", "chosen: heavy teardrop-spoked pinwheel asterisk", LONG, "x" * 300, ""])
def test_a_text_is_cut_at_its_end_alone(text: str) -> None:
    lines = rendering._wrapped(text)
    assert len(lines) <= 2
    assert all(rendering._font().getlength(line) <= rendering.FRAME_SIDE - 8 for line in lines)
    whole = " ".join(lines) if " " in text else "".join(lines)
    assert whole == text or (whole[-1] == "…" and text.startswith(whole[:-1]) and len(whole) > 50)


@pytest.mark.parametrize("shape", [(1, 1), (36, 36), (300, 20), (20, 300), (257, 256), (2000, 1500), (1, 5000)])
def test_frames_of_any_image_are_of_bounded_and_even_size(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 77, dtype=np.uint8)
    frame = render_frame(image, 3, Answer(LONG, right=False, true="a\nb"))
    assert frame.shape[0] <= 336 and frame.shape[0] % 2 == 0 and frame.shape[1:] == (256, 3)
    assert (frame[: min(200, frame.shape[0] - 80)] == 77).all(axis=2).any()
    assert np.array_equal(frame[:-80], render_frame(image, 3)[:-80])


def test_gray_images_are_rendered() -> None:
    images, labels = np.zeros((4, 8, 8, 3), dtype=np.uint8), np.arange(4) % 2
    images[..., :] = np.arange(8, dtype=np.uint8)[:, None]
    gray = TaskStream(ImageDataset("gray", images, labels, images, labels, ("a", "b")), 1)
    pytest.importorskip("cv2")
    env = GrayscaleObservation(gym.make("cls_env/ClassIncremental-v0", dataset=gray, render_mode="rgb_array"))
    assert env.reset(seed=0)[0].shape == (8, 8)
    assert env.render().shape == (336, 256, 3)
