"""Stop a run in the middle, as Ctrl-C does."""

from __future__ import annotations

from collections.abc import Callable


class Interrupted(Exception):
    pass


def interrupt_after(images: int) -> Callable[[int], None]:
    """A listener of a run that raises `Interrupted` once it has processed more images than these."""
    seen = 0

    def interrupt(count: int) -> None:
        nonlocal seen
        seen += count
        if seen > images:
            raise Interrupted

    return interrupt
