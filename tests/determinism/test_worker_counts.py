"""The results of a comparison do not depend on the number of processes that execute it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from agents import EPG
from experiments.__main__ import main

pytestmark = pytest.mark.long

OF_THE_MACHINE = {"seconds", "images_per_second", "peak_memory_bytes", "folder"}
"""Columns that are not results."""
SMALL = (
    "--options num_classes=4 train_per_class=8 test_per_class=4 --num-tasks 2 --epochs 2 --batch-size 8 --device cpu "
    "--model test_vit --no-pretrained --blocks 0 1"
)


def compared(out: Path, workers: int) -> Path:
    words = f"compare {SMALL} --objectives ce reinforce --label-noise 0.25 --seeds 3 --workers {workers} --out {out}"
    assert main(words.split()) == 0
    return out


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same comparison in this process, and in two others whose sets have another order."""
    place = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONHASHSEED", "77")  # of the worker processes
        return compared(place / "here", 0), compared(place / "there", 2)


def test_all_runs_have_the_same_figures(folders: tuple[Path, Path]) -> None:
    here, there = (pd.read_csv(folder / "runs.csv") for folder in folders)
    assert len(here) == 2 and here.columns.equals(there.columns)
    results = [name for name in here.columns if name not in OF_THE_MACHINE]
    assert "final_accuracy" in results
    pd.testing.assert_frame_equal(here[results], there[results], check_exact=True)


def test_the_tables_are_the_same_but_for_seconds(folders: tuple[Path, Path]) -> None:
    here, there = (without_machine((folder / "table.md").read_text(encoding="utf-8")) for folder in folders)
    assert "| " in here and here == there
    summaries = [pd.read_csv(folder / "summary.csv") for folder in folders]
    kept = [name for name in summaries[0].columns if not any(part in name for part in OF_THE_MACHINE)]
    pd.testing.assert_frame_equal(*(summary[kept] for summary in summaries), check_exact=True)


def without_machine(table: str) -> str:
    """A Markdown table without its columns of time and memory, and without the command that made it."""
    rows = [line.split("|") for line in table.splitlines() if line.startswith("|")]
    own = [index for index, title in enumerate(rows[0]) if re.search(r"second|memory|images/s|\bs\b", title)]
    return "\n".join("|".join(cell for index, cell in enumerate(row) if index not in own) for row in rows)


def test_the_trained_agents_and_their_predictions_are_the_same(folders: tuple[Path, Path]) -> None:
    names = sorted(folder.name for folder in (folders[0] / "runs").iterdir())
    assert len(names) == 2
    for name in names:
        here, there = (folder / "runs" / name for folder in folders)
        states = [EPG.load(place / "model.zip", device="cpu").policy.state_dict() for place in (here, there)]
        assert all(torch.equal(tensor, states[1][key]) for key, tensor in states[0].items())
        files = sorted(file.relative_to(here) for file in (here / "predictions").rglob("*.npz"))
        assert files
        for file in files:
            with np.load(here / file) as one, np.load(there / file) as other:
                assert all(np.array_equal(one[key], other[key], equal_nan=True) for key in one.files)
