"""CODA-Prompt: prompts are weighted sums of components, to which each task adds some."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from agents.methods.batch import Batch, Loss, TaskInfo
from agents.methods.common.fixed_backbone import FixedBackbone
from agents.methods.common.prompts import seeds_of, with_prompts, wrap_attention
from agents.methods.peft_requirement import PeftRequirement
from agents.networks.network import Network
from cls_env.arguments import number, truth_value, whole_number

PARTS = ("components", "keys", "attention")


class CODAPrompt(FixedBackbone):
    """Prompts for attention are weighted sums of components, to which each task adds some.

    In each block, prompt = sum_m cos(q * A_m, K_m) P_m over the components of all tasks so far: q are the image's
    features in the frozen backbone, A_m a component's attention to them, K_m its key, P_m keys and values for the
    block's attention. The components of earlier tasks are frozen but still take part in the sum. Those of a new task
    are initialized orthonormal to all earlier ones and to each other, by Gram-Schmidt.

    Source: Smith et al., "CODA-Prompt", CVPR 2023 (arXiv 2211.13218): prompts pass the frozen projections to keys and
    values, as in DualPrompt, and the penalty is orthogonality * mean |X X^T - 1|^2 of components, keys and attention,
    of weight 0.1, summed over blocks. Public code takes prompts as keys and values themselves (`projected=false`), and
    is mostly run without the penalty (`orthogonality=0`).

    Args:
        components: Number of components of all tasks together, at most the width of the features.
        length: Number of keys, and of values, in a prompt: half of the paper's length, which counts both.
        orthogonality: Weight of the penalty, at least 0.
        projected: Whether prompts pass the projections to keys and values.

    Raises:
        ValueError: An argument is out of range.
    """

    default_peft = "none"
    accepts_peft = PeftRequirement(("none",), reason="coda-prompt learns prompts of its own")

    components: Tensor
    keys: Tensor
    attention: Tensor

    def __init__(
        self, components: int = 100, length: int = 4, orthogonality: float = 0.1, projected: bool = True
    ) -> None:
        super().__init__()
        self.total, self.length = (
            whole_number("components", components, least=1),
            whole_number("length", length, least=1),
        )
        self.orthogonality = number("orthogonality", orthogonality, "[0, inf)")
        self.projected = truth_value("projected", projected)

    def attach(self, network: Network, seed: int) -> None:
        """Let the attention of the policy's blocks take prompts; there are no components yet.

        Raises:
            ValueError: There are more components than can be orthogonal, or the blocks do not fit the backbone.
        """
        width = network.head.weight.shape[1]
        if self.total > width:
            raise ValueError(
                f"coda-prompt: at most {width} components are orthogonal in this backbone, not {self.total}"
            )
        self._blocks = network.config.blocks
        wrap_attention(network.backbone, self._blocks, self.projected)
        shapes = {"components": (2 * self.length, width), "keys": (width,), "attention": (width,)}
        for name in PARTS:
            self.register_buffer(f"past_{name}", torch.empty(len(self._blocks), 0, *shapes[name]))
            self.register_parameter(name, nn.Parameter(torch.empty(len(self._blocks), 0, *shapes[name])))

    def check_task(self, task: TaskInfo) -> None:
        """Check that there is a component for each task.

        Raises:
            ValueError: The number of tasks is not known, or is larger than that of the components; or an agent that is
                trained on has used too many of them.
        """
        if task.num_tasks is None:
            raise ValueError(
                "coda-prompt shares its components among the tasks: it needs info['task_mask'] to count them"
            )
        if self.total < task.num_tasks:
            raise ValueError(f"coda-prompt needs a component for each of {task.num_tasks} tasks, not {self.total}")
        used, width = self._all("keys").shape[1:]
        if (further := self.total // task.num_tasks) > width - used:
            raise ValueError(
                f"coda-prompt: {used} components are used, and features of width {width} leave no room for the "
                f"{further} of task {task.index}: train anew, with fewer components or more tasks"
            )

    def begin_task(self, network: Network, task: TaskInfo) -> None:
        """Freeze the components of the task before, and draw new ones, orthonormal to all."""
        assert task.num_tasks is not None  # checked
        count = self.total // task.num_tasks
        seeds = iter(seeds_of(task.seed, len(PARTS) * len(self._blocks)))
        for name in PARTS:
            past = torch.cat([getattr(self, f"past_{name}"), getattr(self, name).detach()], dim=1)
            new = [orthonormal_to(rows, count, next(seeds)) for rows in past]
            setattr(self, f"past_{name}", past)
            setattr(self, name, nn.Parameter(torch.stack(new)))

    def _all(self, name: str) -> Tensor:
        return torch.cat([getattr(self, f"past_{name}"), getattr(self, name)], dim=1)

    def weights(self, queries: Tensor) -> Tensor:
        """cos(q * A_m, K_m) of each image, block and component, shape (B, blocks, M)."""
        attended = normalize(queries[:, None, None] * self._all("attention"), dim=3)
        return (attended * normalize(self._all("keys"), dim=2)).sum(dim=3)

    def _logits(self, network: Network, inputs: Tensor, queries: Tensor) -> Tensor:
        prompts = torch.einsum("ibm,bmld->bild", self.weights(queries), self._all("components"))
        pairs = {
            block: (prompt[:, : self.length], prompt[:, self.length :])
            for block, prompt in zip(self._blocks, prompts, strict=True)
        }
        with with_prompts(network.backbone, pairs):
            return network(inputs)

    def training_logits(self, network: Network, batch: Batch) -> Tensor:
        """Logits with the components of the tasks so far."""
        return self._logits(network, batch.inputs, batch.frozen_features(network.encode))

    def additional_loss(self, network: Network, batches: Sequence[Batch], loss: Loss) -> Tensor | None:
        """The penalty on components that are not orthonormal."""
        if self.orthogonality == 0:
            return None
        return self.orthogonality * torch.stack([orthonormality_gap(self._all(name)) for name in PARTS]).sum()

    def scores_from_features(self, network: Network, features: Tensor, inputs: Callable[[], Tensor]) -> Tensor:
        """Logits with the prompts of each image."""
        return self._logits(network, inputs(), features)


def orthonormal_to(past: Tensor, count: int, seed: int) -> Tensor:
    """New orthonormal vectors, orthogonal to the span of earlier vectors.

    Args:
        past: Earlier vectors, [M, ...]; they need not be orthogonal.
        count: Number of new ones, such that all together are at most as many as there are dimensions.
        seed: Of their random directions.

    Returns:
        float32 of shape [count, ...].
    """
    flat = past.flatten(1).double()
    drawn = torch.randn(count, flat.shape[1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn = drawn.to(flat.device)
    basis = torch.linalg.qr(flat.T)[0] if len(flat) else flat.T
    for _ in range(2):  # once is not enough where rounding matters
        drawn = drawn - drawn @ basis @ basis.T
    return torch.linalg.qr(drawn.T)[0].T.float().reshape(count, *past.shape[1:])


def orthonormality_gap(vectors: Tensor) -> Tensor:
    """The mean of the squared entries of X X^T - 1, summed over blocks, for vectors of shape [blocks, M, ...]."""
    flat = vectors.flatten(2)
    gaps = flat @ flat.transpose(1, 2) - torch.eye(flat.shape[1], device=flat.device)
    return gaps.square().mean(dim=(1, 2)).sum()
