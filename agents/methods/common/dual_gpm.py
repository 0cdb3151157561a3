"""Dual gradient projection memory: the subspace of the inputs that a layer had in earlier tasks.

Source: Liang and Li, "Adaptive Plasticity Improvement for Continual Learning", CVPR 2023, as InfLoRA uses it
(arXiv 2404.00228, section 3.3). The gradient of a linear layer lies in the span of its inputs; an update
orthogonal to the inputs of earlier tasks does not change the layer's outputs for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ENERGIES = ("moments", "activations")
NOISE = 1e-9
"""Shares of energy below this are rounding errors of sums of float32 inputs."""


@dataclass(frozen=True)
class Memory:
    """The subspace of the directions of earlier tasks.

    Once it has more than half of all dimensions, its orthogonal complement is stored in its place.

    Attributes:
        basis: Orthonormal columns, float64 of shape (d, k).
        complement: Whether the columns span the orthogonal complement of the subspace; "retain" and "remove" in the
            public code.
    """

    basis: Tensor
    complement: bool = False

    @property
    def rank(self) -> int:
        """Dimension of the subspace."""
        dimensions, columns = self.basis.shape
        return dimensions - columns if self.complement else columns

    def project_out(self, matrix: Tensor) -> Tensor:
        """The component of each column of a matrix, shape (d, n), that is orthogonal to the subspace."""
        inside = self.basis @ (self.basis.T @ matrix)
        return inside if self.complement else matrix - inside


def empty_memory(dimensions: int) -> Memory:
    """A subspace of dimension 0."""
    return Memory(torch.empty(dimensions, 0, dtype=torch.float64))


def energy_threshold(lowest: float, task: int, num_tasks: int | None) -> float:
    """The threshold lambda + (1 - lambda) t / T on the share of a task's energy, for t in 0 ... T - 1.

    Args:
        lowest: lambda, in (0, 1].
        task: t.
        num_tasks: T; if it is not known, the threshold stays at lambda.
    """
    return lowest + (1 - lowest) * min(task, num_tasks - 1) / num_tasks if num_tasks else lowest


def remember(memory: Memory, moment: Tensor, threshold: float, energy: str = "moments") -> Memory:
    """Add the fewest directions with which the subspace captures a share of the energy of a task's inputs.

    Args:
        memory: Directions of the tasks before.
        moment: Second moment E[x x^T] of the layer's inputs, float64 of shape (d, d).
        threshold: The share, in [0, 1].
        energy: `"moments"`, the squared singular values of the inputs' second moment, as in InfLoRA's public code.
            `"activations"`, the squared length of the inputs, as in the paper, which weighs the leading directions
            less and so adds more of them.

    Returns:
        The new memory.
    """
    free = memory.project_out(moment)
    if energy == "activations":
        free = memory.project_out(free.T)  # both sides: its eigenvalues are the energies of the part that is free
    directions, values, _ = torch.linalg.svd(free)
    total = moment.trace()
    if energy == "moments":
        values, total = values.square(), moment.square().sum()
    left = values.flip(0).cumsum(0).flip(0) / total
    further = int((left > max(1 - threshold, NOISE)).sum())
    return _extended(memory, directions[:, :further])


def _extended(memory: Memory, directions: Tensor) -> Memory:
    dimensions = len(memory.basis)
    if not memory.complement:
        spanned = _orthonormal(torch.cat([memory.basis, directions], dim=1))
        if spanned.shape[1] <= dimensions / 2:
            return Memory(spanned)
        return Memory(torch.linalg.svd(spanned)[0][:, spanned.shape[1] :], complement=True)
    left = memory.basis - directions @ (directions.T @ memory.basis)
    remaining = max(0, memory.basis.shape[1] - directions.shape[1])
    return Memory(torch.linalg.svd(left, full_matrices=False)[0][:, :remaining], complement=True)


def _orthonormal(columns: Tensor) -> Tensor:
    """An orthonormal basis of the same span; rounding errors of the columns add up over tasks."""
    return torch.linalg.qr(columns)[0] if columns.shape[1] else columns
