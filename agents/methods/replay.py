"""Experience replay: a few old images are learned from again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from agents.methods.base import Batch, Loss, Method, Task
from agents.methods.reservoir import reservoir_slots
from agents.objectives import mask_logits
from agents.peft_modules.tuner import check_size

if TYPE_CHECKING:
    from agents.policy import ViTPolicy


class Replay(Method):
    """A buffer of images and rewards, drawn from in every step: the objective's mean over the draw is added.

    The buffer is a reservoir of every image of every batch, so a uniform sample of what was learned from; the same
    image may be in it more than once. New images choose among the classes of their task alone, as with every method
    here, and those of the buffer among all classes met (the asymmetry of ER-ACE, Caccia et al., ICLR 2022); the sources
    let all choose among all, `local=false`. Old images are kept: this is no method for streams that forbid it.

    Source: Rolnick et al., "Experience Replay for Continual Learning", NeurIPS 2019; Chaudhry et al., "On Tiny
    Episodic Memories in Continual Learning", 2019.

    Args:
        size: Images in the buffer.
        batch: Images drawn from it for a step, without replacement.
        local: Whether new images choose among the task's classes alone.

    Raises:
        ValueError: An argument is out of range.
    """

    images: Tensor
    rewards: Tensor
    offered: Tensor

    def __init__(self, size: int = 200, batch: int = 32, local: bool = True) -> None:
        super().__init__()
        check_size("size", size)
        check_size("batch", batch)
        self.size, self.batch, self.local = size, batch, local

    def attach(self, policy: ViTPolicy, seed: int) -> None:
        """Begin with an empty buffer."""
        actions = policy.head.num_actions
        shape = policy.observation_space.shape or ()
        self.register_buffer("images", torch.empty(0, *shape, dtype=torch.uint8))
        self.register_buffer("rewards", torch.empty(0, actions))
        self.register_buffer("offered", torch.zeros((), dtype=torch.int64))
        self._random = np.random.default_rng(seed)

    def before_task(self, policy: ViTPolicy, task: Task) -> None:
        """Draw from the task's seed on."""
        self._random = np.random.default_rng(task.seed)

    def draw(self, policy: ViTPolicy) -> tuple[Tensor, Tensor]:
        """Places in the buffer, and the logits of their images now."""
        count = min(self.batch, len(self.images))
        chosen = torch.from_numpy(self._random.permutation(len(self.images))[:count]).to(self.images.device)
        return chosen, policy.head(policy.features(self.images[chosen]))

    def choosable(self, policy: ViTPolicy, batch: Batch) -> Tensor:
        """The task's classes, or all that are met."""
        return batch.action_mask if self.local else _met(policy)

    def loss_of(self, policy: ViTPolicy, chosen: Tensor, logits: Tensor, loss: Loss) -> Tensor:
        """The objective's mean over images of the buffer, which choose among all classes met."""
        return loss(mask_logits(logits.float(), _met(policy)), self.rewards[chosen])

    def additional_loss(self, policy: ViTPolicy, batches: Sequence[Batch], loss: Loss) -> Tensor | None:
        """The objective of a draw."""
        if not len(self.images):
            return None
        return self.loss_of(policy, *self.draw(policy), loss)

    def after_step(self, policy: ViTPolicy, batches: Sequence[Batch]) -> None:
        """Offer the images of the step."""
        for batch in batches:
            slots = reservoir_slots(int(self.offered), len(batch.images), self.size, self._random)
            self.offered = self.offered + len(slots)
            for row in np.flatnonzero(slots >= 0):
                self.put(int(slots[row]), batch, int(row))

    def put(self, slot: int, batch: Batch, row: int) -> None:
        """Keep an image of a batch."""
        self.images = with_row(self.images, slot, batch.images[row])
        self.rewards = with_row(self.rewards, slot, batch.action_rewards[row])


def _met(policy: ViTPolicy) -> Tensor:
    """1 for the classes met, shape (1, A)."""
    met = torch.zeros(1, policy.head.num_actions, device=policy.device)
    met[:, policy.head.actions] = 1
    return met


def with_row(rows: Tensor, slot: int, row: Tensor) -> Tensor:
    """The rows with one replaced, in place, or with one more."""
    if slot == len(rows):
        return torch.cat([rows, row[None].to(rows.dtype)])
    rows[slot] = row
    return rows
