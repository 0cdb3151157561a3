"""The names of classes are read from environments of every kind, by SB3's own algorithms too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from stable_baselines3 import A2C, DQN
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor

from agents import EPG, GymnasiumVecEnv
from agents.envs.stream_identity import class_names_of, identity_of
from agents.evaluation import evaluate_tasks
from agents.sb3.policies import ViTActorCriticPolicy
from agents.sb3.task_by_task import TaskByTask
from cls_env import ImageDataset
from tests.agents.algorithms.conftest import env_of

pytestmark = pytest.mark.long

ALIKE = {"batch_size": 8, "learning_rate": 5e-3, "seed": 0, "device": "cpu"}


class Nameless(gym.vector.VectorWrapper):
    """An environment of others, which has no names."""

    @property
    def unwrapped(self) -> Any:
        return self


def test_an_environment_without_names_is_not_checked(six: ImageDataset, tmp_path: Path) -> None:
    agent = EPG("ViTPolicy", Nameless(env_of(six, list(range(6)), 3)), "ce", **ALIKE).learn(8)
    assert agent.class_names is None and agent.stream_fingerprint is None
    agent.set_env(Nameless(env_of(six, [5, 4, 3, 2, 1, 0], 3)))
    agent.learn(8).save(tmp_path / "agent")
    assert EPG.load(tmp_path / "agent", device="cpu").class_names is None
    with pytest.raises(ValueError, match="and the agent has none"):
        agent.set_env(env_of(six, list(range(6)), 3), match_classes=True)


OPTIONS = {"num_classes": 6, "train_per_class": 4, "test_per_class": 1}


def single() -> gym.Env:
    import cls_env  # noqa: F401

    return gym.make("cls_env/SplitGlyphs-v0", num_tasks=3, dataset_options=OPTIONS)


@pytest.mark.slow
def test_every_kind_of_environment_is_read() -> None:
    native = gym.make_vec("cls_env/SplitGlyphs-v0", num_envs=2, num_tasks=3, dataset_options=OPTIONS)
    expected = (native.unwrapped.action_names, native.unwrapped.stream_fingerprint, native.unwrapped.images_sha256)
    assert len(expected[0]) == 6
    kinds = {
        "native": lambda: GymnasiumVecEnv(native),
        "wrapped native": lambda: VecMonitor(GymnasiumVecEnv(RecordEpisodeStatistics(native))),
        "sync": lambda: GymnasiumVecEnv(SyncVectorEnv([single] * 2, autoreset_mode=AutoresetMode.SAME_STEP)),
        "async": lambda: GymnasiumVecEnv(AsyncVectorEnv([single], autoreset_mode=AutoresetMode.SAME_STEP)),
        "dummy": lambda: DummyVecEnv([single] * 2),
        "wrapped dummy": lambda: DummyVecEnv([lambda: gym.wrappers.TransformReward(single(), lambda reward: reward)]),
        "subprocesses": lambda: SubprocVecEnv([single], start_method="fork"),
    }
    for kind, make in kinds.items():
        env = make()
        assert tuple(identity_of(env)) == expected, kind
        assert not env.has_attr("no_such_attribute"), kind
        env.close()
    others = [single, lambda: gym.make("cls_env/SplitGlyphs-v0", num_tasks=3, seed=5, dataset_options=OPTIONS)]
    with pytest.raises(ValueError, match="must show one stream, but their action_names differ"):
        class_names_of(DummyVecEnv(others))
    cart_poles = GymnasiumVecEnv(
        SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    )
    for foreign in (DummyVecEnv([lambda: gym.make("CartPole-v1")]), cart_poles):
        assert tuple(identity_of(foreign)) == (None, None, None)


@pytest.mark.parametrize("algorithm", ["a2c", "dqn"])
def test_sb3s_own_algorithms_note_the_names(algorithm: str, six: ImageDataset, tmp_path: Path) -> None:
    from agents.sb3.policies import ViTQPolicy

    env = GymnasiumVecEnv(env_of(six, list(range(6)), 3))
    if algorithm == "a2c":
        model: Any = A2C(ViTActorCriticPolicy, env, n_steps=1, device="cpu")
    else:
        model = DQN(ViTQPolicy, env, buffer_size=64, learning_starts=0, batch_size=8, device="cpu")
    model.learn(8, callback=TaskByTask())
    assert model.class_names == six.class_names
    model.save(tmp_path / "model")
    other = GymnasiumVecEnv(env_of(six, [5, 4, 3, 2, 1, 0], 3))
    loaded = type(model).load(tmp_path / "model", other, device="cpu")
    assert tuple(loaded.class_names) == six.class_names
    with pytest.raises(ValueError, match=r"classes of the environment and of the agent differ.*action 0 is"):
        loaded.learn(8, callback=TaskByTask())
    loaded.set_env(GymnasiumVecEnv(env_of(six, list(range(6)), 3)))
    loaded.learn(8, callback=TaskByTask())
    with pytest.raises(ValueError, match="classes of the environment and of the agent differ"):
        evaluate_tasks(loaded.policy, env_of(six, [5, 4, 3, 2, 1, 0], 3, split="test"), [0])
