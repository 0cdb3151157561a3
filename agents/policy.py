"""The policy: a backbone, of which a PEFT module or all learns, and a head that grows with the tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from agents.methods import Method, Task, make_method
from agents.networks.adapted_backbone import adapt_backbone
from agents.networks.config import PolicyConfig
from agents.networks.head import GrowingHead
from agents.networks.rollback import undone_on_failure
from agents.optimization.optimizers import check_optimizer, make_optimizer
from cls_env.arguments import as_plain
from cls_env.specification import lookup

View = Callable[[Tensor], Tensor]


class ViTPolicy(BasePolicy):
    """pi(a|x) = softmax of the head's logits over the features of a frozen ViT with a PEFT module.

    How features become logits, and what else is asked, is the method's (`agents.methods`).

    Nothing in it is re-initialised after construction: the pretrained weights stay as they were loaded. A frozen
    backbone is always in eval mode. With `peft="full"` there is no module, any timm model learns as a whole, and it
    follows `train` and `eval`. Actions not met yet have probability 0; before any is met, all are equally likely.
    Begins in eval mode.

    Args:
        observation_space: uint8 images, channels last or first.
        action_space: `Discrete`.
        lr_schedule: Gives the optimizer's first learning rate, at progress_remaining = 1.
        config: What it is made of; the further arguments replace its entries.
        optimizer_class: `torch.optim.Adam` by default.
        optimizer_kwargs: Its arguments beside the learning rate.
        **overrides: Entries of `PolicyConfig`, such as `model="vit_base_patch16_224.augreg_in21k"`.

    Attributes:
        peft_parameters: The tensors that learn in the backbone, frozen or not; with `peft="full"`, all.
        trains_whole_backbone: Whether these are all.
        method: The continual-learning method, with its state.
        peft_frozen: Whether their gradients are stopped at the moment.
        backbone_hash: SHA-256 of the backbone's weights as they were loaded or drawn.
        class_names: The name of each action, where the agent knows them.
        module_names: Names of the backbone's tensors that are, or have been, the module's own: its trainable tensors
            and its persistent buffers.

    Raises:
        FileNotFoundError: There is no such weights file.
        ValueError: The spaces, the model, its weights, the PEFT module or an entry do not fit.
    """

    head: GrowingHead
    method: Method
    class_names: tuple[str, ...] | None = None

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        config: PolicyConfig | None = None,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
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
        if config is not None and not isinstance(config, PolicyConfig):
            raise ValueError(f"config must be a PolicyConfig, not {config!r}")
        known = asdict(config or PolicyConfig())
        for name in overrides:
            lookup("policy argument", name, known)
        check_optimizer(optimizer_class, optimizer_kwargs or {}, lr_schedule)
        self.config = PolicyConfig(**(known | overrides))
        self.lr_schedule = lr_schedule
        self.tasks_begun = 0

        method = make_method(self.config.method)
        method.check_peft(self.config.peft)
        adapted = adapt_backbone(self.config, observation_space)
        self.central_view, self.normalize = adapted.central_view, adapted.normalize
        self.backbone_hash = adapted.weights_sha256
        self.head = GrowingHead(adapted.features_dim, int(action_space.n), self.config.head_seed)
        self.backbone = adapted.backbone
        self.module_names = set(adapted.module_names)
        self.peft_parameters = tuple(tensor for tensor in self.backbone.parameters() if tensor.requires_grad)
        self.trains_whole_backbone = len(self.peft_parameters) == len(list(self.backbone.parameters()))
        self.peft_frozen = False
        method.attach(self, self.config.method_seed)
        self.method = method
        self.train(False)

    @property
    def trainable_parameters(self) -> list[nn.Parameter]:
        """The tensors that learn at the moment: head, method and, unless frozen, PEFT module."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    @property
    def backbone_frozen(self) -> bool:
        """Whether nothing in the backbone learns at the moment."""
        return self.peft_frozen or not self.peft_parameters

    def begin_task(self, actions: Sequence[int], freeze_peft: bool, task: Task | None = None) -> None:
        """Meet a task's classes: grow the head, prepare the method, renew the optimizer, which holds what learns.

        Where that fails, as when the task's images can't be read, the policy is as it was before.

        A fresh optimizer matters: under the local loss the rows of old classes get zero gradients, and without a
        memory of earlier gradients they stay exactly where they are. Weight decay does not touch them either, see
        `agents.optimization.rows_without_gradient`.

        Args:
            actions: The classes of the task.
            freeze_peft: Stop the gradients of the PEFT module until `unfreeze_peft`; meanwhile no backward goes
                through the backbone.
            task: What the method is told; by default, without images to look through.
        """
        task = task or Task(self.tasks_begun, actions, seed=self.config.method_seed + self.tasks_begun)
        self.method.check_task(task)
        with undone_on_failure(self, self._written_by_beginnings()):
            self.head.grow(actions)
            self.tasks_begun += 1
            self.method.begin_task(self, task)
            self._require_peft_gradients(not freeze_peft)
            self.renew_optimizer()

    def learned_tensors(self) -> list[Tensor]:
        """The tensors that learning may change: of head, method and PEFT module, or of a backbone that learns whole."""
        module = self.backbone.state_dict(keep_vars=True)
        whole = self.trains_whole_backbone
        return self._own_tensors() + [tensor for name, tensor in module.items() if whole or name in self.module_names]

    def _own_tensors(self) -> list[Tensor]:
        return [tensor for part in (self.head, self.method) for tensor in part.state_dict(keep_vars=True).values()]

    def _written_by_beginnings(self) -> list[Tensor]:
        """The tensors that a beginning task may write to: of head, method and PEFT module."""
        return self._own_tensors() if self.trains_whole_backbone else self.learned_tensors()

    def remap_actions(self, new_index: Tensor, num_actions: int) -> None:
        """Move what head and method keep for each action to its place in another action space.

        Args:
            new_index: The new position of each action, -1 for an unseen one that has none; int64 of shape (A,).
            num_actions: Size of the other action space.
        """
        self.head.remap_actions(new_index, num_actions)
        self.method.remap_actions(self, new_index, num_actions)
        self.action_space = spaces.Discrete(num_actions)

    def renew_optimizer(self) -> None:
        """Make a fresh optimizer over the tensors that learn at the moment."""
        self.optimizer = make_optimizer(
            self.optimizer_class, self.trainable_parameters, self.lr_schedule, self.optimizer_kwargs
        )

    def unfreeze_peft(self) -> None:
        """Resume the gradients of the PEFT module and hand its tensors to the current optimizer."""
        if self.peft_frozen:
            self._require_peft_gradients(True)
            self.optimizer.add_param_group({"params": self.peft_parameters})

    def set_trainable(self, parameters: Sequence[nn.Parameter]) -> None:
        """Choose anew what learns in the backbone, when a method begins a task; all else of it stays as it is."""
        self.backbone.requires_grad_(False)
        self.peft_parameters = tuple(parameters)
        chosen = {id(parameter) for parameter in parameters}
        self.module_names |= {name for name, tensor in self.backbone.named_parameters() if id(tensor) in chosen}
        self._require_peft_gradients(not self.peft_frozen)

    def _require_peft_gradients(self, wanted: bool) -> None:
        self.peft_frozen = bool(self.peft_parameters) and not wanted
        for parameter in self.peft_parameters:
            parameter.requires_grad_(wanted)
        self.train(self.training)

    def see(self, images: Tensor, view: View | None = None) -> Tensor:
        """uint8 images as the backbone sees them, float32 [B, 3, h, w].

        Args:
            images: As observed.
            view: What is seen of them, uint8 [B, 3, H, W] to float32 [B, 3, h, w] in [0, 1]; by default, the centre.
        """
        return self.normalize.standardize((view or self.central_view)(self.normalize.channels_first(images)))

    def features(self, images: Tensor) -> Tensor:
        """The backbone's features of the centre of uint8 images, shape (B, D)."""
        return self.backbone(self.see(images))

    def forward(self, images: Tensor) -> Tensor:
        """The method's scores of all actions for uint8 images, shape (B, K); minus infinity for classes not met."""
        return self.method.scores(self, self.see(images))

    def action_scores(self, observations: Tensor) -> Tensor:
        """As `forward`, under the name by which all policies are tested."""
        return self(observations)

    @property
    def seen_classes(self) -> Tensor:
        """The actions met so far, int64, in order of arrival."""
        return self.head.actions

    def train(self, mode: bool = True) -> ViTPolicy:
        """Set the mode of policy, head, method and a backbone that learns as a whole.

        Any other backbone, and a whole one while it is frozen, stays in eval mode, so that its statistics can't drift.
        """
        self.training = mode
        self.head.train(mode)
        self.method.train(mode)
        self.backbone.train(mode and self.trains_whole_backbone and not self.peft_frozen)
        return self

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        assert isinstance(observation, Tensor)
        logits = self(observation)
        return logits.argmax(dim=1) if deterministic else torch.multinomial(logits.softmax(dim=1), 1).squeeze(1)


def parameter_counts(policy: ViTPolicy) -> dict[str, int]:
    """Numbers of scalars: frozen in the backbone, of all PEFT modules in it, of the method's own, and of the head.

    Adapters of earlier tasks, which a method has put to rest, are of the PEFT modules.
    """

    def count(tensors: Iterable[Tensor]) -> int:
        return int(np.sum([tensor.numel() for tensor in tensors]))

    peft = count(policy.peft_parameters) + count(policy.method.frozen_adapters(policy))
    return {
        "backbone": count(policy.backbone.parameters()) - peft,
        "peft": peft,
        "method": count(policy.method.parameters()),
        "head": count(policy.head.parameters()),
    }
