"""The table of a comparison is not replaced by a smaller one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.comparisons.entries import objective_entries
from experiments.comparisons.output_paths import OutputPaths
from experiments.comparisons.smaller_table import refuse_smaller
from experiments.config.comparison import ComparisonOptions
from experiments.config.settings import CompareConfig

pytestmark = pytest.mark.long

SMALL = "--model test_vit --no-pretrained --options num_classes=4 train_per_class=4 test_per_class=2 --num-tasks 2"
SMALL += " --epochs 1 --batch-size 4 --device cpu --label-noise 0 --workers 0"


@pytest.mark.slow
def test_a_smaller_comparison_is_refused_and_can_go_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "glyphs"
    whole = ["compare", *SMALL.split(), "--objectives", "ce", "epg", "--seeds", "0", "1", "--out", str(out)]
    smaller = ["compare", *SMALL.split(), "--objectives", "ce", "--seeds", "0", "--out", str(out)]
    assert main(whole) == 0
    printed = capsys.readouterr().out
    assert printed.count("CE, 0% label noise, seed 0: A_T ") == 1 and printed.count(" points, ") == 4
    table = (out / "table.md").read_bytes()

    assert main(smaller) == 2
    error = capsys.readouterr().err
    assert "holds a table of 4 runs; one of these 1 would replace it, and leave out epg, seed 1: " in error
    elsewhere = ["--out", f"{out}-2", "--runs", str(out / "runs")]
    assert " ".join(elsewhere) in error and (out / "table.md").read_bytes() == table

    assert main([*smaller[:-2], *elsewhere]) == 0
    assert f"1 of 1 runs already finished, read from {out / 'runs'}" in capsys.readouterr().out
    assert "| CE | 1 |" in (tmp_path / "glyphs-2" / "table.md").read_text()
    assert not (tmp_path / "glyphs-2" / "runs").exists()

    assert main([*whole[:-4], "0", "1", "2", *whole[-2:]]) == 0  # a larger one replaces it
    assert "4 of 6 runs already finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "left_out"),
    [
        ("0% label noise,ce,0", None),
        ("0% label noise,ce,0\n0% label noise,ce,1", "seed 1"),
        ("20% label noise,ce,0\n0% label noise,ce,0", "20% label noise"),
        ("0% label noise,ce,0\n0% label noise,none,0", "none"),
        ("0% label noise,epg,0\n0% label noise,ce,0\n0% label noise,epg,1", "1 of them"),
    ],
)
def test_what_would_be_left_out_is_named(rows: str, left_out: str | None, tmp_path: Path) -> None:
    objectives, seeds = (("ce", "epg"), (0, 1)) if left_out == "1 of them" else (("ce",), (0,))
    entries = objective_entries(CompareConfig(objectives=objectives, label_noise=(0.0,), seeds=seeds))
    entries = [entry for entry in entries if (entry.contender, entry.config.seed) != ("epg", 1)]
    (tmp_path / "runs.csv").write_text(
        f"condition,contender,seed,final_accuracy\n{rows.replace(chr(10), ',0' + chr(10))},0"
    )
    paths = OutputPaths.of(tmp_path, ComparisonOptions(workers=0))
    if left_out is None:
        refuse_smaller(entries, paths)
        return
    with pytest.raises(FileExistsError, match=f"leave out {left_out}: name these too"):
        refuse_smaller(entries, paths)


def test_a_damaged_table_can_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("nonsense")
    refuse_smaller(objective_entries(CompareConfig()), OutputPaths.of(tmp_path, ComparisonOptions(workers=0)))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_place_of_the_table_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "runs.csv")
    refuse_smaller(objective_entries(CompareConfig()), OutputPaths.of(tmp_path, ComparisonOptions()))
