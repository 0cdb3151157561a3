"""How far fine-tuning moved a policy from where it began."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from peft import PeftModel
from torch import Tensor, nn

from agents.policy import ViTPolicy


def initial_values(policy: ViTPolicy) -> list[Tensor]:
    """Copies, in main memory, of what learns in a policy's backbone, to be kept from the beginning of a run."""
    return [tensor.detach().to("cpu", copy=True) for tensor in policy.peft_parameters]


def parameter_distance(policy: ViTPolicy, initial: Sequence[Tensor]) -> float:
    """L2 norm of the change of what learns in the backbone.

    Args:
        policy: As it is now.
        initial: Its `initial_values`.
    """
    return _norm([now.detach().cpu() - then.cpu() for now, then in zip(policy.peft_parameters, initial, strict=True)])


def weight_distance(policy: ViTPolicy, initial: Sequence[Tensor]) -> float | None:
    """Frobenius norm of the change of the backbone's weights, a module being merged into them before and after.

    Args:
        policy: As it is now.
        initial: Its `initial_values`. A module that changes nothing at first is then compared with the pretrained
            weights.

    Returns:
        The distance; None where the module can't be merged.
    """
    begun = {
        id(tensor): nn.Parameter(value.to(tensor.device))
        for tensor, value in zip(policy.peft_parameters, initial, strict=True)
    }
    # What a copy finds in its memo it puts in place of the original: the backbone with its initial values.
    now, then = _merged(copy.deepcopy(policy.backbone)), _merged(copy.deepcopy(policy.backbone, begun))
    if now is None or then is None:
        return None
    before = dict(then.named_parameters())
    return _norm([tensor.detach().cpu() - before[name].detach().cpu() for name, tensor in now.named_parameters()])


def _merged(backbone: nn.Module) -> nn.Module | None:
    """The module's base model, changed in place; None where the module can't be merged into it."""
    if not isinstance(backbone, PeftModel):
        return backbone
    try:
        merged: nn.Module = backbone.merge_and_unload()
    except (NotImplementedError, AttributeError, ValueError):  # peft has no one error for what can't be merged
        return None
    return merged


def _norm(changes: Sequence[Tensor]) -> float:
    squares = [change.detach().double().square().sum() for change in changes]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0
