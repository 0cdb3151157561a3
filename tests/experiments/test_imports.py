"""Objectives and modules of the user's own, from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.objectives import OBJECTIVES
from experiments.__main__ import main

pytestmark = pytest.mark.long

MODULE = """
from agents.objectives import cross_entropy_loss, register_objective

@register_objective("doubled")
def doubled(logits, action_rewards, progress, factor=2.0):
    return factor * cross_entropy_loss(logits, action_rewards)
"""


@pytest.fixture
def _own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "my_losses.py").write_text(MODULE)
    (tmp_path / "broken_losses.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # for the processes of a comparison
    yield
    OBJECTIVES.pop("doubled", None)


@pytest.mark.slow
@pytest.mark.usefixtures("_own_module")
def test_a_comparison_finds_an_objective_of_ones_own(image_zip: Path, tmp_path: Path) -> None:
    words = f"compare --dataset folder --root {image_zip} --num-tasks 2 --epochs 1 --batch-size 4 --device cpu"
    words += f" --imports my_losses --objectives ce doubled:factor=3 --label-noise 0 --seeds 0 --out {tmp_path / 'out'}"
    assert main(words.split()) == 0
    configs = [json.loads(file.read_text()) for file in (tmp_path / "out" / "runs").glob("*/config.json")]
    assert {(config["objective"], *config["imports"]) for config in configs} == {
        ("ce", "my_losses"),
        ("doubled:factor=3", "my_losses"),
    }
    assert all(":" not in file.name for file in (tmp_path / "out" / "runs").iterdir())


@pytest.mark.usefixtures("_own_module")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run --imports my_loses", "--imports my_loses can't be imported: ModuleNotFoundError"),
        ("run --imports broken_losses", "--imports broken_losses can't be imported: ZeroDivisionError"),
        ("run --objective doubled", "unknown objective 'doubled'"),
        ("run --objective focal:gama=1", "did you mean 'gamma'"),
        ("run --peft lora:rnk=1", "lora"),
        ("run --peft lra", "did you mean 'lora'"),
        ("run --adam-betas 0.9 1", "each of adam_betas must be in [0, 1)"),
    ],
)
def test_what_is_not_there_is_refused(words: str, message: str, capsys: pytest.CaptureFixture) -> None:
    assert main(words.split()) == 2
    assert message in capsys.readouterr().err
