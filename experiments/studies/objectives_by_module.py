"""Table 2 of the paper: which objective is best, and whether that depends on the PEFT module."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from experiments.config.entry import Entry
from experiments.studies.figures import differences, heat_map
from experiments.studies.study import OBJECTIVES, Study, StudyConfig, by_objective, grid


@dataclass(frozen=True, kw_only=True)
class ModulesConfig(StudyConfig):
    """Objectives x PEFT modules x seeds."""

    objectives: tuple[str, ...] = OBJECTIVES
    """Contenders; ce is the baseline."""
    modules: tuple[str, ...] = ("lora", "adapter", "prefix")
    """PEFT modules, in place of --peft."""


def entries(config: ModulesConfig) -> list[Entry]:
    """Every objective with every module."""
    return grid(config, {module: {"peft": module} for module in config.modules}, by_objective(config.objectives))


def figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """What each objective gains over CE, and A_T itself."""
    return {"differences": differences(runs, "ce"), "final_accuracies": heat_map(runs)}


OBJECTIVES_BY_MODULE = Study(
    name="objectives-by-module",
    title="Objectives and PEFT modules (the paper's Table 2)",
    question="Which objective reaches the highest A_T, and is it the same one with LoRA, adapters and prefixes?",
    published=(
        "on Split-ImageNet-R, Food-101, CUB-200 and CLRS-25 aEPG is mostly best and EP near it, EPG is above CE, "
        "and focal loss, label smoothing and confidence penalty are mostly below CE"
    ),
    config=ModulesConfig(),
    entries=entries,
    figures=figures,
)
