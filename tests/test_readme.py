"""What the README shows runs, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium as gym
import pandas as pd
import pytest
import torch

from agents import EPG
from agents.methods import METHODS
from agents.objectives import OBJECTIVES
from experiments.__main__ import COMMANDS
from experiments.benchmarks.__main__ import BENCHMARKS
from experiments.reports.display_names import short_name
from experiments.rl.algorithms import ALGORITHMS

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_python_blocks_run_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 8
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert isinstance(names["accuracy"], float) and names["accuracy"] > 0.3  # chance is 0.02
    assert (tmp_path / "agent" / "adapter" / "adapter_model.safetensors").exists()
    METHODS.pop("tether"), OBJECTIVES.pop("brier")


def test_a_method_of_ones_own_takes_forty_lines_and_does_what_it_says(tmp_path: Path) -> None:
    (block,) = [text for text in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL) if '"tether"' in text]
    assert len(block.splitlines()) <= 40
    names: dict[str, Any] = {}
    exec(compile(block.partition("\n\n\ntethered")[0], "README.md", "exec"), names)
    try:
        moved = {}
        for strength in (0, 1e4):
            train = gym.make_vec("cls_env/SplitGlyphs-v0", num_envs=8)
            kwargs = {"method": f"tether:strength={strength}", "blocks": (0,)}
            agent = EPG("ViTPolicy", train, "ce", batch_size=8, freeze_fraction=0, seed=0, policy_kwargs=kwargs)
            for task in (0, 1):
                before = [tensor.detach().clone() for tensor in agent.policy.network.peft_parameters]
                agent.get_env().set_options({"task": task})
                agent.learn(64)
            pairs = zip(agent.policy.network.peft_parameters, before, strict=True)
            moved[strength] = sum((now - then).square().sum().item() for now, then in pairs)
            agent.save(tmp_path / "agent")
            loaded = EPG.load(tmp_path / "agent")
            kept = zip(agent.policy.method.buffers(), loaded.policy.method.buffers(), strict=True)
            assert all(torch.equal(*pair) for pair in kept) and loaded.policy.method.state_bytes > 0
        assert 0 < moved[1e4] < moved[0] / 3
    finally:
        METHODS.pop("tether")


def test_commands_exist() -> None:
    assert set(re.findall(r"python -m experiments (\w+)", README)) <= set(COMMANDS)
    (named,) = re.findall(r"python -m experiments\.benchmarks ([\w|\s]+)`", README)
    assert {name.strip() for name in named.split("|")} == {*BENCHMARKS, "gpu"}
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(re.findall(r"make (\w+)`", README)) <= set(targets)


def test_files_exist() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_figures_are_those_of_the_committed_results() -> None:
    table = pd.read_csv(ROOT / "experiments" / "results" / "quickstart" / "summary.csv", keep_default_na=False)
    shown = [" ".join(line.split()) for line in README.splitlines()]
    table["contender"] = table["contender"].map(short_name)
    for row in table.drop(columns=["condition", "seeds"]).itertuples(index=False):
        assert " ".join(filter(None, map(str, row))) in shown
    assert "@@" not in README


def test_figures_of_the_rl_comparison_are_those_committed() -> None:
    folder = ROOT / "experiments" / "results" / "rl"
    table = pd.read_csv(folder / "summary.csv", keep_default_na=False)
    reading = (folder / "README.md").read_text(encoding="utf-8")
    assert set(table["contender"]) == set(ALGORITHMS) and set(table["seeds"]) == {5}
    for row in table.to_dict("records"):
        difference = row["vs epg [95 %]"]
        assert f"| {row['A_T %']} | {difference}".rstrip() in README
        shown = f"| {row['A_T %'].split()[0]} | {row['forgetting'].split()[0]} | {row['regret %'].split()[0]} |"
        assert f"{shown} {difference}".rstrip() in reading
    assert "@@" not in reading


def test_tests_are_run_by_the_command_of_the_readme() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text().splitlines()
