"""The policy: a pretrained ViT with a PEFT module inside and a head that grows with the tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from agents.backbone import Normalize, create_backbone, weights_hash
from agents.head import GrowingHead
from agents.micro_vit import MICRO_VIT
from agents.peft_modules.lora import add_lora
from cls_env.naming import lookup


@dataclass(frozen=True)
class PolicyConfig:
    """What a `ViTPolicy` is made of; all its random numbers come from three seeds."""

    model: str = MICRO_VIT
    """timm name of the backbone."""
    pretrained: bool = True
    """Load the backbone's weights; otherwise they are random."""
    peft: str = "lora"
    """Trainable module inside the backbone: lora, or none to train the head alone."""
    lora_rank: int = 4
    """Rank of each LoRA."""
    blocks: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Transformer blocks that get the module."""
    backbone_seed: int = 0
    """Draws a random backbone."""
    peft_seed: int = 0
    """Initialises the module."""
    head_seed: int = 0
    """Initialises the head's rows."""


class ViTPolicy(BasePolicy):
    """pi(a|x) = softmax of the head's logits over the features of a frozen ViT with a PEFT module.

    Nothing in it is re-initialised after construction: the pretrained weights stay as they were loaded. The backbone
    is always in eval mode. Actions not met yet have probability 0; before any is met, all are equally likely.

    Args:
        observation_space: uint8 images, channels last or first.
        action_space: `Discrete`.
        lr_schedule: Gives the optimizer's first learning rate, at progress_remaining = 1.
        config: What it is made of; the further arguments replace its entries.
        optimizer_class: `torch.optim.Adam` by default.
        optimizer_kwargs: Its arguments beside the learning rate.
        **overrides: Entries of `PolicyConfig`, such as `model="vit_base_patch16_224.augreg_in21k"`.

    Raises:
        ValueError: The spaces, the model, the PEFT module or an entry do not fit.
    """

    head: GrowingHead

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
        super().__init__(
            observation_space,
            action_space,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
            normalize_images=False,
        )
        if not isinstance(observation_space, spaces.Box) or not is_image_space(observation_space):
            raise ValueError(
                f"ViTPolicy sees uint8 images in 0 ... 255 with 1, 3 or 4 channels, not {observation_space}"
            )
        if not isinstance(action_space, spaces.Discrete):
            raise ValueError(f"ViTPolicy chooses among Discrete actions, not {action_space}")
        known = asdict(config or PolicyConfig())
        for name in overrides:
            lookup("policy argument", name, known)
        self.config = PolicyConfig(**(known | overrides))
        self.lr_schedule = lr_schedule
        self.tasks_begun = 0

        channels_first = is_image_space_channels_first(observation_space)
        height, width = observation_space.shape[1:] if channels_first else observation_space.shape[:2]
        backbone = create_backbone(
            self.config.model, self.config.pretrained, (height, width), self.config.backbone_seed
        )
        self.normalize = Normalize(backbone, channels_last=not channels_first)
        self.backbone_hash = weights_hash(backbone)
        self.head = GrowingHead(backbone.num_features, int(action_space.n), self.config.head_seed)  # type: ignore[arg-type]
        self.backbone = lookup("PEFT module", self.config.peft, PEFT_MODULES)(backbone, self.config).eval()
        self.peft_parameters = tuple(tensor for tensor in self.backbone.parameters() if tensor.requires_grad)
        self.peft_frozen = False

    @property
    def trainable_parameters(self) -> list[nn.Parameter]:
        """The tensors that learn at the moment: the head and, unless frozen, the PEFT module."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def begin_task(self, actions: Sequence[int], freeze_peft: bool) -> None:
        """Meet a task's classes: grow the head and renew the optimizer, which holds exactly what learns.

        A fresh Adam matters: under the local loss the rows of old classes get zero gradients, and only without a
        memory of earlier gradients do they stay exactly where they are.

        Args:
            actions: The classes of the task.
            freeze_peft: Stop the gradients of the PEFT module until `unfreeze_peft`; meanwhile no backward goes
                through the backbone.
        """
        self.head.grow(actions)
        self.tasks_begun += 1
        self._require_peft_gradients(not freeze_peft)
        self.renew_optimizer()

    def renew_optimizer(self) -> None:
        """Make a fresh optimizer over the tensors that learn at the moment."""
        self.optimizer = self.optimizer_class(
            self.trainable_parameters,
            lr=self.lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )

    def unfreeze_peft(self) -> None:
        """Resume the gradients of the PEFT module and hand its tensors to the current optimizer."""
        if self.peft_frozen:
            self._require_peft_gradients(True)
            self.optimizer.add_param_group({"params": self.peft_parameters})

    def _require_peft_gradients(self, wanted: bool) -> None:
        self.peft_frozen = bool(self.peft_parameters) and not wanted
        for parameter in self.peft_parameters:
            parameter.requires_grad_(wanted)

    def features(self, images: Tensor) -> Tensor:
        """The backbone's features of uint8 images, shape (B, D)."""
        return self.backbone(self.normalize(images))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of all actions for uint8 images, shape (B, K); minus infinity for classes not met."""
        return self.head(self.features(images))

    def train(self, mode: bool = True) -> ViTPolicy:
        """Set the mode of policy and head; the backbone stays in eval mode, so that frozen statistics can't drift."""
        self.training = mode
        self.head.train(mode)
        return self

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        assert isinstance(observation, Tensor)
        logits = self(observation)
        return logits.argmax(dim=1) if deterministic else torch.multinomial(logits.softmax(dim=1), 1).squeeze(1)


def _without_peft(backbone: nn.Module, config: PolicyConfig) -> nn.Module:
    return backbone


def _with_lora(backbone: nn.Module, config: PolicyConfig) -> nn.Module:
    return add_lora(backbone, config.lora_rank, config.blocks, config.peft_seed)


PEFT_MODULES = {"lora": _with_lora, "none": _without_peft}


def parameter_counts(policy: ViTPolicy) -> dict[str, int]:
    """Numbers of scalars in the frozen backbone, the PEFT module and the head."""

    def count(tensors: Iterable[nn.Parameter]) -> int:
        return int(np.sum([tensor.numel() for tensor in tensors]))

    peft = count(policy.peft_parameters)
    return {
        "backbone": count(policy.backbone.parameters()) - peft,
        "peft": peft,
        "head": count(policy.head.parameters()),
    }
