"""SD-LoRA: directions that stay, and magnitudes of all of them that go on learning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from agents.methods.base import Method, Task
from agents.methods.lora_stack import adapter_of, add_adapter, lora_layers, resume_adapters, tensors_at_rest
from cls_env.naming import parse_specification

if TYPE_CHECKING:
    from agents.policy import ViTPolicy


class SDLoRA(Method):
    """A LoRA for each task, whose direction stays after it, while the magnitudes of all go on learning.

    The weight is W + sum_i s_i D_i. While a task is learned its own D_t = B_t A_t is free. After it, B_t is divided by
    |B_t A_t|, the Frobenius norm, and s_t multiplied by it, so that the model stays the same; from then on the
    direction of length 1 is frozen.

    Source: Wu et al., "SD-LoRA: Scalable Decoupled Low-Rank Adaptation for Class Incremental Learning", ICLR 2025
    (arXiv 2501.13198). Its public code divides by |B_t| |A_t| and begins every task with magnitudes of 0.8, whatever
    was learned; `restart=0.8` begins so, with directions of length 1.

    Args:
        restart: Magnitude of each finished direction at the beginning of a task; None leaves them as they were learned.
    """

    goes_with = "lora:scale=true"

    def __init__(self, restart: float | None = None) -> None:
        super().__init__()
        self.restart = restart

    def check_peft(self, peft: str) -> None:
        """It is made for LoRA with learnable magnitudes.

        Raises:
            ValueError: The module is another.
        """
        name, arguments = parse_specification(peft)
        if name != "lora" or arguments.get("scale") is not True or set(arguments) - {"r", "scale", "targets"}:
            raise ValueError(f"sd-lora learns the magnitudes of LoRAs: it goes with 'lora:scale=true', not {peft!r}")

    def before_task(self, policy: ViTPolicy, task: Task) -> None:
        """Add the task's LoRA; it learns, and so do the magnitudes of all."""
        if task.index:
            add_adapter(policy, task.index, task.seed)
        if self.restart is not None:
            for layer in lora_layers(policy):
                for earlier in range(task.index):
                    layer.lora_scale[adapter_of(earlier)].data.fill_(self.restart)
        self._learn_last(policy, task.index)

    @torch.no_grad()
    def after_task(self, policy: ViTPolicy, task: Task) -> None:
        """Tell direction and magnitude of the task's LoRA apart."""
        name = adapter_of(task.index)
        for layer in lora_layers(policy):
            up, scale = layer.lora_B[name].weight, layer.lora_scale[name]
            length = (up @ layer.lora_A[name].weight).norm()
            if length > 0:  # at 0, nothing was learned, and there is no direction
                up.div_(length)
                scale.mul_(length)

    def resume(self, policy: ViTPolicy, tensors: dict[str, Tensor]) -> None:
        """Take on a saved state, with the adapters of its tasks."""
        super().resume(policy, tensors)
        if policy.tasks_begun:
            resume_adapters(policy, policy.tasks_begun)
            self._learn_last(policy, policy.tasks_begun - 1)

    def at_rest(self, policy: ViTPolicy) -> list[Tensor]:
        """What of the LoRAs does not learn."""
        return tensors_at_rest(policy)

    def _learn_last(self, policy: ViTPolicy, task: int) -> None:
        last = adapter_of(task)
        layers = lora_layers(policy)
        own = [tensor for layer in layers for tensor in (layer.lora_A[last].weight, layer.lora_B[last].weight)]
        magnitudes = [layer.lora_scale[adapter_of(i)] for layer in layers for i in range(task + 1)]
        policy.learn_in_backbone(own + magnitudes)
