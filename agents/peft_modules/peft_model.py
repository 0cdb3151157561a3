"""Makes a `peft.PeftModel` of a timm ViT: checked arguments, random numbers from a seed."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from peft import PeftConfig, PeftModel, get_peft_model
from torch import nn

from cls_env.specification import check_type, lookup


def make_peft_model(
    config_class: type[PeftConfig], backbone: nn.Module, seed: int, pattern: str, arguments: dict[str, Any]
) -> PeftModel:
    """Freeze a backbone and let peft put a module on those of its layers whose names match a pattern.

    Args:
        config_class: Of peft, or a `TunerConfig`.
        backbone: Changed in place.
        seed: Fixes the module's random numbers; the global random state does not change.
        pattern: Regular expression of full names, the config's `target_modules`.
        arguments: Further arguments of the config.

    Returns:
        The model, in training or eval mode as the backbone was.
    """
    config: Any = config_class(target_modules=pattern, **arguments)  # type: ignore[call-arg]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(backbone, config).train(backbone.training)


def check_config_arguments(name: str, config_class: type[PeftConfig], arguments: dict[str, Any]) -> None:
    """Check that a config of peft takes these arguments, and that they have an effect.

    Args:
        name: Of the module, for the message.
        config_class: Of peft.
        arguments: By name.

    Raises:
        ValueError: An argument is unknown, of another type, or has no effect.
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
