"""Published runs with their exact hyperparameters: `python -m experiments presets`."""

from __future__ import annotations

from experiments.presets.lae import LAE
from experiments.presets.paper import PAPER
from experiments.presets.preset import Preset

__all__ = ["PRESETS", "Preset"]

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (*PAPER, *LAE)}
