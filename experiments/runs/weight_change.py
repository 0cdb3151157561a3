"""Distance of a policy's weights from their initialization."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from peft import PeftModel
from torch import Tensor, nn

from agents.policy import ViTPolicy


def initial_values(policy: ViTPolicy) -> dict[str, Tensor]:
    """Copies in main memory of the trainable tensors of a policy's backbone, by name; taken before training."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in _learning(policy).items()}


def _learning(policy: ViTPolicy) -> dict[str, Tensor]:
    learning = {id(tensor) for tensor in policy.network.peft_parameters}
    return {name: tensor for name, tensor in policy.network.backbone.named_parameters() if id(tensor) in learning}


def parameter_distance(policy: ViTPolicy, initial: Mapping[str, Tensor]) -> float | None:
    """L2 distance of the backbone's trainable tensors from their initialization.

    Args:
        policy: The policy after training.
        initial: Its `initial_values`.

    Returns:
        The distance; None if other tensors are trainable than at first, as with a method of per-task adapters.
    """
    now = _learning(policy)
    if set(now) != set(initial):
        return None
    return _norm([tensor.detach().cpu() - initial[name] for name, tensor in now.items()])


def weight_distance(policy: ViTPolicy, initial: Mapping[str, Tensor]) -> float | None:
    """Frobenius norm of the change of the backbone's weights, with the PEFT module merged before and after.

    Modules that start as the identity, and per-task adapters, are therefore compared with the pretrained weights.

    Args:
        policy: The policy after training.
        initial: Its `initial_values`.

    Returns:
        The distance; None if the module can't be merged.
    """
    learning = _learning(policy)
    now = _merged(copy.deepcopy(policy.network.backbone))
    if set(learning) == set(initial):
        # deepcopy takes the tensors in its memo instead of copying: the result is the backbone with its initial values.
        begun = {id(tensor): nn.Parameter(initial[name].to(tensor.device)) for name, tensor in learning.items()}
        then = _merged(copy.deepcopy(policy.network.backbone, begun))
    else:
        then = copy.deepcopy(policy.network.backbone).unload()  # type: ignore[operator]
    if now is None or then is None:
        return None
    before = dict(then.named_parameters())
    return _norm([tensor.detach().cpu() - before[name].detach().cpu() for name, tensor in now.named_parameters()])


def _merged(backbone: nn.Module) -> nn.Module | None:
    """The backbone with its PEFT module merged, changed in place; None if the module can't be merged."""
    if not isinstance(backbone, PeftModel):
        return backbone
    try:
        merged: nn.Module = backbone.merge_and_unload()
    except (
        NotImplementedError,
        AttributeError,
        ValueError,
    ):  # peft raises different errors for modules that can't be merged
        return None
    return merged


def _norm(changes: Sequence[Tensor]) -> float:
    squares = [change.detach().double().square().sum() for change in changes]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0
