"""Published runs with their exact hyperparameters: `cls-env presets`."""

from __future__ import annotations

from cls_env.registry import Registry
from experiments.presets.ablations import ABLATIONS
from experiments.presets.lae import LAE
from experiments.presets.preset import Preset
from experiments.presets.table1 import PRESETS_1
from experiments.presets.table2 import PRESETS_2
from experiments.presets.table3 import PRESETS_3

__all__ = ["PRESETS", "Preset"]

PRESETS: Registry[Preset] = Registry(
    "preset", {preset.name: preset for preset in (*PRESETS_1, *PRESETS_2, *ABLATIONS, *PRESETS_3, *LAE)}
)
