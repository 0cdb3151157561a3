"""A policy's PEFT module and head as an adapter that plain peft loads into a plain timm model."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import timm
import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from agents.export.classifier import Classifier
from agents.export.timm_model import check_plain_scores, classifier_name, fused, plain_model, write_timm_folder
from agents.networks.base_model import base_model
from agents.networks.network import Network
from agents.peft_modules.split_projection import SplitQKV
from agents.peft_modules.tuner import TunerConfig, TunerLayer

BACKBONE = "backbone"
"""The folder of the timm model, without a head, in the folder of the adapter."""
FIRST = "default"
"""peft's name of the first adapter."""
Factors = tuple[Tensor, Tensor]
"""A of shape (r, d) and B of shape (o, r): a LoRA adds B A to a weight."""


def write_peft(classifier: Classifier, folder: Path) -> None:
    """Write adapter and head as peft does, and the backbone as a folder that timm loads.

    Raises:
        ValueError: peft has no such module, or gives other scores with it.
    """
    network = classifier.network
    check_plain_scores(classifier.method, network.config.method)
    check_module_of_peft(network)
    features = plain_model(classifier, fused(_unloaded(network)), 0)
    (folder / BACKBONE).mkdir()
    write_timm_folder(folder / BACKBONE, features, classifier.steps)
    adapted = _adapted(classifier, plain_model(classifier, features.model, len(classifier.actions)).model)
    adapted.peft_config[FIRST].base_model_name_or_path = network.config.model
    adapted.save_pretrained(str(folder), save_embedding_layers=False)
    written = timm.create_model(f"local-dir:{folder / BACKBONE}", pretrained=True, num_classes=len(classifier.actions))
    loaded = PeftModel.from_pretrained(written, str(folder)).eval()
    classifier.check_same(loaded, f"peft's own {network.config.peft!r} computes something else; use --to onnx")


def check_module_of_peft(network: Network) -> None:
    """Check that a PEFT module is one that plain peft can add to a plain timm model.

    Raises:
        ValueError: There is none, it is one of this package, or it is on layers that timm does not have.
    """
    name, backbone = network.config.peft, network.backbone
    if not isinstance(backbone, PeftModel):
        raise ValueError(f"peft={name!r} is no adapter that peft could load; use --to timm")
    config = backbone.peft_config[FIRST]
    if isinstance(config, TunerConfig):
        layers = [module for module in backbone.modules() if isinstance(module, TunerLayer)]
        merged = any(type(layer).merge is not TunerLayer.merge for layer in layers)
        advice = "--to timm or --to onnx" if merged else "--to onnx"
        raise ValueError(f"peft has no module {name.partition(':')[0]!r}; use {advice}")
    split = any(isinstance(module, SplitQKV) for module in backbone.modules())
    if split and not _is_sum_of_products(config, backbone):
        raise ValueError(
            f"peft={name!r} is on queries, keys or values alone, which timm has in one layer; only LoRA can be written "
            "for that layer: use --to timm or --to onnx"
        )


def _is_sum_of_products(config: PeftConfig, backbone: nn.Module) -> bool:
    """Whether a module adds B A to weights, and nothing else."""
    layers = [module for module in backbone.modules() if isinstance(module, LoraLayer)]
    variants = [variant for layer in layers for variant in layer.lora_variant.values()]
    return (
        isinstance(config, LoraConfig)
        and not config.lora_bias
        and not any(type(variant).__module__.startswith("peft.") for variant in variants)
    )


def _unloaded(network: Network) -> nn.Module:
    """A copy of the backbone without its PEFT module."""
    copied: Any = copy.deepcopy(network.backbone)
    return copied.unload()


def _adapted(classifier: Classifier, plain: nn.Module) -> Any:
    """A plain timm model with the policy's PEFT module; its head is saved with the module.

    Args:
        classifier: The classifier to export.
        plain: The timm model, with head; changed in place.
    """
    backbone: Any = classifier.network.backbone
    config, head = backbone.peft_config[FIRST], classifier_name(plain)
    if _is_sum_of_products(config, backbone):
        return _with_lora(plain, lora_factors(backbone), head)
    if not hasattr(config, "modules_to_save"):
        raise ValueError(f"peft saves no head with {classifier.network.config.peft!r}; use --to timm or --to onnx")
    config = copy.deepcopy(config)
    config.modules_to_save = [head]
    adapted = get_peft_model(plain, config)
    tensors = get_peft_model_state_dict(adapted) | get_peft_model_state_dict(backbone)  # the head is in the first
    set_peft_model_state_dict(adapted, tensors)
    return adapted


def _with_lora(plain: nn.Module, factors: dict[str, Factors], head: str) -> Any:
    """A plain timm model with a plain LoRA of the given factors; alpha equals the rank, so that nothing is scaled."""
    ranks = {name: len(down) for name, (down, _) in factors.items()}
    most = max(ranks.values())
    others = {name: rank for name, rank in ranks.items() if rank != most}
    config = LoraConfig(
        r=most,
        lora_alpha=most,
        target_modules=list(factors),
        rank_pattern=others,
        alpha_pattern=dict(others),
        modules_to_save=[head],
    )
    adapted: Any = get_peft_model(plain, config)
    with torch.no_grad():
        for name, (down, up) in factors.items():
            layer = adapted.base_model.model.get_submodule(name)
            layer.lora_A[FIRST].weight.copy_(down)
            layer.lora_B[FIRST].weight.copy_(up)
    return adapted


def lora_factors(backbone: nn.Module) -> dict[str, Factors]:
    """The sum of all active LoRAs of a backbone for each layer of plain timm, by the name of the layer.

    LoRAs of one layer are stacked. Those of split queries, keys and values become one LoRA of timm's fused layer: each
    has rows of A and columns of B of its own, and B is zero where they do not meet. Scales are multiplied into B.
    """
    model = base_model(backbone)
    fused_names = [name for name, module in model.named_modules() if isinstance(module, SplitQKV)]
    factors = {}
    for name, layer in _lora_layers(model):
        if name.rpartition(".")[0] not in fused_names:
            factors[name] = _stacked(layer)
    for name in fused_names:
        factors[name] = _of_fused(model.get_submodule(name))
    return factors


def _lora_layers(model: nn.Module) -> Iterator[tuple[str, Any]]:
    return ((name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer))


def _stacked(layer: Any) -> Factors:
    """The factors of all active LoRAs of a layer."""
    names = [name for name in layer.active_adapters if name in layer.lora_A]
    scales = [layer.scaling[name] * (layer.lora_scale[name] if hasattr(layer, "lora_scale") else 1) for name in names]
    down = torch.cat([layer.lora_A[name].weight for name in names])
    up = torch.cat([layer.lora_B[name].weight * scale for name, scale in zip(names, scales, strict=True)], dim=1)
    return down.detach(), up.detach()


def _of_fused(split: SplitQKV) -> Factors:
    parts: list[Any] = [split.q, split.k, split.v]
    downs, ups = [], []
    for part in parts:
        adapted = isinstance(part, LoraLayer)
        down, up = _stacked(part) if adapted else (part.weight.new_empty(0, part.in_features), None)
        downs.append(down)
        ups.append(part.weight.new_empty(part.out_features, 0) if up is None else up)
    return torch.cat(downs), torch.block_diag(*ups)
