"""LoRA on chosen transformer blocks, placed and scaled as in LAE.

Sources: https://arxiv.org/abs/2106.09685 (LoRA), https://arxiv.org/abs/2303.10070 (LAE).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraModel
from peft.tuners.lora.layer import LoraVariant
from torch import Tensor, nn

from agents.peft_modules.autocast import leave_inputs
from agents.peft_modules.peft_model import check_config_arguments, make_peft_model
from agents.peft_modules.target_modules import target_pattern
from cls_env.arguments import whole_number

SCALED_LORA = "SCALED_LORA"
"""The name under which peft finds LoRA with a learnable scale, once this file is imported."""


def add_lora(
    backbone: nn.Module,
    blocks: Sequence[int],
    seed: int,
    *,
    r: int = 4,
    scale: bool = False,
    targets: str = "kv",
    **config: Any,
) -> PeftModel:
    """Freeze a timm ViT and give layers of some blocks a LoRA each: W + B A, with B = 0 at first.

    There is no alpha / r factor, as in LAE (`lora_alpha` equals the rank).

    Args:
        backbone: A timm VisionTransformer; for `kv`, its `attn.qkv` layers are split in place.
        blocks: Indices of the transformer blocks.
        seed: Fixes A; the global random state does not change.
        r: Rank of B A, at least 1.
        scale: Give each of the layers a learnable scalar s, 1 at first, as LAE does: W + s B A.
        targets: Where in a block, see `agents.peft_modules.target_modules`: keys and values by default.
        **config: Further arguments of `peft.LoraConfig`.

    Returns:
        The model as a `peft.PeftModel`.

    Raises:
        ValueError: Rank, blocks or place do not fit the model, or an argument is unknown.
    """
    r = whole_number("r", r, least=1)
    config_class = ScaledLoraConfig if scale else LoraConfig
    check_config_arguments("lora", config_class, config)
    pattern = target_pattern(backbone, blocks, targets)
    model = make_peft_model(config_class, backbone, seed, pattern, {"r": r, "lora_alpha": r} | config)
    leave_inputs(model)
    for layer in model.modules():
        if type(layer) is LoraLinear:
            layer.__class__ = PlainLinear
    return model


class PlainLinear(LoraLinear):
    """A Linear layer with a LoRA that leaves out what has no effect: the product with a factor alpha / r of 1.

    peft's own forward pass takes this product, which costs 5 % of a training step of the embedded ViT for characters.
    The results and the gradients are the same to the bit.
    """

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """[..., inputs] to [..., outputs]. For further arguments see `peft.tuners.lora.Linear`."""
        adapters = [name for name in self.active_adapters if name in self.lora_A]
        special = args or kwargs or self.disable_adapters or self.merged or self.lora_variant
        if special or self.cast_input_dtype_enabled or any(self.scaling[name] != 1 for name in adapters):
            general: Tensor = super().forward(x, *args, **kwargs)
            return general
        result: Tensor = self.base_layer(x)
        dtype = result.dtype
        for name in adapters:
            result = result + self.lora_B[name](self.lora_A[name](self.lora_dropout[name](x)))
        return result.to(dtype)


class _Scaled(LoraVariant):
    """s B A in place of B A."""

    @staticmethod
    def init(module: Any, adapter_name: str, **_: Any) -> None:
        if not hasattr(module, "lora_scale"):
            module.lora_scale = nn.ParameterDict()
        like = module.lora_B[adapter_name].weight
        module.lora_scale[adapter_name] = nn.Parameter(torch.ones((), dtype=like.dtype, device=like.device))

    @staticmethod
    def merge_safe(module: Any, active_adapter: str, orig_weight: Tensor) -> Tensor:
        return orig_weight + module.get_delta_weight(active_adapter).to(orig_weight.dtype)

    @staticmethod
    def merge_unsafe(module: Any, active_adapter: str, orig_weight: Tensor) -> None:
        orig_weight.data += module.get_delta_weight(active_adapter).to(orig_weight.dtype)

    @staticmethod
    def unmerge(module: Any, active_adapter: str, orig_weight: Tensor) -> Tensor:
        return orig_weight.data - module.get_delta_weight(active_adapter).to(orig_weight.dtype)

    @staticmethod
    def forward(module: Any, active_adapter: str, x: Tensor, result: Tensor, **_: Any) -> Tensor:
        inner = module.lora_A[active_adapter](module.lora_dropout[active_adapter](x))
        factor = module.lora_scale[active_adapter] * module.scaling[active_adapter]
        return result + module.lora_B[active_adapter](inner) * factor


class ScaledLinear(LoraLinear):
    """A Linear layer with a LoRA and its learnable scale `lora_scale`, a scalar for each adapter."""

    adapter_layer_names = (*LoraLinear.adapter_layer_names, "lora_scale")
    lora_scale: nn.ParameterDict

    def resolve_lora_variant(self, **options: Any) -> LoraVariant:
        """The scale. It can't be combined with peft's own variants of LoRA.

        Raises:
            ValueError: One of them is given.
        """
        if super().resolve_lora_variant(**options) is not None:
            raise ValueError("a learnable scale requires plain LoRA; leave out scale or the variant of LoRA")
        return _Scaled()

    def get_delta_weight(self, adapter: str) -> Tensor:
        """What an adapter adds to the layer's weight, of the same shape."""
        return super().get_delta_weight(adapter) * self.lora_scale[adapter]


class ScaledLoraConfig(LoraConfig):
    """Arguments of a LoRA with learnable scales; those of `peft.LoraConfig`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lora_bias:
            raise ValueError("a learnable scale requires plain LoRA; leave out scale or lora_bias")
        if self.fan_in_fan_out:
            raise ValueError("fan_in_fan_out is for layers that keep their weight transposed; those of a ViT do not")
        self.peft_type = SCALED_LORA
        self._register_custom_module({nn.Linear: ScaledLinear})


PEFT_TYPE_TO_CONFIG_MAPPING[SCALED_LORA] = ScaledLoraConfig  # type: ignore[index]
PEFT_TYPE_TO_TUNER_MAPPING[SCALED_LORA] = LoraModel  # type: ignore[index]
PEFT_TYPE_TO_PREFIX_MAPPING[SCALED_LORA] = "lora_"  # type: ignore[index]
