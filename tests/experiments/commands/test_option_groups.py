"""`--help` shows the main options first, then the others in groups, and every option once."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from cls_env.__main__ import main
from experiments.commands.option_groups import GROUPS, MAIN
from experiments.config.settings import CompareConfig, RunConfig


def help_of(command: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    shown: str = capsys.readouterr().out
    return shown


@pytest.mark.parametrize(("command", "config"), [("run", RunConfig), ("compare", CompareConfig)])
def test_options_are_grouped(
    command: str, config: type, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = help_of(command, capsys, monkeypatch)
    assert re.findall(r"^\W*(\w+ options|options)\W*$", shown, flags=re.MULTILINE) == [
        "options",
        *(f"{title} options" for title in GROUPS),
    ]
    options = re.findall(r"^.{0,3}(--[a-z][\w-]+)", shown, flags=re.MULTILINE)
    names = [option.removeprefix("--").replace("-", "_") for option in options]
    assert len(set(names)) == len(names)
    expected = {"normalisation" if field.name == "normalization" else field.name for field in fields(config)}
    assert expected <= set(names)
    main_box = shown.partition("stream options")[0]
    assert all(f"--{name.replace('_', '-')} " in main_box for name in MAIN if name in expected)


def test_every_option_has_one_plain_help_text(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = help_of("run", capsys, monkeypatch)
    options = re.split(r"^.{0,3}--(?=[a-z])", shown, flags=re.MULTILINE)[1:]
    for option in options:
        words = " ".join(option.split())
        assert "(default:" in words and len(words) < 400, words
