"""What the tuners of our own share, in the form of peft's: a layer that wraps a module of a ViT, and its model.

peft fills its table of methods for itself alone, so `register` puts ours beside them; `PeftModel.from_pretrained` finds
one once its file is imported.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from peft import PeftConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import Tensor, nn

from cls_env.arguments import as_plain


@dataclass
class TunerConfig(PeftConfig):
    """What every tuner's config has."""

    target_modules: str | None = field(default=None, metadata={"help": "Regular expression of the modules' names."})

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = self.kind


class TunerLayer(nn.Module, BaseTunerLayer):
    """A module of a frozen ViT with the tensors of one or more adapters.

    A subclass names its containers in `adapter_layer_names`, each keyed by adapter name, and fills them in `create`.
    """

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: Any) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.merged_adapters: list[str] = []
        self._disable_adapters = False
        self._active_adapter = adapter_name
        self.prepare()
        self.update_layer(adapter_name, config)

    @abstractmethod
    def prepare(self) -> None:
        """Make the empty containers.

        Raises:
            ValueError: The module is not one that this tuner can wrap.
        """

    @abstractmethod
    def create(self, adapter_name: str, config: Any) -> None:
        """Fill the containers with an adapter's initial tensors."""

    def update_layer(self, adapter_name: str, config: Any) -> None:
        """Add an adapter, on the device and with the dtype of the wrapped module."""
        self.create(adapter_name, config)
        like = next(self.base_layer.parameters())
        for name in self.adapter_layer_names:
            container = getattr(self, name)
            if adapter_name in container:
                container[adapter_name] = container[adapter_name].to(like.device, like.dtype)
        self.set_adapter(self.active_adapters)

    @property
    def working_adapters(self) -> list[str]:
        """The adapters that change the output: none where they are disabled or merged."""
        if self.disable_adapters or self.merged:
            return []
        return [name for name in self.active_adapters if name in getattr(self, self.adapter_layer_names[0])]

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Refuse.

        Raises:
            NotImplementedError: What the adapter does is no change of the module's weights.
        """
        raise NotImplementedError(
            f"{type(self).__name__} adds what no weights of {type(self.base_layer).__name__} can; it can't be merged"
        )

    def unmerge(self) -> None:
        """There is nothing to undo."""


class Tuner(BaseTuner):
    """Wraps every module that a config names in a `tuner_layer_cls`."""

    tuner_layer_cls: type[TunerLayer]
    target_module_mapping = {}

    def _create_and_replace(
        self,
        peft_config: Any,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        if isinstance(target, self.tuner_layer_cls):
            target.update_layer(adapter_name, peft_config)
            return
        try:
            layer = self.tuner_layer_cls(target, adapter_name, peft_config)
        except ValueError as error:
            raise ValueError(f"{current_key}: {error}") from error
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    def _replace_module(self, parent: nn.Module, child_name: str, new_module: nn.Module, child: nn.Module) -> None:
        setattr(parent, child_name, new_module)  # peft's own expects modules with a weight, which attention has not


def register(config: type[TunerConfig], tuner: type[Tuner]) -> None:
    """Let peft find a tuner by the kind of its config."""
    PEFT_TYPE_TO_CONFIG_MAPPING[config.kind] = config  # type: ignore[index]
    PEFT_TYPE_TO_TUNER_MAPPING[config.kind] = tuner  # type: ignore[index]
    PEFT_TYPE_TO_PREFIX_MAPPING[config.kind] = tuner.prefix  # type: ignore[index]


def full_name(module: nn.Module) -> str:
    """A module's class with the file it is from, for messages; timm has many an `Attention`."""
    return f"{type(module).__module__}.{type(module).__name__}"


def check_size(name: str, value: Any) -> int:
    """A size as a plain number.

    Raises:
        ValueError: It is no whole number of at least 1.
    """
    size = as_plain(value)
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ValueError(f"{name} is a whole number of at least 1, not {value}")
    return size


def learnable_scale() -> nn.Parameter:
    """LAE's scalar, 1 at first (arXiv 2303.10070)."""
    return nn.Parameter(torch.ones(()))


def scaled(x: Tensor, scales: nn.ParameterDict, adapter_name: str) -> Tensor:
    """`x` times the adapter's scale where it has one."""
    return x * scales[adapter_name] if adapter_name in scales else x
