"""The commands that train, compare and use agents: `cls-env COMMAND`, or `python -m experiments COMMAND`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from cls_env.__main__ import main

PLACES = {
    "run": "run:run_command",
    "compare": "compare:compare_command",
    "bounds": "compare:bounds_command",
    "continue": "continue_model:continue_command",
    "rl": "rl:rl_command",
    "sweep": "sweep:sweep_command",
    "tune": "tune:tune_command",
    "study": "studies:studies_command",
    "presets": "compare:presets_command",
    "report": "report:report_command",
    "probe": "probe:probe_command",
    "pretrain": "pretrain:pretrain_command",
    "pretrain-characters": "pretrain:pretrain_characters_command",
    "stream": "stream:stream_command",
    "objectives": "catalogue:objectives_command",
    "modules": "catalogue:modules_command",
    "methods": "catalogue:methods_command",
    "predict": "predict:predict_command",
    "evaluate": "evaluate:evaluate_command",
    "export": "export:export_command",
}
"""Functions by the name of their command, as `module:function` in `experiments.commands`; a command imports only its
own module."""
NAMED = {"study": "studies:named_study", "presets": "compare:preset_command"}
"""Functions that return the command of a name: `study NAME`, `presets NAME`."""


def run_command_line(words: list[str]) -> None:
    """Run a command of this package.

    Args:
        words: The command, one of `PLACES`, and its options.
    """
    import tyro

    from experiments.commands.launched import processes_of
    from experiments.commands.option_groups import REGISTRY

    command, *rest = words
    prog, run = f"cls-env {command}", _imported(PLACES[command])
    if command in NAMED and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        prog, run = f"{prog} {name}", _imported(NAMED[command])(name)
    with processes_of(command):
        tyro.cli(run, args=rest, prog=prog, config=(tyro.conf.OmitArgPrefixes,), registry=REGISTRY)


def _imported(place: str) -> Callable[..., Any]:
    module, _, function = place.partition(":")
    found: Callable[..., Any] = getattr(import_module(f"experiments.commands.{module}"), function)
    return found


if __name__ == "__main__":
    sys.exit(main())
