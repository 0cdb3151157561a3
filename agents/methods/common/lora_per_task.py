"""A LoRA for each task, all active at once: the adapters `default`, `task1`, `task2` ... of one `PeftModel`."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from agents.methods.base import Method
from agents.methods.batch import TaskInfo
from agents.networks.network import Network
from agents.peft_modules.split_projection import SplitQKV

FIRST = "default"


def adapter_of(task: int) -> str:
    """Name of a task's adapter; peft's own name for the first."""
    return f"task{task}" if task else FIRST


def add_adapter(network: Network, task: int, seed: int) -> None:
    """Add the adapter of a task, with the configuration of the first one; it changes no output yet.

    Args:
        network: With a LoRA in its backbone.
        task: Index of the task.
        seed: Fixes the new tensors; the global random state is left as it was.
    """
    backbone: Any = network.backbone
    mode, device = backbone.training, network.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone.add_adapter(adapter_of(task), copy.deepcopy(backbone.peft_config[FIRST]))
    backbone.base_model.set_adapter([adapter_of(earlier) for earlier in range(task + 1)])
    backbone.requires_grad_(False).to(device).train(mode)


def lora_layers(network: Network) -> list[Any]:
    """The layers with LoRAs, in the order of the backbone."""
    return [layer for layer in network.backbone.modules() if isinstance(layer, LoraLayer)]


def layers_by_input(network: Network) -> list[list[Any]]:
    """The layers with LoRAs, grouped by their input: keys and values of a block share one."""
    groups: dict[str, list[Any]] = {}
    shared = {name for name, module in network.backbone.named_modules() if isinstance(module, SplitQKV)}
    for name, layer in network.backbone.named_modules():
        if isinstance(layer, LoraLayer):
            parent = name.rpartition(".")[0]
            groups.setdefault(parent if parent in shared else name, []).append(layer)
    return list(groups.values())


class PerTaskLoRA(Method):
    """Base class of methods with a LoRA for each task: adds, loads and counts the adapters."""

    can_compile = False  # an adapter more is another form of the blocks

    @abstractmethod
    def trainable_tensors(self, layers: Sequence[Any], task: int) -> list[nn.Parameter]:
        """The trainable tensors of the layers with LoRAs in a task."""

    def begin_adapter(self, network: Network, task: TaskInfo) -> None:
        """Add the task's adapter, unless it is the first one, and choose the trainable tensors."""
        if task.index:
            add_adapter(network, task.index, task.seed)
        network.set_trainable(self.trainable_tensors(lora_layers(network), task.index))

    def load_state(self, network: Network, tensors: dict[str, Tensor]) -> None:
        """Load a saved state and add an adapter for each task begun; the adapters' tensors are loaded afterwards."""
        super().load_state(network, tensors)
        backbone: Any = network.backbone
        for task in range(network.tasks_begun):
            if adapter_of(task) not in backbone.peft_config:
                add_adapter(network, task, seed=0)
        if network.tasks_begun:
            network.set_trainable(self.trainable_tensors(lora_layers(network), network.tasks_begun - 1))

    def frozen_adapters(self, network: Network) -> list[Tensor]:
        """The tensors of LoRAs that are not trainable at the moment."""
        trainable = {id(tensor) for tensor in network.peft_parameters}
        names = (*LoraLayer.adapter_layer_names, "lora_scale")
        parts = [getattr(layer, name) for layer in lora_layers(network) for name in names if hasattr(layer, name)]
        return [tensor for part in parts for tensor in part.parameters() if id(tensor) not in trainable]
