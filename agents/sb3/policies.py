"""Policies for stable-baselines3's own algorithms that learn task by task: the network of `ViTPolicy`, and its masks.

The network is a linear head on the features of a ViT with a PEFT module. The action mask is the current task's classes
in training and all seen classes at test. The head has a row for every class from the start. Rows outside the mask get
no gradient.

A policy of your own takes two mixins in front of SB3's class: `TaskNetwork` for what has the head (`ValueNetwork` if it
predicts values), and `TaskPolicyMixin` for the policy.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor, nn

from agents.networks.head import INITIAL_STANDARD_DEVIATION
from agents.objectives import mask_logits
from agents.optimization.divergence import DivergedError
from agents.optimization.optimizers import make_optimizer
from agents.sb3.features import ViTFeatures
from cls_env.arguments import as_plain, whole_number


@runtime_checkable
class TaskPolicy(Protocol):
    """The interface that `TaskByTask` needs of a policy."""

    def set_action_mask(self, actions: Sequence[int]) -> None:
        """Choose among these actions from now on, with a new optimizer."""

    def peft_parameters(self) -> Iterable[nn.Parameter]:
        """Trainable parameters of the backbone."""

    @property
    def seen_classes(self) -> Tensor:
        """Classes of all tasks so far, int64."""

    def parameters(self) -> Iterable[nn.Parameter]:
        """All parameters of the policy."""


class ActionMask(nn.Module):
    """The actions of the current task and those of all tasks so far: bool of shape (K,) each.

    Args:
        num_actions: K.
    """

    current: Tensor
    met: Tensor
    """Actions of all tasks so far. Saved policies hold both buffers by their names."""

    def __init__(self, num_actions: int) -> None:
        super().__init__()
        self.register_buffer("current", torch.ones(num_actions, dtype=torch.bool))
        self.register_buffer("met", torch.zeros(num_actions, dtype=torch.bool))

    def set_action_mask(self, actions: Sequence[int]) -> None:
        """Make these the current actions, and add them to the seen ones."""
        self.current.fill_(False)
        self.current[list(actions)] = True
        self.met[list(actions)] = True

    def mask(self, logits: Tensor) -> Tensor:
        """Replace the logits, or values, of other than the current actions by the lowest finite number."""
        return mask_logits(logits, self.current)

    def mask_unseen(self, logits: Tensor) -> Tensor:
        """Replace the logits of unseen actions by minus infinity, once there are seen ones."""
        return logits.masked_fill(~self.met, -torch.inf) if self.met.any() else logits


class TaskNetwork(BasePolicy):
    """Mixin for a network of SB3 with a head for all classes and an action mask.

    Subclasses say which layers are the head (`heads`) and what it computes (`scores_of`).
    """

    actions: ActionMask

    def __init__(self, *positional: Any, **named: Any) -> None:
        super().__init__(*positional, **named)
        assert isinstance(self.action_space, spaces.Discrete)
        self.actions = ActionMask(int(self.action_space.n))

    @abstractmethod
    def heads(self) -> Sequence[nn.Module]:
        """Linear layers on the features, whose first weights `head_seed` draws, in this order."""

    @abstractmethod
    def scores_of(self, features: Tensor) -> Tensor:
        """Logits or values of all actions, shape (B, K), for features of shape (B, D)."""


class ValueNetwork(TaskNetwork):
    """Mixin for a value network: greedy among the current actions, with values that are not masked."""

    def _predict(self, observation: PyTorchObs, deterministic: bool = True) -> Tensor:
        features = self.extract_features(observation, self.features_extractor)
        return self.actions.mask(self.scores_of(features)).argmax(dim=1)


class TaskPolicyMixin(BasePolicy):
    """Mixin that makes a policy of SB3 a `TaskPolicy` on ViT features.

    Subclasses name their networks (`task_networks`).

    Args:
        observation_space: uint8 images.
        action_space: `Discrete`.
        lr_schedule: Gives the optimizer's first learning rate.
        features_extractor_class: `ViTFeatures`, or another.
        features_extractor_kwargs: Its arguments.
        net_arch: Hidden layers between features and head; none by default.
        head_seed: Draws the first weights of the heads, from N(0, 0.001).
        **further: Arguments of SB3's policy.
    """

    class_names: tuple[str, ...] | None = None
    place: str = ""
    """Where training is, " at step 8 of task 0", while `TaskByTask` notes it."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        features_extractor_class: type[Any] = ViTFeatures,
        features_extractor_kwargs: dict[str, Any] | None = None,
        net_arch: Any = (),
        head_seed: int = 0,
        **further: Any,
    ) -> None:
        super().__init__(  # of the SB3 policy, next in the method resolution order
            observation_space,
            action_space,
            lr_schedule,
            net_arch=list(as_plain(net_arch)) if isinstance(net_arch, (tuple, np.ndarray)) else as_plain(net_arch),
            features_extractor_class=features_extractor_class,
            features_extractor_kwargs=features_extractor_kwargs,
            **further,
        )
        self.lr_schedule = lr_schedule
        trained, *targets = self.task_networks()
        init_heads(whole_number("head_seed", head_seed, least=0), *trained.heads())
        for target in targets:
            target.load_state_dict(trained.state_dict())

    @abstractmethod
    def task_networks(self) -> Sequence[TaskNetwork]:
        """The network that is trained, then its target networks, if any."""

    def set_action_mask(self, actions: Sequence[int]) -> None:
        """Choose among these actions from now on, with a new optimizer, so that rows outside the mask are frozen."""
        for network in self.task_networks():
            network.actions.set_action_mask(actions)
        parameters = self.task_networks()[0].parameters()
        self.optimizer = make_optimizer(self.optimizer_class, parameters, self.lr_schedule, self.optimizer_kwargs)

    def peft_parameters(self) -> Iterable[nn.Parameter]:
        """Trainable parameters of the backbone."""
        return self.task_networks()[0].features_extractor.parameters()

    @torch.no_grad()
    def action_scores(self, observations: Tensor) -> Tensor:
        """Logits or values at test, shape (B, K): minus infinity for unseen actions."""
        network = self.task_networks()[0]
        return network.actions.mask_unseen(network.scores_of(network.features_extractor(observations)))

    @property
    def seen_classes(self) -> Tensor:
        """Classes of all tasks so far, int64."""
        return self.task_networks()[0].actions.met.nonzero().squeeze(1)


class ViTActorCriticPolicy(TaskPolicyMixin, TaskNetwork, ActorCriticPolicy):
    """Actor and critic, each a linear layer on shared ViT features, for PPO and A2C.

        model = PPO(ViTActorCriticPolicy, env)

    Arguments are those of `TaskPolicyMixin` and of SB3's `ActorCriticPolicy`.
    """

    def task_networks(self) -> Sequence[TaskNetwork]:
        """The policy itself: actor and critic share its features."""
        return (self,)

    def heads(self) -> Sequence[nn.Module]:
        """The actor's layer, then the critic's."""
        return self.action_net, self.value_net

    def scores_of(self, features: Tensor) -> Tensor:
        """The actor's logits."""
        return self.action_net(self.mlp_extractor.forward_actor(features))

    def _get_action_dist_from_latent(self, latent_pi: Tensor) -> Distribution:
        logits = self.action_net(latent_pi)
        if not logits.isfinite().all():  # PyTorch's distributions check too, but print all numbers of the batch
            rate = self.optimizer.param_groups[0]["lr"]
            raise DivergedError(
                f"training diverged{self.place} with learning rate {rate:g}: the logits hold NaN or infinity; "
                "lower the learning rate"
            )
        return self.action_dist.proba_distribution(self.actions.mask(logits))


class TaskQNetwork(ValueNetwork, QNetwork):
    """SB3's Q-network with an action mask."""

    def heads(self) -> Sequence[nn.Module]:
        """The last layer."""
        return (self.q_net[-1],)

    def forward(self, obs: PyTorchObs) -> Tensor:
        """The Q-values of all actions, shape (B, K); SB3 computes its loss from them."""
        return self.scores_of(self.extract_features(obs, self.features_extractor))

    def scores_of(self, features: Tensor) -> Tensor:
        """The Q-values."""
        return self.q_net(features)


class ViTQPolicy(TaskPolicyMixin, DQNPolicy):
    """Values of all actions, a linear layer on ViT features, for DQN. Its two networks share the frozen weights.

        model = DQN(ViTQPolicy, env, replay_buffer_class=ImageReplayBuffer)

    Arguments are those of `TaskPolicyMixin` and of SB3's `DQNPolicy`.
    """

    q_net: TaskQNetwork
    q_net_target: TaskQNetwork

    def task_networks(self) -> Sequence[TaskNetwork]:
        """The online network, then the target network."""
        return self.q_net, self.q_net_target

    def make_q_net(self) -> TaskQNetwork:
        """One of the two networks."""
        arguments = self._update_features_extractor(self.net_args, features_extractor=None)
        return TaskQNetwork(**arguments).to(self.device)


@torch.no_grad()
def init_heads(seed: int, *layers: nn.Module) -> None:
    """Initialize linear heads as `GrowingHead` does: weights from N(0, 0.001), biases 0."""
    generator = torch.Generator().manual_seed(seed)
    for layer in layers:
        assert isinstance(layer, nn.Linear)
        rows = torch.randn(layer.weight.shape, generator=generator) * INITIAL_STANDARD_DEVIATION
        layer.weight.copy_(rows)
        layer.bias.zero_()
