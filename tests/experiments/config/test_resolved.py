"""A configuration is resolved once in each process."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from agents.methods import make_method
from agents.networks.config import PolicyConfig
from cls_env.specification import parse_specification
from cls_env.tasks.stream import TaskStream
from experiments.__main__ import main
from experiments.comparisons.entries import objective_entries
from experiments.config.resolved import make_agent, resolve
from experiments.config.settings import CompareConfig, PolicySettings, RunConfig, shared_settings
from experiments.runs.job import prepare_learning

pytestmark = pytest.mark.long

OPTIONS = ("num_classes=4", "train_per_class=4", "test_per_class=1")
SMALL = f"--options {' '.join(OPTIONS)} --num-tasks 2 --epochs 1 --batch-size 8"
CONFIG = RunConfig(options=OPTIONS, num_tasks=2, epochs=1, batch_size=8, method="lae", device="cpu")


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often specifications are parsed, methods are made and streams are built, wherever they are imported."""
    found: Counter[str] = Counter()

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **keywords: Any) -> Any:
            found[function.__qualname__] += 1
            return function(*arguments, **keywords)

        return wrapper

    for function in (parse_specification, make_method):
        for module in list(sys.modules.values()):
            if getattr(module, "__dict__", {}).get(function.__name__) is function:
                monkeypatch.setattr(module, function.__name__, counted(function))
    monkeypatch.setattr(TaskStream, "__init__", counted(TaskStream.__init__))
    return found


def assert_few(counts: Counter[str], runs: int = 1, streams: int = 1) -> None:
    assert 0 < counts["parse_specification"] <= 6 * runs
    assert 0 < counts["make_method"] <= 2 * runs
    assert counts["TaskStream.__init__"] == streams


def test_a_run_resolves_its_configuration_once(counts: Counter[str], tmp_path: Path) -> None:
    assert main(f"run {SMALL} --method lae --device cpu --out {tmp_path / 'run'}".split()) == 0
    assert_few(counts)


def test_a_dry_run_resolves_its_configuration_once(counts: Counter[str]) -> None:
    assert main(f"run {SMALL} --optimizer sgd --dry-run".split()) == 0
    assert_few(counts, runs=2, streams=2)  # its own, and those of the steps that are measured


def test_a_dry_comparison_checks_each_run_once_and_builds_one_stream(counts: Counter[str]) -> None:
    words = f"compare {SMALL} --optimizer sgd --objectives ce epg --label-noise 0 --seeds 0 1 --dry-run"
    assert main(words.split()) == 0
    assert_few(counts, runs=4, streams=2)  # the second one is that of the steps that are measured


def test_a_comparison_resolves_each_run_once_before_it_starts_them(counts: Counter[str]) -> None:
    compare = CompareConfig(objectives=("ce", "epg"), label_noise=(0.0,), seeds=(0,), **shared_settings(CONFIG))
    assert prepare_learning(objective_entries(compare)) == [16, 16]
    assert_few(counts, runs=2, streams=2)


def test_policies_do_not_share_the_method_of_a_resolved_run() -> None:
    resolved = resolve(CONFIG)
    agents = [make_agent(resolved) for _ in range(2)]
    methods = [resolved.method, *(agent.policy.method for agent in agents)]
    assert len(set(map(id, methods))) == 3
    agents[0].learn(8)
    assert not list(resolved.method.state_dict())


def test_policy_settings_are_those_of_the_policy_with_its_defaults() -> None:
    own = {field.name: field.default for field in fields(PolicyConfig) if not field.name.endswith("_seed")}
    assert {field.name: field.default for field in fields(PolicySettings)} == own | {"model": "auto"}


@pytest.mark.parametrize("chosen", [None, "elsewhere"])
def test_compiled_code_is_kept_in_the_cache(
    chosen: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLS_ENV_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "elsewhere"))
    if chosen is None:
        monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    make_agent(resolve(replace(CONFIG, compile=True)))
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / (chosen or "compiled"))
