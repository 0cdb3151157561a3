"""Run a command of `cls-env` in the package that has it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import cls_env
from cls_env.command_line.errors import ReportedError
from cls_env.commands.listing import COMMANDS, OF_DATASETS, overview
from cls_env.specification import lookup

PACKAGES = ("agents", "experiments")
"""Packages that are installed beside `cls_env`."""
HELP = ("-h", "--help")


def run_command_line(words: list[str]) -> None:
    """Run a command, or print the list of commands.

    Args:
        words: The command, which comes first, and its options.

    Raises:
        ValueError: The command is unknown, or its input is wrong.
        ReportedError: Python finds another package in place of one of this project.
        ModuleNotFoundError: A package that the command needs is not installed.
    """
    command = words[0] if words else HELP[0]
    if command in HELP:
        print(overview())
        return
    if command.startswith("-"):
        raise ValueError(f"the command comes first: cls-env COMMAND {command}; cls-env --help lists the commands")
    lookup("command", command, COMMANDS)
    if command in OF_DATASETS:
        from cls_env.commands.datasets import run_command

        run_command(words)
    else:
        _runner_of_experiments()(words)


def check_own(name: str) -> None:
    """Check that Python finds the package beside `cls_env`, and no other of its name.

    Raises:
        ReportedError: It finds another one.
    """
    own = Path(cls_env.__file__).resolve().parent.with_name(name)
    spec = find_spec(name)
    places = [] if spec is None else [*(spec.submodule_search_locations or ()), *filter(None, [spec.origin])]
    if not places or Path(places[0]).resolve() != own:
        found = f"another package {name!r} in {places[0]}" if places else f"no package {name!r}"
        raise ReportedError(
            f"Python finds {found}, and not the one of cls-env in {own}: run the command from another folder, or "
            "uninstall the other package"
        )


def _runner_of_experiments() -> Callable[[list[str]], None]:
    """The function of the package `experiments` that runs the other commands."""
    for name in PACKAGES:
        check_own(name)
    try:
        import_module("tyro")
        run: Callable[[list[str]], None] = import_module("experiments.__main__").run_command_line
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"this command needs the package {error.name!r}: pip install 'cls-env[experiments]'"
        ) from error
    return run
