"""A published run: its settings, and what was reported of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from experiments.comparison import CompareConfig


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A published comparison.

    Attributes:
        name: By which it is asked for.
        title: What it is, and where it was published.
        config: The settings.
        reported: The published A_T / average A in %, by contender; empty where the text gives no numbers.
        remark: Where our run must differ from the published one, or what the publication leaves open.
    """

    name: str
    title: str
    config: CompareConfig
    reported: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""
