"""A task whose images can't be read begins, or is counted, when it is tried again, as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch

from agents import EPG
from agents.methods import NO_OBJECTIVE, TaskInfo
from tests.agents.methods.conftest import module_of
from tests.agents.policies import TINY

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]


class Failing(gym.vector.VectorWrapper):
    """Raises an error in a step that is some steps ahead."""

    def __init__(self, env: gym.vector.VectorEnv, error: type[BaseException]) -> None:
        super().__init__(env)
        self.error, self.ahead = error, -1

    def step(self, actions: Any) -> Any:
        self.ahead -= 1
        if self.ahead == 0:
            raise self.error("the disk is gone")
        return super().step(actions)


def agent_of(method: str, env: gym.vector.VectorEnv) -> EPG:
    gradients = method not in ("ncm", "ranpac:projections=50")
    kwargs = TINY | {"method": method, "peft": module_of(method.split(":")[0]), "blocks": (0, 1, 2)}
    return EPG(
        "ViTPolicy", env, "ce" if gradients else NO_OBJECTIVE, 1e-3, 4, policy_kwargs=kwargs, seed=0, device="cpu"
    )


def learn(agent: EPG, task: int) -> None:
    agent.get_env().seed(task)
    agent.get_env().set_options({"task": task})
    agent.learn(16, reset_num_timesteps=False)


def tensors_of(agent: EPG) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in agent.policy.state_dict().items()}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("method", ["inflora", "ncm", "ranpac:projections=50"])
def test_a_look_through_that_fails_and_is_tried_again(
    method: str, error: type[BaseException], make_vec: MakeVec, tmp_path: Path
) -> None:
    undisturbed = agent_of(method, make_vec(4))
    env = Failing(make_vec(4), error)
    disturbed = agent_of(method, env)
    for task in range(3):
        learn(undisturbed, task)
        env.ahead = 3
        with pytest.raises(error, match="the disk is gone"):
            learn(disturbed, task)
        learn(disturbed, task)
    expected = tensors_of(undisturbed)
    found = tensors_of(disturbed)
    assert set(found) == set(expected) and disturbed.policy.network.tasks_begun == 3
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
    disturbed.save(tmp_path / "agent")
    EPG.load(tmp_path / "agent", device="cpu")


def test_a_task_that_failed_and_then_another_one(make_vec: MakeVec) -> None:
    """Going on with the second adds nothing."""
    env = Failing(make_vec(4), OSError)
    agent = agent_of("ncm", env)
    env.ahead = 3
    with pytest.raises(OSError, match="the disk is gone"):
        learn(agent, 0)
    for _ in range(2):
        learn(agent, 1)
    assert agent.policy.method.counts.sum() == 24


@pytest.mark.parametrize(
    "method",
    [
        "sequential",
        "lae",
        "sd-lora:restart=0.8",
        "inflora",
        "l2p",
        "dualprompt:transfer=true",
        "coda-prompt:components=30",
        "replay",
        "der++",
    ],
)
def test_a_beginning_that_fails_anywhere_leaves_the_policy_as_it_was(method: str, make_vec: MakeVec) -> None:
    agent = agent_of(method, make_vec(4))
    learn(agent, 0)
    learn(agent, 1)
    policy = agent.policy
    before = tensors_of(agent)
    learned = {id(tensor) for tensor in policy.trainable_parameters}
    optimizer, modules = policy.optimizer, len(list(policy.modules()))

    def fail() -> None:
        raise KeyboardInterrupt

    policy.renew_optimizer = fail  # the last of what a beginning does
    with pytest.raises(KeyboardInterrupt):
        learn(agent, 2)
    del policy.renew_optimizer
    assert policy.network.tasks_begun == 2 and policy.optimizer is optimizer and len(list(policy.modules())) == modules
    assert {id(tensor) for tensor in policy.trainable_parameters} == learned
    after = tensors_of(agent)
    assert set(after) == set(before) and all(torch.equal(after[name], before[name]) for name in before)
    learn(agent, 2)
    assert policy.network.tasks_begun == 3


def test_a_task_begun_without_an_environment(make_vec: MakeVec) -> None:
    """The policy alone, too."""
    policy = agent_of("inflora", make_vec(4)).policy
    with pytest.raises(ValueError, match="begun without an environment"):
        policy.begin_task([0, 1], False, TaskInfo(0, [0, 1]))
    assert policy.network.tasks_begun == 0 and len(policy.network.head.weight) == 0


def test_an_objective_that_fails_to_begin(make_vec: MakeVec) -> None:
    class Once:
        """Begins at the second try."""

        tries = 0

        def begin_task(self, seed: int) -> None:
            self.tries += 1
            if self.tries == 1:
                raise OSError("no seed yet")

        def __call__(self, logits: torch.Tensor, rewards: torch.Tensor, progress: float) -> torch.Tensor:
            return -(logits.softmax(dim=1) * rewards).sum(dim=1)

    agent = EPG("ViTPolicy", make_vec(4), Once(), batch_size=4, device="cpu")
    with pytest.raises(OSError, match="no seed yet"):
        agent.learn(4)
    assert agent.learn(4).policy.network.tasks_begun == 1
