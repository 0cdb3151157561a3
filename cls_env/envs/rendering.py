"""Rendering: the enlarged image, and below it the question or the answer."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

from cls_env.specification import quoted

FRAME_SIDE = 256
_LINE_HEIGHT = 18
_LINES = 4  # two for each name
_BORDER = 4
_PAPER, _INK, _RIGHT, _WRONG = (250, 250, 250), (20, 20, 20), (0, 120, 60), (190, 30, 30)
_CODE_POINT = re.compile(r"U\+[0-9A-F]{4,6} ")


@dataclass(frozen=True)
class Answer:
    """The result of an episode, for rendering.

    Attributes:
        chosen: Name of the action.
        right: Whether it is the label; None where the learner is not told.
        true: Name of the label; None where the learner is not told.
    """

    chosen: str
    right: bool | None
    true: str | None

    @classmethod
    def told(cls, names: Sequence[str], action: int, label: int, success_told: bool, label_told: bool) -> Answer:
        """The answer, as far as a learner is told of it. Who is told that the action was right knows the label.

        Args:
            names: Names of all actions.
            action: The chosen one.
            label: The label.
            success_told: Whether the learner is told if the action was right.
            label_told: Whether the learner is told the label.
        """
        short = short_names(names)
        right = action == label if success_told else None
        return cls(short[action], right, short[label] if label_told or right else None)


def render_frame(image: NDArray[np.uint8], choices: int, answer: Answer | None = None) -> NDArray[np.uint8]:
    """Draw one episode: the image and, below it, the number of possible classes or, after the step, the answer.

    Args:
        image: uint8 of shape (H, W, 3). It is enlarged by a whole number, or reduced, to at most 256 x 256 pixels.
        choices: Number of possible classes.
        answer: The answer; None before the step. The chosen class is green if right, red if wrong.

    Returns:
        uint8 of shape (h + 80, 256, 3), where h is the image's height in the frame, made even, as video codecs require.
        The shape does not depend on the answer.
    """
    from PIL import Image, ImageDraw

    shown = _scaled(Image.fromarray(image))
    top = shown.height + shown.height % 2
    frame = Image.new("RGB", (FRAME_SIDE, top + _LINES * _LINE_HEIGHT + 2 * _BORDER), _PAPER)
    frame.paste(shown, ((FRAME_SIDE - shown.width) // 2, 0))
    pen = ImageDraw.Draw(frame)
    lines = [(line, color) for text, color in _caption(choices, answer) for line in _wrapped(text)]
    for place, (line, color) in enumerate(lines):
        pen.text((_BORDER, top + _BORDER + place * _LINE_HEIGHT), line, fill=color, font=_font())
    return np.asarray(frame)


def short_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names without the code points of characters, unless these tell two of them apart.

    >>> short_names(["U+1403 canadian syllabics i", "U+0E9C lao letter pho sung"])
    ('canadian syllabics i', 'lao letter pho sung')
    """
    short = tuple(_CODE_POINT.sub("", name, count=1) if _CODE_POINT.match(name) else name for name in names)
    return short if len(set(short)) == len(names) else tuple(names)


def checked_render_mode(render_mode: str | None, metadata: dict[str, Any]) -> str | None:
    """Return the render mode if the metadata contains it.

    Raises:
        ValueError: The mode is unknown.
    """
    if render_mode is not None and not (isinstance(render_mode, str) and render_mode in metadata["render_modes"]):
        raise ValueError(f"unknown render_mode {quoted(render_mode)}; known: {', '.join(metadata['render_modes'])}")
    return render_mode


class HumanWindow:
    """A pygame window that shows frames. It opens with the first frame."""

    def __init__(self, frames_per_second: int) -> None:
        try:
            import pygame
        except ImportError as error:
            raise DependencyNotInstalled(
                'render_mode="human" opens a pygame window: pip install "cls-env[render]"'
            ) from error
        self._pygame = pygame
        self._frames_per_second = frames_per_second
        self._clock = pygame.time.Clock()
        self._screen: pygame.Surface | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> HumanWindow:
        """A new window for the copy of an environment."""
        return HumanWindow(self._frames_per_second)

    def show(self, frame: NDArray[np.uint8]) -> None:
        """Show a frame of shape (H, W, 3), at most `frames_per_second` frames per second."""
        pygame = self._pygame
        if self._screen is None:
            pygame.display.init()
            pygame.display.set_caption("cls_env")
            self._screen = pygame.display.set_mode((frame.shape[1], frame.shape[0]))
        self._screen.blit(pygame.surfarray.make_surface(frame.swapaxes(0, 1)), (0, 0))
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self._frames_per_second)

    def close(self) -> None:
        """Close the window, if one was opened."""
        if self._screen is not None:
            self._pygame.display.quit()
            self._screen = None


@cache
def _font():  # type: ignore[no-untyped-def]  # PIL is imported lazily
    from PIL import ImageFont

    found = find_spec("matplotlib")  # not imported: importing fails if its backend is missing
    assert found is not None and found.origin is not None
    fonts = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
    return ImageFont.truetype(str(fonts / "DejaVuSans.ttf"), 13)


def _scaled(image):  # type: ignore[no-untyped-def]  # PIL is imported lazily
    from PIL import Image

    longer = max(image.size)
    if longer <= FRAME_SIDE:
        factor = FRAME_SIDE // longer
        return image.resize((factor * image.width, factor * image.height), Image.Resampling.NEAREST)
    sides = (max(1, round(side * FRAME_SIDE / longer)) for side in image.size)
    return image.resize(tuple(sides), Image.Resampling.BOX)


def _caption(choices: int, answer: Answer | None) -> list[tuple[str, tuple[int, int, int]]]:
    if answer is None:
        return [(f"which of {choices} classes?", _INK)]
    color = _INK if answer.right is None else _RIGHT if answer.right else _WRONG
    return [(f"chosen: {answer.chosen}", color), (f"true: {'?' if answer.true is None else answer.true}", _INK)]


def _wrapped(text: str) -> list[str]:
    """One or two lines that fit into the frame. A text too long for two ends with an ellipsis."""
    text = " ".join(text.split())
    if (fitting := _length_that_fits(text)) == len(text):
        return [text]
    space = text.rfind(" ", 0, fitting + 1)
    first = text[: fitting if space < 0 else space]
    rest = text[len(first) :].strip()
    if (fitting := _length_that_fits(rest)) == len(rest):
        return [first, rest]
    return [first, rest[: _length_that_fits(rest, "…")] + "…"]


def _length_that_fits(text: str, ending: str = "") -> int:
    """Number of leading characters of a text that fit into the frame's width, together with an ending."""
    room = FRAME_SIDE - 2 * _BORDER - _font().getlength(ending)
    return bisect_right(range(1, len(text) + 1), room, key=lambda length: _font().getlength(text[:length]))
