"""RanPAC: ridge regression on random projections of the pretrained features, without gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from agents.methods.batch import TaskInfo
from agents.methods.common.allocation import allocate_zeros
from agents.methods.common.fixed_backbone import FixedBackbone
from agents.methods.peft_requirement import PeftRequirement
from agents.networks.class_names import move_actions
from agents.networks.network import Network
from cls_env.arguments import whole_number

PENALTIES = tuple(10.0**power for power in range(-2, 9))


class RanPAC(FixedBackbone):
    """Ridge regression on random projections of the pretrained features.

    Scores are h (G + lambda 1)^-1 C, with h = relu(f W) of the features f, W ~ N(0, 1), and G = sum h^T h and
    C = sum h^T y over all images so far. The penalty lambda is the one of 10^-2 ... 10^8 with the smallest squared
    error on a held-out fifth of the task's images, for a solution from the other four fifths and all earlier tasks.
    The policy's own head is not used. Scores estimate 0-1 targets; their softmax is not calibrated.

    Public code tries penalties from 10^-8 on, without the earlier tasks; in a small task that can choose too small a
    penalty.

    Source: McDonnell et al., "RanPAC", NeurIPS 2023 (arXiv 2307.02251), without its first phase, which fine-tunes a
    PEFT module on the first task; its 10,000 projections take 800 MB here.

    Args:
        projections: Number of random features, at least 1.

    Raises:
        ValueError: The number is not at least 1.
    """

    learns_by_gradient = False
    needs_task_data = True
    fixed_shapes = True
    default_peft = "none"
    accepts_peft = PeftRequirement(("none",), reason="ranpac leaves the backbone as it is")

    projection: Tensor
    gram: Tensor
    correlation: Tensor
    solution: Tensor
    tasks_counted: Tensor

    def __init__(self, projections: int = 2000) -> None:
        super().__init__()
        self.projections = whole_number("projections", projections, least=1)

    def attach(self, network: Network, seed: int) -> None:
        """Draw the projections, and create sums of 0."""
        count, actions, width = self.projections, network.head.num_actions, network.head.weight.shape[1]
        gram = allocate_zeros("projections", count, count, dtype=torch.float64)
        drawn = torch.randn(width, count, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("projection", drawn)
        self.register_buffer("gram", gram)
        self.register_buffer("correlation", torch.zeros(count, actions, dtype=torch.float64))
        self.register_buffer("solution", torch.zeros(count, actions))
        self.register_buffer("tasks_counted", torch.zeros((), dtype=torch.int64))

    def random_features(self, features: Tensor) -> Tensor:
        """relu(f W), float32 of shape (B, projections)."""
        with torch.autocast(features.device.type, enabled=False):
            return (features @ self.projection).relu()

    def remap_actions(self, network: Network, new_index: Tensor, num_actions: int) -> None:
        """Move the columns of the correlation and of the solution."""
        self.correlation = move_actions(self.correlation, new_index, num_actions, dim=1)
        self.solution = move_actions(self.solution, new_index, num_actions, dim=1).contiguous()

    @torch.no_grad()
    def end_task(self, network: Network, task: TaskInfo) -> None:
        """Add the task's images and solve the regression; a second call for the same task adds nothing."""
        if self.tasks_counted > task.index:
            return
        network.train(False)
        inputs, labels = [], []
        for batch in task.images():
            inputs.append(self.random_features(network.encode(batch.inputs)).double())
            labels.append(batch.labels)
        h = torch.cat(inputs)
        y = one_hot(torch.cat(labels), self.correlation.shape[1]).double()
        penalty = self._best_penalty(h, y, task.seed)
        gram, correlation = self.gram + h.T @ h, self.correlation + h.T @ y
        solution = ridge(gram, correlation, penalty).float().contiguous()  # may fail, before anything has changed
        self.gram, self.correlation, self.solution = gram, correlation, solution
        self.tasks_counted.fill_(task.index + 1)

    def _best_penalty(self, h: Tensor, y: Tensor, seed: int) -> float:
        """The penalty with the smallest error on a held-out fifth of the task's images."""
        order = torch.randperm(len(h), generator=torch.Generator().manual_seed(seed)).to(h.device)
        held_out, kept = order[: len(h) // 5], order[len(h) // 5 :]
        if not len(held_out):
            return 1.0
        gram = self.gram + h[kept].T @ h[kept]
        correlation = self.correlation + h[kept].T @ y[kept]
        # One decomposition serves all penalties: (Q v Q^T + lambda 1)^-1 = Q (v + lambda)^-1 Q^T.
        values, vectors = torch.linalg.eigh(gram)
        rotated, inputs = vectors.T @ correlation, h[held_out] @ vectors
        errors = [
            (inputs @ (rotated / (values.clamp(min=0) + penalty)[:, None]) - y[held_out]).square().mean()
            for penalty in PENALTIES
        ]
        return PENALTIES[int(torch.stack(errors).argmin())]

    def scores_from_features(self, network: Network, features: Tensor, inputs: Callable[[], Tensor]) -> Tensor:
        """The regression's scores of the seen classes."""
        with torch.autocast(features.device.type, enabled=False):
            values = self.random_features(features) @ self.solution
        seen = network.head.actions
        if not len(seen):
            return values
        return torch.full_like(values, -torch.inf).index_copy(1, seen, values[:, seen])


def ridge(gram: Tensor, correlation: Tensor, penalty: float) -> Tensor:
    """(G + lambda 1)^-1 C, float64 of the shape of C."""
    regular = gram + penalty * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    return torch.linalg.solve(regular, correlation)
