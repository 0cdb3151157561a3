from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.wrappers import RecordVideo
from stable_baselines3.common.env_checker import check_env as check_env_of_sb3

from cls_env import ImageDataset, TaskStream
from cls_env.envs.registration import ENVIRONMENTS


def make(stream: TaskStream, **arguments: object) -> gym.Env:
    return gym.make("cls_env/ClassIncremental-v0", dataset=stream, **arguments)


@pytest.fixture
def larger_images() -> ImageDataset:
    """48 x 48: stable-baselines3 warns below 36 pixels that its own CNN would not fit."""
    images = np.random.default_rng(0).integers(0, 256, size=(12, 48, 48, 3), dtype=np.uint8)
    labels = np.arange(12) % 4
    return ImageDataset("larger", images, labels, images.copy(), labels.copy(), ("a", "b", "c", "d"))


EMBEDDED_SETS = ("glyphs", "digits", "photos")
EMBEDDED = [name for name, preset in ENVIRONMENTS.items() if preset.get("dataset", "glyphs") in EMBEDDED_SETS]


@pytest.mark.parametrize("name", sorted(set(ENVIRONMENTS) - set(EMBEDDED)))
def test_missing_images_are_asked_for(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"which does not exist: (get it with|download it from)"):
        gym.make(name)


@pytest.mark.parametrize("name", EMBEDDED)
def test_gymnasium_finds_nothing_to_warn_of(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(name, render_mode="rgb_array").unwrapped, skip_render_check=True)


def test_stable_baselines3_finds_nothing_to_warn_of(larger_images: ImageDataset) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env_of_sb3(gym.make("cls_env/ClassIncremental-v0", dataset=larger_images, num_tasks=2))


@pytest.mark.parametrize("name", EMBEDDED)
def test_stable_baselines3_finds_nothing_to_warn_of_in_the_embedded_sets(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env_of_sb3(gym.make(name))


def test_at_32_pixels_stable_baselines3_warns_of_its_own_cnn_alone(stream: TaskStream) -> None:
    with pytest.warns(UserWarning) as caught:
        check_env_of_sb3(make(stream))
    assert ["CnnPolicy" in str(warning.message) for warning in caught] == [True]


def test_step_pays_one_for_the_label_and_ends(stream: TaskStream) -> None:
    env = make(stream)
    image, info = env.reset(seed=0)
    again, reward, terminated, truncated, after = env.step(info["label"])
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert np.array_equal(image, again)
    assert after["is_success"] is True
    assert after["outcome"] == {"action": info["label"], "is_success": True, "label": info["label"], "regret": 0.0}
    env.reset()
    _, reward, *_, after = env.step(stream.num_classes - 1)
    assert reward == 0.0 and after["is_success"] is False


def test_info_speaks_of_the_observation(stream: TaskStream) -> None:
    image, info = make(stream, task=1).reset(seed=5)
    assert np.array_equal(image, stream.dataset.train_images[info["image_index"]])
    assert info["label"] == stream.train_labels[info["image_index"]]
    assert info["task"] == 1
    assert info["action_mask"].dtype == np.int8 and info["action_mask"].tolist() == [0, 0, 1, 1, 0, 0]
    assert info["action_rewards"].dtype == np.float32
    assert info["action_rewards"].tolist() == [float(label == info["label"]) for label in range(6)]


def test_training_pass_shows_each_image_once_in_a_seeded_order(stream: TaskStream) -> None:
    def one_pass(seed: int) -> list[int]:
        env = make(stream)
        first = env.reset(seed=seed)[1]
        rest = [env.reset()[1]["image_index"] for _ in range(first["epoch_length"] - 1)]
        return [first["image_index"], *rest]

    rows = one_pass(3)
    assert sorted(rows) == sorted(stream.tasks[0].train_indices)
    assert rows == one_pass(3) != one_pass(4)


def test_test_pass_shows_each_image_once_in_order(stream: TaskStream) -> None:
    env = make(stream, split="test", task=[0, 2])
    first = env.reset(seed=9)[1]
    rows = [first["image_index"]] + [env.reset()[1]["image_index"] for _ in range(first["epoch_length"] - 1)]
    assert rows == [*stream.tasks[0].test_indices, *stream.tasks[2].test_indices]


def test_reset_moves_the_stream(stream: TaskStream) -> None:
    env = make(stream)
    assert env.reset(seed=0, options={"task": 2})[1]["task"] == 2
    assert env.reset()[1]["task"] == 2
    both = env.reset(options={"task": [0, 1]})[1]
    assert both["action_mask"].tolist() == [1, 1, 1, 1, 0, 0]


def test_bandit_feedback_hides_the_label(stream: TaskStream) -> None:
    env = make(stream, feedback="bandit")
    _, info = env.reset(seed=0)
    *_, after = env.step(0)
    assert set(info) == {"task", "task_mask", "action_mask", "epoch_length"}
    assert set(after) - set(info) == {"outcome", "is_success"}
    assert set(after["outcome"]) == {"action", "is_success", "regret"}
    graded = make(stream, feedback="bandit", reward_matrix=np.full((6, 6), 0.5))
    graded.reset(seed=0)
    assert "is_success" not in graded.step(0)[4]


def test_reward_matrix_sets_the_rewards(stream: TaskStream) -> None:
    matrix = np.arange(36, dtype=float).reshape(6, 6)
    env = make(stream, reward_matrix=matrix)
    _, info = env.reset(seed=0)
    assert info["action_rewards"].tolist() == matrix[info["label"]].tolist()
    assert env.step(3)[1] == matrix[info["label"], 3]


def test_noisy_labels_are_the_ones_rewarded(glyphs: ImageDataset) -> None:
    stream = TaskStream(glyphs, 1, label_noise=0.5)
    env = make(stream)
    info = env.reset(seed=0)[1]
    for _ in range(40):
        assert info["label"] == stream.train_labels[info["image_index"]]
        assert env.step(info["label"])[1] == 1.0
        info = env.reset()[1]


@pytest.mark.parametrize("action", [6, -1, 1.0, "0", None, np.array([0]), np.float32(1)])
def test_wrong_actions_are_refused(stream: TaskStream, action: object) -> None:
    env = make(stream).unwrapped
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match=r"must be an integer in 0 \.\.\. 5"):
        env.step(action)


def test_step_before_reset_is_refused(stream: TaskStream) -> None:
    with pytest.raises(ResetNeeded):
        make(stream).unwrapped.step(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": 3}, r"task 3 is out of range: the stream has 3 tasks, 0 \.\.\. 2"),
        ({"task": -1}, "out of range"),
        ({"task": 0.5}, "must be an index"),
        ({"task": []}, "must be an index"),
        ({"task": [1, 1]}, "names a task twice"),
        ({"split": "trian"}, "did you mean 'train'"),
        ({"feedback": "bandid"}, "did you mean 'bandit'"),
        ({"reward_matrix": np.eye(5)}, r"shape \(6, 6\)"),
        ({"reward_matrix": np.full((6, 6), np.nan)}, "finite"),
        ({"num_tasks": 2}, "num_tasks can't be combined with a TaskStream"),
    ],
)
def test_bad_arguments_are_named(stream: TaskStream, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(stream, **arguments)


def test_unknown_render_mode_is_refused(stream: TaskStream) -> None:
    from cls_env import ClassIncrementalEnv

    with pytest.raises(ValueError, match="unknown render_mode 'ansi'"):
        ClassIncrementalEnv(stream, render_mode="ansi")


@pytest.mark.parametrize(
    ("options", "message"), [({"taks": 1}, "unknown reset option 'taks'"), ({"task": 9}, "out of range")]
)
def test_bad_reset_options_are_named(stream: TaskStream, options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(stream).reset(options=options)


def test_pickle_keeps_the_environment() -> None:
    env = gym.make("cls_env/SplitGlyphs-v0", dataset_options={"num_classes": 5}, task=2).unwrapped
    twin = pickle.loads(pickle.dumps(env))
    assert data_equivalence(env.reset(seed=1), twin.reset(seed=1))


def test_human_mode_opens_a_window(stream: TaskStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame = pytest.importorskip("pygame")
    env = make(stream, render_mode="human")
    env.reset(seed=0)
    env.step(0)
    assert pygame.display.get_surface().get_size() == (256, 336)
    env.close()


def test_record_video_writes_a_film(stream: TaskStream, tmp_path: Path) -> None:
    pytest.importorskip("moviepy")
    env = RecordVideo(make(stream, render_mode="rgb_array"), str(tmp_path), disable_logger=True)
    env.reset(seed=0)
    env.step(0)
    env.close()
    assert list(tmp_path.glob("*.mp4"))
