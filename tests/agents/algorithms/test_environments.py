"""EPG learns on environments of every kind, and names what it can't learn on."""

from __future__ import annotations

import functools
from collections.abc import Callable

import gymnasium as gym
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor

from agents import EPG, GymnasiumVecEnv
from cls_env import TaskStream

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]


def test_environments_of_every_kind(stream: TaskStream, make_vec: MakeVec) -> None:
    def single() -> gym.Env:
        return gym.make("cls_env/ClassIncremental-v0", dataset=stream)

    environments = {
        "single": single(),
        "native": make_vec(4),
        "sync": SyncVectorEnv([single] * 4, autoreset_mode=AutoresetMode.SAME_STEP),
        "dummy": DummyVecEnv([single] * 2),
        "adapter": GymnasiumVecEnv(make_vec(4)),
        "monitor": VecMonitor(DummyVecEnv([single] * 2)),
    }
    for name, env in environments.items():
        agent = EPG("ViTPolicy", env, batch_size=4, seed=0, device="cpu").learn(8)
        assert agent.num_timesteps == 8, name
        assert agent.policy.network.head.actions.tolist() == [0, 1], name


def test_subprocess_environments() -> None:
    options = {"num_classes": 6, "train_per_class": 4}
    make = functools.partial(gym.make, "cls_env:cls_env/SplitGlyphs-v0", num_tasks=3, dataset_options=options)
    env = SubprocVecEnv([make], start_method="spawn")
    agent = EPG("ViTPolicy", env, batch_size=4, seed=0, device="cpu").learn(8)
    assert agent.policy.network.head.actions.tolist() == [0, 1]
    env.close()


def test_environment_id_makes_a_batch_at_once() -> None:
    agent = EPG("ViTPolicy", "cls_env/SplitGlyphs-v0", batch_size=16, device="cpu").learn(16)
    assert agent.n_envs == 16 and len(agent.policy.network.head.actions) == 10


def test_single_and_vector_envs_give_the_same_gradient_step(stream: TaskStream, make_vec: MakeVec) -> None:
    single = gym.make("cls_env/ClassIncremental-v0", dataset=stream)
    agents = [EPG("ViTPolicy", env, batch_size=8, seed=0, device="cpu") for env in (single, make_vec(8))]
    for agent in agents:
        agent.get_env().seed(5)
        agent.learn(8)
    torch.testing.assert_close(
        agents[0].policy.network.head.weight, agents[1].policy.network.head.weight, rtol=1e-4, atol=1e-6
    )


def test_bandit_feedback_is_refused_with_the_reason(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    with pytest.raises(ValueError, match=r"feedback='bandit'.*PPO"):
        make_agent(env=make_vec(8, feedback="bandit")).learn(8)


def test_reset_in_the_next_step_is_refused(stream: TaskStream) -> None:
    env = SyncVectorEnv([lambda: gym.make("cls_env/ClassIncremental-v0", dataset=stream)] * 2)
    with pytest.raises(ValueError, match="SAME_STEP"):
        EPG("ViTPolicy", env, batch_size=2)


def test_id_may_name_its_module() -> None:
    assert EPG("ViTPolicy", "cls_env:cls_env/SplitGlyphs-v0", batch_size=4, device="cpu").n_envs == 4


def test_lists_of_infos_are_refused_with_the_reason(make_vec: MakeVec) -> None:
    from gymnasium.wrappers.vector import DictInfoToList

    with pytest.raises(ValueError, match="dict of arrays"):
        EPG("ViTPolicy", DictInfoToList(make_vec(4)), batch_size=4, device="cpu").learn(4)
