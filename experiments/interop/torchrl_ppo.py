"""TorchRL's collector, advantage estimator and PPO loss, around Gymnasium's vector environment.

python -m experiments.interop.torchrl_ppo
"""

from __future__ import annotations

import time

import gymnasium as gym
import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import nn
from torch.distributions import Categorical

from agents.sb3.features import ViTFeatures
from experiments.interop.trial import ENV_ID, Outcome, TrialSettings, missing, share_right

try:
    import torchrl
except ModuleNotFoundError as error:
    raise missing("TorchRL", extra="torchrl") from error
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torchrl.collectors import Collector
from torchrl.envs import ExplorationType, GymWrapper, set_exploration_type
from torchrl.modules import ActorValueOperator, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE


def make_env(settings: TrialSettings) -> GymWrapper:
    """The native vector environment, as TorchRL sees it."""
    env = GymWrapper(gym.make_vec(ENV_ID, num_envs=settings.num_envs), categorical_action_encoding=True)
    env.set_seed(settings.seed)
    return env


def make_actor_critic(observation_space: gym.spaces.Box, num_actions: int) -> ActorValueOperator:
    """Actor and critic on the features of one ViT."""
    features = ViTFeatures(observation_space)
    actor = TensorDictModule(nn.Linear(features.features_dim, num_actions), in_keys=["features"], out_keys=["logits"])
    return ActorValueOperator(
        TensorDictModule(features, in_keys=["observation"], out_keys=["features"]),
        ProbabilisticActor(actor, in_keys=["logits"], distribution_class=Categorical, return_log_prob=True),
        ValueOperator(nn.Linear(features.features_dim, 1), in_keys=["features"]),
    )


def train(settings: TrialSettings) -> Outcome:
    """Train on task 0 and test."""
    torch.manual_seed(settings.seed)
    env = make_env(settings)
    model = make_actor_critic(env.single_observation_space, env.single_action_space.n)
    actor = model.get_policy_operator()
    collector = Collector(
        env,
        actor,
        frames_per_batch=settings.rollout_size,
        total_frames=settings.steps,
        auto_register_policy_transforms=True,
    )
    advantage = GAE(
        gamma=settings.gamma, lmbda=settings.gae_lambda, value_network=model.get_value_operator(), deactivate_vmap=True
    )
    ppo_loss = ClipPPOLoss(
        actor,
        model.get_value_head(),  # reads the features that the actor has just written: one pass through the ViT, not two
        clip_epsilon=settings.clip,
        entropy_coeff=settings.entropy_coefficient,
        critic_coeff=settings.value_coefficient,
        loss_critic_type="l2",
        normalize_advantage=True,
    )
    optimizer = torch.optim.Adam(ppo_loss.parameters(), lr=settings.learning_rate)

    steps = 0
    started = time.perf_counter()
    for rollout in collector:
        steps += rollout.numel()
        with torch.no_grad():
            rollout = advantage(rollout.reshape(-1))
        for _ in range(settings.update_epochs):
            for rows in torch.randperm(rollout.numel()).split(settings.minibatch_size):
                losses = ppo_loss(rollout[rows])
                loss = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(ppo_loss.parameters(), settings.max_grad_norm)
                optimizer.step()
    seconds = time.perf_counter() - started
    collector.shutdown()

    @torch.no_grad()
    def greedy(images: NDArray[np.uint8]) -> NDArray[np.int64]:
        with set_exploration_type(ExplorationType.DETERMINISTIC):
            return actor(TensorDict(observation=images, batch_size=len(images)))["action"].numpy()

    return Outcome(f"TorchRL {torchrl.__version__}", steps, seconds, share_right(greedy))


if __name__ == "__main__":
    print(train(tyro.cli(TrialSettings, prog="python -m experiments.interop.torchrl_ppo")))
