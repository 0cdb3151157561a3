"""Errors on the command line: one line each, with a traceback after `--debug`."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress

from cls_env.command_line.environment import variable
from cls_env.command_line.printable import printable
from cls_env.command_line.signals import raise_stop

DEBUG = "--debug"
DEBUG_HELP = f"{DEBUG}, anywhere on the line, shows the traceback of an error"


class ReportedError(Exception):
    """An error whose message says all that the user needs to know."""


INPUT_ERRORS: tuple[type[Exception], ...] = (ValueError, OSError, ModuleNotFoundError, ReportedError)
"""Errors about the input, whose message is sufficient. All others are errors of the program or its libraries."""
LONGEST_MESSAGE = 1_000
"""Maximum number of characters of a message: some libraries print whole tensors."""


def answer(
    run: Callable[[list[str]], object],
    arguments: Sequence[str] | None = None,
    expected: tuple[type[Exception], ...] = INPUT_ERRORS,
) -> int:
    """Run a command, and print an error as one line on standard error.

    Args:
        run: Runs the command, given its arguments without `--debug`. It should import slow modules itself.
        arguments: The arguments. Defaults to those of the process.
        expected: Errors of which only the message is printed. Other errors are printed with their type.

    Returns:
        The exit code: 0 for success, 2 for an expected error, 1 for another error or a closed output.

    Raises:
        KeyboardInterrupt: The command was interrupted.
        SystemExit: It was ended by another signal.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG in words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with variable("MPLBACKEND", "agg"):  # no windows: the backend that a notebook sets may not be installed
            try:
                run([word for word in words if word != DEBUG])
            except SystemExit:  # after --help
                _flush_output()
                raise
        _flush_output()
    except BrokenPipeError:  # as in `... | head -1`
        _forget_output()
        return 1
    except Exception as error:
        raise_stop()
        if debug:
            traceback.print_exc()
        known = isinstance(error, expected)
        message = one_line(error) if known else f"{described(error)} ({DEBUG} shows the traceback)"
        print(f"error: {message}", file=sys.stderr)
        return 2 if known else 1
    return 0


def one_line(error: BaseException) -> str:
    r"""The message of an error in one line, or its type if it has no message; control characters are escaped.

    >>> one_line(ValueError("two\n  lines"))
    'two lines'
    """
    lines = [line.strip() for line in str(error).splitlines()]
    message = printable(" ".join(filter(None, lines))) or type(error).__name__
    return message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]} ..."


def described(error: BaseException) -> str:
    """The type of an error with its message, in one line.

    >>> described(ZeroDivisionError("division by zero"))
    'ZeroDivisionError: division by zero'
    """
    name, message = type(error).__name__, one_line(error)
    return name if message == name else f"{name}: {message}"


def _flush_output() -> None:
    if sys.stdout is not None:  # None if closed, as by `... >&-`
        sys.stdout.flush()


def _forget_output() -> None:
    """Redirect the interpreter's last flush, so that it prints no error about the closed pipe."""
    with suppress(OSError, ValueError):  # the stream has no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
