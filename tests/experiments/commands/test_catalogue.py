from __future__ import annotations

import pytest

from agents.methods import METHODS
from agents.objectives import OBJECTIVES
from agents.peft_modules import PEFT_MODULES
from agents.peft_modules.library import UNFIT
from experiments.__main__ import main

NAMED = [("objectives", OBJECTIVES), ("modules", [*PEFT_MODULES, *UNFIT]), ("methods", METHODS)]


@pytest.mark.parametrize(("command", "names"), NAMED)
def test_lists_name_everything(command: str, names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)
    examples = {"objectives": "gamma=1", "modules": "targets=norms", "methods": "lora:scale=true"}
    assert examples[command] in printed


def test_arguments_are_shown_as_they_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["modules"])
    printed = capsys.readouterr().out
    assert "scale=false" in printed
    assert "=False" not in printed
