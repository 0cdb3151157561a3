"""A published run: its settings, what of them its source states, and what was reported of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from experiments.config.settings import CompareConfig


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A published comparison.

    Attributes:
        name: By which it is asked for.
        title: What it is.
        config: The settings.
        source: Where the settings come from.
        stated: The fields of the settings that are as the source states them.
        open: What the source leaves open, and what is chosen here.
        departs: Where our run is known to differ from the published one.
        reported: The published A_T / average A in %, by contender; empty where the text gives no numbers.
        finding: What was published otherwise.
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
