"""The protocol card: what another person needs to know in order to run the same thing."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch

import cls_env
from agents import EPG
from agents.networks.precision import precision_on
from agents.parallel.processes import current
from agents.policy import parameter_counts
from experiments.config.builders import loader_arguments
from experiments.config.resolved import ResolvedRun
from experiments.runs.measures import definitions

LIBRARIES = (
    "gymnasium",
    "matplotlib",
    "numpy",
    "peft",
    "pillow",
    "safetensors",
    "stable-baselines3",
    "timm",
    "torch",
    "torchvision",
)


def protocol_card(run: ResolvedRun, model: EPG) -> dict[str, Any]:
    """Weights, normalization, stream, seeds, hyperparameters, versions, hardware and definitions, as JSON."""
    config, stream, policy = run.config, run.stream, model.policy
    return {
        "config": config.as_json(),
        "seeds": asdict(config.seeds),
        "policy": asdict(policy.config),
        "weights": {
            "model": config.model,
            "pretrained": config.pretrained and config.weights is None,
            "file": policy.config.weights,
            "sha256": policy.backbone_hash,
        },
        "normalization": {
            "mean": policy.network.preprocessing.mean.flatten().tolist(),
            "std": policy.network.preprocessing.std.flatten().tolist(),
        },
        "views": {
            "stored": list(stream.dataset.train_images.shape[1:3]),
            "seen": list(policy.network.preprocessing.view.size),
            "central_crop_fraction": policy.network.preprocessing.view.crop_fraction,
            "random_crop_scale": model.crop_scale,
            "random_crop_ratio": list(model.train_view.ratio) if model.train_view else None,
            "random_flip": model.train_view.flip if model.train_view else None,
            "interpolation": policy.network.preprocessing.view.interpolation,
            "random_crop_interpolation": "bilinear" if model.train_view else None,
        },
        "parameters": parameter_counts(policy)
        | {"head": stream.num_classes * (policy.network.head.weight.shape[1] + 1)},
        **runtime_info(run, model.device),
    }


def runtime_info(run: ResolvedRun, device: torch.device) -> dict[str, Any]:
    """The card's entries on images, stream, definitions, versions and hardware."""
    stream = run.stream
    return {
        "loader": loader_arguments(run),
        "stream": {
            "images": repr(stream.dataset),
            "images_sha256": stream.dataset.images_sha256,
            **stream.describe(),
            "class_order": stream.class_order.tolist(),
        },
        "metrics": definitions(),
        "versions": {
            "python": platform.python_version(),
            "cls-env": cls_env.__version__,
            **{name: version(name) for name in LIBRARIES},
            "cuda": torch.version.cuda,
        },
        "hardware": {
            "machine": platform.machine(),
            "system": platform.system(),
            "cores": os.cpu_count(),
            "processes": current().count,
            "device": torch.cuda.get_device_name() if device.type == "cuda" else device.type,
            "precision": precision_on(run.config.precision, device),
        },
    }
