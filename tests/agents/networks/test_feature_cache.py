"""Features that are remembered are those that would be computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnvWrapper

from agents import EPG
from agents.envs.vec_env import as_vec_env
from agents.networks.feature_cache import FeatureCache

MakeVec = Callable[..., gym.vector.VectorEnv]


def test_another_image_under_a_known_index() -> None:
    cache, computed = FeatureCache(), []

    def extract(images: torch.Tensor) -> torch.Tensor:
        computed.append(len(images))
        return images.float().flatten(1)

    random = np.random.default_rng(0)
    pictures = torch.from_numpy(random.integers(0, 256, (3, 4, 2, 2, 3), dtype=np.uint8))  # three of each index
    for _ in range(60):
        indices = random.integers(0, 4, 5)
        images = pictures[random.integers(0, 3, 5), indices]  # the same index may hold two images of a batch
        assert torch.equal(cache.features(indices, images, extract), extract(images))
        assert cache._features is not None and len(cache._features) <= 4
    computed.clear()
    for _ in range(3):
        cache.features(np.arange(4), pictures[0], extract)
    assert sum(computed) <= 4


class InvertedLater(VecEnvWrapper):
    """Shows negatives from its fourth step on."""

    steps = 0

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> Any:
        images, *rest = self.venv.step_wait()
        self.steps += 1
        return (255 - images if self.steps > 3 else images), *rest


def test_a_wrapper_that_changes_the_images(make_vec: MakeVec) -> None:
    heads = []
    for cached in (True, False):
        env = InvertedLater(as_vec_env(make_vec(12)))
        agent = EPG(
            "ViTPolicy",
            env,
            "ce",
            1e-2,
            12,
            cache_features=cached,
            policy_kwargs={"peft": "none"},
            seed=0,
            device="cpu",
        )
        env.seed(0)
        heads.append(agent.learn(96).policy.network.head.weight.detach())
    torch.testing.assert_close(heads[0], heads[1], rtol=1e-4, atol=1e-6)
