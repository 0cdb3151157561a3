"""The command line: `python -m experiments COMMAND`; `--help` lists the commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any


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

        return answer(_carry_out, arguments, (*INPUT_ERRORS, RunFailedError))
    except KeyboardInterrupt:
        print("interrupted; if the command saves its progress, running it again resumes it", file=sys.stderr)
        return 130


def _carry_out(words: list[str]) -> None:
    from experiments.commands.table import carry_out_words

    carry_out_words(words)


def __getattr__(name: str) -> Any:
    """`COMMANDS`, which is imported when it is asked for."""
    if name == "COMMANDS":
        from experiments.commands.table import COMMANDS

        return COMMANDS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if __name__ == "__main__":
    sys.exit(main())
