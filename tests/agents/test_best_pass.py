"""Early stopping: the pass that is kept, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium as gym
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback

from agents import EPG, KeepBestPass

MakeVec = Callable[..., gym.vector.VectorEnv]
IMAGES = 24


class Passes(BaseCallback):
    """Keeps the policy as each pass leaves it."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[dict[str, torch.Tensor]] = []

    def _on_rollout_start(self) -> None:
        if self.model.num_timesteps % IMAGES == 0:
            self.states.append(state(self.model))

    def _on_step(self) -> bool:
        return True


def state(agent: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in agent.policy.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def learn(make_vec: MakeVec, callbacks: Sequence[BaseCallback], **arguments: Any) -> EPG:
    kwargs = {"blocks": (0,)} | arguments
    agent = EPG("ViTPolicy", make_vec(8), "ce", 1e-2, 8, policy_kwargs=kwargs, seed=0, device="cpu")
    return agent.learn(4 * IMAGES, callback=list(callbacks))


@pytest.mark.parametrize("arguments", [{}, {"method": "lae"}, {"peft": "none"}], ids=["lora", "lae", "head"])
def test_the_best_pass_is_kept(arguments: dict[str, Any], make_vec: MakeVec) -> None:
    values: Iterator[float] = iter([0.2, 0.5, 0.5, 0.4])
    passes, keep = Passes(), KeepBestPass(lambda: next(values), IMAGES)
    agent = learn(make_vec, [passes, keep], **arguments)
    assert keep.measures == [0.2, 0.5, 0.5, 0.4] and keep.best_pass == 1
    assert same(state(agent), passes.states[2])  # as the third pass began
    assert not same(passes.states[2], passes.states[3])
    assert agent.num_timesteps == 4 * IMAGES


def test_where_the_last_pass_is_best_nothing_changes(make_vec: MakeVec) -> None:
    values = iter([0.1, 0.2, 0.3, 0.4])
    keep = KeepBestPass(lambda: next(values), IMAGES)
    assert same(state(learn(make_vec, [keep])), state(learn(make_vec, [])))
    assert keep.best_pass == 3


def test_measuring_may_test_the_policy(make_vec: MakeVec) -> None:
    """The mode of training returns."""
    modes = []

    class Mode(BaseCallback):
        def _on_step(self) -> bool:
            modes.append(self.model.policy.training)
            return True

    def measure() -> float:
        agent.policy.set_training_mode(False)
        return 0.0

    agent = EPG("ViTPolicy", make_vec(8), "ce", batch_size=8, policy_kwargs={"blocks": (0,)}, seed=0, device="cpu")
    agent.learn(2 * IMAGES, callback=[KeepBestPass(measure, IMAGES), Mode()])
    assert set(modes) == {True}


def test_a_pass_has_images() -> None:
    with pytest.raises(ValueError, match="images_per_pass must be at least 1, not 0"):
        KeepBestPass(lambda: 0.0, 0)
