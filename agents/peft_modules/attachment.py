"""Putting a module of peft on a timm ViT: its arguments checked, its random numbers from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from peft import PeftConfig, PeftModel, get_peft_model
from torch import nn

from agents.peft_modules.target_modules import place
from cls_env.specification import check_type, lookup


def attach(
    name: str,
    config_class: type[PeftConfig],
    backbone: nn.Module,
    blocks: Sequence[int],
    seed: int,
    targets: str,
    arguments: dict[str, Any],
) -> PeftModel:
    """Freeze a timm ViT and put a module of peft on layers of some blocks.

    Args:
        name: Of the method, for messages.
        config_class: Of peft.
        backbone: A timm VisionTransformer; changed in place.
        blocks: Indices of the transformer blocks.
        seed: Fixes the module's random numbers; the global random state is left as it was.
        targets: Where in a block, see `agents.peft_modules.target_modules`.
        arguments: Of the config.

    Returns:
        The model as a `peft.PeftModel`, in training or eval mode as the backbone was.

    Raises:
        ValueError: The config has no such argument, peft refuses a value, or the blocks or the place do not fit.
    """
    check_config_arguments(name, config_class, arguments)
    with torch.random.fork_rng(devices=[]):
        pattern = place(backbone, blocks, targets)
    return wrap(config_class, backbone, seed, pattern, arguments)


def wrap(
    config_class: type[PeftConfig], backbone: nn.Module, seed: int, pattern: str, arguments: dict[str, Any]
) -> PeftModel:
    """Freeze a model and let peft put a module on those of its layers whose names match a pattern.

    Args:
        config_class: Of peft, or of ours in its form.
        backbone: Changed in place.
        seed: Fixes the module's random numbers; the global random state is left as it was.
        pattern: Regular expression of full names.
        arguments: Of the config.

    Returns:
        The model as a `peft.PeftModel`, in training or eval mode as the backbone was.
    """
    config: Any = config_class(target_modules=pattern, **arguments)  # type: ignore[call-arg]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(backbone, config).train(backbone.training)


def check_config_arguments(name: str, config_class: type[PeftConfig], arguments: dict[str, Any]) -> None:
    """Check that a method's config has these arguments, and that they can do something.

    Raises:
        ValueError: It has not, and the message names the nearest one; or a value is not of the argument's type.
    """
    general = {field.name for field in fields(PeftConfig)} | {"target_modules"}
    known = {field.name: field.type for field in fields(config_class) if field.name not in general}
    for argument, value in arguments.items():
        if "dropout" in argument:
            raise ValueError(
                f"{argument} would do nothing: it acts in training mode, which a frozen backbone never is in"
            )
        if argument == "use_asa":
            raise ValueError("use_asa would do nothing: it acts by a call after each step, which no learner here makes")
        declared = lookup(f"argument of {name}", argument, known)
        # peft declares int where it takes any number, as for lora_alpha.
        check_type(f"{argument} of {name}", value, str(getattr(declared, "__name__", declared)).replace("int", "float"))
