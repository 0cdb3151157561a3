"""Hooks of PyTorch modules, which may read or change what passes a module."""

from __future__ import annotations

from torch import nn


def has_hooks(*modules: nn.Module) -> bool:
    """Whether a forward pass through one of these modules calls a hook; their submodules are not asked."""
    return any(module._forward_hooks or module._forward_pre_hooks for module in modules)
