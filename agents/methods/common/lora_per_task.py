"""A LoRA for each task, all at work at once: adapters of peft's, `default`, `task1`, `task2` ..."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from agents.methods.base import Method, Task
from agents.peft_modules.target_modules import SplitQKV

if TYPE_CHECKING:
    from agents.policy import ViTPolicy

FIRST = "default"


def adapter_of(task: int) -> str:
    """Name of a task's adapter; peft's own name for the first."""
    return f"task{task}" if task else FIRST


def add_adapter(policy: ViTPolicy, task: int, seed: int) -> None:
    """Add the adapter of a task, formed as the first, which changes nothing yet; all go on working.

    Args:
        policy: With a LoRA in its backbone.
        task: Which.
        seed: Fixes the new tensors; the global random state is left as it was.
    """
    backbone: Any = policy.backbone
    mode, device = backbone.training, policy.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone.add_adapter(adapter_of(task), copy.deepcopy(backbone.peft_config[FIRST]))
    backbone.base_model.set_adapter([adapter_of(earlier) for earlier in range(task + 1)])
    backbone.requires_grad_(False).to(device).train(mode)


def lora_layers(policy: ViTPolicy) -> list[Any]:
    """The layers with LoRAs, in the order of the backbone."""
    return [layer for layer in policy.backbone.modules() if isinstance(layer, LoraLayer)]


def layers_by_input(policy: ViTPolicy) -> list[list[Any]]:
    """The layers with LoRAs, those together that have the same input: keys and values of a block."""
    together: dict[str, list[Any]] = {}
    shared = {name for name, module in policy.backbone.named_modules() if isinstance(module, SplitQKV)}
    for name, layer in policy.backbone.named_modules():
        if isinstance(layer, LoraLayer):
            above = name.rpartition(".")[0]
            together.setdefault(above if above in shared else name, []).append(layer)
    return list(together.values())


class PerTaskLoRA(Method):
    """What methods with a LoRA for each task share: saving, loading and counting them."""

    @abstractmethod
    def learning(self, layers: Sequence[Any], task: int) -> list[nn.Parameter]:
        """The tensors of the layers with LoRAs that learn in a task."""

    def begin_adapter(self, policy: ViTPolicy, task: Task) -> None:
        """Add the task's adapter, beside the first one, which is there; choose what learns."""
        if task.index:
            add_adapter(policy, task.index, task.seed)
        policy.set_trainable(self.learning(lora_layers(policy), task.index))

    def resume(self, policy: ViTPolicy, tensors: dict[str, Tensor]) -> None:
        """Take on a saved state, with an adapter for each task begun, whose tensors are to be loaded afterwards."""
        super().resume(policy, tensors)
        backbone: Any = policy.backbone
        for task in range(policy.tasks_begun):
            if adapter_of(task) not in backbone.peft_config:
                add_adapter(policy, task, seed=0)
        if policy.tasks_begun:
            policy.set_trainable(self.learning(lora_layers(policy), policy.tasks_begun - 1))

    def frozen_adapters(self, policy: ViTPolicy) -> list[Tensor]:
        """The tensors of LoRAs that do not learn at the moment."""
        learning = {id(tensor) for tensor in policy.peft_parameters}
        names = (*LoraLayer.adapter_layer_names, "lora_scale")
        parts = [getattr(layer, name) for layer in lora_layers(policy) for name in names if hasattr(layer, name)]
        return [tensor for part in parts for tensor in part.parameters() if id(tensor) not in learning]
