"""Parts of a batch, and what two real processes exchange by gloo."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from agents.parallel.shards import divided, slices
from tests.agents.parallel.exchanging import gradient

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 12])
@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_parts_cover_all_rows_evenly(rows: int, parts: int) -> None:
    found = slices(rows, parts)
    sizes = [len(range(rows)[part]) for part in found]
    assert [row for part in found for row in range(rows)[part]] == list(range(rows))
    assert len(found) == parts and max(sizes) - min(sizes) <= 1


def test_one_process_computes_all_rows() -> None:
    asked: list[slice] = []

    def compute(rows: slice) -> torch.Tensor:
        asked.append(rows)
        return torch.arange(5)[rows]

    assert divided(5, compute).tolist() == [0, 1, 2, 3, 4] and asked == [slice(0, 5)]


@pytest.mark.long
@pytest.mark.slow  # its last part, in which a process ends, sometimes ends the other one too early
def test_two_processes_get_the_whole_result_and_gradient(tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    done = subprocess.run(
        [*launcher, "tests.agents.parallel.exchanging", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert results[0] == results[1]
    logits, gradients = gradient()
    torch.testing.assert_close(torch.tensor(results[0]["logits"], dtype=torch.float64), logits)
    torch.testing.assert_close(torch.tensor(results[0]["gradients"], dtype=torch.float64), gradients)
    assert results[0]["few"] == [1.0] and results[0]["largest"] == [1, 1, 0] and results[0]["told"] == "by 0"
    assert results[0]["message"].startswith("the ranks differ between the 2 processes")
    assert "another of the 2 processes has ended" in (tmp_path / "lost.txt").read_text()
