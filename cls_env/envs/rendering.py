"""Rendering: the enlarged image, with the true and the chosen class below it."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

FRAME_WIDTH = 256
_LINE_HEIGHT = 20
_PAPER, _INK, _RIGHT, _WRONG = (250, 250, 250), (20, 20, 20), (0, 120, 60), (190, 30, 30)


def render_frame(image: NDArray[np.uint8], true_class: str, chosen_class: str | None) -> NDArray[np.uint8]:
    """Draw one episode.

    Args:
        image: uint8 of shape (H, W, 3).
        true_class: Name of the label.
        chosen_class: Name of the action, or None before the step. Green if correct, red if wrong.

    Returns:
        uint8 of shape (256 * H / W + 48, 256, 3). Both sides are even, as video codecs require.
    """
    from PIL import Image, ImageDraw

    height = round(FRAME_WIDTH * image.shape[0] / image.shape[1] / 2) * 2
    enlarged = Image.fromarray(image).resize((FRAME_WIDTH, height), Image.Resampling.NEAREST)
    frame = Image.new("RGB", (FRAME_WIDTH, height + 2 * _LINE_HEIGHT + 8), _PAPER)
    frame.paste(enlarged)
    pen = ImageDraw.Draw(frame)
    lines = [(f"true: {true_class}", _INK)]
    if chosen_class is not None:
        lines.append((f"chosen: {chosen_class}", _RIGHT if chosen_class == true_class else _WRONG))
    for line, (text, color) in enumerate(lines):
        pen.text((4, height + 4 + line * _LINE_HEIGHT), _shortened(text), fill=color, font=_font())
    return np.asarray(frame)


def checked_render_mode(render_mode: str | None, metadata: dict[str, Any]) -> str | None:
    """Return the render mode if the metadata contains it.

    Raises:
        ValueError: The mode is unknown.
    """
    if render_mode is not None and render_mode not in metadata["render_modes"]:
        raise ValueError(f"unknown render_mode {render_mode!r}; known: {', '.join(metadata['render_modes'])}")
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


def _shortened(text: str) -> str:
    """Shorten text that is too wide, in the middle because glyph names differ at both ends."""
    while _font().getlength(text) > FRAME_WIDTH - 8:
        middle = len(text) // 2
        text = text[: middle - 2] + "…" + text[middle + 1 :]
    return text
