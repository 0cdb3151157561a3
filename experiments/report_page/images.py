"""Test images of runs: the stream is made again from the configuration, and checked against the protocol card."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cls_env import TaskStream
from cls_env.command_line.errors import one_line
from experiments.config.builders import make_stream
from experiments.config.settings import RunConfig, StreamSettings
from experiments.config.validation import check
from experiments.report_page.collect import Run

SIDE = 64
"""Longest side in pixels of a picture on the page."""
QUALITY = 75
OF_STREAM = (
    *(field.name for field in fields(StreamSettings)),
    *("seed", "label_noise", "model", "weights", "pretrained", "input_size", "crop_fraction", "interpolation"),
)
"""Entries of a configuration on which the images and tasks depend."""
MOST_BYTES = 3_000_000
"""The most bytes of all pictures of a page."""


class ImagesMissingError(ValueError):
    """The images of a run are not there any more, or are others than those it was tested on."""


def stream_key(run: Run) -> str:
    """Equal for runs with the same test images in the same tasks and order."""
    card = run.card["stream"]
    tasks = [(task["classes"], task["domain"], task["test_images"]) for task in card["tasks"]]
    return json.dumps([card["images_sha256"], card["class_order"], tasks])


def stream_of(run: Run) -> TaskStream:
    """The stream of a run. Modules that the run imported are not imported.

    Raises:
        ImagesMissingError: Its images can't be loaded, or have changed since.
    """
    known = {field.name for field in fields(RunConfig)}
    try:
        config = RunConfig(**{name: value for name, value in run.config.items() if name in known & set(OF_STREAM)})
        stream = make_stream(check(config))
    except (ValueError, OSError, ImportError) as error:
        raise ImagesMissingError(f"the images can't be loaded: {one_line(error)}") from error
    card = run.card["stream"]
    if (stream.fingerprint, stream.dataset.images_sha256) != (card["fingerprint"], card["images_sha256"]):
        raise ImagesMissingError("the images have changed since the run")
    return stream


class Pictures:
    """The pictures of a page, each of which is embedded once.

    Attributes:
        embedded: Data URLs by key.
    """

    def __init__(self) -> None:
        self.embedded: dict[str, str] = {}
        self._keys: dict[tuple[str, str, int], str] = {}
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether the pictures have reached `MOST_BYTES`."""
        return self._bytes >= MOST_BYTES

    def test_image(self, stream: TaskStream, task: int, position: int) -> str:
        """The key of a test image, by its position among those of its task."""
        index = int(stream.tasks[task].test_indices[position])
        return self._add(stream, "test", index)

    def class_image(self, stream: TaskStream, label: int) -> str | None:
        """The key of a training image of a class; None if it has none."""
        found = np.flatnonzero(stream.clean_train_labels == label)
        return self._add(stream, "train", int(found[0])) if len(found) else None

    def _add(self, stream: TaskStream, split: str, index: int) -> str:
        name = (stream.dataset.images_sha256, split, index)
        if name not in self._keys:
            key = f"p{len(self._keys)}"
            url = data_url(stream.images(split)[index])
            self._keys[name], self.embedded[key] = key, url
            self._bytes += len(url)
        return self._keys[name]


def data_url(image: NDArray[np.uint8]) -> str:
    """An image as a small WebP in a data URL.

    Args:
        image: uint8 of shape (H, W, 3).
    """
    picture = Image.fromarray(np.asarray(image))
    picture.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
