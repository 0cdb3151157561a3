"""Early stopping: the pass that is kept, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium as gym
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from agents import EPG, GymnasiumVecEnv, KeepBestPass, ViTFeatures

pytestmark = pytest.mark.long

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


@pytest.mark.parametrize(
    ("measure", "images", "message"),
    [
        (lambda: 0.0, 0, "images_per_pass must be a whole number of at least 1, not 0"),
        (lambda: 0.0, 1.5, "images_per_pass must be a whole number"),
        (0.5, 10, "measure must be a function without arguments"),
    ],
    ids=["no images", "half an image", "no function"],
)
def test_wrong_arguments_are_refused(measure: Any, images: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KeepBestPass(measure, images)


@pytest.mark.parametrize("value", [float("nan"), None], ids=["nan", "none"])
def test_a_measure_is_a_number(value: Any, make_vec: MakeVec) -> None:
    with pytest.raises(ValueError, match=r"measure returned nan after pass 1|what measure returns must be a number"):
        learn(make_vec, [KeepBestPass(lambda: value, IMAGES)], peft="none")


def test_other_algorithms_are_refused(make_vec: MakeVec) -> None:
    kwargs = {"features_extractor_class": ViTFeatures, "features_extractor_kwargs": {"peft": "none"}, "net_arch": []}
    model = PPO("CnnPolicy", GymnasiumVecEnv(make_vec(8)), n_steps=2, batch_size=8, policy_kwargs=kwargs)
    with pytest.raises(ValueError, match="works with EPG, Reinforce and ValueBandit, not with PPO"):
        model.learn(16, callback=KeepBestPass(lambda: 0.0, IMAGES))
