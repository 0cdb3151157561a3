"""Settings as they are typed on the command line."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

from experiments.config.settings import PATHS, RunConfig


def option_words(name: str, value: Any) -> list[str]:
    """A setting as an option and its values.

    >>> option_words("num_tasks", (3, 2)), option_words("pretrained", False)
    (['--num-tasks', '3', '2'], ['--no-pretrained'])
    """
    words = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{'' if value else 'no-'}{words}"]
    return [f"--{words}", *map(str, value if isinstance(value, tuple) else [value])]


def changed_settings(config: RunConfig) -> dict[str, Any]:
    """The settings that differ from the defaults, by name. The default model is that of the dataset."""
    usual = type(config)(dataset=config.dataset, imports=config.imports).model
    defaults = {field.name: field.default for field in fields(config)} | {"model": usual}
    return {name: value for name, value in vars(config).items() if value != defaults[name]}


def run_command_line(config: RunConfig) -> str:
    """The command of a run, with the settings that differ from the defaults. Paths are shown without their folders.

    >>> run_command_line(RunConfig(num_tasks=2, pretrained=False))
    'cls-env run --num-tasks 2 --no-pretrained'
    >>> run_command_line(RunConfig(dataset="photos")), run_command_line(RunConfig(model="auto"))
    ('cls-env run --dataset photos', 'cls-env run')
    """
    words = ["cls-env", "run"]
    for name, value in changed_settings(config).items():
        words += option_words(name, Path(value).name if name in PATHS else value)
    return shlex.join(words)
