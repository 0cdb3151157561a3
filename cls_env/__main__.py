"""The command line: `cls-env COMMAND`; `cls-env --help` lists the commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Its words; by default those of the process.

    Returns:
        The exit code: 0 for success, 2 for bad input or a failed run of a comparison, 1 for any other error or a closed
        output, 130 after Ctrl-C. An error prints one line on standard error.

    Raises:
        SystemExit: After SIGTERM, with the code 143, and SIGHUP, with 129; and after `--help`.
    """
    try:  # imports within, since they take time, in which one may press Ctrl-C
        from cls_env.command_line.errors import answer
        from cls_env.command_line.signals import ended_by_signals
        from cls_env.commands.front_door import run_command_line

        with ended_by_signals():
            return answer(run_command_line, arguments)
    except KeyboardInterrupt:
        print("interrupted; if the command saves its progress, running it again resumes it", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
