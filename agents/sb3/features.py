"""The ViT as a features extractor for stable-baselines3's own policies, or for other code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from agents.networks.adapted_backbone import adapt_backbone
from agents.networks.class_token import class_token_alone
from agents.networks.config import PolicyConfig, renamed_entries
from agents.networks.precision import arithmetic, checked_precision
from cls_env.arguments import one_of

ENTRIES = [field.name for field in fields(PolicyConfig) if field.name not in ("method", "method_seed", "head_seed")]
"""The entries of `PolicyConfig` that concern features, which are the arguments of `ViTFeatures`."""
_FROZEN: WeakValueDictionary[tuple[object, ...], Tensor] = WeakValueDictionary()
_MOVED: WeakKeyDictionary[Callable[[Tensor], Tensor], dict[int, tuple[Tensor, Tensor]]] = WeakKeyDictionary()


class ViTFeatures(BaseFeaturesExtractor):
    """Features of a pretrained ViT with a PEFT module, for `CnnPolicy`, `MlpPolicy` and their like.

        PPO("CnnPolicy", env, policy_kwargs={"features_extractor_class": ViTFeatures, "net_arch": []})

    `net_arch=[]` puts a linear head on the features; without it SB3 adds a network of two hidden layers.

    - The pretrained weights stay as they were loaded: SB3 calls `apply` for its orthogonal initialization, which does
      nothing here.
    - Frozen tensors are buffers, not parameters. The optimizer, target updates (`polyak_update`) and saved files have
      the tensors of the PEFT module alone. With `peft="full"` all tensors are parameters.
    - TRPO of sb3-contrib differentiates twice, which fused attention does not support: call
      `timm.layers.set_fused_attn(False)` before the model is built.
    - Extractors of the same weights in one process share them: DQN's two networks, or an actor and a critic with
      separate extractors, hold one copy, also on the GPU.

    Args:
        observation_space: uint8 images, channels last or first.
        precision: In which the backbone computes, a name in `agents.networks.precision.PRECISIONS`.
        **entries: Entries of `PolicyConfig` that concern the backbone: `model`, `peft`, `blocks`, `peft_seed` ...

    Raises:
        FileNotFoundError: There is no such weights file.
        ValueError: The space, or an entry, does not fit.
    """

    def __init__(self, observation_space: spaces.Box, precision: str = "auto", **entries: Any) -> None:
        entries = renamed_entries(entries)  # of an agent saved before
        for name in entries:
            one_of("argument of ViTFeatures", name, [*ENTRIES, "precision"])
        config = PolicyConfig(**entries)
        adapted = adapt_backbone(config, observation_space)
        super().__init__(observation_space, adapted.features_dim)
        self.preprocessing, self.backbone = adapted.preprocessing, adapted.backbone
        self.trains_whole_backbone = all(parameter.requires_grad for parameter in self.backbone.parameters())
        _share_frozen(self.backbone, (adapted.weights_sha256, config.peft, config.blocks, config.peft_seed))
        self.precision = checked_precision(precision)
        self._range_is_known = False
        self.train(False)

    def forward(self, observations: Tensor) -> Tensor:
        """Features, float32 of shape (B, features_dim).

        Args:
            observations: Images in the layout of the space: uint8, or floats in [0, 1], as SB3 passes them.

        Raises:
            ValueError: The floats are in 0 ... 255.
        """
        if observations.is_floating_point():
            self._check_range(observations)
            observations = (observations * 255).round().to(torch.uint8)
        inputs = self.preprocessing(observations)
        with arithmetic(self.precision, inputs.device), class_token_alone(self.backbone):
            features: Tensor = self.backbone(inputs)
        return features.float()

    def _check_range(self, observations: Tensor) -> None:
        """Raise ValueError if the first images that are not black are floats in 0 ... 255."""
        if self._range_is_known or not observations.numel():
            return
        largest = observations.max().item()
        if largest > 1:
            raise ValueError(
                f"float images must be in [0, 1], but the largest value is {largest:g}: keep normalize_images=True, or "
                "use uint8 images"
            )
        self._range_is_known = largest > 0

    def apply(self, fn: Callable[[nn.Module], None]) -> ViTFeatures:
        """Do nothing: SB3 would initialize the pretrained weights anew."""
        return self

    def train(self, mode: bool = True) -> ViTFeatures:
        """Set the mode of a backbone that is trained as a whole; any other stays in eval mode."""
        self.training = mode
        self.backbone.train(mode and self.trains_whole_backbone)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ViTFeatures:
        """Move or convert each tensor once, also if several extractors of a policy share it."""
        moved = _MOVED.setdefault(fn, {})

        def once(tensor: Tensor) -> Tensor:
            if id(tensor) not in moved:
                moved[id(tensor)] = tensor, fn(tensor)  # keeps the tensor alive, so that its id is not reused
            return moved[id(tensor)][1]

        return super()._apply(once, recurse)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.device == other.device and one.dtype == other.dtype and torch.equal(one, other)


def _share_frozen(backbone: nn.Module, key: tuple[object, ...]) -> None:
    """Replace frozen parameters by buffers, which equal extractors in this process share."""
    for path, module in backbone.named_modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None and not parameter.requires_grad:
                del module._parameters[name]
                own = parameter.detach()
                shared = _FROZEN.setdefault((*key, path, name), own)
                if shared is not own and not _same(shared, own):
                    shared = own  # a PEFT module of the same name was another one before
                module.register_buffer(name, shared, persistent=False)
