"""What a dry run prints: settings, tasks, time, memory and disk space."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from torch._subclasses.fake_tensor import FakeTensorMode

from experiments.__main__ import main
from experiments.comparisons.dry_run import _kept_in_a_pass, plan_resolved, resolve_offline
from experiments.comparisons.entries import objective_entries
from experiments.comparisons.show_plan import changed_options, run_lines
from experiments.comparisons.this_machine import measure
from experiments.config.entry import Entry
from experiments.config.gpus import GPUS
from experiments.config.settings import CompareConfig, RunConfig
from experiments.config.validation import check
from experiments.reports.plan_tables import cost_table
from experiments.rl.config import AlgorithmRun
from experiments.runs.plan import Measured
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run
from tests.agents.policies import make_policy

pytestmark = pytest.mark.long

SMALL = RunConfig(
    model="test_vit",
    pretrained=False,
    options=("num_classes=6", "train_per_class=12", "test_per_class=8", "hard_fraction=0"),
    num_tasks=3,
    epochs=2,
    batch_size=12,
    device="cpu",
)


def test_only_settings_that_are_changed_are_named() -> None:
    assert changed_options(RunConfig(objective="ce", seed=3)) == []
    assert changed_options(RunConfig(epochs=3, pretrained=False, options=("b=2", "a=1"))) == [
        "--options a=1 b=2", "--no-pretrained", "--epochs 3",
    ]  # fmt: skip
    assert changed_options(AlgorithmRun(algorithm="ppo", batch_size=8)) == ["--batch-size 8"]
    lines = list(run_lines(objective_entries(CompareConfig(seeds=(0, 4), label_noise=(0.2,)))))
    assert lines == [
        "6 runs on glyphs: ce, epg, aepg; 20% label noise; seeds 0 4", "settings that are not the defaults: none",
    ]  # fmt: skip
    assert next(run_lines([Entry("", "ce", RunConfig(seed=7))])) == "1 run: ce on glyphs, seed 7"


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "ncm", "peft": "none", "objective": "none"},
        pytest.param({"method": "replay:batch=12", "freeze_fraction": 0.0}, marks=pytest.mark.slow),
        pytest.param({"augment": "yes", "method": "dualprompt", "peft": "none"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_the_estimate_is_of_the_order_of_the_run(changes: dict[str, str], tmp_path: Path) -> None:
    config = RunConfig(**{**vars(SMALL), **changes})
    resolved, missing = resolve_offline(check(config))
    plan = plan_resolved(resolved, missing)
    measured = measure(resolved, plan)
    metrics = run(config, folder := RunFolder(tmp_path / "run"))
    assert measured.seconds > 0 and 2 <= measured.images <= SMALL.batch_size
    assert measured.memory is not None and 0.3 < measured.memory / metrics["peak_memory_bytes"] < 3
    size = sum(file.stat().st_size for file in folder.path.rglob("*") if file.is_file())
    assert 0.3 < plan.disk / size < 3


def test_memory_is_counted_without_computing() -> None:
    policy = make_policy(model="test_vit", pretrained=False)
    policy.begin_task([0, 1], freeze_peft=False)
    computed = [_kept_in_a_pass(policy, 32, count) for count in (2, 4)]
    with FakeTensorMode(allow_non_fake_inputs=True):
        by_shapes = [_kept_in_a_pass(policy, 32, count) for count in (2, 4)]
    assert by_shapes[1] - by_shapes[0] == computed[1] - computed[0] > 0
    assert all(parameter.grad is None for parameter in policy.parameters())


def test_hours_and_sizes_are_of_one_run_and_of_all() -> None:
    plan = plan_resolved(*resolve_offline(check(SMALL)))
    console = Console(width=200, record=True)
    measured = Measured(seconds=90.0, memory=1_170_000_000, images=12, steps=16)
    console.print(cost_table([plan, plan], [90.0, 90.0], measured, "a100", "auto"))
    text = console.export_text()
    assert "1 min 30 s" in text and "3 min 00 s" in text and "1.17 GB" in text and "all 2 runs" in text
    assert "time on an A100" in text and "at 52 TFLOP/s, 17% of its peak" in text
    assert "measured on 16 steps of 12 images; one run after another" in text


def test_arithmetic_that_a_gpu_lacks_is_in_float32() -> None:
    assert GPUS["t4"].rate("auto") == GPUS["t4"].rate("float32") < GPUS["a100"].rate("float32")
    assert GPUS["h100"].rate("auto") > GPUS["h100"].rate("tf32") > GPUS["h100"].rate("float32")


def test_a_dry_run_is_short(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = "--model test_vit --no-pretrained --num-tasks 2 --epochs 1 --options num_classes=4 train_per_class=8"
    assert main(["run", *words.split(), "--device", "cpu", "--dry-run", "--gpu", "l4"]) == 0
    printed = capsys.readouterr().out
    assert "Config(" not in printed and "--epochs 1" in printed and "time on an L4" in printed
    assert len(printed.splitlines()) < 30 and list(tmp_path.iterdir()) == []
