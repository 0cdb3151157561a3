"""A published run: its settings, which of them its source states, and the published results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from experiments.config.settings import CompareConfig


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A published comparison.

    Attributes:
        name: Name on the command line.
        title: Title for lists.
        config: The settings.
        source: Where the settings come from.
        stated: Settings that the source states.
        open: Choices that the source leaves open.
        departs: Known differences to the published run.
        reported: The published A_T / average A in %, by contender; empty if the text gives no numbers.
        finding: The published finding, if there are no numbers.
    """

    name: str
    title: str
    config: CompareConfig
    source: str
    stated: tuple[str, ...]
    open: tuple[str, ...]
    departs: tuple[str, ...]
    reported: Mapping[str, str] = field(default_factory=dict)
    finding: str = "no figures are kept here"
