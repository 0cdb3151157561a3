"""SSF: a learned scale and shift of the features after each layer of a block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from peft import PeftModel
from torch import Tensor, nn

from agents.peft_modules.attachment import wrap
from agents.peft_modules.target_modules import place
from agents.peft_modules.tuner import Tuner, TunerConfig, TunerLayer, register


@dataclass
class SSFConfig(TunerConfig):
    """SSF has no arguments of its own."""

    kind: ClassVar[str] = "VIT_SSF"


class SSFLayer(TunerLayer):
    """gamma * layer(x) + beta, which is 1 * layer(x) + 0 at first."""

    adapter_layer_names = ("vit_ssf_scale", "vit_ssf_shift")

    def prepare(self) -> None:
        """Check that the layer can take up a scale and a shift."""
        if not isinstance(self.base_layer, (nn.Linear, nn.LayerNorm)):
            raise ValueError(f"SSF goes after Linear layers and LayerNorms, not after {type(self.base_layer).__name__}")
        self.vit_ssf_scale, self.vit_ssf_shift = nn.ParameterDict(), nn.ParameterDict()

    def create(self, adapter_name: str, config: Any) -> None:
        """Begin as the identity."""
        base: Any = self.base_layer
        width = len(base.weight)
        self.vit_ssf_scale[adapter_name] = nn.Parameter(torch.ones(width))
        self.vit_ssf_shift[adapter_name] = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The layer's output, scaled and shifted by each active adapter in turn."""
        if self.disable_adapters and self.merged:
            self.unmerge()
        base: Any = self.base_layer
        result = base(x, *args, **kwargs)
        for name in self.working_adapters:
            # not the dtype of the result: under autocast that is the lower one, and rounding to it loses precision
            result = (result * self.vit_ssf_scale[name] + self.vit_ssf_shift[name]).to(base.weight.dtype)
        return result

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Put scale and shift into the layer's weight and bias, which it gets if it has none.

        Args:
            safe_merge: Refuse values that are not finite.
            adapter_names: Which ones; by default those that are active.

        Raises:
            ValueError: `safe_merge`, and the merged weights are not finite.
        """
        for name in adapter_names or self.active_adapters:
            if name in self.vit_ssf_scale and name not in self.merged_adapters:
                self._put(self.vit_ssf_scale[name].detach(), self.vit_ssf_shift[name].detach(), name, safe_merge)
                self.merged_adapters.append(name)

    def unmerge(self) -> None:
        """Take the merged adapters out again, the last first; exact up to rounding, but for a scale of 0."""
        while self.merged_adapters:
            name = self.merged_adapters.pop()
            scale, shift = self.vit_ssf_scale[name].detach(), self.vit_ssf_shift[name].detach()
            self._put(1 / scale, -shift / scale, name, safe_merge=False)

    def _put(self, scale: Tensor, shift: Tensor, name: str, safe_merge: bool) -> None:
        base: Any = self.base_layer
        dtype = base.weight.dtype
        weight = (base.weight.data * scale.reshape(-1, *[1] * (base.weight.ndim - 1))).to(dtype)
        bias = (shift if base.bias is None else base.bias.data * scale + shift).to(dtype, copy=True)
        if safe_merge and not (weight.isfinite().all() and bias.isfinite().all()):
            raise ValueError(f"merging adapter {name!r} would give weights that are not finite")
        base.weight.data = weight
        if base.bias is None:
            base.bias = nn.Parameter(bias, requires_grad=False)
        else:
            base.bias.data = bias


class SSFModel(Tuner):
    """A ViT with a scale and a shift after some of its layers."""

    prefix = "vit_ssf_"
    tuner_layer_cls = SSFLayer


register(SSFConfig, SSFModel)


def add_ssf(backbone: nn.Module, blocks: Sequence[int], seed: int, *, targets: str = "linear+norms") -> PeftModel:
    """Freeze a timm ViT and scale and shift the features after each layer of some blocks: gamma * y + beta.

    It begins with gamma = 1 and beta = 0, so that the model's outputs are the backbone's; the paper draws them from
    N(1, 0.02) and N(0, 0.02). Merging is exact.
    Source: Lian et al., "Scaling & Shifting Your Features", NeurIPS 2022.

    Args:
        backbone: A timm VisionTransformer; changed in place.
        blocks: Indices of the transformer blocks.
        seed: Not used, there being nothing to draw.
        targets: Where in a block, see `agents.peft_modules.target_modules`.

    Returns:
        The model as a `peft.PeftModel`.

    Raises:
        ValueError: The blocks or the places do not fit the model.
    """
    return wrap(SSFConfig, backbone, seed, place(backbone, blocks, targets), {})
