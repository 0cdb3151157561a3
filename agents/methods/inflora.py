"""InfLoRA: each task learns in a subspace that does not interfere with those of earlier tasks."""

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
    """A LoRA for each task, whose A is designed before the task and stays, so that only its B learns.

    Before a task, for every input of layers with LoRAs: its second moment over the task's images, less the
    directions that inputs of earlier tasks had; its leading left singular vectors, over sqrt(3), are the rows of A. The
    LoRAs of earlier tasks stay as they are. After the task its own inputs' directions are added to the memory (see
    `agents.methods.common.dual_gpm`). A direction that is not free any more leaves a row of A zero, which learns
    nothing.

    Source: Liang and Li, "InfLoRA", CVPR 2024 (arXiv 2404.00228), and its public code; what is A here, as in peft, is
    the paper's B_t. Its own setting is rank 10 in all blocks: `peft="lora:r=10"`, `blocks=range(12)`. Where this
    differs from the code: moments are those of images as they are seen at test, not of augmented ones; and the memory
    takes the fewest directions that reach the threshold, where the code takes one fewer after the first task.

    Args:
        threshold: lambda, the least share of a task's energy that is remembered, in (0, 1]; the paper's is 0.95 on
            CIFAR-100 and 0.98 on ImageNet-R. It rises to 1 over the tasks.
        energy: `"moments"`, as in the authors' code, which gave their published figures; `"activations"`, as the text
            of the paper has it, which takes more directions and so leaves fewer for later tasks.

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
        """Begin with empty memories."""
        for place, layers in enumerate(layers_by_input(network)):
            self._keep(place, empty_memory(layers[0].in_features))

    def memory(self, place: int) -> Memory:
        """Of the input of some layers, by its place among those of layers with LoRAs."""
        return Memory(getattr(self, f"basis_{place}"), bool(getattr(self, f"complement_{place}")))

    def _keep(self, place: int, memory: Memory) -> None:
        device = getattr(self, f"basis_{place}", memory.basis).device
        self.register_buffer(f"basis_{place}", memory.basis.to(device))
        self.register_buffer(f"complement_{place}", torch.tensor(memory.complement, device=device))

    def begin_task(self, network: Network, task: TaskInfo) -> None:
        """Design the task's A, and let its B alone learn."""
        moments = input_moments(network, task.images())
        self.begin_adapter(network, task)
        for place, layers in enumerate(layers_by_input(network)):
            weights = [layer.lora_A[adapter_of(task.index)].weight for layer in layers]
            rows = designed_rows(self.memory(place), moments[place], len(weights[0]))
            with torch.no_grad():
                for weight in weights:
                    weight.copy_(rows)

    def end_task(self, network: Network, task: TaskInfo) -> None:
        """Remember the directions of the task's inputs, as they are now."""
        threshold = energy_threshold(self.threshold, task.index, task.num_tasks)
        for place, moment in enumerate(input_moments(network, task.images())):
            self._keep(place, remember(self.memory(place), moment, threshold, self.energy))

    def trainable_tensors(self, layers: Sequence[Any], task: int) -> list[nn.Parameter]:
        """B of the task."""
        return [layer.lora_B[adapter_of(task)].weight for layer in layers]


def designed_rows(memory: Memory, moment: Tensor, rank: int) -> Tensor:
    """The rows of A: leading directions of a task's inputs that are orthogonal to those of earlier tasks, over sqrt(3).

    Args:
        memory: Of earlier tasks.
        moment: Second moment of the layer's inputs, float64 of shape (d, d).
        rank: Number of rows; where fewer directions are free, the rest are zero.

    Returns:
        float64 of shape (rank, d).
    """
    leading = torch.linalg.svd(memory.project_out(moment))[0][:, :rank]
    free = memory.project_out(leading)  # a singular vector of no weight may point anywhere
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
            network.backbone(batch.inputs)
    finally:
        for handle in handles:
            handle.remove()
    return [total / count for total, count in zip(sums, tokens, strict=True)]
