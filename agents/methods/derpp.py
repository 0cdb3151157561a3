"""DER++: replay of images together with what was answered at the time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from agents.methods.base import Batch, Loss
from agents.methods.common.memory import room
from agents.methods.replay import Replay
from agents.networks.class_names import move_actions
from cls_env.arguments import number

if TYPE_CHECKING:
    from agents.policy import ViTPolicy


class DERpp(Replay):
    """Dark experience replay: two draws from the buffer in every step, one held to its old logits, one to its labels.

    alpha * mean squared difference of the logits from those that the image had when it entered the buffer, over the
    classes met then, + beta * the objective's mean. The buffer, and who chooses among which classes, are those of
    `Replay`; where views are drawn at random, new logits are of another view than old ones, as in the source.

    Source: Buzzega et al., "Dark Experience for General Continual Learning", NeurIPS 2020 (arXiv 2004.07211).

    Args:
        size: Images in the buffer.
        batch: Images of each draw, without replacement.
        alpha: Weight of the old logits, at least 0.
        beta: Weight of the objective on the second draw, at least 0.
        local: As for `Replay`.

    Raises:
        ValueError: An argument is out of range.
    """

    old_logits: Tensor

    def __init__(
        self, size: int = 200, batch: int = 32, alpha: float = 0.5, beta: float = 0.5, local: bool = True
    ) -> None:
        super().__init__(size, batch, local)
        self.alpha, self.beta = number("alpha", alpha, "[0, inf)"), number("beta", beta, "[0, inf)")

    def attach(self, policy: ViTPolicy, seed: int) -> None:
        """Begin with an empty buffer, of logits too."""
        super().attach(policy, seed)
        self.register_buffer("old_logits", room("size", self.size, policy.head.num_actions))

    def additional_loss(self, policy: ViTPolicy, batches: Sequence[Batch], loss: Loss) -> Tensor | None:
        """The difference from old logits, and the objective."""
        if not self.filled:
            return None
        view = batches[0].view
        first, now = self.draw(policy, view)
        old = self.old_logits[first]
        known = old.isfinite()
        difference = (now.float().masked_fill(~known, 0.0) - old.masked_fill(~known, 0.0)).square().sum() / known.sum()
        return self.alpha * difference + self.beta * self.loss_of(policy, *self.draw(policy, view), loss)

    def remap_actions(self, policy: ViTPolicy, new_index: Tensor, num_actions: int) -> None:
        """Move rewards and logits; a new action had no logit."""
        super().remap_actions(policy, new_index, num_actions)
        self.old_logits = move_actions(self.old_logits, new_index, num_actions, dim=1, fill=-torch.inf)

    def put(self, slot: int, batch: Batch, row: int) -> None:
        """Keep an image of a batch, with the logits that it had in the step."""
        super().put(slot, batch, row)
        self.old_logits[slot] = batch.logits[row]
