"""RLlib's PPO on its new API stack, with the ViT in an RLModule.

python -m experiments.interop.rllib_ppo
"""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.sb3.features import ViTFeatures
from experiments.interop.trial import ENV_ID, Outcome, TrialSettings, missing, share_right

try:
    import ray.rllib
except ModuleNotFoundError as error:
    raise missing("RLlib", extra="rllib") from error
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.tune import register_env


class ViTModule(TorchRLModule, ValueFunctionAPI):
    """Actor and critic on the features of one ViT."""

    def setup(self) -> None:
        """Make the networks; RLlib has set the spaces."""
        self.features = ViTFeatures(self.observation_space)
        self.actor = nn.Linear(self.features.features_dim, self.action_space.n)
        self.critic = nn.Linear(self.features.features_dim, 1)

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Tensor]:
        features = self.features(batch[Columns.OBS])
        return {Columns.EMBEDDINGS: features, Columns.ACTION_DIST_INPUTS: self.actor(features)}

    def compute_values(self, batch: dict[str, Any], embeddings: Tensor | None = None) -> Tensor:
        """Values of shape (B,), of images or of features that `_forward` has given."""
        features = self.features(batch[Columns.OBS]) if embeddings is None else embeddings
        return self.critic(features).squeeze(-1)


def make_config(settings: TrialSettings) -> PPOConfig:
    """PPO with all in this process."""
    register_env(ENV_ID, lambda config: gym.make(ENV_ID, **config))
    return (
        PPOConfig()
        .environment(ENV_ID)
        .framework("torch")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=settings.num_envs)
        .learners(num_learners=0)
        .rl_module(rl_module_spec=RLModuleSpec(module_class=ViTModule))
        .training(
            lr=settings.learning_rate,
            gamma=settings.gamma,
            lambda_=settings.gae_lambda,
            clip_param=settings.clip,
            entropy_coeff=settings.entropy_coefficient,
            vf_loss_coeff=settings.value_coefficient,
            use_kl_loss=False,
            grad_clip=settings.max_grad_norm,
            train_batch_size_per_learner=settings.rollout_size,
            minibatch_size=settings.minibatch_size,
            num_epochs=settings.update_epochs,
        )
        .debugging(seed=settings.seed, log_level="ERROR")
    )


def train(settings: TrialSettings) -> Outcome:
    """Train on task 0 and test."""
    with ray.init(include_dashboard=False, log_to_driver=False):
        ppo = make_config(settings).build_algo()
        steps = 0
        started = time.perf_counter()
        while steps < settings.steps:
            steps = int(ppo.train()["num_env_steps_sampled_lifetime"])
        seconds = time.perf_counter() - started
        module = ppo.get_module()
        ppo.stop()

    @torch.no_grad()
    def greedy(images: NDArray[np.uint8]) -> NDArray[np.int64]:
        outputs = module.forward_inference({Columns.OBS: torch.from_numpy(images)})
        return outputs[Columns.ACTION_DIST_INPUTS].argmax(dim=1).numpy()

    return Outcome(f"RLlib {ray.__version__}", steps, seconds, share_right(greedy))


if __name__ == "__main__":
    print(train(tyro.cli(TrialSettings, prog="python -m experiments.interop.rllib_ppo")))
