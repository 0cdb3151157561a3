"""Continual-learning methods: how forgetting is reduced in training, and how predictions are made at test time.

A method works with any objective, and with the PEFT modules that its `accepts_peft` declares; `check_method` raises an
error for others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from agents.methods.base import NO_OBJECTIVE, Method
from agents.methods.baselines import Frozen, Joint, LinearProbe, Sequential
from agents.methods.batch import Batch, Loss, TaskInfo
from agents.methods.coda_prompt import CODAPrompt
from agents.methods.common.fixed_backbone import FixedBackbone
from agents.methods.derpp import DERpp
from agents.methods.dualprompt import DualPrompt
from agents.methods.inflora import InfLoRA
from agents.methods.l2p import L2P
from agents.methods.lae import LAE
from agents.methods.ncm import NCM
from agents.methods.peft_requirement import PeftRequirement
from agents.methods.ranpac import RanPAC
from agents.methods.replay import Replay
from agents.methods.sd_lora import SDLoRA
from agents.peft_modules import check_peft_module
from cls_env.registry import Registry
from cls_env.specification import quoted

__all__ = [
    "METHODS",
    "NO_OBJECTIVE",
    "Batch",
    "FixedBackbone",
    "Loss",
    "Method",
    "PeftRequirement",
    "TaskInfo",
    "check_compilable",
    "check_method",
    "check_objective",
    "make_method",
    "register_method",
]

Definition = TypeVar("Definition", bound=type[Method])


def _validate(definition: Any) -> None:
    if not (isinstance(definition, type) and issubclass(definition, Method)):
        raise TypeError(f"it must be a subclass of agents.methods.Method, not {definition!r}")
    try:
        check_peft_module(definition.default_peft)
    except ValueError as error:
        raise ValueError(f"default_peft must specify a PEFT module: {error}") from error


METHODS: Registry[type[Method]] = Registry(
    "method",
    {
        "sequential": Sequential,
        "linear-probe": LinearProbe,
        "lae": LAE,
        "inflora": InfLoRA,
        "sd-lora": SDLoRA,
        "l2p": L2P,
        "dualprompt": DualPrompt,
        "coda-prompt": CODAPrompt,
        "ncm": NCM,
        "ranpac": RanPAC,
        "replay": Replay,
        "der++": DERpp,
        "joint": Joint,
        "frozen": Frozen,
    },
    validate=_validate,
)
"""Subclasses of `Method` by name."""


def register_method(name: str) -> Callable[[Definition], Definition]:
    """A decorator that gives your method a name, by which `ViTPolicy` and the command line find it.

    It decorates a subclass of `Method` whose constructor arguments have defaults, and returns it unchanged.

    Args:
        name: Text without a colon that is not taken yet.

    Raises:
        ValueError: The name is taken or contains a colon, or the method's `default_peft` names no PEFT module.
        TypeError: What is decorated is no `Method`.
    """
    return METHODS.register(name)


def make_method(specification: str) -> Method:
    """The method of a specification such as `"lae"` or `"replay:size=500"`.

    Raises:
        ValueError: The name or an argument is unknown, or an argument is out of range.
    """
    method: Method = METHODS.make(specification)
    return method


def check_method(specification: str, peft: str, objective: object) -> Method:
    """Check that a method, a PEFT module and an objective go together, before anything is built.

    Args:
        specification: Of the method.
        peft: Specification of the PEFT module.
        objective: Specification of the objective, a function, or `NO_OBJECTIVE`.

    Returns:
        The method.

    Raises:
        ValueError: They do not; in one line.
    """
    method = make_method(specification)
    method.check_peft(peft)
    check_objective(specification, method, objective)
    return method


def check_objective(specification: str, method: Method, objective: object) -> None:
    """Check that a method and an objective can be combined.

    Raises:
        ValueError: It learns without gradients and the objective is not `NO_OBJECTIVE`, or the reverse.
    """
    if not method.learns_by_gradient and objective != NO_OBJECTIVE:
        raise ValueError(
            f"{specification} learns without gradients: it requires objective 'none', not {quoted(objective)}"
        )
    if method.learns_by_gradient and objective == NO_OBJECTIVE:
        raise ValueError(f"{specification} learns by gradients: name an objective, not 'none'")


def check_compilable(specification: str, method: Method) -> None:
    """Check that the blocks of a backbone may be compiled under a method.

    Raises:
        ValueError: The method declares that they may not.
    """
    if not method.can_compile:
        raise ValueError(
            f"compile=True can't be combined with method {specification!r}, which adds modules to the backbone in each "
            "task, so that it would be compiled again each time"
        )
