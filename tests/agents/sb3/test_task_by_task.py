"""PPO, A2C and DQN under the rules by which EPG learns a stream."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from agents import EPG, DivergedError, GymnasiumVecEnv, ImageReplayBuffer
from agents.evaluation import evaluate_tasks
from agents.sb3.policies import ViTActorCriticPolicy, ViTQPolicy
from agents.sb3.task_by_task import MaskedDiscrete, TaskByTask
from tests.agents.policies import EMBEDDED, TINY
from tests.slow_cases import slow_but

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
ALIKE: dict[str, Any] = {"seed": 0, "device": "cpu", "policy_kwargs": {"features_extractor_kwargs": TINY}}
ALGORITHMS: dict[str, Callable[..., BaseAlgorithm]] = {
    "ppo": lambda env, **more: PPO(ViTActorCriticPolicy, env, 2e-3, 4, 16, 2, **(ALIKE | more)),
    "a2c": lambda env, **more: A2C(ViTActorCriticPolicy, env, 2e-3, 1, use_rms_prop=False, **(ALIKE | more)),
    "dqn": lambda env, **more: DQN(
        ViTQPolicy,
        env,
        2e-3,
        256,
        learning_starts=0,
        batch_size=16,
        train_freq=1,
        exploration_fraction=0.5,
        replay_buffer_class=ImageReplayBuffer,
        **(ALIKE | more),
    ),
}


class Watch(BaseCallback):
    """Keeps what was chosen, and whether the module could learn."""

    def __init__(self) -> None:
        super().__init__()
        self.actions: list[int] = []
        self.learning: list[bool] = []

    def _on_step(self) -> bool:
        self.actions += self.locals["actions"].tolist()
        self.learning.append(all(p.requires_grad for p in self.model.policy.peft_parameters()))
        return True


def learn(model: BaseAlgorithm, task: int, images: int, **arguments: Any) -> Watch:
    watch = Watch()
    model.get_env().seed(task)
    model.get_env().set_options({"task": task})
    model.learn(images, callback=[TaskByTask(**arguments), watch])
    return watch


@pytest.mark.parametrize("name", slow_but(["a2c", "dqn"], ALGORITHMS))
def test_it_learns_a_stream(name: str, make_vec: MakeVec) -> None:
    kwargs = {"features_extractor_kwargs": EMBEDDED}
    model = ALGORITHMS[name](GymnasiumVecEnv(make_vec(8, feedback="bandit")), policy_kwargs=kwargs)
    for task in range(3):
        learn(model, task, 240)
    accuracies = [test.accuracy for test in evaluate_tasks(model.policy, make_vec(10, split="test"), range(3))]
    assert np.mean(accuracies) > 0.5  # chance is a sixth


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_task_is_its_own_world(name: str, make_vec: MakeVec, tmp_path: Path) -> None:
    model = ALGORITHMS[name](GymnasiumVecEnv(make_vec(8, feedback="bandit")))
    first = learn(model, 0, 64)
    assert set(first.actions) <= {0, 1} and all(first.learning)
    policy = model.policy
    rows = policy.q_net.q_net[-1] if name == "dqn" else policy.action_net
    before = rows.weight.detach().clone(), rows.bias.detach().clone()
    second = learn(model, 1, 64, freeze_fraction=0.5)
    assert set(second.actions) <= {2, 3}
    assert second.learning[:4] == [False] * 4 and second.learning[-1]
    assert policy.seen_classes.tolist() == [0, 1, 2, 3]
    elsewhere = [0, 1, 4, 5]
    assert torch.equal(rows.weight[elsewhere], before[0][elsewhere]) and torch.equal(
        rows.bias[elsewhere], before[1][elsewhere]
    )
    assert not torch.equal(rows.weight[2:4], before[0][2:4])
    if name == "dqn":
        assert model.replay_buffer.size() * model.n_envs == 64  # none of task 0
        assert len(model.replay_buffer.table) <= 24

    scores = policy.action_scores(policy.obs_to_tensor(np.moveaxis(_images(make_vec), 3, 1))[0])
    assert torch.isinf(scores[:, 4:]).all() and torch.isfinite(scores[:, :4]).all()
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model", device="cpu")
    assert loaded.policy.seen_classes.tolist() == [0, 1, 2, 3]
    tests = [evaluate_tasks(each.policy, make_vec(10, split="test"), [0, 1]) for each in (model, loaded)]
    for ours, theirs in zip(*tests, strict=True):
        assert np.array_equal(ours.predictions, theirs.predictions)


def _images(make_vec: MakeVec) -> np.ndarray:
    return make_vec(8).reset(seed=0)[0]


@pytest.mark.parametrize("name", ["ppo", "dqn"])
def test_the_same_seed_gives_the_same_run(name: str, make_vec: MakeVec) -> None:
    chosen = []
    for _ in range(2):
        model = ALGORITHMS[name](GymnasiumVecEnv(make_vec(8, feedback="bandit")))
        chosen.append(learn(model, 0, 64).actions + learn(model, 1, 64).actions)
    assert chosen[0] == chosen[1]


def test_random_exploration_keeps_to_the_task() -> None:
    space = MaskedDiscrete(6, np.array([1, 4]), seed=0)
    assert {int(space.sample()) for _ in range(40)} == {1, 4}
    assert int(space.sample(mask=np.array([0, 0, 0, 0, 0, 1], dtype=np.int8))) == 5
    assert space == spaces.Discrete(6)


def test_what_does_not_fit_is_refused(make_vec: MakeVec) -> None:
    with pytest.raises(ValueError, match=r"freeze_fraction must be in"):
        TaskByTask(1.5)
    env = GymnasiumVecEnv(make_vec(8))
    with pytest.raises(ValueError, match="needs a policy that can be told the task's classes"):
        A2C("MlpPolicy", env, device="cpu").learn(8, callback=TaskByTask())
    # An agent of ours follows these rules by itself.
    with pytest.raises(ValueError, match="not ViTPolicy"):
        EPG("ViTPolicy", make_vec(8), batch_size=8, device="cpu").learn(8, callback=TaskByTask())


class Stop(BaseCallback):
    """Ends a call after some steps."""

    def _on_step(self) -> bool:
        return self.n_calls < 3


def learning(model: Any) -> bool:
    return all(parameter.requires_grad for parameter in model.policy.peft_parameters())


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_call_that_a_callback_stops_leaves_nothing_frozen(name: str, make_vec: MakeVec) -> None:
    model = ALGORITHMS[name](GymnasiumVecEnv(make_vec(8)))
    learn(model, 0, 64)
    model.get_env().set_options({"task": 1})
    model.learn(64, callback=[TaskByTask(freeze_fraction=1.0), Stop()])
    assert learning(model)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_second_call_on_a_task_goes_on(name: str, make_vec: MakeVec, tmp_path: Path) -> None:
    """With the optimizer and the replay buffer as they are; also after loading, where SB3 keeps the former."""
    model: Any = ALGORITHMS[name](GymnasiumVecEnv(make_vec(8)))
    learn(model, 0, 64)
    assert not all(learn(model, 1, 64).learning)
    optimizer = model.policy.optimizer
    assert all(learn(model, 1, 64).learning) and model.policy.optimizer is optimizer
    if name == "dqn":
        assert model.replay_buffer.size() * model.n_envs == 128
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model", GymnasiumVecEnv(make_vec(8)), device="cpu")
    assert all(learn(loaded, 1, 64).learning)
    assert not all(learn(loaded, 2, 64).learning)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_divergence_names_step_task_and_rate(name: str, make_vec: MakeVec) -> None:
    class Spoil(BaseCallback):
        def _on_step(self) -> bool:
            if self.n_calls == 2:
                layer = self.model.policy.q_net.q_net[-1] if name == "dqn" else self.model.policy.action_net
                layer.weight.data.fill_(torch.nan)
            return True

    model = ALGORITHMS[name](GymnasiumVecEnv(make_vec(8)))
    model.get_env().set_options({"task": 1})
    with pytest.raises(DivergedError, match=r"^training diverged at step (16|24) of task 1 with learning rate 0.002: "):
        model.learn(640, callback=[TaskByTask(), Spoil()])
    assert learning(model)


class Unpaid(gym.vector.VectorWrapper):
    """Pays nothing that is a number."""

    def step(self, actions: Any) -> Any:
        images, rewards, *rest = super().step(actions)
        return images, rewards * np.nan, *rest


@pytest.mark.parametrize("name", ALGORITHMS)
def test_rewards_that_are_no_numbers_are_the_environments_fault(name: str, make_vec: MakeVec) -> None:
    with pytest.raises(ValueError, match="the environment returned rewards that are NaN or infinite"):
        ALGORITHMS[name](GymnasiumVecEnv(Unpaid(make_vec(8)))).learn(64, callback=TaskByTask())
