"""How much LoRA an objective needs: its rank, and the blocks that get one."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch
from matplotlib.figure import Figure

from agents.networks.backbone import create_backbone
from cls_env.specification import parse_specification
from experiments.config.entry import Entry
from experiments.config.validation import configured_view
from experiments.reports.captions import PAIRED
from experiments.studies.figures import minus_baseline
from experiments.studies.line_figures import plot_data, plot_lines
from experiments.studies.study import Study, StudyConfig, by_objective, grid

AXIS = "rank of the LoRA"


@dataclass(frozen=True, kw_only=True)
class BlocksConfig(StudyConfig):
    """Objectives x ranks x placements x seeds. The placements are --blocks and all blocks of the model."""

    objectives: tuple[str, ...] = ("ce", "aepg")
    """Contenders; ce is the baseline."""
    ranks: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Ranks of the LoRA, in place of --peft."""


def entries(config: BlocksConfig) -> list[Entry]:
    """Every objective with every rank in every placement."""
    placements = dict.fromkeys((config.blocks, tuple(range(depth(config)))))
    conditions = {
        f"{placement(blocks)}, rank {rank}": {"peft": f"lora:r={rank}", "blocks": blocks}
        for blocks in placements
        for rank in config.ranks
    }
    return grid(config, conditions, by_objective(config.objectives))


def depth(config: StudyConfig) -> int:
    """Number of transformer blocks of the model, which is built without memory for its weights.

    Raises:
        ValueError: The model has none.
    """
    with torch.device("meta"):
        backbone = create_backbone(config.backbone, False, (side := configured_view(config).size, side), seed=0)
    blocks = getattr(backbone, "blocks", None)
    if blocks is None:
        raise ValueError(f"{config.backbone} has no transformer blocks to choose from")
    return len(blocks)


def placement(blocks: tuple[int, ...]) -> str:
    """Blocks in words.

    >>> placement((0, 1, 2)), placement((0, 3))
    ('blocks 0-2', 'blocks 0, 3')
    """
    if len(blocks) > 1 and blocks == tuple(range(blocks[0], blocks[-1] + 1)):
        return f"blocks {blocks[0]}-{blocks[-1]}"
    return f"blocks {', '.join(map(str, blocks))}"


def figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """A_T and the gain over CE against rank, with a panel for each placement."""
    gained = _by_rank(minus_baseline(runs, "ce"))
    return {
        "accuracy_against_rank": plot_lines(_by_rank(runs), (AXIS, "A_T, %"), logarithmic=True),
        "gain_against_rank": plot_lines(gained, (AXIS, "A_T less that of CE, points"), logarithmic=True, note=PAIRED),
    }


def _by_rank(runs: pd.DataFrame) -> pd.DataFrame:
    ranks = runs["peft"].map(lambda module: parse_specification(module)[1]["r"]).astype(float)
    return plot_data(runs, ranks, runs["blocks"].map(placement))


BLOCKS_AND_RANK = Study(
    name="blocks-and-rank",
    title="Rank of the LoRA and the blocks that get one",
    question="Do accuracy, forgetting and the gain of aEPG over CE depend on how much of the backbone may change?",
    published="rank 4 in blocks 0-4 throughout, and the same pattern with 10 blocks; ranks were not compared",
    config=BlocksConfig(),
    entries=entries,
    figures=figures,
)
