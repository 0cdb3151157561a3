"""Continual-learning methods: what is done about earlier tasks while a new one is learned, and how both are asked.

A method goes with any objective and, unless it brings its own, with any PEFT module; `check_method` tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from agents.methods.base import ANY_MODULE, ANY_MODULE_BUT_NONE, NO_OBJECTIVE, Batch, Loss, Method, Task
from agents.methods.coda_prompt import CODAPrompt
from agents.methods.derpp import DERpp
from agents.methods.dualprompt import DualPrompt
from agents.methods.frozen import Frozen
from agents.methods.inflora import InfLoRA
from agents.methods.joint import Joint
from agents.methods.l2p import L2P
from agents.methods.lae import LAE
from agents.methods.linear_probe import LinearProbe
from agents.methods.ncm import NCM
from agents.methods.ranpac import RanPAC
from agents.methods.replay import Replay
from agents.methods.sd_lora import SDLoRA
from agents.methods.sequential import Sequential
from agents.peft_modules import check_peft_module
from cls_env.specification import check_arguments, lookup, parse_specification

__all__ = [
    "METHODS",
    "NO_OBJECTIVE",
    "Batch",
    "Loss",
    "Method",
    "Task",
    "check_method",
    "check_objective",
    "make_method",
    "register_method",
]

Definition = TypeVar("Definition", bound=type[Method])

METHODS: dict[str, type[Method]] = {
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
}
"""Methods by name."""


def register_method(name: str) -> Callable[[Definition], Definition]:
    """A decorator that names a method of yours, so that `ViTPolicy` and the command line find it.

    Args:
        name: Any word without a colon.

    Returns:
        The decorator, for a subclass of `Method` whose constructor's arguments have defaults. It returns the class.

    Raises:
        ValueError: The name is taken, or holds a colon; or the method's `default_peft` names no PEFT module.
        TypeError: What is decorated is no `Method`.
    """
    if name in METHODS:
        raise ValueError(f"method {name!r} is there already; choose another name")
    if ":" in name:
        raise ValueError(f"a method's name must not contain ':', unlike {name!r}")

    def register(definition: Definition) -> Definition:
        if not (isinstance(definition, type) and issubclass(definition, Method)):
            raise TypeError(f"a method is a subclass of agents.methods.Method, unlike {definition!r}")
        if definition.default_peft not in (ANY_MODULE, ANY_MODULE_BUT_NONE):
            try:
                check_peft_module(definition.default_peft)
            except ValueError as error:
                raise ValueError(
                    f"method {name!r}: default_peft must be {ANY_MODULE!r}, {ANY_MODULE_BUT_NONE!r} or specify a PEFT "
                    f"module: {error}"
                ) from error
        METHODS[name] = definition
        return definition

    return register


def make_method(specification: str) -> Method:
    """The method that a specification names: `"lae"`, `"replay:size=500"`.

    Raises:
        ValueError: The name or an argument is unknown, or the argument's value is out of range.
    """
    name, arguments = parse_specification(specification)
    definition = lookup("method", name, METHODS)
    try:
        check_arguments(f"method {name!r}", definition, arguments, ())
        return definition(**arguments)
    except Exception as error:  # a user's method may raise anything
        raise ValueError(f"method {specification!r}: {error}") from error


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
    """Check that a method that was made from a specification goes with an objective.

    Raises:
        ValueError: It learns without gradients and the objective is not `NO_OBJECTIVE`, or the reverse.
    """
    if not method.learns_by_gradient and objective != NO_OBJECTIVE:
        raise ValueError(f"{specification} learns without gradients: it goes with objective 'none', not {objective!r}")
    if method.learns_by_gradient and objective == NO_OBJECTIVE:
        raise ValueError(f"{specification} learns by gradients: name an objective, not 'none'")
