"""From the declaration of a PEFT module, a `TunerLayer`, to a function that adds it to a backbone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field, make_dataclass
from inspect import Parameter, Signature, signature
from typing import Any

from peft import PeftModel
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from torch import nn

from agents.peft_modules.peft_model import make_peft_model
from agents.peft_modules.target_modules import child_pattern, target_pattern
from agents.peft_modules.tuner import Tuner, TunerConfig, TunerLayer, prefix_of


class TunerBuilder:
    """A function of (backbone, blocks, seed, **options) that adds a `TunerLayer` to blocks of a frozen timm ViT.

    It also makes the layer's config and tuner and puts them into peft's tables, where `PeftModel.from_pretrained` finds
    them. Its signature has the options of the layer, and its docstring is the layer's.

    Args:
        name: Of the module; names of tensors in saved files contain it.
        layer: What is added; its attributes `config_class` and `tuner_class` are set.

    Raises:
        ValueError: The layer does not say what it wraps, or an option has no default.
    """

    def __init__(self, name: str, layer: type[TunerLayer]) -> None:
        if (layer.target_module is None) == (layer.targets is None):
            raise ValueError(f"{layer.__name__} must set target_module, such as 'mlp', or targets, such as 'kv'")
        options = list(signature(layer.init_adapter).parameters.values())[1:]
        for option in options:
            if option.default is Parameter.empty:
                raise ValueError(f"option {option.name} of {layer.__name__}.init_adapter must have a default")
        self._layer = layer
        layer.config_class = _config_class(name, layer, options)
        layer.tuner_class = type(
            "tuner_class",
            (Tuner,),
            {"prefix": prefix_of(layer.config_class), "tuner_layer_cls": layer, **_location(layer, "tuner_class")},
        )
        register_tuner(layer.config_class, layer.tuner_class)
        self.__doc__ = layer.__doc__
        self.__signature__ = self._signature(options)

    def __call__(self, backbone: nn.Module, blocks: Sequence[int], seed: int, **options: Any) -> PeftModel:
        """Freeze a timm ViT and add the layer to some of its blocks.

        Args:
            backbone: A timm VisionTransformer; changed in place.
            blocks: Indices of the transformer blocks.
            seed: Fixes the initial values; the global random state does not change.
            **options: Of the layer.

        Raises:
            ValueError: An option is out of range, or the layer or the blocks do not fit the backbone.
        """
        if self._layer.targets is not None:
            pattern = target_pattern(backbone, blocks, options.pop("targets", self._layer.targets))
        else:
            pattern = child_pattern(backbone, blocks, self._layer.target_module or "")
        return make_peft_model(self._layer.config_class, backbone, seed, pattern, options)

    def _signature(self, options: Sequence[Parameter]) -> Signature:
        inputs = list(signature(type(self).__call__).parameters.values())[1:4]
        keywords = [option.replace(kind=Parameter.KEYWORD_ONLY) for option in options]
        if self._layer.targets is not None:
            keywords.append(Parameter("targets", Parameter.KEYWORD_ONLY, default=self._layer.targets, annotation="str"))
        return Signature([*inputs, *keywords])


def _config_class(name: str, layer: type[TunerLayer], options: Sequence[Parameter]) -> type[TunerConfig]:
    kind = "VIT_" + re.sub(r"\W", "_", name).upper()
    names = tuple(option.name for option in options)
    return make_dataclass(
        "config_class",
        [(option.name, option.annotation, field(default=option.default)) for option in options],
        bases=(TunerConfig,),
        namespace={"kind": kind, "option_names": names, **_location(layer, "config_class")},
    )


def _location(layer: type[TunerLayer], attribute: str) -> dict[str, str]:
    """Where pickle finds a class that is an attribute of a layer's class."""
    return {"__module__": layer.__module__, "__qualname__": f"{layer.__qualname__}.{attribute}"}


def register_tuner(config: type[TunerConfig], tuner: type[Tuner]) -> None:
    """Let peft find a tuner by the kind of its config."""
    PEFT_TYPE_TO_CONFIG_MAPPING[config.kind] = config  # type: ignore[index]
    PEFT_TYPE_TO_TUNER_MAPPING[config.kind] = tuner  # type: ignore[index]
    PEFT_TYPE_TO_PREFIX_MAPPING[config.kind] = tuner.prefix  # type: ignore[index]
