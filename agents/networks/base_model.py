"""The timm model in a backbone."""

from __future__ import annotations

from typing import Any

from peft import PeftModel
from torch import nn


def base_model(backbone: nn.Module) -> Any:
    """The timm model itself, without the `PeftModel` around it if there is one."""
    return backbone.get_base_model() if isinstance(backbone, PeftModel) else backbone
