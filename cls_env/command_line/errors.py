"""What the command lines share: an error is one line, `--debug` shows its traceback, and any terminal is printed to."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

DEBUG = "--debug"
DEBUG_HELP = f"{DEBUG}, anywhere on the line, shows the traceback of an error"
INPUT_ERRORS: tuple[type[Exception], ...] = (ValueError, OSError, ModuleNotFoundError)
"""Errors whose message says what was wrong with the input; all others are faults of the program or its libraries."""
LONGEST_MESSAGE = 1_000
"""Characters of a message that are shown; libraries print whole tensors."""


def answer(
    run: Callable[[list[str]], object],
    arguments: Sequence[str] | None = None,
    expected: tuple[type[Exception], ...] = INPUT_ERRORS,
) -> int:
    """Run a command, and turn whatever goes wrong into one line on standard error.

    Args:
        run: Carries the command out, given its words without `--debug`. What needs much time to import is best
            imported within it.
        arguments: The words; by default those of the process.
        expected: Errors whose message alone is shown; of another error the type is shown too.

    Returns:
        The exit code: 0 when it went well, 2 for an expected error, 1 for another, or where nobody reads the output.

    Raises:
        KeyboardInterrupt: It was interrupted; the caller knows what to say.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG in words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _without_windows():
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
        if debug:
            traceback.print_exc()
        known = isinstance(error, expected)
        message = one_line(error) if known else f"{described(error)} ({DEBUG} shows the traceback)"
        print(f"error: {message}", file=sys.stderr)
        return 2 if known else 1
    return 0


def one_line(error: BaseException) -> str:
    r"""The message of an error in one line; its type where it has no message.

    >>> one_line(ValueError("two\n  lines"))
    'two lines'
    """
    lines = [line.strip() for line in str(error).splitlines()]
    message = " ".join(filter(None, lines)) or type(error).__name__
    return message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]} ..."


def described(error: BaseException) -> str:
    """The type of an error with its message, in one line.

    >>> described(ZeroDivisionError("division by zero"))
    'ZeroDivisionError: division by zero'
    """
    name, message = type(error).__name__, one_line(error)
    return name if message == name else f"{name}: {message}"


@contextmanager
def _without_windows() -> Iterator[None]:
    """Let matplotlib draw to files alone, in this process and in those it starts.

    A notebook or a shell may name a backend that is not installed here, and matplotlib refuses to be imported then.
    """
    before = os.environ.get("MPLBACKEND")
    os.environ["MPLBACKEND"] = "agg"
    try:
        yield
    finally:
        if before is None:
            del os.environ["MPLBACKEND"]
        else:
            os.environ["MPLBACKEND"] = before


def _flush_output() -> None:
    if sys.stdout is not None:  # it is closed, as by `... >&-`
        sys.stdout.flush()


def _forget_output() -> None:
    """Let the interpreter's last flush go nowhere, so that it says nothing of the closed pipe."""
    with suppress(OSError, ValueError):  # a stream without a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
