"""An entry of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from experiments.config.settings import RunConfig

if TYPE_CHECKING:
    from experiments.config.validation import CheckedRun


@dataclass(frozen=True)
class Entry:
    """A run and its place in the comparison's table."""

    condition: str
    contender: str
    config: RunConfig

    @cached_property
    def checked(self) -> CheckedRun:
        """The configuration, checked once.

        Raises:
            ValueError: It is impossible.
        """
        from experiments.config.validation import check  # imports the agents, which takes seconds

        return check(self.config)
