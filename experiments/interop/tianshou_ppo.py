"""Tianshou's PPO, collector and trainer, on its own vector of Gymnasium environments.

python -m experiments.interop.tianshou_ppo
"""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tyro
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from agents.sb3.features import ViTFeatures
from experiments.interop.trial import ENV_ID, Outcome, TrialSettings, missing, share_right

try:
    import tianshou
except ModuleNotFoundError as error:
    raise missing("Tianshou", extra="tianshou") from error
from tianshou.algorithm import PPO
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Batch, Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OnPolicyTrainerParams
from tianshou.utils.net.common import ModuleWithVectorOutput
from tianshou.utils.net.discrete import DiscreteActor, DiscreteCritic, dist_fn_categorical_from_logits


class Features(ModuleWithVectorOutput):
    """The ViT as Tianshou's networks call what comes before their heads.

    Args:
        observation_space: uint8 images.
    """

    def __init__(self, observation_space: spaces.Box) -> None:
        vit = ViTFeatures(observation_space)
        super().__init__(vit.features_dim)
        self.vit = vit

    def forward(self, obs: NDArray[np.uint8] | Tensor, state: Any = None, info: Any = None) -> tuple[Tensor, Any]:
        """Features of shape (B, output_dim) for images of shape (B, H, W, 3), and the state, which there is none."""
        return self.vit(torch.as_tensor(obs)), state


def make_ppo(envs: DummyVectorEnv, settings: TrialSettings) -> PPO:
    """Actor and critic on the features of one ViT."""
    observation_space, action_space = envs.observation_space[0], envs.action_space[0]
    features = Features(observation_space)
    actor = DiscreteActor(preprocess_net=features, action_shape=(action_space.n,), softmax_output=False)
    policy = ProbabilisticActorPolicy(
        actor=actor,
        dist_fn=dist_fn_categorical_from_logits,
        deterministic_eval=True,
        action_scaling=False,
        action_space=action_space,
        observation_space=observation_space,
    )
    return PPO(
        policy=policy,
        critic=DiscreteCritic(preprocess_net=features),
        optim=AdamOptimizerFactory(lr=settings.learning_rate),
        eps_clip=settings.clip,
        vf_coef=settings.value_coefficient,
        ent_coef=settings.entropy_coefficient,
        max_grad_norm=settings.max_grad_norm,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
    )


def train(settings: TrialSettings) -> Outcome:
    """Train on task 0 and test."""
    torch.manual_seed(settings.seed)
    np.random.seed(settings.seed)  # noqa: NPY002  # Tianshou shuffles its minibatches with it
    envs = DummyVectorEnv([lambda: gym.make(ENV_ID)] * settings.num_envs)
    envs.seed(settings.seed)
    ppo = make_ppo(envs, settings)
    collector = Collector(ppo, envs, VectorReplayBuffer(settings.rollout_size, settings.num_envs))
    started = time.perf_counter()
    ppo.run_training(
        OnPolicyTrainerParams(
            training_collector=collector,
            max_epochs=1,
            epoch_num_steps=settings.steps,
            collection_step_num_env_steps=settings.rollout_size,
            batch_size=settings.minibatch_size,
            update_step_num_repetitions=settings.update_epochs,
            verbose=False,
            show_progress=False,
        )
    )
    seconds = time.perf_counter() - started

    @torch.no_grad()
    def greedy(images: NDArray[np.uint8]) -> NDArray[np.int64]:
        return ppo.policy(Batch(obs=images, info={})).act.numpy()

    return Outcome(f"Tianshou {tianshou.__version__}", collector.collect_step, seconds, share_right(greedy))


if __name__ == "__main__":
    print(train(tyro.cli(TrialSettings, prog="python -m experiments.interop.tianshou_ppo")))
