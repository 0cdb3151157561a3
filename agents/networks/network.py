"""The network of a policy: a backbone with a PEFT module, and a head that grows with the tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.func import functional_call

from agents.networks.adapted_backbone import adapt_backbone
from agents.networks.class_token import class_token_alone
from agents.networks.config import PolicyConfig
from agents.networks.head import GrowingHead
from agents.networks.patch_embedding import patches_given, plain_vit
from agents.networks.precision import arithmetic


class Network(nn.Module):
    """Logits of all actions, by a linear head on the features of a ViT with a PEFT module.

    Nothing in it is re-initialised after construction: the pretrained weights stay as they were loaded. A frozen
    backbone is always in eval mode. With `peft="full"` there is no module: all of the backbone is trainable, and it
    follows `train` and `eval`. Starts in eval mode.

    Args:
        config: The entries on model, weights, view, PEFT module, head and their seeds are used.
        observation_space: uint8 images, channels last or first.
        num_actions: Size of the action space.

    Attributes:
        preprocessing: From observed images to the inputs of the backbone.
        backbone: The timm model with its PEFT module.
        head: A row for each seen class.
        peft_parameters: Trainable tensors of the backbone, including while they are frozen.
        peft_frozen: Whether their gradients are stopped at the moment.
        trains_whole_backbone: True for `peft="full"`.
        backbone_hash: SHA-256 of the backbone's weights as they were loaded or drawn.
        module_names: Names of the backbone's tensors that belong to the PEFT module: those that are or were trainable,
            and its persistent buffers.
        tasks_begun: Number of tasks begun.
        precision: In which the backbone computes, a name in `agents.networks.precision.PRECISIONS`; by default float32
            on a CPU, and bfloat16 on a GPU that computes in it. The head computes in float32.
        fused_attention: Whether learning in bfloat16 on a CPU uses PyTorch's fused attention, which is slow there but
            keeps less memory; False at first.

    Raises:
        FileNotFoundError: The weights file does not exist.
        ValueError: The space, the model, its weights or the PEFT module do not fit.
    """

    def __init__(self, config: PolicyConfig, observation_space: spaces.Space[Any], num_actions: int) -> None:
        super().__init__()
        adapted = adapt_backbone(config, observation_space)
        self.config = config
        self.observation_space = observation_space
        self.preprocessing = adapted.preprocessing
        self.head = GrowingHead(adapted.features_dim, num_actions, config.head_seed)
        self.backbone = adapted.backbone
        self.backbone_hash = adapted.weights_sha256
        self.module_names = set(adapted.module_names)
        self.peft_parameters = tuple(tensor for tensor in self.backbone.parameters() if tensor.requires_grad)
        self.trains_whole_backbone = len(self.peft_parameters) == len(list(self.backbone.parameters()))
        self.peft_frozen = False
        self.tasks_begun = 0
        self.precision = "auto"
        self.fused_attention = False
        self.train(False)

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.head.weight.device

    def autocast(self) -> AbstractContextManager[None]:
        """A context in which passes through the backbone, or through parts of it, are computed in `precision`.

        Raises:
            ValueError: The device does not compute in this precision.
        """
        return arithmetic(self.precision, self.device, self.fused_attention)

    @property
    def seen_classes(self) -> Tensor:
        """The actions seen so far, int64, in the order in which they were first seen."""
        return self.head.actions

    @property
    def backbone_frozen(self) -> bool:
        """Whether no tensor of the backbone is trained at the moment."""
        return self.peft_frozen or not self.peft_parameters

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of all actions, shape (B, A), for inputs [B, 3, h, w]; minus infinity for unseen classes."""
        return self.head(self.encode(inputs))

    def encode(self, inputs: Tensor, replaced: Mapping[str, Tensor] | None = None) -> Tensor:
        """The backbone's features of inputs [B, 3, h, w], in `precision`: float32 of shape (B, D).

        Args:
            inputs: Preprocessed images, or the patch embeddings that `embed` returns for them.
            replaced: Tensors of the backbone, by name, to use in place of its own.
        """
        with self.autocast(), class_token_alone(self.backbone), patches_given(self.backbone, inputs.ndim == 3):
            features: Tensor = (
                functional_call(self.backbone, dict(replaced), (inputs,)) if replaced else self.backbone(inputs)
            )
        return features.float()

    @property
    def embeds_apart(self) -> bool:
        """Whether `embed` can compute the patch embeddings: those of a timm ViT, without a trained tensor in them."""
        return plain_vit(self.backbone) is not None and not any("patch_embed." in name for name in self.module_names)

    def embed(self, inputs: Tensor) -> Tensor:
        """The patch embeddings of inputs [B, 3, h, w], of shape (B, N, D); they stay the same while others learn."""
        vit = plain_vit(self.backbone)
        assert vit is not None
        with self.autocast():
            patches: Tensor = vit.patch_embed(inputs)
        return patches

    def features(self, images: Tensor) -> Tensor:
        """The backbone's features of uint8 images in their test view, float32 of shape (B, D)."""
        return self.encode(self.preprocessing(images))

    def freeze_peft(self) -> None:
        """Stop the gradients of the PEFT module: no backward pass goes through the backbone."""
        self._require_peft_gradients(False)

    def unfreeze_peft(self) -> None:
        """Resume the gradients of the PEFT module; an optimizer must be given its tensors."""
        self._require_peft_gradients(True)

    def set_trainable(self, parameters: Sequence[nn.Parameter]) -> None:
        """Choose the trainable tensors of the backbone, in `Method.begin_task`; all others are frozen.

        Args:
            parameters: Tensors of the backbone; they become `peft_parameters`.
        """
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
        self.backbone.train(self.backbone.training)  # also the modules that a method has added

    def module_tensors(self) -> list[Tensor]:
        """The backbone's tensors that training may change: those of the PEFT module, or all of them."""
        state = self.backbone.state_dict(keep_vars=True)
        whole = self.trains_whole_backbone
        return [tensor for name, tensor in state.items() if whole or name in self.module_names]

    def train(self, mode: bool = True) -> Network:
        """Set the mode of the head, and of a backbone that is trained as a whole.

        Any other backbone, and a whole one while it is frozen, stays in eval mode, so that its statistics can't drift.
        """
        self.training = mode
        self.head.train(mode)
        of_backbone = mode and self.trains_whole_backbone and not self.peft_frozen
        if self.backbone.training != of_backbone:  # a large module takes milliseconds, at each step
            self.backbone.train(of_backbone)
        return self
