"""The command line of datasets and environments: `cls-env datasets | download | cache`."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Its words; by default those of the process.

    Returns:
        The exit code: 0 when it went well, 2 with one line of explanation when its input was wrong, 1 with one line for
        any other error, 130 when it was interrupted.
    """
    try:  # imports within, since they take time, in which one may press Ctrl-C
        from cls_env.command_line.errors import answer

        return answer(_run, arguments)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _run(words: list[str]) -> None:
    from cls_env.commands.datasets import run_command

    run_command(words)


if __name__ == "__main__":
    sys.exit(main())
