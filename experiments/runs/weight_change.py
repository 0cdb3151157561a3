"""How far fine-tuning moved a policy from where it began."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from peft import PeftModel
from torch import Tensor, nn

from agents.policy import ViTPolicy


def initial_values(policy: ViTPolicy) -> dict[str, Tensor]:
    """Copies, in main memory, of what learns in a policy's backbone, by name, kept from the beginning of a run."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in _learning(policy).items()}


def _learning(policy: ViTPolicy) -> dict[str, Tensor]:
    learning = {id(tensor) for tensor in policy.network.peft_parameters}
    return {name: tensor for name, tensor in policy.network.backbone.named_parameters() if id(tensor) in learning}


def parameter_distance(policy: ViTPolicy, initial: Mapping[str, Tensor]) -> float | None:
    """L2 norm of the change of what learns in the backbone.

    Args:
        policy: As it is now.
        initial: Its `initial_values`.

    Returns:
        The distance; None where other tensors learn now than at first, a method having given each task its own.
    """
    now = _learning(policy)
    if set(now) != set(initial):
        return None
    return _norm([tensor.detach().cpu() - initial[name] for name, tensor in now.items()])


def weight_distance(policy: ViTPolicy, initial: Mapping[str, Tensor]) -> float | None:
    """Frobenius norm of the change of the backbone's weights, a module being merged into them before and after.

    Args:
        policy: As it is now.
        initial: Its `initial_values`. A module that changes nothing at first is then compared with the pretrained
            weights; so are the adapters of a method that gives each task its own.

    Returns:
        The distance; None where the module can't be merged.
    """
    learning = _learning(policy)
    now = _merged(copy.deepcopy(policy.network.backbone))
    if set(learning) == set(initial):
        # What a copy finds in its memo it puts in place of the original: the backbone with its initial values.
        begun = {id(tensor): nn.Parameter(initial[name].to(tensor.device)) for name, tensor in learning.items()}
        then = _merged(copy.deepcopy(policy.network.backbone, begun))
    else:
        then = copy.deepcopy(policy.network.backbone).unload()  # type: ignore[operator]
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
