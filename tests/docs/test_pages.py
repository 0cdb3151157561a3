"""README and the pages in `docs`: every Python block stands alone and runs, and what they name is there."""

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
from agents.peft_modules import PEFT_MODULES
from cls_env.commands.listing import COMMANDS
from experiments.benchmarks.__main__ import BENCHMARKS
from experiments.reports.display_names import short_name
from experiments.rl.config import RlConfig
from tests.docs.guides import DOCS, ROOT, SESSIONS, python_blocks, text_of

pytestmark = pytest.mark.long

PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md")), ROOT / "CONTRIBUTING.md"]
RESULTS = text_of(DOCS / "results.md")


@pytest.mark.parametrize(
    ("page", "place"),
    [
        pytest.param(page, place, id=f"{page.stem}-{place}", marks=[] if page.stem == "README" else pytest.mark.slow)
        for page in PAGES
        if page not in SESSIONS.values()
        for place in range(len(python_blocks(page)))
    ],
)
def test_a_python_block_stands_alone(page: Path, place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    registries = [(registry, set(registry)) for registry in (METHODS, OBJECTIVES, PEFT_MODULES)]
    try:
        exec(compile(python_blocks(page)[place], page.name, "exec"), {"__name__": "__main__"})
    finally:
        for registry, before in registries:
            for name in set(registry) - before:
                registry.pop(name)


def test_a_printed_result_is_the_one_shown(capsys: pytest.CaptureFixture) -> None:
    """README's first block is followed by what it prints."""
    block, output = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", text_of(PAGES[0]), flags=re.DOTALL)[0]
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out == output


def test_readme_is_short() -> None:
    assert len(text_of(PAGES[0]).splitlines()) <= 150


def test_a_method_of_ones_own_takes_forty_lines_and_does_what_it_says(tmp_path: Path) -> None:
    (block,) = [text for text in python_blocks(DOCS / "guides" / "own_method.md") if '"tether"' in text]
    assert len(block.splitlines()) <= 42
    names: dict[str, Any] = {}
    exec(compile(block.partition("\n\n\ntrain = ")[0], "own_method.md", "exec"), names)
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_files_exist(page: Path) -> None:
    text = text_of(page)
    commands = re.findall(r"(?:^|`)(?:cls-env|python -m experiments) ([a-z]\w*)", text, flags=re.MULTILINE)
    assert set(commands) <= set(COMMANDS)
    targets = re.findall(r"^([\w -]+):", text_of(ROOT / "Makefile"), flags=re.MULTILINE)
    assert set(re.findall(r"`make (\w+)`", text)) <= {name for target in targets for name in target.split()}
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_all_benchmarks_are_named() -> None:
    (named,) = re.findall(r"python -m experiments\.benchmarks\s([\w|\s]+)`", text_of(ROOT / "CONTRIBUTING.md"))
    assert {name.strip() for name in named.split("|")} == {*BENCHMARKS, "gpu", "faults", "engines", "parallel"}


def test_figures_are_those_of_the_committed_results() -> None:
    table = pd.read_csv(ROOT / "experiments" / "results" / "quickstart" / "summary.csv", keep_default_na=False)
    shown = [" ".join(line.split()) for line in RESULTS.splitlines()]
    table["contender"] = table["contender"].map(short_name)
    for row in table.drop(columns=["condition", "seeds"]).itertuples(index=False):
        assert " ".join(filter(None, map(str, row))) in shown


def test_figures_of_the_rl_comparison_are_those_committed() -> None:
    folder = ROOT / "experiments" / "results" / "rl"
    table = pd.read_csv(folder / "summary.csv", keep_default_na=False)
    reading = (folder / "README.md").read_text(encoding="utf-8")
    assert set(table["contender"]) == set(RlConfig().algorithms) and set(table["seeds"]) == {5}
    for row in table.to_dict("records"):
        difference = row["vs epg [95 %]"]
        assert f"| {row['A_T %']} | {difference}".rstrip() in RESULTS
        shown = f"| {row['A_T %'].split()[0]} | {row['forgetting'].split()[0]} | {row['regret %'].split()[0]} |"
        assert f"{shown} {difference}".rstrip() in reading


def test_tests_are_run_by_the_command_of_the_readme() -> None:
    assert "`make test`" in text_of(PAGES[0])
    assert "make test" in text_of(ROOT / ".ci" / "run").splitlines()
