"""Dual gradient projection memory: the directions that the inputs of a layer had in earlier tasks.

Source: Liang and Li, "Adaptive Plasticity Improvement for Continual Learning", CVPR 2023, as InfLoRA uses it
(arXiv 2404.00228, section 3.3). The gradient of a linear layer lies in the span of its inputs; what is learned
orthogonally to the inputs of earlier tasks does not change the layer's outputs for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ENERGIES = ("moments", "activations")
NOISE = 1e-9
"""A share of energy that counts as nothing: sums of float32 inputs are no more exact."""


@dataclass(frozen=True)
class Memory:
    """The directions of earlier tasks, or, once they are more than half of all, those that are left.

    Attributes:
        basis: Orthonormal columns, float64 of shape (d, k).
        complement: Whether the columns span what is still free ("retain"), or what is taken ("remove").
    """

    basis: Tensor
    complement: bool = False

    @property
    def taken(self) -> int:
        """How many dimensions earlier tasks have taken."""
        dimensions, columns = self.basis.shape
        return dimensions - columns if self.complement else columns

    def project_out(self, matrix: Tensor) -> Tensor:
        """The part of the columns of a matrix, shape (d, n), that is orthogonal to all directions taken."""
        inside = self.basis @ (self.basis.T @ matrix)
        return inside if self.complement else matrix - inside


def empty_memory(dimensions: int) -> Memory:
    """Nothing is taken yet."""
    return Memory(torch.empty(dimensions, 0, dtype=torch.float64))


def energy_threshold(lowest: float, task: int, num_tasks: int | None) -> float:
    """The share lambda + (1 - lambda) t / T of a task's energy that is to be remembered, t counted from 0 to T - 1.

    Where the number of tasks is not known, it stays at lambda.
    """
    return lowest + (1 - lowest) * min(task, num_tasks - 1) / num_tasks if num_tasks else lowest


def remember(memory: Memory, moment: Tensor, threshold: float, energy: str = "moments") -> Memory:
    """Take the fewest further directions with which a share of the energy of a task's inputs is remembered.

    Args:
        memory: Of the tasks before.
        moment: Second moment E[x x^T] of the layer's inputs, float64 of shape (d, d).
        threshold: The share, in [0, 1].
        energy: What is summed up: `"moments"`, the squared singular values of the inputs' second moment, as in
            InfLoRA's public code; `"activations"`, the squared length of the inputs, as in the paper, which weighs the
            leading directions less and so takes more of them.

    Returns:
        The new memory; it is turned into its complement once more than half of the dimensions are taken.
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
    return _take(memory, directions[:, :further])


def _take(memory: Memory, directions: Tensor) -> Memory:
    dimensions = len(memory.basis)
    if not memory.complement:
        taken = _orthonormal(torch.cat([memory.basis, directions], dim=1))
        if taken.shape[1] <= dimensions / 2:
            return Memory(taken)
        return Memory(torch.linalg.svd(taken)[0][:, taken.shape[1] :], complement=True)
    left = memory.basis - directions @ (directions.T @ memory.basis)
    remaining = max(0, memory.basis.shape[1] - directions.shape[1])
    return Memory(torch.linalg.svd(left, full_matrices=False)[0][:, :remaining], complement=True)


def _orthonormal(columns: Tensor) -> Tensor:
    """The same span; the columns are nearly orthonormal, and rounding adds up over tasks."""
    return torch.linalg.qr(columns)[0] if columns.shape[1] else columns
