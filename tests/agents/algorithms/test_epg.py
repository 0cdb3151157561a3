from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure

from agents import EPG, GymnasiumVecEnv
from agents.evaluation import evaluate_tasks
from agents.objectives import cross_entropy_loss
from tests.agents.algorithms.conftest import Watcher, learn_tasks
from tests.agents.policies import EMBEDDED

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]


@pytest.mark.parametrize("objective", ["ce", "epg", "aepg"])
def test_it_learns_a_stream(make_agent: Callable[..., EPG], make_vec: MakeVec, objective: str) -> None:
    agent = learn_tasks(make_agent(objective=objective, policy_kwargs=EMBEDDED), range(3), 120)
    accuracies = [test.accuracy for test in evaluate_tasks(agent.policy, make_vec(10, split="test"), range(3))]
    assert np.mean(accuracies) > 0.6  # chance is 1 / 6


def test_one_environment_step_is_one_image(make_agent: Callable[..., EPG]) -> None:
    seen: list[int] = []
    agent = make_agent().learn(20, callback=Watcher(lambda model: seen.append(model.num_timesteps)))
    assert seen == [8, 16, 24] and agent.num_timesteps == 24


def test_frozen_parameters_are_bit_identical_after_a_run(make_agent: Callable[..., EPG]) -> None:
    agent = make_agent()
    before = {name: tensor.clone() for name, tensor in agent.policy.network.backbone.named_parameters()}
    learn_tasks(agent, range(2))
    for name, tensor in agent.policy.network.backbone.named_parameters():
        assert torch.equal(tensor, before[name]) == ("lora_" not in name), name


def test_peft_is_frozen_for_the_first_part_of_later_tasks(make_agent: Callable[..., EPG]) -> None:
    agent = make_agent()
    changed: list[bool] = []

    def watch(model: EPG) -> None:
        current = torch.cat([tensor.detach().flatten() for tensor in model.policy.network.peft_parameters])
        changed.append(not torch.equal(current, watch.last))
        watch.last = current

    watch.last = torch.cat([tensor.detach().flatten() for tensor in agent.policy.network.peft_parameters])
    learn_tasks(agent, range(2), callback=Watcher(watch))  # the callback runs before the step's update
    assert changed == [False] + [True] * 9 + [True] + [False] * 6 + [True] * 3


def test_old_rows_of_the_head_stay_exactly_still(make_agent: Callable[..., EPG]) -> None:
    agent = learn_tasks(make_agent(), range(1))
    old = agent.policy.network.head.weight.detach().clone()
    learn_tasks(agent, range(1, 2))
    assert torch.equal(agent.policy.network.head.weight[:2], old)


def test_same_seed_same_agent(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    first, second, other = (learn_tasks(make_agent(env=make_vec(8), seed=seed), range(2)) for seed in (0, 0, 1))
    for name, tensor in first.policy.state_dict().items():
        assert torch.equal(tensor, second.policy.state_dict()[name]), name
    assert not torch.equal(first.policy.network.head.weight, other.policy.network.head.weight)


def test_cached_features_change_nothing(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    calls = []

    def count(agent: EPG) -> EPG:
        agent.policy.network.backbone.register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
        return agent

    agents, images = [], []
    for cached in (False, True):
        calls.clear()
        agents.append(learn_tasks(count(make_agent(env=make_vec(8), cache_features=cached)), range(2)))
        images.append(sum(calls))
    torch.testing.assert_close(
        agents[0].policy.network.head.weight, agents[1].policy.network.head.weight, rtol=1e-4, atol=1e-6
    )
    assert images == [160, 160 - (48 - 24)]  # in the frozen phase 48 images, of which 24 are different


def test_predict_and_evaluate_policy_are_sb3s(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    agent = learn_tasks(make_agent(), range(1))
    images, info = make_vec(10, split="test").reset()
    actions, state = agent.predict(images, deterministic=True)
    assert actions.shape == (10,) and state is None
    assert agent.predict(images[0], deterministic=True)[0] == actions[0]
    test_env = GymnasiumVecEnv(make_vec(10, split="test"))
    mean, _ = evaluate_policy(agent, test_env, n_eval_episodes=10)
    assert mean == pytest.approx((actions == info["label"]).mean())


def test_untrained_agent_chooses_among_all(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    images, _ = make_vec(60).reset()
    actions, _ = make_agent().predict(images)
    assert len(set(actions.tolist())) > 3


def test_logger_groups_are_sb3s(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    agent = make_agent()
    agent.set_logger(configure(str(tmp_path), ["csv"]))
    learn_tasks(agent, range(1), log_interval=2)
    lines = (tmp_path / "progress.csv").read_text().splitlines()
    columns = {"train/loss", "train/entropy", "train/learning_rate", "rollout/success_rate", "time/total_timesteps"}
    assert columns <= set(lines[0].split(",")) and len(lines) == 1 + 5


def test_every_task_starts_near_uniform(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    agent = make_agent()
    first: list[float] = []
    for task in range(3):
        agent.set_logger(configure(str(tmp_path / str(task)), ["csv"]))
        learn_tasks(agent, range(task, task + 1), log_interval=1)
        header, row = ((tmp_path / str(task) / "progress.csv").read_text().splitlines())[:2]
        first.append(float(dict(zip(header.split(","), row.split(","), strict=True))["train/entropy"]))
    assert first == pytest.approx([np.log(2)] * 3, abs=0.02)


def test_progress_bar_and_callback_that_stops(make_agent: Callable[..., EPG]) -> None:
    agent = make_agent().learn(160, callback=Watcher(lambda model: model.num_timesteps < 40), progress_bar=True)
    assert agent.num_timesteps == 40


def test_learning_rate_may_be_a_schedule(make_agent: Callable[..., EPG]) -> None:
    rates: list[float] = []
    agent = make_agent(learning_rate=lambda remaining: 1e-3 * remaining)
    agent.learn(32, callback=Watcher(lambda model: rates.append(model.policy.optimizer.param_groups[0]["lr"])))
    assert rates == pytest.approx([1e-3, 0.75e-3, 0.5e-3, 0.25e-3])


def test_objective_may_be_a_function(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    progress: list[float] = []

    def mine(logits: torch.Tensor, rewards: torch.Tensor, done: float) -> torch.Tensor:
        progress.append(done)
        return cross_entropy_loss(logits, rewards)

    own = make_agent(env=make_vec(8), objective=mine).learn(32)
    named = make_agent(env=make_vec(8), objective="ce").learn(32)
    assert torch.equal(own.policy.network.head.weight, named.policy.network.head.weight)
    assert progress == [0.0, 0.25, 0.5, 0.75]


def test_bfloat16_learns(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    agent = learn_tasks(make_agent(precision="bfloat16", policy_kwargs=EMBEDDED), range(1), 120)
    assert evaluate_tasks(agent.policy, make_vec(10, split="test"), [0])[0].accuracy > 0.7
    assert agent.policy.network.head.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": "aegp"}, "unknown objective 'aegp'; did you mean 'aepg'"),
        ({"batch_size": 12}, "batch_size 12 is not a multiple of the 8 environments"),
        ({"batch_size": 0}, "batch_size"),
        ({"freeze_fraction": 1.5}, "freeze_fraction"),
        ({"precision": "float16"}, "unknown precision"),
    ],
)
def test_bad_arguments_are_named(make_agent: Callable[..., EPG], arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_agent(**arguments)


def test_unknown_policy_and_no_images_are_named(make_vec: MakeVec, make_agent: Callable[..., EPG]) -> None:
    with pytest.raises(ValueError, match="unknown policy 'VitPolicy'; did you mean 'ViTPolicy'"):
        EPG("VitPolicy", make_vec(8), batch_size=8)
    with pytest.raises(ValueError, match="total_timesteps"):
        make_agent().learn(0)


def test_rewards_outside_the_task_do_not_count(make_vec: MakeVec) -> None:
    """Half a reward for every other class: those outside the current task have no probability and no say."""
    matrix = np.full((6, 6), 0.5) + 0.5 * np.eye(6)
    inside = np.kron(np.eye(3), np.ones((2, 2)))  # tasks of two classes
    agents = [
        EPG("ViTPolicy", make_vec(8, reward_matrix=rewards), objective="ce", batch_size=8, seed=0, device="cpu").learn(
            40
        )
        for rewards in (matrix, matrix * inside)
    ]
    assert torch.equal(agents[0].policy.network.head.weight, agents[1].policy.network.head.weight)
    assert agents[0].policy.network.head.weight.abs().max() > 1e-3


def test_several_tasks_at_once_are_one(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    agent = make_agent(env=make_vec(8, task=[0, 1]))
    for _ in range(4):
        agent.learn(8, reset_num_timesteps=False)
    assert agent.policy.network.tasks_begun == 1


def test_callbacks_find_sb3s_locals(make_agent: Callable[..., EPG]) -> None:
    class Reader(BaseCallback):
        def _on_step(self) -> bool:
            assert {"rewards", "dones", "infos", "actions"} <= set(self.locals)
            return True

    make_agent().learn(8, callback=Reader())


@pytest.mark.parametrize(("anneal", "expected"), [("task", [0, 0.25, 0.5, 0.75]), ("unfrozen", [0, 0, 0, 0.5])])
def test_the_clock_of_an_annealed_objective(anneal: str, expected: list[float], make_vec: MakeVec) -> None:
    """A later task's module is frozen for the first half; the first task's is not."""
    seen: list[float] = []

    def objective(logits: torch.Tensor, action_rewards: torch.Tensor, progress: float) -> torch.Tensor:
        seen.append(progress)
        return -(logits.softmax(dim=1) * action_rewards).sum(dim=1)

    kwargs = {"blocks": (0,)}
    agent = EPG(
        "ViTPolicy", make_vec(8), objective, batch_size=8, freeze_fraction=0.5, anneal=anneal, policy_kwargs=kwargs
    )
    agent.learn(32)
    assert seen == [0, 0.25, 0.5, 0.75]
    agent.get_env().set_options({"task": 1})
    agent.learn(32, reset_num_timesteps=False)
    assert seen[4:] == expected


def test_an_unknown_clock_is_refused(make_vec: MakeVec) -> None:
    with pytest.raises(ValueError, match="unknown anneal 'tasks'; did you mean 'task'"):
        EPG("ViTPolicy", make_vec(8), anneal="tasks", batch_size=8)
