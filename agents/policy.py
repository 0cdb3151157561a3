"""`ViTPolicy`: a network, a continual-learning method and an optimizer, behind stable-baselines3's interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from agents.methods import FixedBackbone, Method, TaskInfo, make_method
from agents.networks.config import PolicyConfig
from agents.networks.feature_memory import FeatureMemory
from agents.networks.network import Network
from agents.networks.precision import checked_precision, precision_on
from agents.networks.rollback import undone_on_failure
from agents.optimization.optimizers import check_optimizer, make_optimizer
from cls_env.arguments import as_plain
from cls_env.specification import lookup


class ViTPolicy(BasePolicy):
    """pi(a|x) = softmax of the logits that a method computes with a network, see `agents.methods` and `Network`.

    Unseen classes have probability 0; before the first task the policy is uniform. Starts in eval mode.

    Args:
        observation_space: uint8 images, channels last or first.
        action_space: `Discrete`.
        lr_schedule: Gives the optimizer's first learning rate, at progress_remaining = 1.
        config: Describes network and method; the further arguments replace its entries.
        optimizer_class: `torch.optim.Adam` by default.
        optimizer_kwargs: Its arguments in addition to the learning rate.
        made_method: The method of `config`, made and checked before, for this policy alone; by default it is made here.
        **overrides: Entries of `PolicyConfig`, such as `model="vit_base_patch16_224.augreg_in21k"`.

    Attributes:
        config: The configuration that the policy was made from.
        network: Backbone, PEFT module and head.
        method: The continual-learning method, with its state.
        optimizer: Over the trainable parameters; renewed by every task.
        class_names: The name of each action; None where they are not known.

    Raises:
        FileNotFoundError: The weights file does not exist.
        ValueError: The spaces, the model, its weights, the PEFT module, the method or an entry do not fit.
    """

    class_names: tuple[str, ...] | None = None

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        config: PolicyConfig | None = None,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
        made_method: Method | None = None,
        **overrides: Any,
    ) -> None:
        optimizer_kwargs = None if optimizer_kwargs is None else as_plain(optimizer_kwargs)
        super().__init__(
            observation_space,
            action_space,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
            normalize_images=False,
        )
        if not isinstance(action_space, spaces.Discrete):
            raise ValueError(f"ViTPolicy chooses among Discrete actions, not {action_space}")
        self.config = _configured(config, overrides)
        check_optimizer(optimizer_class, optimizer_kwargs or {}, lr_schedule)
        self.lr_schedule = lr_schedule
        method = make_method(self.config.method) if made_method is None else made_method
        if made_method is None:
            method.check_peft(self.config.peft)
        self.network = Network(self.config, observation_space, int(action_space.n))
        method.attach(self.network, self.config.method_seed)
        self.network.backbone.train(self.network.backbone.training)  # also the modules that it has added
        self.method = method
        self.train(False)

    @property
    def precision(self) -> str:
        """In which the backbone computes, in training and at test: `"auto"`, `"float32"`, `"tf32"` or `"bfloat16"`.

        `"auto"`, the default, is bfloat16 on a GPU that computes in it, and float32 elsewhere. It can be set.

        Raises:
            ValueError: In setting: it is unknown, or the policy's device does not compute in it.
        """
        return self.network.precision

    @precision.setter
    def precision(self, precision: str) -> None:
        precision_on(checked_precision(precision), self.device)
        self.network.precision = precision

    @property
    def trainable_parameters(self) -> list[nn.Parameter]:
        """The tensors that are trained at the moment: head, method and, unless frozen, PEFT module."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    @property
    def seen_classes(self) -> Tensor:
        """The actions seen so far, int64, in the order in which they were first seen."""
        return self.network.seen_classes

    @property
    def backbone_hash(self) -> str:
        """SHA-256 of the backbone's weights as they were loaded or drawn."""
        return self.network.backbone_hash

    def features(self, images: Tensor) -> Tensor:
        """The backbone's features of uint8 images in their test view, shape (B, D)."""
        return self.network.features(images)

    def begin_task(self, actions: Sequence[int], freeze_peft: bool, task: TaskInfo | None = None) -> None:
        """Grow the head by a task's classes, prepare the method, and renew the optimizer.

        If any of it fails, for example because the task's images can't be read, the policy is left as it was.

        A fresh optimizer matters: under the local loss the rows of old classes get zero gradients, and without a
        memory of earlier gradients they stay exactly as they are. Weight decay does not change them either, see
        `agents.optimization.rows_without_gradient`.

        Args:
            actions: The classes of the task.
            freeze_peft: Stop the gradients of the PEFT module until `unfreeze_peft`; meanwhile no backward pass goes
                through the backbone.
            task: What the method is told of the task; by default without training images.
        """
        index = self.network.tasks_begun
        task = task or TaskInfo(index, actions, seed=self.config.method_seed + index)
        self.method.check_task(task)
        with undone_on_failure(self, self._written_by_begin_task()):
            self.network.head.grow(actions)
            self.network.tasks_begun += 1
            self.method.begin_task(self.network, task)
            if freeze_peft:
                self.network.freeze_peft()
            else:
                self.network.unfreeze_peft()
            self.renew_optimizer()

    def unfreeze_peft(self) -> None:
        """Resume the gradients of the PEFT module and give its tensors to the current optimizer."""
        if self.network.peft_frozen:
            self.network.unfreeze_peft()
            self.optimizer.add_param_group({"params": self.network.peft_parameters})

    def renew_optimizer(self) -> None:
        """Make a fresh optimizer over the tensors that are trained at the moment."""
        self.optimizer = make_optimizer(
            self.optimizer_class, self.trainable_parameters, self.lr_schedule, self.optimizer_kwargs
        )

    def learned_tensors(self) -> list[Tensor]:
        """The tensors that training may change: of head, method and PEFT module, or of the whole backbone."""
        return self._head_and_method_tensors() + self.network.module_tensors()

    def _head_and_method_tensors(self) -> list[Tensor]:
        parts = (self.network.head, self.method)
        return [tensor for part in parts for tensor in part.state_dict(keep_vars=True).values()]

    def _written_by_begin_task(self) -> list[Tensor]:
        """The tensors that `begin_task` may write to: no method writes to a backbone that is trained as a whole."""
        return self._head_and_method_tensors() if self.network.trains_whole_backbone else self.learned_tensors()

    def remap_actions(self, new_index: Tensor, num_actions: int) -> None:
        """Move what head and method keep for each action to its position in another action space.

        Args:
            new_index: The new position of each action, -1 for an unseen one that has none; int64 of shape (A,).
            num_actions: Size of the other action space.
        """
        self.network.head.remap_actions(new_index, num_actions)
        self.method.remap_actions(self.network, new_index, num_actions)
        self.action_space = spaces.Discrete(num_actions)

    def forward(self, images: Tensor) -> Tensor:
        """The method's scores of all actions for uint8 images, shape (B, A); minus infinity for unseen classes."""
        inputs = self.network.preprocessing(images)
        with self.network.autocast():
            return self.method.scores(self.network, inputs)

    def action_scores(self, observations: Tensor) -> Tensor:
        """Same as `forward`, under the name that `agents.evaluation` calls."""
        return self(observations)

    def remembered_scores(self, images: Callable[[], Tensor], rows: NDArray[np.int64], memory: FeatureMemory) -> Tensor:
        """Same as `action_scores`; a method that never changes the backbone takes known features from a memory.

        Args:
            images: Returns the images; it is called only if they are needed.
            rows: Row of each image in its split, int64 of shape (B,).
            memory: Of this policy, and of the environment that shows the images.
        """
        method, network = self.method, self.network
        plain = type(self).forward is ViTPolicy.forward and type(self).action_scores is ViTPolicy.action_scores
        if not plain or not isinstance(method, FixedBackbone) or not method.can_reuse_features(network):
            return self.action_scores(images())
        inputs = cache(lambda: network.preprocessing(images()))
        with network.autocast():
            features = memory.features(rows, network.precision, lambda: network.encode(inputs()))
            return method.scores_from_features(network, features, inputs)

    def train(self, mode: bool = True) -> ViTPolicy:
        """Set the mode of policy, network and method, see `Network.train`."""
        self.training = mode
        self.network.train(mode)
        self.method.train(mode)
        return self

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        assert isinstance(observation, Tensor)
        logits = self(observation)
        return logits.argmax(dim=1) if deterministic else torch.multinomial(logits.softmax(dim=1), 1).squeeze(1)


def _configured(config: PolicyConfig | None, overrides: dict[str, Any]) -> PolicyConfig:
    """A configuration with some entries replaced.

    Raises:
        ValueError: `config` is no `PolicyConfig`, or an entry is unknown or out of range.
    """
    if config is not None and not isinstance(config, PolicyConfig):
        raise ValueError(f"config must be a PolicyConfig, not {config!r}")
    known = asdict(config or PolicyConfig())
    for name in overrides:
        lookup("policy argument", name, known)
    return PolicyConfig(**(known | overrides))


def parameter_counts(policy: ViTPolicy) -> dict[str, int]:
    """Count parameters by part: `backbone` (frozen), `peft` (including frozen adapters), `method` and `head`."""

    def count(tensors: Iterable[Tensor]) -> int:
        return int(np.sum([tensor.numel() for tensor in tensors]))

    network = policy.network
    peft = count(network.peft_parameters) + count(policy.method.frozen_adapters(network))
    return {
        "backbone": count(network.backbone.parameters()) - peft,
        "peft": peft,
        "method": count(policy.method.parameters()),
        "head": count(network.head.parameters()),
    }
