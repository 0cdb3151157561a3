"""The operations that a dry run names, against those that a profiler counts in the run itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.comparisons.dry_run import make_plan
from experiments.comparisons.flops import counted
from experiments.config.settings import RunConfig
from experiments.config.validation import check
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run

pytestmark = pytest.mark.long

SMALL = RunConfig(
    model="test_vit",
    pretrained=False,
    options=("num_classes=9", "train_per_class=12", "test_per_class=8", "hard_fraction=0"),
    num_tasks=3,
    epochs=4,
    batch_size=12,
    device="cpu",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param({"augment": "yes", "label_fit": True, "test_before_tasks": True}, marks=pytest.mark.slow),
        pytest.param({"method": "lae", "validation_fraction": 0.25}, marks=pytest.mark.slow),
        pytest.param({"method": "l2p", "peft": "none"}, marks=pytest.mark.slow),
        pytest.param({"method": "ncm", "peft": "none", "objective": "none"}, marks=pytest.mark.slow),
        pytest.param({"method": "inflora"}, marks=pytest.mark.slow),
        pytest.param({"method": "dualprompt", "peft": "none", "augment": "yes"}, marks=pytest.mark.slow),
        pytest.param({"micro_batch": 4}, marks=pytest.mark.slow),
        pytest.param({"method": "joint", "validation_fraction": 0.25}, marks=pytest.mark.slow),
        pytest.param({"method": "replay:batch=12"}, marks=pytest.mark.slow),
        pytest.param({"method": "der++:batch=12", "augment": "yes"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_run_takes_the_operations_of_its_plan(changes: dict[str, Any], tmp_path: Path) -> None:
    config = replace(SMALL, **changes)
    taken = counted(lambda: run(config, RunFolder(tmp_path / "run")))
    assert make_plan(check(config)).total_flops == pytest.approx(taken, rel=0.02)
