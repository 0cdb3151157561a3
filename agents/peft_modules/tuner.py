"""PEFT modules of our own in the form of peft's tuners, so that peft saves, loads, switches and merges them.

A subclass of `TunerLayer` declares a module: what it wraps, its tensors and options, and its forward pass.
`TunerBuilder` makes the config and the model that peft asks for. `tests/agents/peft_modules/test_own_module.py` has a
whole example.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import Tensor, nn

from cls_env.arguments import as_plain


@dataclass
class TunerConfig(PeftConfig):
    """What the config of every tuner has; `TunerBuilder` adds the options of one."""

    target_modules: str | None = field(default=None, metadata={"help": "Regular expression of the modules' names."})

    kind: ClassVar[str]
    option_names: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = self.kind
        for name in self.option_names:
            setattr(self, name, as_plain(getattr(self, name)))

    @property
    def options(self) -> dict[str, Any]:
        """The options by name."""
        return {name: getattr(self, name) for name in self.option_names}


class TunerLayer(nn.Module, BaseTunerLayer):
    """A module of a frozen ViT, `base_layer`, with the tensors of one or more adapters.

    A subclass defines `init_adapter`, `forward`, and one of the two class attributes.

    Attributes:
        target_module: The child of a block that is wrapped, such as `"attn"` or `"mlp"`; empty for the block itself.
        targets: In place of it, the layers of a block that are wrapped, see `agents.peft_modules.target_modules`; the
            option `targets` changes them.
        starts_as_identity: Whether a new adapter does not change the output of the backbone.
        base_layer: The wrapped module.
    """

    target_module: ClassVar[str | None] = None
    targets: ClassVar[str | None] = None
    starts_as_identity: ClassVar[bool] = True
    config_class: ClassVar[type[TunerConfig]]
    tuner_class: ClassVar[type[Tuner]]

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: Any) -> None:
        super().__init__()
        self.base_layer: Any = base_layer
        self.merged_adapters: list[str] = []
        self._disable_adapters = False
        self._active_adapter = adapter_name
        self._prefix = prefix_of(config)
        self.update_layer(adapter_name, config)

    @abstractmethod
    def init_adapter(self, *args: Any, **options: Any) -> Mapping[str, Any]:
        """Make the parts of a new adapter.

        The parameters of a subclass's method are the options of the module, with their types and defaults.

        Returns:
            By name, modules and tensors, which are trained and saved; and other values, which are kept for `forward`.

        Raises:
            ValueError: An option is out of range, or `base_layer` is not a module that can be wrapped.
        """

    def update_layer(self, adapter_name: str, config: Any) -> None:
        """Add an adapter, on the device and with the dtype of the wrapped module."""
        parts = self.init_adapter(**config.options)
        for part, value in parts.items():
            container = self._container(part, value)
            container[adapter_name] = self._like_base_layer(value)
        self.set_adapter(self.active_adapters)

    def _like_base_layer(self, value: Any) -> Any:
        like = next(self.base_layer.parameters(), None)
        if like is None or not isinstance(value, (nn.Module, Tensor)):
            return value
        return value.to(like.device, like.dtype)

    def _container(self, part: str, value: Any) -> Any:
        """Where the values of a part are kept by adapter name, as peft expects it."""
        name = self._prefix + part
        if not hasattr(self, name):
            if isinstance(value, (nn.Module, Tensor)):
                setattr(self, name, nn.ModuleDict() if isinstance(value, nn.Module) else nn.ParameterDict())
                self.adapter_layer_names = (*self.adapter_layer_names, name)
            else:
                setattr(self, name, {})
                self.other_param_names = (*self.other_param_names, name)
        return getattr(self, name)

    def part(self, name: str, adapter: str) -> Any:
        """A part of an adapter by its name in `init_adapter`, or None if this adapter lacks it."""
        container = getattr(self, self._prefix + name, {})
        if adapter not in container:
            return None
        return container[adapter]

    def active_parts(self, *names: str) -> list[list[Any]]:
        """The named parts of each adapter that changes the output; an empty list if all are disabled or merged."""
        return [[self.part(name, adapter) for name in names] for adapter in self.working_adapters]

    @property
    def working_adapters(self) -> list[str]:
        """Names of the adapters that change the output: none if they are disabled or merged."""
        if self.disable_adapters or self.merged:
            return []
        return [name for name in self.active_adapters if name in getattr(self, self.adapter_layer_names[0])]

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Refuse, unless a subclass can merge.

        Raises:
            NotImplementedError: The adapter is no change of the module's weights.
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


def prefix_of(config: TunerConfig | type[TunerConfig]) -> str:
    """The beginning of the names of a tuner's containers, by which peft finds its tensors."""
    return f"{config.kind.lower()}_"


def full_name(module: nn.Module) -> str:
    """A module's class with the file it is from, for messages: timm has several classes named `Attention`."""
    return f"{type(module).__module__}.{type(module).__name__}"
