"""DER++: replay of old images and of the logits that they had."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from agents.methods.batch import Batch, Loss
from agents.methods.common.allocation import allocate_zeros
from agents.methods.replay import Replay
from agents.networks.class_names import move_actions
from agents.networks.network import Network
from cls_env.arguments import number


class DERpp(Replay):
    """Dark experience replay: each step replays one sample of the buffer with its old logits, and one with its rewards.

    The added loss is alpha * the mean squared difference of the logits from those that the image had when it entered
    the buffer, over the classes seen then, + beta * the objective's mean. The buffer and the loss masks are those of
    `Replay`. With random views, new logits are of another view than old ones, as in the source.

    Source: Buzzega et al., "Dark Experience for General Continual Learning", NeurIPS 2020 (arXiv 2004.07211).

    Args:
        size: Images in the buffer.
        batch: Images of each sample, without replacement.
        alpha: Weight of the old logits, at least 0.
        beta: Weight of the objective on the second sample, at least 0.
        local: As for `Replay`.

    Raises:
        ValueError: An argument is out of range.
    """

    old_logits: Tensor

    def __init__(
        self, size: int = 200, batch: int = 32, alpha: float = 0.5, beta: float = 0.5, local: bool = True
    ) -> None:
        super().__init__(size, batch, local)
        self.additional_images *= 2
        self.alpha, self.beta = number("alpha", alpha, "[0, inf)"), number("beta", beta, "[0, inf)")

    def attach(self, network: Network, seed: int) -> None:
        """Create the empty buffer, with logits."""
        super().attach(network, seed)
        self.register_buffer("old_logits", allocate_zeros("size", self.size, network.head.num_actions))

    def additional_loss(self, network: Network, batches: Sequence[Batch], loss: Loss) -> Tensor | None:
        """The difference from old logits, and the objective."""
        if not self.num_stored:
            return None
        preprocess = batches[0].preprocess
        first, now = self.sample(network, preprocess)
        old = self.old_logits[first]
        known = old.isfinite()
        difference = (now.float().masked_fill(~known, 0.0) - old.masked_fill(~known, 0.0)).square().sum() / known.sum()
        return self.alpha * difference + self.beta * self.replay_loss(network, *self.sample(network, preprocess), loss)

    def remap_actions(self, network: Network, new_index: Tensor, num_actions: int) -> None:
        """Move rewards and logits; new actions have none."""
        super().remap_actions(network, new_index, num_actions)
        self.old_logits = move_actions(self.old_logits, new_index, num_actions, dim=1, fill=-torch.inf)

    def add(self, slot: int, batch: Batch, row: int) -> None:
        """Store one image of a batch, with the logits that it had in the step."""
        super().add(slot, batch, row)
        self.old_logits[slot] = batch.logits[row]
