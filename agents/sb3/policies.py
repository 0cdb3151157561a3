"""Policies for stable-baselines3's own algorithms that learn task by task: the network of `ViTPolicy`, and its masks.

The network is a linear head on the features of a frozen ViT with a PEFT module. What is chosen among are the classes of
the current task in training, and those of all tasks met in tests, as with `ViTPolicy`; the head has all its rows from
the beginning, and those out of choice stand still.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
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
    """What `TaskByTask` asks of a policy."""

    def set_action_mask(self, actions: Sequence[int]) -> None:
        """Choose among these actions from now on, with a fresh optimizer."""

    def peft_parameters(self) -> Iterable[nn.Parameter]:
        """The tensors that learn in the backbone."""

    @property
    def seen_classes(self) -> Tensor:
        """The actions met so far, int64."""

    def parameters(self) -> Iterable[nn.Parameter]:
        """All tensors that the policy may learn."""


class ActionMask(nn.Module):
    """Which actions are chosen among now, and which have been met in any task: bool of shape (K,)."""

    current: Tensor
    met: Tensor

    def __init__(self, num_actions: int) -> None:
        super().__init__()
        self.register_buffer("current", torch.ones(num_actions, dtype=torch.bool))
        self.register_buffer("met", torch.zeros(num_actions, dtype=torch.bool))

    def set_action_mask(self, actions: Sequence[int]) -> None:
        """Choose among these, and remember them."""
        self.current.fill_(False)
        self.current[list(actions)] = True
        self.met[list(actions)] = True

    def mask(self, logits: Tensor) -> Tensor:
        """Logits, or values, of the current actions alone; the lowest finite number for others."""
        return mask_logits(logits, self.current)

    def of_all_met(self, logits: Tensor) -> Tensor:
        """Minus infinity for actions not met; while there is none, all as they are."""
        return logits.masked_fill(~self.met, -torch.inf) if self.met.any() else logits


class ViTActorCriticPolicy(ActorCriticPolicy):
    """Actor and critic, each a linear layer on shared ViT features, for PPO and A2C.

        model = PPO(ViTActorCriticPolicy, env)

    Args:
        observation_space: uint8 images.
        action_space: `Discrete`.
        lr_schedule: Gives the optimizer's first learning rate.
        features_extractor_class: `ViTFeatures`, or another.
        features_extractor_kwargs: Its arguments.
        net_arch: Hidden layers between features and head; none by default.
        head_seed: Draws the first weights of the heads, from N(0, 0.001).
        **further: As in SB3's `ActorCriticPolicy`.
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
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=list(as_plain(net_arch)) if isinstance(net_arch, (tuple, np.ndarray)) else as_plain(net_arch),
            features_extractor_class=features_extractor_class,
            features_extractor_kwargs=features_extractor_kwargs,
            **further,
        )
        self.lr_schedule = lr_schedule
        init_heads(whole_number("head_seed", head_seed, least=0), self.action_net, self.value_net)
        self.actions = ActionMask(int(action_space.n))

    def set_action_mask(self, actions: Sequence[int]) -> None:
        """Choose among these actions from now on, with a fresh optimizer, so that rows out of choice stand still."""
        self.actions.set_action_mask(actions)
        self.optimizer = make_optimizer(
            self.optimizer_class, self.parameters(), self.lr_schedule, self.optimizer_kwargs
        )

    def peft_parameters(self) -> Iterable[nn.Parameter]:
        """The tensors that learn in the backbone."""
        return self.features_extractor.parameters()

    @torch.no_grad()
    def action_scores(self, observations: Tensor) -> Tensor:
        """Logits at test, shape (B, K): minus infinity for actions not met."""
        latent = self.mlp_extractor.forward_actor(self.pi_features_extractor(observations))
        return self.actions.of_all_met(self.action_net(latent))

    @property
    def seen_classes(self) -> Tensor:
        """The actions met so far, int64."""
        return self.actions.met.nonzero().squeeze(1)

    def _get_action_dist_from_latent(self, latent_pi: Tensor) -> Distribution:
        logits = self.action_net(latent_pi)
        if not logits.isfinite().all():  # PyTorch's distributions look too, and answer with all numbers of the batch
            rate = self.optimizer.param_groups[0]["lr"]
            raise DivergedError(
                f"training diverged{self.place} with learning rate {rate:g}: the logits hold NaN or infinity; "
                "lower the learning rate"
            )
        return self.action_dist.proba_distribution(self.actions.mask(logits))


class TaskQNetwork(QNetwork):
    """SB3's Q-network, which is greedy among the current actions; its values are not masked."""

    def __init__(self, *positional: Any, **named: Any) -> None:
        super().__init__(*positional, **named)
        self.actions = ActionMask(int(self.action_space.n))

    def _predict(self, observation: PyTorchObs, deterministic: bool = True) -> Tensor:
        return self.actions.mask(self(observation)).argmax(dim=1)


class ViTQPolicy(DQNPolicy):
    """Values of all actions, a linear layer on ViT features, for DQN; its two networks share what is frozen.

        model = DQN(ViTQPolicy, env, replay_buffer_class=ImageReplayBuffer)

    Args:
        observation_space: uint8 images.
        action_space: `Discrete`.
        lr_schedule: Gives the optimizer's first learning rate.
        features_extractor_class: `ViTFeatures`, or another.
        features_extractor_kwargs: Its arguments.
        net_arch: Hidden layers between features and head; none by default.
        head_seed: Draws the first weights of the head, from N(0, 0.001).
        **further: As in SB3's `DQNPolicy`.
    """

    class_names: tuple[str, ...] | None = None
    place: str = ""
    q_net: TaskQNetwork
    q_net_target: TaskQNetwork

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        features_extractor_class: type[Any] = ViTFeatures,
        features_extractor_kwargs: dict[str, Any] | None = None,
        net_arch: Sequence[int] = (),
        head_seed: int = 0,
        **further: Any,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=list(as_plain(net_arch)),
            features_extractor_class=features_extractor_class,
            features_extractor_kwargs=features_extractor_kwargs,
            **further,
        )
        self.lr_schedule = lr_schedule
        init_heads(whole_number("head_seed", head_seed, least=0), self.q_net.q_net[-1])
        self.q_net_target.load_state_dict(self.q_net.state_dict())

    def make_q_net(self) -> TaskQNetwork:
        """One of the two networks."""
        arguments = self._update_features_extractor(self.net_args, features_extractor=None)
        return TaskQNetwork(**arguments).to(self.device)

    def set_action_mask(self, actions: Sequence[int]) -> None:
        """Choose among these actions from now on, with a fresh optimizer."""
        for network in (self.q_net, self.q_net_target):
            network.actions.set_action_mask(actions)
        self.optimizer = make_optimizer(
            self.optimizer_class, self.q_net.parameters(), self.lr_schedule, self.optimizer_kwargs
        )

    def peft_parameters(self) -> Iterable[nn.Parameter]:
        """The tensors that learn in the backbone."""
        return self.q_net.features_extractor.parameters()

    @torch.no_grad()
    def action_scores(self, observations: Tensor) -> Tensor:
        """Values at test, shape (B, K): minus infinity for actions not met."""
        values = self.q_net.q_net(self.q_net.features_extractor(observations))
        return self.q_net.actions.of_all_met(values)

    @property
    def seen_classes(self) -> Tensor:
        """The actions met so far, int64."""
        return self.q_net.actions.met.nonzero().squeeze(1)


@torch.no_grad()
def init_heads(seed: int, *layers: nn.Module) -> None:
    """Let linear heads begin as `GrowingHead` does: weights from N(0, 0.001), biases 0."""
    generator = torch.Generator().manual_seed(seed)
    for layer in layers:
        assert isinstance(layer, nn.Linear)
        rows = torch.randn(layer.weight.shape, generator=generator) * INITIAL_STANDARD_DEVIATION
        layer.weight.copy_(rows)
        layer.bias.zero_()
