"""Experience replay: training continues on a sample of old images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from agents.methods.base import Method
from agents.methods.batch import Batch, Loss, TaskInfo
from agents.methods.common.allocation import allocate_zeros
from agents.methods.common.reservoir import reservoir_slots
from agents.networks.class_names import move_actions
from agents.networks.network import Network
from agents.objectives import mask_logits
from agents.optimization.random_states import numpy_state, set_numpy_state
from agents.parallel.shards import divided
from cls_env.arguments import truth_value, whole_number


class Replay(Method):
    """Experience replay: in every step, the objective's mean over a sample of a buffer of old images is added.

    The buffer is a reservoir of the images of all batches, so a uniform sample of the training images; it may hold an
    image more than once. The loss of new images is over the classes of their task, as with every method here, and the
    loss of replayed images is over all seen classes (the asymmetry of ER-ACE, Caccia et al., ICLR 2022, arXiv
    2104.05025). In the sources both are over all seen classes, `local=false`. The buffer stores raw images, which some
    continual-learning settings forbid.

    Source: Rolnick et al., "Experience Replay for Continual Learning", NeurIPS 2019; Chaudhry et al., "On Tiny
    Episodic Memories in Continual Learning", 2019 (arXiv 1811.11682, 1902.10486).

    Args:
        size: Images in the buffer.
        batch: Images sampled from it for a step, without replacement.
        local: Whether the loss of new images is over the task's classes alone.

    Raises:
        ValueError: An argument is out of range.
    """

    fixed_shapes = True
    unknown_as_nan = ("rewards",)  # of actions that were not chosen, for algorithms that predict rewards

    images: Tensor
    rewards: Tensor
    offered: Tensor

    def __init__(self, size: int = 200, batch: int = 32, local: bool = True) -> None:
        super().__init__()
        self.size, self.batch = whole_number("size", size, least=1), whole_number("batch", batch, least=1)
        self.local = truth_value("local", local)
        self.additional_images = min(self.batch, self.size)

    def attach(self, network: Network, seed: int) -> None:
        """Create the empty buffer."""
        actions = network.head.num_actions
        shape = network.observation_space.shape or ()
        self.register_buffer("images", allocate_zeros("size", self.size, *shape, dtype=torch.uint8))
        self.register_buffer("rewards", allocate_zeros("size", self.size, actions))
        self.register_buffer("offered", torch.zeros((), dtype=torch.int64))  # the name in saved files
        self._rng = np.random.default_rng(seed)

    def begin_task(self, network: Network, task: TaskInfo) -> None:
        """Seed the sampling."""
        self._rng = np.random.default_rng(task.seed)

    def load_state(self, network: Network, tensors: dict[str, Tensor]) -> None:
        """Load a saved buffer; within a task, the sampling restarts from the task's seed."""
        super().load_state(network, tensors)
        if self.offered < 0:
            raise ValueError(f"the saved offered is {int(self.offered)}, where a count is expected")
        self._rng = np.random.default_rng((network.config.method_seed + network.tasks_begun - 1) % 2**32)

    def training_state(self) -> dict[str, Tensor]:
        """The buffer, and the state of the sampling."""
        return super().training_state() | {"sampling": numpy_state(self._rng)}

    def load_training_state(self, tensors: dict[str, Tensor]) -> None:
        """Go on within a task."""
        set_numpy_state(self._rng, tensors["sampling"])
        super().load_training_state({name: tensor for name, tensor in tensors.items() if name != "sampling"})

    def remap_actions(self, network: Network, new_index: Tensor, num_actions: int) -> None:
        """Move the rewards; the reward of a new action is the median over an image's other actions."""
        median = self.rewards.median(dim=1, keepdim=True).values
        self.rewards = move_actions(self.rewards, new_index, num_actions, dim=1, fill=median)

    @property
    def num_seen(self) -> int:
        """Number of images that were offered to the buffer."""
        return int(self.offered)

    @property
    def num_stored(self) -> int:
        """Number of images in the buffer."""
        return min(self.num_seen, self.size)

    def sample(self, network: Network, preprocess: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Sample images of the buffer.

        Args:
            network: The network.
            preprocess: That of the step's batches.

        Returns:
            Their positions in the buffer, int64 of shape (N,), and their current logits, shape (N, A).
        """
        count = min(self.batch, self.num_stored)
        sampled = torch.from_numpy(self._rng.permutation(self.num_stored)[:count]).to(self.images.device)
        inputs = preprocess(self.images[sampled])
        return sampled, divided(count, lambda rows: network(inputs[rows]))

    def loss_mask(self, network: Network, batch: Batch) -> Tensor:
        """The task's classes, or all seen classes."""
        return batch.action_mask if self.local else _seen_mask(network)

    def replay_loss(self, network: Network, sampled: Tensor, logits: Tensor, loss: Loss) -> Tensor:
        """The objective's mean over images of the buffer, over all seen classes."""
        seen = _seen_mask(network)
        return loss(mask_logits(logits.float(), seen), self.rewards[sampled] * seen)

    def additional_loss(self, network: Network, batches: Sequence[Batch], loss: Loss) -> Tensor | None:
        """The objective on a sample of the buffer."""
        if not self.num_stored:
            return None
        return self.replay_loss(network, *self.sample(network, batches[0].preprocess), loss)

    def after_step(self, network: Network, batches: Sequence[Batch]) -> None:
        """Offer the images of the step to the reservoir."""
        for batch in batches:
            slots = reservoir_slots(self.num_seen, len(batch.images), self.size, self._rng)
            self.offered = self.offered + len(slots)
            for row in np.flatnonzero(slots >= 0):
                self.add(int(slots[row]), batch, int(row))

    def add(self, slot: int, batch: Batch, row: int) -> None:
        """Store one image of a batch at a position of the buffer."""
        self.images[slot] = batch.images[row]
        self.rewards[slot] = batch.action_rewards[row]


def _seen_mask(network: Network) -> Tensor:
    """1 for the seen classes, shape (1, A)."""
    mask = torch.zeros(1, network.head.num_actions, device=network.device)
    mask[:, network.head.actions] = 1
    return mask
