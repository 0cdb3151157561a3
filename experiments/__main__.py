"""The command line: `python -m experiments COMMAND`; `--help` lists the commands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

COMMANDS = {
    "run": "run:run_command",
    "compare": "compare:compare_command",
    "bounds": "compare:bounds_command",
    "continue": "continue_model:continue_command",
    "rl": "rl:rl_command",
    "study": "studies:studies_command",
    "presets": "compare:presets_command",
    "objectives": "catalogue:objectives_command",
    "modules": "catalogue:modules_command",
    "methods": "catalogue:methods_command",
    "stream": "stream:stream_command",
    "pretrain": "pretrain:pretrain_command",
}
"""Functions by the name of their command, as `module:function` in `experiments.commands`; a command imports only its
own module."""
NAMED = {"study": "studies:named_study", "presets": "compare:preset_command"}
"""Functions that return the command of a name: `study NAME`, `presets NAME`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Its words; by default those of the process.

    Returns:
        The exit code: 0 when it went well, 2 with one line of explanation when its input was wrong or a run failed, 1
        with one line for any other error, 130 when it was interrupted.
    """
    try:  # imports within, since they take seconds, in which one may press Ctrl-C
        from cls_env.command_line.errors import INPUT_ERRORS, answer
        from experiments.runs.errors import RunFailedError

        return answer(run_command_line, arguments, (*INPUT_ERRORS, RunFailedError))
    except KeyboardInterrupt:
        print("interrupted; if the command saves its progress, running it again resumes it", file=sys.stderr)
        return 130


def run_command_line(words: list[str]) -> None:
    """Run the command of a command line."""
    import tyro

    from cls_env.command_line.errors import DEBUG_HELP

    flat, prog = (tyro.conf.OmitArgPrefixes,), "python -m experiments"
    command, *rest = words or [""]
    if command in NAMED and rest and not rest[0].startswith("-"):
        named = _imported(NAMED[command])(rest[0])
        tyro.cli(named, args=rest[1:], prog=f"{prog} {command} {rest[0]}", config=flat)
    elif command in COMMANDS:
        tyro.cli(_imported(COMMANDS[command]), args=rest, prog=f"{prog} {command}", config=flat)
    else:
        commands = {name: _imported(place) for name, place in COMMANDS.items()}
        about = f"The command line of the experiments. {DEBUG_HELP}."
        tyro.extras.subcommand_cli_from_dict(commands, args=words, prog=prog, description=about, config=flat)


def _imported(place: str) -> Callable[..., Any]:
    module, _, function = place.partition(":")
    found: Callable[..., Any] = getattr(import_module(f"experiments.commands.{module}"), function)
    return found


if __name__ == "__main__":
    sys.exit(main())
