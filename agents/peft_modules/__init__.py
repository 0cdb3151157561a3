"""What learns in the backbone: small trainable modules inside a frozen ViT, all of it, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from inspect import signature
from typing import Any

from peft import LoraConfig, PeftConfig
from torch import nn

from agents.peft_modules.adapter import add_adapter
from agents.peft_modules.attachment import check_config_arguments
from agents.peft_modules.library import METHODS, UNFIT, add_library_module, method_config
from agents.peft_modules.lora import add_lora
from agents.peft_modules.prefix import add_prefix
from agents.peft_modules.ssf import add_ssf
from agents.peft_modules.vpt import add_vpt
from cls_env.specification import check_arguments, lookup, parse_specification

__all__ = ["PEFT_MODULES", "add_peft_module", "check_peft_module"]


def _nothing(backbone: nn.Module, blocks: Sequence[int], seed: int) -> nn.Module:
    """Nothing in the backbone: the head learns alone."""
    return backbone


def _whole(backbone: nn.Module, blocks: Sequence[int], seed: int) -> nn.Module:
    """All of the backbone, of any timm model."""
    return backbone.requires_grad_(True)


PEFT_MODULES: dict[str, Callable[..., nn.Module]] = {
    "lora": add_lora,
    "adapter": add_adapter,
    "prefix": add_prefix,
    "vpt": add_vpt,
    "ssf": add_ssf,
    "full": _whole,
    "none": _nothing,
    **{name: partial(add_library_module, name) for name in METHODS},
}
"""Functions of (backbone, blocks, seed, **arguments) that return the backbone with what learns in it."""

CONFIGS: dict[str, Callable[[], type[PeftConfig]]] = {
    "lora": lambda: LoraConfig,
    **{name: partial(method_config, name) for name in METHODS},
}
"""Where the further arguments of a module are those of a config of peft, that config."""


def check_peft_module(specification: str) -> tuple[str, dict[str, Any]]:
    """Check that a specification names a module and arguments that it takes.

    Which values fit the backbone, only `add_peft_module` can tell.

    Returns:
        Both.

    Raises:
        ValueError: It does not, the module is one of peft's that does not fit a ViT, or this version of peft lacks it.
    """
    name, arguments = parse_specification(specification)
    if name in UNFIT:
        raise ValueError(f"peft's {name} does not fit a ViT: {UNFIT[name]}")
    builder = lookup("PEFT module", name, PEFT_MODULES)
    check_arguments(f"PEFT module {name!r}", builder, arguments, ("backbone", "blocks", "seed"))
    if name in CONFIGS:
        own = signature(builder).parameters
        rest = {argument: value for argument, value in arguments.items() if argument not in own}
        check_config_arguments(name, CONFIGS[name](), rest)
    return name, arguments


def add_peft_module(specification: str, backbone: nn.Module, blocks: Sequence[int], seed: int) -> nn.Module:
    """Give a frozen backbone what learns in it.

    Args:
        specification: A name in `PEFT_MODULES`, with arguments or without: `"lora"`, `"prefix:length=20"`.
        backbone: A timm model, frozen; it may be changed in place.
        blocks: Indices of the transformer blocks that get a module.
        seed: Fixes the module's initial values; the global random state is left as it was.

    Returns:
        The adapted backbone; exactly what learns requires gradients.

    Raises:
        ValueError: The name or an argument is unknown, or does not fit the backbone.
    """
    name, arguments = check_peft_module(specification)
    try:
        return PEFT_MODULES[name](backbone, blocks, seed, **arguments)
    except Exception as error:  # peft's, of values that it does not check
        if isinstance(error, ValueError):
            raise
        raise ValueError(f"PEFT module {specification!r}: {' '.join(str(error).split())}") from error
