"""Trainable parameters of the backbone: small modules inside a frozen ViT (PEFT), all of the ViT, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from inspect import signature
from typing import Any, TypeVar

from peft import LoraConfig, PeftConfig
from torch import nn

from agents.peft_modules.adapter import add_adapter
from agents.peft_modules.library import METHODS, UNFIT, add_library_module, method_config
from agents.peft_modules.lora import add_lora
from agents.peft_modules.peft_model import check_config_arguments
from agents.peft_modules.prefix import add_prefix
from agents.peft_modules.ssf import add_ssf
from agents.peft_modules.tuner import TunerLayer
from agents.peft_modules.tuner_builder import TunerBuilder
from agents.peft_modules.vpt import add_vpt
from cls_env.registry import Registry

__all__ = ["PEFT_MODULES", "TunerLayer", "add_peft_module", "check_peft_module", "register_peft_module"]

Definition = TypeVar("Definition", bound=Callable[..., Any])


def _nothing(backbone: nn.Module, blocks: Sequence[int], seed: int) -> nn.Module:
    """Nothing in the backbone: only the head is trained."""
    return backbone


def _whole(backbone: nn.Module, blocks: Sequence[int], seed: int) -> nn.Module:
    """All of the backbone, of any timm model."""
    return backbone.requires_grad_(True)


PEFT_MODULES: Registry[Callable[..., nn.Module]] = Registry(
    "PEFT module",
    {
        "lora": add_lora,
        "adapter": add_adapter,
        "prefix": add_prefix,
        "vpt": add_vpt,
        "ssf": add_ssf,
        "full": _whole,
        "none": _nothing,
        **{name: partial(add_library_module, name) for name in METHODS},
    },
    inputs=("backbone", "blocks", "seed"),
)
"""Functions of (backbone, blocks, seed, **options) that return the backbone with trainable parameters in it."""

CONFIGS: dict[str, Callable[[], type[PeftConfig]]] = {
    "lora": lambda: LoraConfig,
    **{name: partial(method_config, name) for name in METHODS},
}
"""Configs of peft, of the modules that take the arguments of one."""


def register_peft_module(name: str) -> Callable[[Definition], Definition]:
    """A decorator that gives your PEFT module a name, by which `PolicyConfig` and the command line find it.

    It decorates a subclass of `TunerLayer`, which becomes a tuner of peft; or a function of (backbone, blocks, seed,
    **options with defaults) that changes a frozen backbone as it likes and returns it. Agents save and load both. The
    decorator returns what it is given.

    Args:
        name: Text without a colon that is not taken yet. Names of tensors in saved files contain it.

    Raises:
        ValueError: The name is taken or contains a colon, or the layer is incomplete.
        TypeError: What is decorated is neither a function nor a class.
    """
    add = PEFT_MODULES.register(name)

    def register(definition: Definition) -> Definition:
        if isinstance(definition, type) and issubclass(definition, TunerLayer):
            add(TunerBuilder(name, definition))
        else:
            add(definition)
        return definition

    return register


def check_peft_module(specification: str) -> tuple[Callable[..., nn.Module], dict[str, Any]]:
    """Check that a specification names a module and arguments that it takes.

    Whether their values fit a backbone, only `add_peft_module` checks.

    Returns:
        The function that adds the module to a backbone, and its arguments.

    Raises:
        ValueError: It does not, the module is one of peft's that does not fit a ViT, or this version of peft lacks it.
    """
    name = str(specification).partition(":")[0]
    if name in UNFIT and name not in PEFT_MODULES:
        raise ValueError(f"peft's {name} does not fit a ViT: {UNFIT[name]}")
    builder, arguments = PEFT_MODULES.check(specification)
    if name in CONFIGS:
        own = signature(builder).parameters
        rest = {argument: value for argument, value in arguments.items() if argument not in own}
        check_config_arguments(name, CONFIGS[name](), rest)
    return builder, arguments


def add_peft_module(specification: str, backbone: nn.Module, blocks: Sequence[int], seed: int) -> nn.Module:
    """Add trainable parameters to a frozen backbone.

    Args:
        specification: A name in `PEFT_MODULES`, with or without options: `"lora"`, `"prefix:length=20"`.
        backbone: A timm model, frozen; it may be changed in place.
        blocks: Indices of the transformer blocks that get a module.
        seed: Fixes the module's initial values; the global random state does not change.

    Returns:
        The adapted backbone; exactly its trainable parameters require gradients.

    Raises:
        ValueError: The name or an option is unknown, or does not fit the backbone.
    """
    builder, arguments = check_peft_module(specification)
    try:
        return builder(backbone, blocks, seed, **arguments)
    except Exception as error:  # peft's, of values that it does not check
        if isinstance(error, ValueError):
            raise
        raise ValueError(f"PEFT module {specification!r}: {' '.join(str(error).split())}") from error
