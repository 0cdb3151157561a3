"""SD-LoRA: frozen directions of earlier tasks, with trainable magnitudes."""

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
    """A LoRA for each task: directions of earlier tasks are frozen, and the magnitudes of all tasks are trained.

    The weight is W + sum_i s_i D_i. During a task its own D_t = B_t A_t is trained. After it, B_t is divided by
    |B_t A_t|, the Frobenius norm, and s_t multiplied by it, so that the model stays the same. From then on the
    direction, of norm 1, is frozen.

    Source: Wu et al., "SD-LoRA: Scalable Decoupled Low-Rank Adaptation for Class Incremental Learning", ICLR 2025
    (arXiv 2501.13198). Its public code differs as follows; the last two points have no argument here:

    - LoRAs of rank 10 on queries and values of all blocks: `peft="lora:r=10,scale=true,targets=q+v"` with
      `blocks=range(12)`. The default here is rank 4 on keys and values of blocks 0-4, as for other methods.
    - SGD with momentum 0.9 at a rate of 0.01: `--optimizer sgd --learning-rate 0.01`.
    - Magnitudes are reset to 0.8 at the beginning of every task: `restart=0.8`.
    - Directions are divided by |B_t| |A_t|, not by |B_t A_t|.
    - All layers share one magnitude for each task, where here each layer has its own.

    Args:
        restart: Magnitude that earlier directions are reset to at the beginning of a task; by default they are kept.
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
        """Add the task's LoRA; it is trainable, as are the magnitudes of all tasks."""
        self.begin_adapter(network, task)
        if self.restart is not None:
            for layer in lora_layers(network):
                for earlier in range(task.index):
                    layer.lora_scale[adapter_of(earlier)].data.fill_(self.restart)

    @torch.no_grad()
    def end_task(self, network: Network, task: TaskInfo) -> None:
        """Split the task's LoRA into direction and magnitude."""
        name = adapter_of(task.index)
        for layer in lora_layers(network):
            up, scale = layer.lora_B[name].weight, layer.lora_scale[name]
            length = (up @ layer.lora_A[name].weight).norm()
            if length > 0:  # 0 if the module was frozen throughout
                up.div_(length)
                scale.mul_(length)

    def trainable_tensors(self, layers: Sequence[Any], task: int) -> list[nn.Parameter]:
        """A and B of the task, and the magnitudes of all tasks so far."""
        last = adapter_of(task)
        own = [tensor for layer in layers for tensor in (layer.lora_A[last].weight, layer.lora_B[last].weight)]
        return own + [layer.lora_scale[adapter_of(each)] for layer in layers for each in range(task + 1)]
