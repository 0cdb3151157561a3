"""An attempt, which is a call with some input, and the verdict on what came of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cls_env.command_line.errors import described

Outcome = Literal["accepted", "refused", "undocumented"]
"""What can come of an attempt: no error, an error that is documented, or anything else."""
LONGEST_INPUT = 300


@dataclass(frozen=True)
class Attempt:
    """A call with some input.

    Attributes:
        target: What is called: `"TaskStream"`, `"objective"`, `"cls-env run"`.
        given: The input, as text.
        names: Words of which a refusal must contain one: the arguments that were given. If there are none, any one line
            is good.
        call: Makes the attempt.
        documented: The errors by which the input may be refused.
    """

    target: str
    given: str
    names: tuple[str, ...]
    call: Callable[[], object]
    documented: tuple[type[Exception], ...] = (ValueError,)


@dataclass(frozen=True)
class Verdict:
    """What came of an attempt.

    Attributes:
        outcome: Whether it was accepted, refused as documented, or neither.
        target: As in `Attempt`.
        account: The input and the error, in one line.
    """

    outcome: Outcome
    target: str
    account: str


def judge(attempt: Attempt) -> Verdict:
    """Make an attempt, and judge what comes of it."""
    try:
        attempt.call()
    except attempt.documented as error:
        return _verdict(attempt, _fault(str(error), attempt.names), error)
    except Exception as error:
        return _verdict(attempt, "the error is not documented", error)
    return Verdict("accepted", attempt.target, f"{attempt.target} {attempt.given[:LONGEST_INPUT]}")


def _fault(message: str, names: tuple[str, ...]) -> str:
    """What is wrong with the message of a documented error; empty if nothing is."""
    if len(message.splitlines()) != 1:
        return f"the message has {len(message.splitlines())} lines"
    if names and not any(_plain(name) in _plain(message) for name in names):
        return f"the message names none of {', '.join(names)}"
    return ""


def _plain(text: str) -> str:
    """Text without case and plural, and with spaces in place of what joins the words of a name."""
    return re.sub(r"[\s_-]+", " ", text).strip().lower().removesuffix("s")


def _verdict(attempt: Attempt, fault: str, error: Exception) -> Verdict:
    account = f"{attempt.target} {attempt.given[:LONGEST_INPUT]}: {described(error)}"
    return Verdict("undocumented" if fault else "refused", attempt.target, f"{account} [{fault}]" if fault else account)
