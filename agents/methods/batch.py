"""What the learner gives to a method: batches of images, and information on the task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.networks.feature_cache import FeatureCache
from agents.parallel.shards import divided

Loss = Callable[[Tensor, Tensor], Tensor]
"""The objective at this moment of the task: logits and rewards of shape (B, A) to the mean loss, a scalar."""


@dataclass(eq=False)
class Batch:
    """Images of the current task, with what the environment tells about them.

    Attributes:
        images: uint8, as observed, on the policy's device.
        action_rewards: R(x, a) of every action, float32 of shape (B, A).
        action_mask: Non-zero for the classes of the task, int8 of shape (B, A).
        image_index: An index that identifies each image, int64 of shape (B,); None where there is none.
        preprocess: From uint8 images to inputs of the backbone, in training with a random view.
        cache: Features of the frozen backbone; None unless each image has one view.
        logits: Result of `training_logits`, before masking and without gradient, shape (B, A); empty before.
    """

    images: Tensor
    action_rewards: Tensor
    action_mask: Tensor
    image_index: NDArray[np.int64] | None
    preprocess: Callable[[Tensor], Tensor]
    cache: FeatureCache | None = None
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    _inputs: Tensor | None = None
    _frozen_features: Tensor | None = None

    @property
    def whole(self) -> Batch:
        """The batch that this is a part of, or itself."""
        return self

    @property
    def inputs(self) -> Tensor:
        """The preprocessed images, float32 [B, 3, h, w]; a random view is drawn at the first access and kept."""
        if self._inputs is None:
            self._inputs = self.preprocess(self.images)
        return self._inputs

    def frozen_features(self, backbone: Callable[[Tensor], Tensor]) -> Tensor:
        """The features of a backbone that does not change, without gradient, shape (B, D).

        They are computed once per batch and, with a cache, once per image.

        Args:
            backbone: From inputs to features, such as `network.encode`.
        """
        if self._frozen_features is None:
            if self.cache is not None and self.image_index is not None:
                self._frozen_features = self.cache.features(
                    self.image_index,
                    self.images,
                    lambda images: divided(len(images), lambda rows: backbone(self.preprocess(images[rows]))),
                )
            else:
                with torch.no_grad():
                    self._frozen_features = divided(len(self.images), lambda rows: backbone(self.inputs[rows]))
        return self._frozen_features

    def embedded(self, embed: Callable[[Tensor], Tensor]) -> Tensor:
        """The patch embeddings of the images, without gradient; the images as `inputs` where nothing is cached.

        Like features, they are computed once per image. On a GPU they are not worth a cache.

        Args:
            embed: From inputs to patch embeddings, such as `network.embed`.
        """
        if self.cache is None or self.image_index is None or self.images.is_cuda:
            return self.inputs
        return self.cache.patches.features(self.image_index, self.images, lambda images: embed(self.preprocess(images)))

    def part(self, rows: slice) -> Batch:
        """Some consecutive images, which share views and frozen features with this batch; all are the batch itself.

        Args:
            rows: With a start and a stop, and no step.
        """
        return self if rows == slice(0, len(self.images)) else _Part(self, rows)

    def split(self, size: int) -> list[Batch]:
        """Parts of at most `size` images, see `part`."""
        count = len(self.images)
        return [self.part(slice(start, min(start + size, count))) for start in range(0, count, size)]

    @property
    def labels(self) -> Tensor:
        """The task's action with the highest reward, int64 of shape (B,).

        Raises:
            ValueError: Several actions of an image have the highest reward, as happens with noisy rewards.
        """
        rewards = self.action_rewards.masked_fill(self.action_mask == 0, -torch.inf)
        highest, labels = rewards.max(dim=1)
        if ((rewards == highest[:, None]).sum(dim=1) > 1).any():
            raise ValueError(
                "this method learns from one label for each image, but several actions of an image have the highest "
                "reward: use an environment without reward_noise, or a method that learns from rewards"
            )
        return labels


class _Part(Batch):
    """Some images of a batch."""

    def __init__(self, whole: Batch, rows: slice) -> None:
        index = None if whole.image_index is None else whole.image_index[rows]
        tensors = (whole.images[rows], whole.action_rewards[rows], whole.action_mask[rows])
        super().__init__(*tensors, index, whole.preprocess, whole.cache)
        self._whole, self._rows = whole, rows

    @property
    def whole(self) -> Batch:
        return self._whole

    def part(self, rows: slice) -> Batch:
        start = self._rows.start
        return self._whole.part(slice(start + rows.start, start + rows.stop))

    @property
    def inputs(self) -> Tensor:
        return self._whole.inputs[self._rows]

    def embedded(self, embed: Callable[[Tensor], Tensor]) -> Tensor:
        return self._whole.embedded(embed)[self._rows]

    def frozen_features(self, backbone: Callable[[Tensor], Tensor]) -> Tensor:
        return self._whole.frozen_features(backbone)[self._rows]


def _no_images() -> Iterator[Batch]:
    raise ValueError("this task was begun without an environment, so that its images can't be looked through")


@dataclass(frozen=True)
class TaskInfo:
    """What a method is told of a task.

    Attributes:
        index: Number of tasks begun before it.
        classes: Its actions.
        num_tasks: Number of tasks of the stream; None where the environment does not tell.
        seed: For the method's random numbers.
        images: Each call returns an iterator over the training images, each once and in its test view.
    """

    index: int
    classes: Sequence[int]
    num_tasks: int | None = None
    seed: int = 0
    images: Callable[[], Iterator[Batch]] = _no_images
