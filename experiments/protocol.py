"""The protocol card: everything another person needs to tell whether they ran the same thing."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch

from agents import EPG
from agents.policy import parameter_counts
from cls_env import TaskStream
from experiments.config import RunConfig
from experiments.metrics import DEFINITIONS

LIBRARIES = ("gymnasium", "matplotlib", "numpy", "peft", "stable-baselines3", "timm", "torch")


def protocol_card(config: RunConfig, stream: TaskStream, model: EPG) -> dict[str, Any]:
    """Weights, normalisation, stream, seeds, hyperparameters, versions, hardware and definitions, as JSON."""
    policy = model.policy
    return {
        "config": config.as_json(),
        "seeds": asdict(config.seeds),
        "policy": asdict(policy.config),
        "weights": {"model": config.model, "pretrained": config.pretrained, "sha256": policy.backbone_hash},
        "normalisation": {
            "mean": policy.normalize.mean.flatten().tolist(),
            "std": policy.normalize.std.flatten().tolist(),
        },
        "parameters": parameter_counts(policy),
        "stream": {
            "images": repr(stream.dataset),
            "images_sha256": stream.dataset.images_sha256,
            **stream.describe(),
            "class_order": stream.class_order.tolist(),
        },
        "metrics": DEFINITIONS,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "hardware": {
            "machine": platform.machine(),
            "system": platform.system(),
            "cores": os.cpu_count(),
            "device": torch.cuda.get_device_name() if model.device.type == "cuda" else "cpu",
        },
    }
