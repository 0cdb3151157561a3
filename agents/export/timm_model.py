"""A policy as a plain timm model: its PEFT module merged into the backbone, its head as the model's classifier."""

from __future__ import annotations

import copy
import inspect
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
from peft import PeftModel
from timm.models import model_entrypoint
from torch import Tensor, nn

from agents.checkpoint.archive import write_tensors
from agents.export.classifier import Classifier
from agents.export.image_steps import ImageSteps
from agents.methods import FixedBackbone, Method
from agents.networks.backbone import create_timm_model
from agents.networks.base_model import base_model
from agents.peft_modules.split_projection import SplitQKV

OWN_ARCHITECTURES = "agents.networks."
"""Modules that register further architectures with timm. Each needs nothing but timm and torch."""
KEPT = ("tag", "license", "fixed_input_size", "first_conv", "classifier")
"""Entries of timm's configuration of the weights that stay the same."""


class TimmModel(NamedTuple):
    """A timm model, and how timm makes it.

    Attributes:
        model: In eval mode.
        architecture: timm's name of it.
        model_args: Further arguments of `timm.create_model`.
    """

    model: nn.Module
    architecture: str
    model_args: dict[str, Any]

    @property
    def file(self) -> Path | None:
        """The Python file that registers the architecture with timm; None if it is timm's own.

        Raises:
            ValueError: It is registered elsewhere, where more than this file may be needed.
        """
        entrypoint = model_entrypoint(self.architecture)
        if entrypoint.__module__.startswith("timm."):
            return None
        if not entrypoint.__module__.startswith(OWN_ARCHITECTURES):
            raise ValueError(
                f"{self.architecture} is registered with timm by {entrypoint.__module__}, and a folder for timm would "
                "not load without it; use --to onnx"
            )
        return Path(inspect.getfile(entrypoint))


def write_timm(classifier: Classifier, folder: Path) -> None:
    """Write the classifier as a folder that `timm.create_model("local-dir:...", pretrained=True)` loads.

    Raises:
        ValueError: A plain timm model does not give the agent's scores.
    """
    write_timm_folder(folder, merged_model(classifier), classifier.steps, classifier.class_names)
    written = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    classifier.check_same(written, "timm's model computes something else; use --to onnx")


def merged_model(classifier: Classifier) -> TimmModel:
    """The classifier as a plain timm model.

    Raises:
        ValueError: Its method does not answer with a head on one backbone, or its PEFT module can't be merged.
    """
    check_plain_scores(classifier.method, classifier.network.config.method)
    peft = classifier.network.config.peft
    return plain_model(classifier, merged_backbone(classifier.network.backbone, peft), len(classifier.actions))


def check_plain_scores(method: Method, specification: str) -> None:
    """Check that a method's scores are those of the linear head on the features of the backbone.

    Raises:
        ValueError: They are computed in another way.
    """
    kind = type(method)
    of_features = kind.scores is FixedBackbone.scores if isinstance(method, FixedBackbone) else False
    plain_head = of_features and kind.scores_from_features is FixedBackbone.scores_from_features  # type: ignore[attr-defined]
    if kind.scores is not Method.scores and not plain_head:
        raise ValueError(
            f"method {specification!r} computes scores of its own ({kind.__name__}), where timm and peft have one "
            "linear head on one backbone; use --to onnx"
        )


def merged_backbone(backbone: nn.Module, peft: str) -> nn.Module:
    """A copy of a backbone with its PEFT module merged into its weights, where merging is defined.

    Args:
        backbone: The backbone. It is not changed.
        peft: Specification of its module, for the message.

    Raises:
        ValueError: The module can't be merged.
    """
    backbone = copy.deepcopy(backbone)
    if isinstance(backbone, PeftModel):
        tuner: Any = backbone
        try:
            backbone = tuner.merge_and_unload()
        except Exception as error:  # peft's have many kinds
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"peft={peft!r} can't be merged into the backbone ({reason}); use --to onnx") from error
    return fused(backbone)


def fused(backbone: nn.Module) -> nn.Module:
    """Make the queries, keys and values of split projections timm's fused `qkv` again, in place."""
    for name, module in list(backbone.named_modules()):
        if isinstance(module, SplitQKV):
            parent, _, child = name.rpartition(".")
            setattr(backbone.get_submodule(parent), child, _fused_layer(module))
    return backbone


def _fused_layer(split: SplitQKV) -> nn.Linear:
    parts = (split.q, split.k, split.v)
    biases = [part.bias for part in parts]
    layer = nn.Linear(split.q.in_features, sum(part.out_features for part in parts), bias=biases != [None] * 3)
    layer.weight = nn.Parameter(torch.cat([part.weight.detach() for part in parts]))
    if layer.bias is not None:
        layer.bias = nn.Parameter(torch.cat([_bias(part) for part in parts]))
    return layer


def _bias(layer: nn.Linear) -> Tensor:
    return layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias.detach()


def plain_model(classifier: Classifier, backbone: nn.Module, num_classes: int) -> TimmModel:
    """A timm model with the weights of a backbone, and of the classifier's head if it has classes.

    Args:
        classifier: Whose head, model and view are used.
        backbone: A timm model without a classifier or PEFT module.
        num_classes: The number of seen classes, or 0 for a model without a head.

    Raises:
        ValueError: timm makes no model of these weights.
    """
    config, (width, height) = classifier.network.config, classifier.steps.size
    architecture = config.model.split(".")[0]
    model, arguments = create_timm_model(architecture, False, (height, width), num_classes)
    tensors = {name: tensor.detach() for name, tensor in backbone.state_dict().items()}
    if num_classes:
        head = classifier.network.head
        rows = [head.actions.tolist().index(action) for action in classifier.actions]
        name = classifier_name(model)
        tensors |= {f"{name}.weight": head.weight.detach()[rows], f"{name}.bias": head.bias.detach()[rows]}
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(
            f"the weights of {architecture} with peft={config.peft!r} are not those of a timm model with one linear "
            "head; use --to onnx"
        ) from error
    model.eval().requires_grad_(False)
    model.pretrained_cfg = base_model(classifier.network.backbone).pretrained_cfg
    return TimmModel(model, architecture, arguments)


def classifier_name(model: nn.Module) -> str:
    """The name of a timm model's classifier.

    Raises:
        ValueError: The model has no single linear one.
    """
    last: Any = getattr(model, "get_classifier", lambda: None)()
    names = [name for name, module in model.named_modules() if module is last and isinstance(module, nn.Linear)]
    if len(names) != 1:
        raise ValueError(f"timm's {type(model).__name__} has no single linear classifier; use --to onnx")
    return names[0]


def write_timm_folder(folder: Path, built: TimmModel, steps: ImageSteps, names: tuple[str, ...] = ()) -> None:
    """Write `config.json` and `model.safetensors` as timm's hub has them, and the architecture if it is not timm's.

    Args:
        folder: It exists.
        built: The model.
        steps: Its preprocessing.
        names: Names of the classes; empty for a model without a head.
    """
    if built.file is not None:
        shutil.copyfile(built.file, folder / f"{built.architecture}.py")
    width, height = steps.size
    known: Any = built.model.pretrained_cfg
    own = {key: known[key] for key in KEPT if known.get(key) is not None}
    config = {
        "architecture": built.architecture,
        "num_classes": len(names),
        "num_features": int(built.model.num_features),  # type: ignore[arg-type]
        **({"label_names": list(names)} if names else {}),
        **({"model_args": built.model_args} if built.model_args else {}),
        "pretrained_cfg": own
        | {
            "num_classes": len(names),
            "custom_load": False,
            "input_size": [3, height, width],
            "interpolation": steps.interpolation,
            "crop_pct": steps.crop_pct,
            "crop_mode": "center",
            "mean": list(steps.mean),
            "std": list(steps.std),
        },
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    write_tensors(built.model.state_dict(), folder / "model.safetensors")
