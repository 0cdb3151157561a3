"""Experience replay: a few old images are learned from again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from agents.methods.base import Batch, Loss, Method, Task
from agents.methods.common.memory import room
from agents.methods.common.reservoir import reservoir_slots
from agents.networks.class_names import move_actions
from agents.objectives import mask_logits
from cls_env.arguments import truth_value, whole_number

if TYPE_CHECKING:
    from agents.policy import ViTPolicy


View = Callable[[Tensor], Tensor]


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

    fixed_shapes = True

    images: Tensor
    rewards: Tensor
    offered: Tensor

    def __init__(self, size: int = 200, batch: int = 32, local: bool = True) -> None:
        super().__init__()
        self.size, self.batch = whole_number("size", size, least=1), whole_number("batch", batch, least=1)
        self.local = truth_value("local", local)

    def attach(self, policy: ViTPolicy, seed: int) -> None:
        """Make room for the buffer, which is empty."""
        actions = policy.head.num_actions
        shape = policy.observation_space.shape or ()
        self.register_buffer("images", room("size", self.size, *shape, dtype=torch.uint8))
        self.register_buffer("rewards", room("size", self.size, actions))
        self.register_buffer("offered", torch.zeros((), dtype=torch.int64))
        self._random = np.random.default_rng(seed)

    def begin_task(self, policy: ViTPolicy, task: Task) -> None:
        """Draw from the task's seed on."""
        self._random = np.random.default_rng(task.seed)

    def resume(self, policy: ViTPolicy, tensors: dict[str, Tensor]) -> None:
        """Take on a saved state; within a task, draws begin as at its beginning."""
        super().resume(policy, tensors)
        if self.offered < 0:
            raise ValueError(f"the saved offered is {int(self.offered)}, where a count is expected")
        self._random = np.random.default_rng((policy.config.method_seed + policy.tasks_begun - 1) % 2**32)

    def remap_actions(self, policy: ViTPolicy, new_index: Tensor, num_actions: int) -> None:
        """Move the rewards; an image pays for a new action what it pays for most others."""
        most = self.rewards.median(dim=1, keepdim=True).values
        self.rewards = move_actions(self.rewards, new_index, num_actions, dim=1, fill=most)

    @property
    def filled(self) -> int:
        """Images in the buffer."""
        return min(int(self.offered), self.size)

    def draw(self, policy: ViTPolicy, view: View) -> tuple[Tensor, Tensor]:
        """OutputPaths in the buffer, and the logits of their images now, seen as those of a batch are."""
        count = min(self.batch, self.filled)
        chosen = torch.from_numpy(self._random.permutation(self.filled)[:count]).to(self.images.device)
        return chosen, policy.head(policy.backbone(view(self.images[chosen])))

    def loss_mask(self, policy: ViTPolicy, batch: Batch) -> Tensor:
        """The task's classes, or all that are met."""
        return batch.action_mask if self.local else _met(policy)

    def loss_of(self, policy: ViTPolicy, chosen: Tensor, logits: Tensor, loss: Loss) -> Tensor:
        """The objective's mean over images of the buffer, which choose among all classes met."""
        met = _met(policy)
        return loss(mask_logits(logits.float(), met), self.rewards[chosen] * met)

    def additional_loss(self, policy: ViTPolicy, batches: Sequence[Batch], loss: Loss) -> Tensor | None:
        """The objective of a draw."""
        if not self.filled:
            return None
        return self.loss_of(policy, *self.draw(policy, batches[0].view), loss)

    def after_step(self, policy: ViTPolicy, batches: Sequence[Batch]) -> None:
        """Offer the images of the step."""
        for batch in batches:
            slots = reservoir_slots(int(self.offered), len(batch.images), self.size, self._random)
            self.offered = self.offered + len(slots)
            for row in np.flatnonzero(slots >= 0):
                self.put(int(slots[row]), batch, int(row))

    def put(self, slot: int, batch: Batch, row: int) -> None:
        """Keep an image of a batch."""
        self.images[slot] = batch.images[row]
        self.rewards[slot] = batch.action_rewards[row]


def _met(policy: ViTPolicy) -> Tensor:
    """1 for the classes met, shape (1, A)."""
    met = torch.zeros(1, policy.head.num_actions, device=policy.device)
    met[:, policy.head.actions] = 1
    return met
