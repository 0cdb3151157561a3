"""Runs that several processes refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from agents.parallel.processes import Processes
from experiments.config.processes import check_processes
from experiments.config.settings import RunConfig
from experiments.config.validation import check

TWO = Processes(1, 2, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "ncm", "objective": "none", "peft": "none"}, "ncm learns without gradients, so 2 processes gain"),
        ({"batch_size": 1}, "--batch-size 1 can't be divided among 2 processes"),
    ],
)
def test_a_run_that_gains_nothing_is_refused(changes: dict[str, Any], message: str) -> None:
    checked = check(RunConfig(**changes))
    check_processes(checked, Processes())
    with pytest.raises(ValueError, match=message):
        check_processes(checked, TWO)


def test_plans_and_too_few_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = check(RunConfig())
    check_processes(checked, TWO)
    with pytest.raises(ValueError, match="--dry-run is for one process"):
        check_processes(checked, TWO, dry_run=True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="more processes on this machine than its 1 GPUs"):
        check_processes(checked, TWO)
    check_processes(check(replace(checked.config, device="cpu")), TWO)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(ValueError, match="--device mps is one GPU"):
        check_processes(check(replace(checked.config, device="mps")), TWO)
