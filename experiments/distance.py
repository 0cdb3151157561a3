"""How far fine-tuning moved a policy from where it began."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from peft import PeftModel
from torch import Tensor, nn

from agents.policy import ViTPolicy


def parameter_distance(policy: ViTPolicy, initial: Sequence[Tensor]) -> float:
    """L2 norm of the change of what learns in the backbone.

    Args:
        policy: As it is now.
        initial: Its `peft_parameters` at the beginning.
    """
    return _norm([now.detach().cpu() - then.cpu() for now, then in zip(policy.peft_parameters, initial, strict=True)])


def weight_distance(policy: ViTPolicy, backbone: nn.Module) -> float | None:
    """Frobenius norm of the change of the backbone's weights, a module being merged into them.

    Args:
        policy: As it is now.
        backbone: As it was at the beginning, with its module.

    Returns:
        The distance; None where the module can't be merged.
    """
    now, then = _merged(policy.backbone), _merged(backbone)
    if now is None or then is None:
        return None
    before = dict(then.named_parameters())
    return _norm([tensor.detach().cpu() - before[name].detach().cpu() for name, tensor in now.named_parameters()])


def _merged(backbone: nn.Module) -> nn.Module | None:
    if not isinstance(backbone, PeftModel):
        return backbone
    try:
        merged: nn.Module = copy.deepcopy(backbone).merge_and_unload()
    except (NotImplementedError, AttributeError, ValueError):  # peft has no one error for what can't be merged
        return None
    return merged


def _norm(changes: Sequence[Tensor]) -> float:
    squares = [change.detach().double().square().sum() for change in changes]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0
