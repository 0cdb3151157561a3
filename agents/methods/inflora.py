"""InfLoRA: each task is learned in a subspace that does not interfere with earlier tasks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from agents.methods.batch import Batch, TaskInfo
from agents.methods.common.dual_gpm import ENERGIES, Memory, empty_memory, energy_threshold, remember
from agents.methods.common.lora_per_task import PerTaskLoRA, adapter_of, layers_by_input
from agents.methods.peft_requirement import PeftRequirement
from agents.networks.network import Network
from cls_env.arguments import number, one_of


class InfLoRA(PerTaskLoRA):
    """A LoRA for each task: its A is computed before the task and frozen, so that only its B is trained.

    Before a task, the second moment of the inputs of each layer with LoRAs is computed over the task's images, and
    projected orthogonally to the inputs of earlier tasks. Its leading left singular vectors, over sqrt(3), are the rows
    of A. The LoRAs of earlier tasks are frozen. After the task the directions of its inputs are added to the memory,
    see `agents.methods.common.dual_gpm`. If too few dimensions are left, the remaining rows of A are zero.

    Source: Liang and Li, "InfLoRA", CVPR 2024 (arXiv 2404.00228), and its public code. A here, as in peft, is the
    paper's B_t. The paper has rank 10 in all blocks: `peft="lora:r=10"`, `blocks=range(12)`. There are two differences
    to the code: moments are those of images in their test view, not of augmented ones; and the memory takes the fewest
    directions that reach the threshold, where the code takes one fewer after the first task.

    Args:
        threshold: lambda, the smallest share of a task's energy that the memory captures, in (0, 1]. The paper has
            0.95 on CIFAR-100 and 0.98 on ImageNet-R. It rises to 1 over the tasks.
        energy: `"moments"`, as in the authors' code, which gave their published figures, or `"activations"`, as in the
            text of the paper, which takes more directions and so leaves fewer for later tasks.

    Raises:
        ValueError: An argument is out of range or unknown.
    """

    needs_task_data = True
    default_peft = "lora:r=10"
    accepts_peft = PeftRequirement(
        ("lora",), arguments=("r", "targets"), reason="inflora designs the matrices of plain LoRA"
    )

    def __init__(self, threshold: float = 0.98, energy: str = "moments") -> None:
        super().__init__()
        self.threshold = number("threshold", threshold, "(0, 1]")
        self.energy = one_of("energy", energy, ENERGIES)

    def attach(self, network: Network, seed: int) -> None:
        """Create empty memories."""
        for place, layers in enumerate(layers_by_input(network)):
            self._keep(place, empty_memory(layers[0].in_features))

    def memory(self, place: int) -> Memory:
        """The memory of a group of layers, by its position in `layers_by_input`."""
        return Memory(getattr(self, f"basis_{place}"), bool(getattr(self, f"complement_{place}")))

    def _keep(self, place: int, memory: Memory) -> None:
        device = getattr(self, f"basis_{place}", memory.basis).device
        self.register_buffer(f"basis_{place}", memory.basis.to(device))
        self.register_buffer(f"complement_{place}", torch.tensor(memory.complement, device=device))

    def begin_task(self, network: Network, task: TaskInfo) -> None:
        """Compute the task's A, and make its B trainable."""
        moments = input_moments(network, task.images())
        self.begin_adapter(network, task)
        for place, layers in enumerate(layers_by_input(network)):
            weights = [layer.lora_A[adapter_of(task.index)].weight for layer in layers]
            rows = designed_rows(self.memory(place), moments[place], len(weights[0]))
            with torch.no_grad():
                for weight in weights:
                    weight.copy_(rows)

    def end_task(self, network: Network, task: TaskInfo) -> None:
        """Add the directions of the task's inputs to the memory."""
        threshold = energy_threshold(self.threshold, task.index, task.num_tasks)
        for place, moment in enumerate(input_moments(network, task.images())):
            self._keep(place, remember(self.memory(place), moment, threshold, self.energy))

    def trainable_tensors(self, layers: Sequence[Any], task: int) -> list[nn.Parameter]:
        """B of the task."""
        return [layer.lora_B[adapter_of(task)].weight for layer in layers]


def designed_rows(memory: Memory, moment: Tensor, rank: int) -> Tensor:
    """The rows of A: leading directions of a task's inputs, orthogonal to those of earlier tasks, over sqrt(3).

    Args:
        memory: Directions of earlier tasks.
        moment: Second moment of the layer's inputs, float64 of shape (d, d).
        rank: Number of rows; where fewer directions are free, the rest are zero.

    Returns:
        float64 of shape (rank, d).
    """
    leading = torch.linalg.svd(memory.project_out(moment))[0][:, :rank]
    free = memory.project_out(leading)  # singular vectors with a singular value of 0 are arbitrary
    rows = torch.where(free.norm(dim=0) > 0.5, free, 0.0).T / math.sqrt(3)
    return torch.cat([rows, rows.new_zeros(rank - len(rows), rows.shape[1])])


@torch.no_grad()
def input_moments(network: Network, batches: Iterable[Batch]) -> list[Tensor]:
    """E[x x^T] over the tokens of some images, for each input of layers with LoRAs, float64 of shape (d, d).

    Args:
        network: Its current features are used; it is set to eval mode.
        batches: The images.
    """
    network.train(False)
    layers = [together[0] for together in layers_by_input(network)]
    sums: list[Any] = [0.0] * len(layers)
    tokens = [0] * len(layers)

    def gather(place: int) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0].reshape(-1, inputs[0].shape[-1]).double()
            sums[place] = sums[place] + x.T @ x
            tokens[place] += len(x)

        return hook

    handles = [layer.register_forward_pre_hook(gather(place)) for place, layer in enumerate(layers)]
    try:
        for batch in batches:
            network.encode(batch.inputs)
    finally:
        for handle in handles:
            handle.remove()
    return [total / count for total, count in zip(sums, tokens, strict=True)]
