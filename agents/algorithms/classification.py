"""Classify image files, Pillow images and arrays with a trained agent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.algorithms.class_memory import ClassMemory
from agents.algorithms.given_images import GivenImage, decode_images
from agents.networks.preprocessing import image_layout
from agents.optimization.divergence import DivergedError
from cls_env.arguments import whole_number
from cls_env.datasets.files.decoding import Decoding

BATCH = 64
GRAY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in a gray level, by ITU-R BT.601, as Pillow has them."""


class Prediction(NamedTuple):
    """A class and its probability."""

    name: str
    probability: float


class Classification(ClassMemory):
    """Adds `classify` to an algorithm."""

    @overload
    def classify(self, images: GivenImage, top: int = 5, batch_size: int = BATCH) -> list[Prediction]: ...

    @overload
    def classify(
        self, images: list[Any] | tuple[Any, ...], top: int = 5, batch_size: int = BATCH
    ) -> list[list[Prediction]]: ...

    def classify(
        self, images: GivenImage | list[Any] | tuple[Any, ...], top: int = 5, batch_size: int = BATCH
    ) -> list[Prediction] | list[list[Prediction]]:
        """Classify images of any sizes and modes, without a task id.

        A file is decoded as the training images were, see `file_decoding`. Grayscale, palette, 16-bit and transparent
        images are accepted, and rotated as their EXIF tag says. Pixels of the size of the agent's observations are not
        resized.

        The probabilities are the softmax of the policy's scores over the seen classes. For `EPG` and `Reinforce` these
        are the policy's own probabilities. Where scores are no logits, the order of the classes is right, and the
        probabilities only grow with the scores: those of `ValueBandit` and `LinearBandit` are predicted rewards, those
        of the method `ncm` cosines or distances, those of `ranpac` outputs of a ridge regression.

        Args:
            images: A path, a Pillow image, uint8 pixels of shape (H, W) or (H, W, C) with C in 1, 3, 4; or a list of
                these.
            top: Number of classes to name for each image.
            batch_size: Number of images per batch. It changes the result by rounding only.

        Returns:
            The `Prediction`s (name, probability) of an image, the most probable first; a list of them for a list.
            Classes without a name have their number as name.

        Raises:
            FileNotFoundError: A file does not exist.
            ValueError: An image can't be decoded (the message names its file), the agent has learned no class, or an
                argument is out of range.
        """
        top = whole_number("top", top, least=1)
        listed = images if isinstance(images, (list, tuple)) else [images]
        rows = self.log_probabilities(listed, batch_size)
        order = np.argsort(-rows, axis=1, kind="stable")[:, : min(top, len(self.policy.seen_classes))]
        answers = [
            [Prediction(self.class_name(action), float(np.exp(row[action]))) for action in best.tolist()]
            for row, best in zip(rows, order, strict=True)
        ]
        return answers if listed is images else answers[0]

    def log_probabilities(self, images: Sequence[Any], batch_size: int = BATCH) -> NDArray[np.float32]:
        """Logarithms of the class probabilities.

        Args:
            images: A list of N images, as in `classify`.
            batch_size: As in `classify`.

        Returns:
            Shape (N, A); minus infinity for unseen classes.

        Raises:
            FileNotFoundError: A file does not exist.
            ValueError: As in `classify`.
            DivergedError: The policy scores a seen class with NaN.
        """
        batch_size = whole_number("batch_size", batch_size, least=1)
        if not len(self.policy.seen_classes):
            raise ValueError("the agent has learned no class yet: train it by learn()")
        decoding = self.file_decoding
        self.policy.set_training_mode(False)
        parts = [
            self._log_probabilities(decode_images(images[first : first + batch_size], decoding, first))
            for first in range(0, len(images), batch_size)
        ]
        return np.concatenate(parts) if parts else np.empty((0, self._num_actions), dtype=np.float32)

    @property
    def file_decoding(self) -> Decoding:
        """How `classify` decodes images: as the training images were, to the side of the agent's observations.

        Where the training images came from arrays, it is how `cls_env` decodes files by default.

        Raises:
            ValueError: The agent's observations are not square.
        """
        _, (height, width) = image_layout(self.observation_space)
        if height != width:
            raise ValueError(f"classify makes images square, and this agent sees {height} x {width}: use predict()")
        return replace(self.image_decoding or Decoding(height), image_size=height)

    def class_name(self, action: int) -> str:
        """The name of a class, or its number where it has no name."""
        return str(action) if self.class_names is None else self.class_names[action]

    @torch.no_grad()
    def _log_probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen = self.policy.seen_classes
        scores = self.policy.action_scores(self._observations(pixels)).float()[:, seen]
        if scores.isnan().any():
            raise DivergedError("the agent scores a class with NaN: its training diverged, so train it again")
        rows = torch.full((len(pixels), self._num_actions), -torch.inf, device=scores.device)
        rows[:, seen] = scores.log_softmax(dim=1)
        answers: NDArray[np.float32] = rows.cpu().numpy()
        return answers

    def _observations(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Pixels (N, side, side, 3) as a batch of the agent's observations."""
        channels_first, _ = image_layout(self.observation_space)
        shape = self.observation_space.shape or ()
        if shape[0 if channels_first else 2] == 1:
            pixels = np.rint(pixels @ np.array(GRAY))[..., None].astype(np.uint8)
        images = torch.from_numpy(pixels).to(self.device)
        return images.permute(0, 3, 1, 2) if channels_first else images
