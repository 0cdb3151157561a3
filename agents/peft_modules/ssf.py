"""SSF: a learned scale and shift of the features after each layer of a block, https://arxiv.org/abs/2210.08823."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from agents.peft_modules.tuner import TunerLayer
from agents.peft_modules.tuner_builder import TunerBuilder


class SSFLayer(TunerLayer):
    """SSF: scale and shift the features after each layer of a block, gamma * layer(x) + beta.

    It starts with gamma = 1 and beta = 0, so that the model's outputs are the backbone's; the paper draws them from
    N(1, 0.02) and N(0, 0.02). Merging is exact.
    Source: Lian et al., "Scaling & Shifting Your Features", NeurIPS 2022, https://arxiv.org/abs/2210.08823.
    """

    targets = "linear+norms"

    def init_adapter(self) -> Mapping[str, Any]:
        """The identity."""
        if not isinstance(self.base_layer, (nn.Linear, nn.LayerNorm)):
            raise ValueError(f"SSF goes after Linear layers and LayerNorms, not after {type(self.base_layer).__name__}")
        width = len(self.base_layer.weight)
        return {"scale": torch.ones(width), "shift": torch.zeros(width)}

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The layer's output, scaled and shifted by each active adapter in turn."""
        if self.disable_adapters and self.merged:
            self.unmerge()
        result = self.base_layer(x, *args, **kwargs)
        for scale, shift in self.active_parts("scale", "shift"):
            # not the dtype of the result: under autocast that is the lower one, and rounding to it loses precision
            result = (result * scale + shift).to(self.base_layer.weight.dtype)
        return result

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Merge scale and shift into the layer's weight and bias; a layer without a bias gets one.

        Args:
            safe_merge: Refuse values that are not finite.
            adapter_names: Which ones; by default those that are active.

        Raises:
            ValueError: `safe_merge`, and the merged weights are not finite.
        """
        for name in adapter_names or self.active_adapters:
            scale, shift = self.part("scale", name), self.part("shift", name)
            if scale is not None and name not in self.merged_adapters:
                self._change_weights(scale.detach(), shift.detach(), name, safe_merge)
                self.merged_adapters.append(name)

    def unmerge(self) -> None:
        """Undo the merging of all adapters, the last one first; exact up to rounding, except for a scale of 0."""
        while self.merged_adapters:
            name = self.merged_adapters.pop()
            scale, shift = self.part("scale", name).detach(), self.part("shift", name).detach()
            self._change_weights(1 / scale, -shift / scale, name, safe_merge=False)

    def _change_weights(self, scale: Tensor, shift: Tensor, name: str, safe_merge: bool) -> None:
        base = self.base_layer
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


add_ssf = TunerBuilder("ssf", SSFLayer)
