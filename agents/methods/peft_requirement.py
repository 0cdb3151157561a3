"""Which PEFT modules a method can be combined with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from cls_env.specification import parse_specification, quoted


@dataclass(frozen=True)
class PeftRequirement:
    """The PEFT modules that a method accepts; by default any, and also none.

        accepts_peft = PeftRequirement(names=("lora",), reason="my-method merges LoRAs")

    Attributes:
        names: Names of the accepted modules; None for those of any name.
        refused: Names that are refused nevertheless.
        arguments: The arguments that a specification may have; None for any.
        values: Arguments that a specification must have, with these values.
        reason: First part of the error message.
    """

    names: tuple[str, ...] | None = None
    refused: tuple[str, ...] = ()
    arguments: tuple[str, ...] | None = None
    values: Mapping[str, object] = field(default_factory=dict)
    reason: str = ""

    @property
    def any_name(self) -> bool:
        """Whether modules of any name are accepted, except those refused."""
        return self.names is None

    def accepts(self, peft: str) -> bool:
        """Whether a specification names an accepted module with accepted arguments."""
        name, arguments = parse_specification(peft)
        return (
            (self.names is None or name in self.names)
            and name not in self.refused
            and (self.arguments is None or set(arguments) <= set(self.arguments))
            and all(arguments.get(key, ...) == value for key, value in self.values.items())
        )

    def check(self, peft: str, method: str) -> None:
        """Raise ValueError unless a PEFT module is accepted.

        Args:
            peft: Specification of the module.
            method: Name of the method, for the message where there is no `reason`.

        Raises:
            ValueError: It is not accepted.
        """
        if not self.accepts(peft):
            reason = self.reason or f"{method} is not made for every PEFT module"
            raise ValueError(f"{reason}: it requires {self}, not {quoted(peft)}")

    def __str__(self) -> str:
        if self.names is None:
            refused = " or ".join(map(repr, self.refused))
            return f"any PEFT module except {refused}" if refused else "any PEFT module"
        values = ",".join(f"{key}={json.dumps(value)}" for key, value in self.values.items())
        named = " or ".join(repr(f"{name}:{values}" if values else name) for name in self.names)
        further = [name for name in self.arguments or () if name not in self.values]
        return f"peft {named}" + (f" with the arguments {', '.join(further)} only" if further else "")
