"""What the README shows runs, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from experiments.__main__ import COMMANDS
from experiments.benchmarks.__main__ import BENCHMARKS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_python_blocks_run_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert isinstance(names["accuracy"], float) and names["accuracy"] > 0.3  # chance is 0.02
    assert (tmp_path / "agent" / "adapter" / "adapter_model.safetensors").exists()


def test_commands_exist() -> None:
    assert set(re.findall(r"python -m experiments (\w+)", README)) <= set(COMMANDS)
    (named,) = re.findall(r"python -m experiments\.benchmarks ([\w| ]+)`", README)
    assert {name.strip() for name in named.split("|")} == set(BENCHMARKS)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(re.findall(r"make (\w+)`", README)) <= set(targets)


def test_files_exist() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_figures_are_those_of_the_committed_results() -> None:
    table = pd.read_csv(ROOT / "experiments" / "results" / "quickstart" / "summary.csv", keep_default_na=False)
    shown = [" ".join(line.split()) for line in README.splitlines()]
    for row in table.drop(columns=["condition", "seeds"]).itertuples(index=False):
        assert " ".join(filter(None, map(str, row))) in shown
    assert "@@" not in README


def test_tests_are_run_by_the_command_of_the_readme() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text().splitlines()
