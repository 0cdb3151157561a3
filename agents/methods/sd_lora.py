"""SD-LoRA: directions that stay, and magnitudes of all of them that go on learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from agents.methods.batch import TaskInfo
from agents.methods.common.lora_per_task import PerTaskLoRA, adapter_of, lora_layers
from agents.methods.peft_requirement import PeftRequirement
from agents.networks.network import Network
from cls_env.arguments import number


class SDLoRA(PerTaskLoRA):
    """A LoRA for each task, whose direction stays after it, while the magnitudes of all go on learning.

    The weight is W + sum_i s_i D_i. While a task is learned its own D_t = B_t A_t is free. After it, B_t is divided by
    |B_t A_t|, the Frobenius norm, and s_t multiplied by it, so that the model stays the same; from then on the
    direction of length 1 is frozen.

    Source: Wu et al., "SD-LoRA: Scalable Decoupled Low-Rank Adaptation for Class Incremental Learning", ICLR 2025
    (arXiv 2501.13198). Its public code has these settings of its own, which can be chosen here, but for the last two:

    - LoRAs of rank 10 on queries and values of all blocks: `peft="lora:r=10,scale=true,targets=q+v"` with
      `blocks=range(12)`; by default, as for other methods here, of rank 4 on keys and values of blocks 0-4.
    - SGD with momentum 0.9 at a rate of 0.01: `--optimizer sgd --learning-rate 0.01`.
    - Magnitudes that begin every task at 0.8, whatever was learned: `restart=0.8`.
    - Directions are divided by |B_t| |A_t|, not by |B_t A_t|.
    - All layers share one magnitude for each task, where here each layer has its own.

    Args:
        restart: Magnitude of each finished direction at the beginning of a task; None leaves them as they were learned.
    """

    default_peft = "lora:scale=true"
    accepts_peft = PeftRequirement(
        ("lora",),
        arguments=("r", "scale", "targets"),
        values={"scale": True},
        reason="sd-lora learns the magnitudes of LoRAs",
    )

    def __init__(self, restart: float | None = None) -> None:
        super().__init__()
        self.restart = None if restart is None else number("restart", restart)

    def begin_task(self, network: Network, task: TaskInfo) -> None:
        """Add the task's LoRA; it learns, and so do the magnitudes of all."""
        self.begin_adapter(network, task)
        if self.restart is not None:
            for layer in lora_layers(network):
                for earlier in range(task.index):
                    layer.lora_scale[adapter_of(earlier)].data.fill_(self.restart)

    @torch.no_grad()
    def end_task(self, network: Network, task: TaskInfo) -> None:
        """Tell direction and magnitude of the task's LoRA apart."""
        name = adapter_of(task.index)
        for layer in lora_layers(network):
            up, scale = layer.lora_B[name].weight, layer.lora_scale[name]
            length = (up @ layer.lora_A[name].weight).norm()
            if length > 0:  # at 0, nothing was learned, and there is no direction
                up.div_(length)
                scale.mul_(length)

    def trainable_tensors(self, layers: Sequence[Any], task: int) -> list[nn.Parameter]:
        """A and B of the task, and the magnitudes of all tasks so far."""
        last = adapter_of(task)
        own = [tensor for layer in layers for tensor in (layer.lora_A[last].weight, layer.lora_B[last].weight)]
        return own + [layer.lora_scale[adapter_of(each)] for layer in layers for each in range(task + 1)]
