"""A linear classifier that gains a row for each new class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

INITIAL_STANDARD_DEVIATION = 0.001


class GrowingHead(nn.Module):
    """Logits of the seen classes.

    The weights of a new class are drawn from N(0, 0.001) and its bias is 0, so that a new task starts near-uniform
    (arXiv 2602.14078, protocol). Old rows keep their values when the head grows.

    Args:
        num_features: Width of the input.
        num_actions: Size of the action space.
        seed: Fixes the initial values of all rows.

    Attributes:
        weight: float32 of shape (rows, num_features).
        bias: float32 of shape (rows,).
        actions: The class of each row, int64 of shape (rows,), in the order in which the classes were first seen.
    """

    actions: Tensor

    def __init__(self, num_features: int, num_actions: int, seed: int) -> None:
        super().__init__()
        self.num_actions = num_actions
        self.seed = seed
        self.weight = nn.Parameter(torch.empty(0, num_features))
        self.bias = nn.Parameter(torch.empty(0))
        self.register_buffer("actions", torch.empty(0, dtype=torch.int64))

    def grow(self, actions: Sequence[int]) -> None:
        """Add a row for each action that has none; parameters are replaced, so optimizers must be renewed.

        Raises:
            ValueError: An action is outside the action space.
        """
        if outside := [action for action in actions if not 0 <= action < self.num_actions]:
            raise ValueError(f"actions must be in 0 ... {self.num_actions - 1}, not {outside[0]}")
        known = set(self.actions.tolist())
        new = [action for action in actions if action not in known]
        if not new:
            return
        device = self.weight.device
        generator = torch.Generator().manual_seed(self.seed + len(known))
        rows = torch.randn(len(new), self.weight.shape[1], generator=generator) * INITIAL_STANDARD_DEVIATION
        self.weight = nn.Parameter(torch.cat([self.weight.detach(), rows.to(device)]))
        self.bias = nn.Parameter(torch.cat([self.bias.detach(), torch.zeros(len(new), device=device)]))
        self.actions = torch.cat([self.actions, torch.tensor(new, device=device)])

    def remap_actions(self, new_index: Tensor, num_actions: int) -> None:
        """Renumber the rows' classes for another action space.

        Args:
            new_index: The new position of each action; int64 of shape (A,).
            num_actions: Size of the other action space.
        """
        self.actions = new_index[self.actions]
        self.num_actions = num_actions

    def forward(self, features: Tensor) -> Tensor:
        """Logits of all actions, shape (B, num_actions): minus infinity for unseen classes, 0 if all are unseen.

        They are computed in float32, also under autocast.
        """
        if len(self.actions) == 0:
            return features.new_zeros(features.shape[0], self.num_actions, dtype=torch.float32)
        with torch.autocast(features.device.type, enabled=False):
            known = nn.functional.linear(features.float(), self.weight, self.bias)
        logits = known.new_full((features.shape[0], self.num_actions), -torch.inf)
        return logits.index_copy(1, self.actions, known)
