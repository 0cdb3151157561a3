"""Hooks of PyTorch modules, which may read or change what passes a module."""

from __future__ import annotations

from torch import nn


def has_hooks(*modules: nn.Module) -> bool:
    """Whether a forward or backward pass through one of these modules calls a hook; their submodules are not asked."""
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, name) for module in modules for name in names)
