"""Gymnasium's and stable-baselines3's checkers with every option, and Gymnasium's wrappers on both environments."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_match import check_environments_match
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector
from stable_baselines3.common.env_checker import check_env as check_env_of_sb3

from cls_env import ImageDataset, TaskStream

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
MATRIX = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)
ZEROS = np.zeros(4, dtype=np.int64)
OPTIONS: list[dict[str, Any]] = [
    {"task_schedule": 2, "task_blur": 1.0},
    {"feedback": "bandit"},
    {"abstain_reward": 0.5},
    {"reward_noise": "gaussian"},
    {"reward_noise": "flip", "reward_matrix": np.eye(4), "feedback": "bandit"},
]


@pytest.fixture
def single(stream: TaskStream) -> Callable[..., gym.Env]:
    def make(**arguments: Any) -> gym.Env:
        return gym.make("cls_env/ClassIncremental-v0", dataset=stream, **arguments)

    return make


@pytest.fixture(scope="module")
def larger(glyphs: ImageDataset) -> TaskStream:
    """40 x 40, so that stable-baselines3 does not warn of its own CNN."""
    images = np.pad(glyphs.train_images[:16], ((0, 0), (4, 4), (4, 4), (0, 0)))
    labels = np.arange(16) % 4
    return TaskStream(ImageDataset("larger", images, labels, images, labels, tuple("abcd")), 2)


@pytest.mark.parametrize("arguments", OPTIONS)
def test_both_checkers_find_nothing_to_warn_of(larger: TaskStream, arguments: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make = lambda: gym.make("cls_env/ClassIncremental-v0", dataset=larger, **arguments)  # noqa: E731
        check_env(make().unwrapped, skip_render_check=True)
        check_env_of_sb3(make())


@pytest.mark.parametrize("arguments", [{}, {"task_schedule": 5, "task_blur": 1.0, "reward_noise": "gaussian"}])
def test_an_environment_matches_its_twin_and_one_of_its_spec(
    single: Callable[..., gym.Env], arguments: dict[str, Any]
) -> None:
    env = single(**arguments)
    check_environments_match(env, gym.make(env.spec), num_steps=20, info_comparison="equivalence")


def test_single_statistics_are_the_reward(single: Callable[..., gym.Env]) -> None:
    env = wrappers.RecordEpisodeStatistics(single(reward_matrix=MATRIX, reward_noise="gaussian"))
    paid = []
    for action in range(6):
        env.reset(seed=0 if action == 0 else None)
        _, reward, *_, info = env.step(action)
        paid.append(reward)
        assert (info["episode"]["r"], info["episode"]["l"]) == (reward, 1)
    assert list(env.return_queue) == paid and len(set(paid)) == 6


def test_single_video_shows_the_image_then_the_choice(
    single: Callable[..., gym.Env], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("moviepy")
    folder = tmp_path / "films"
    env = wrappers.RecordVideo(single(render_mode="rgb_array"), str(folder), episode_trigger=lambda episode: True)
    for _ in range(2):
        env.reset(seed=0)
        before = env.env.render()
        env.step(0)
        assert np.array_equal(env.recorded_frames[0], before)
        assert np.array_equal(env.recorded_frames[1], env.env.render())
        assert not np.array_equal(*env.recorded_frames) and len(env.recorded_frames) == 2
    env.close()
    assert len(list(folder.glob("*.mp4"))) == 2


@pytest.mark.parametrize(
    ("wrap", "expected"),
    [
        (
            lambda env: wrappers.TransformObservation(
                env, lambda image: image / np.float32(255), gym.spaces.Box(0, 1, (32, 32, 3), np.float32)
            ),
            lambda image: image / np.float32(255),
        ),
        (wrappers.FlattenObservation, np.ravel),
        (wrappers.GrayscaleObservation, lambda image: (image @ np.array([0.2125, 0.7154, 0.0721])).astype(np.uint8)),
        (lambda env: wrappers.FrameStackObservation(env, 3), lambda image: np.stack([image] * 3)),
        (lambda env: wrappers.DtypeObservation(env, np.float32), lambda image: image.astype(np.float32)),
    ],
)
def test_single_observations_are_transformed_at_reset_and_at_the_end(
    single: Callable[..., gym.Env], wrap: Callable[[gym.Env], gym.Env], expected: Callable[[np.ndarray], np.ndarray]
) -> None:
    env, plain = wrap(single()), single()
    for seed in range(3):
        image, info = env.reset(seed=seed)
        raw, _ = plain.reset(seed=seed)
        final, reward, *_ = env.step(info["label"])
        for shown in (image, final):
            assert shown.dtype == expected(raw).dtype and np.allclose(shown, expected(raw), atol=1)
            assert env.observation_space.contains(shown)
        assert reward == 1.0


def test_single_resize(single: Callable[..., gym.Env]) -> None:
    pytest.importorskip("cv2")
    env, plain = wrappers.ResizeObservation(single(), (16, 16)), single()
    image, raw = env.reset(seed=0)[0], plain.reset(seed=0)[0]
    assert image.shape == (16, 16, 3) and np.allclose(image, raw.reshape(16, 2, 16, 2, 3).mean(axis=(1, 3)), atol=1)


def test_single_normalisation_has_seen_every_image_shown(single: Callable[..., gym.Env]) -> None:
    env, plain = wrappers.NormalizeObservation(single()), single()
    seen = []
    for episode in range(30):
        seed = 0 if episode == 0 else None
        env.reset(seed=seed)
        shown, *_ = env.step(0)
        seen += [plain.reset(seed=seed)[0], plain.step(0)[0]]
    images = np.stack(seen).astype(float)
    assert shown.dtype == np.float32
    assert np.allclose(env.obs_rms.mean, images.mean(axis=0), atol=0.01)
    clear = images.std(axis=0) > 1
    expected = (images[-1] - images.mean(axis=0)) / np.maximum(images.std(axis=0), 1)
    assert np.allclose(shown[clear], expected[clear], atol=0.02)


def test_single_tensors(single: Callable[..., gym.Env]) -> None:
    pytest.importorskip("array_api_compat")
    import torch

    env, plain = wrappers.NumpyToTorch(single()), single()
    image, info = env.reset(seed=0)
    raw, told = plain.reset(seed=0)
    assert image.dtype == torch.uint8 and np.array_equal(image.numpy(), raw)
    assert int(info["label"]) == told["label"]
    assert np.array_equal(info["action_rewards"].numpy(), told["action_rewards"])
    assert env.step(info["label"])[1] == 1.0


def test_vector_statistics_are_the_rewards(make_vec: MakeVec) -> None:
    env = vector.RecordEpisodeStatistics(make_vec(4, reward_matrix=MATRIX, reward_noise="gaussian"))
    env.reset(seed=0)
    paid: list[float] = []
    for _ in range(5):
        _, rewards, *_, info = env.step(ZEROS)
        assert np.array_equal(info["episode"]["r"], rewards) and info["episode"]["l"].tolist() == [1] * 4
        assert info["_episode"].all()
        paid += rewards.tolist()
    assert list(env.return_queue) == paid and env.episode_count == 20 == env.unwrapped.num_episodes


def test_vector_video_has_a_frame_for_each_step(make_vec: MakeVec, tmp_path: Path) -> None:
    pytest.importorskip("moviepy")
    with pytest.warns(UserWarning, match="Recorded episodes will not contain the last frame of the episode"):
        env = vector.RecordVideo(
            make_vec(4, render_mode="rgb_array"),
            str(tmp_path / "films"),
            step_trigger=lambda step: step == 0,
            video_length=3,
        )
    env.reset(seed=0)
    for frames in (1, 2, 3):
        env.step(ZEROS)
        top_left, *_ = env.unwrapped.render()
        assert len(env.recorded_frames) == frames
        assert env.recorded_frames[-1].shape == (672, 512, 3)
        assert np.array_equal(env.recorded_frames[-1][:336, :256], top_left)
    env.step(ZEROS)
    env.close()
    (film,) = (tmp_path / "films").glob("*.mp4")
    assert film.name == "rl-video-step-0.mp4"


def test_vector_video_of_an_episode_is_its_image_alone(make_vec: MakeVec, tmp_path: Path) -> None:
    pytest.importorskip("moviepy")
    with pytest.warns(UserWarning, match="same-step"):
        env = vector.RecordVideo(
            make_vec(1, render_mode="rgb_array"), str(tmp_path / "films"), episode_trigger=lambda episode: True
        )
    env.reset(seed=0)
    for _ in range(3):
        assert len(env.recorded_frames) == 1
        env.step(np.zeros(1, dtype=np.int64))
    env.close()
    assert len(list((tmp_path / "films").glob("*.mp4"))) == 4


def test_vector_reward_wrappers(make_vec: MakeVec) -> None:
    def rewards(wrap: Callable[[gym.vector.VectorEnv], gym.vector.VectorEnv]) -> np.ndarray:
        env = wrap(make_vec(4, reward_matrix=MATRIX))
        env.reset(seed=0)
        return np.stack([env.step((ZEROS + step) % 6)[1] for step in range(30)])

    raw = rewards(lambda env: env)
    assert np.array_equal(rewards(lambda env: vector.ClipReward(env, -0.5, 0.5)), raw.clip(-0.5, 0.5))
    assert np.array_equal(rewards(lambda env: vector.TransformReward(env, lambda reward: 2 * reward)), 2 * raw)
    doubled = rewards(
        lambda env: vector.VectorizeTransformReward(env, wrappers.TransformReward, func=lambda reward: 2 * reward)
    )
    assert np.array_equal(doubled, 2 * raw)
    # Every return is one reward, so that the running deviation is that of all rewards so far.
    normalised = rewards(vector.NormalizeReward)
    for step in range(5, 30):
        assert np.allclose(normalised[step], raw[step] / raw[: step + 1].std(), rtol=1e-3)


def test_vector_actions_can_be_transformed(make_vec: MakeVec) -> None:
    env = vector.TransformAction(make_vec(4), lambda actions: 5 - actions)
    _, info = env.reset(seed=0)
    assert env.step(5 - info["label"])[1].tolist() == [1.0] * 4


def test_vector_infos_as_a_list(make_vec: MakeVec) -> None:
    arguments: dict[str, Any] = {"task_schedule": 5, "abstain_reward": 0.5}
    env, plain = vector.DictInfoToList(make_vec(4, **arguments)), make_vec(4, **arguments)
    rows, info = env.reset(seed=0)[1], plain.reset(seed=0)[1]
    for step in range(3):
        for place, row in enumerate(rows):
            assert set(row) == {key for key in info if not key.startswith("_")}
            for key in ("task", "label", "task_changed"):
                assert row[key] == info[key][place]
            assert np.array_equal(row["action_rewards"], info["action_rewards"][place])
            if step:
                assert row["final_info"]["outcome"]["regret"] == info["final_info"]["outcome"]["regret"][place]
                assert row["final_info"]["is_success"] == info["final_info"]["is_success"][place]
                assert np.array_equal(row["final_obs"], info["final_obs"][place])
        rows, info = env.step(ZEROS + 6)[4], plain.step(ZEROS + 6)[4]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda env: vector.TransformObservation(env, lambda images: images),
        lambda env: vector.VectorizeTransformObservation(env, wrappers.FlattenObservation),
        vector.FlattenObservation,
        vector.GrayscaleObservation,
        lambda env: vector.ResizeObservation(env, (16, 16)),
        lambda env: vector.ReshapeObservation(env, (96, 32)),
        lambda env: vector.RescaleObservation(env, 0, 1),
        lambda env: vector.DtypeObservation(env, np.float32),
        vector.NormalizeObservation,
    ],
)
def test_vector_observation_wrappers_refuse_the_reset_within_the_step(
    make_vec: MakeVec, wrap: Callable[[gym.vector.VectorEnv], gym.vector.VectorEnv]
) -> None:
    with pytest.raises(ValueError, match=r"Expected autoreset_mode to be NEXT_STEP .*got AutoresetMode.SAME_STEP"):
        wrap(make_vec(4))


def test_observations_of_several_are_wrapped_one_by_one(stream: TaskStream) -> None:
    envs = gym.make_vec(
        "cls_env/ClassIncremental-v0",
        num_envs=3,
        vectorization_mode="sync",
        wrappers=[wrappers.FlattenObservation],
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        dataset=stream,
    )
    images, info = envs.reset(seed=0)
    for row, index in zip(images, info["image_index"], strict=True):
        assert np.array_equal(row, stream.dataset.train_images[index].ravel())
    _, rewards, *_, after = envs.step(info["label"])
    assert rewards.tolist() == [1.0] * 3
    assert all(np.array_equal(*pair) for pair in zip(after["final_obs"], images, strict=True))


def test_vector_tensors_stop_at_the_final_observations_as_on_gymnasiums_own(
    make_vec: MakeVec, single: Callable[..., gym.Env]
) -> None:
    pytest.importorskip("array_api_compat")
    import torch

    sync = SyncVectorEnv([single] * 4, autoreset_mode=AutoresetMode.SAME_STEP)
    for env in (make_vec(4), sync):
        env = vector.NumpyToTorch(env)
        images, info = env.reset(seed=0)
        assert isinstance(images, torch.Tensor) and isinstance(info["label"], torch.Tensor)
        with pytest.raises(BufferError, match="DLPack only supports"):
            env.step(info["label"])


def test_action_wrappers_for_boxes_say_so(make_vec: MakeVec) -> None:
    for wrapper in (vector.ClipAction, lambda env: vector.RescaleAction(env, 0.0, 1.0)):
        with pytest.raises(TypeError, match="requires a Box action space"):
            wrapper(make_vec(4))
