"""Warnings about embedded backbones: one that knows characters alone, and one that has learned the very classes."""

from __future__ import annotations

from collections.abc import Sequence

from agents.networks.embedded_vits import MICRO_VIT, MINI_VIT
from agents.networks.model_names import timm_name
from cls_env import DATASETS
from experiments.config.entry import Entry
from experiments.config.settings import RunConfig
from experiments.console import warn

FOR_PHOTOGRAPHS = "vit_base_patch16_224.augreg_in21k_ft_in1k"
SMALLER = "vit_small_patch16_224.augreg_in21k_ft_in1k"
LEARNED = "tiny-imagenet"
"""Dataset on which the embedded backbone for photographs was pretrained."""


def warn_of_backbone(entries: Sequence[Entry]) -> None:
    """Print the first warning about the pretrained backbone of a run, if there is one."""
    for entry in entries:
        if warning := backbone_warning(entry.config):
            warn(warning)
            return


def backbone_warning(config: RunConfig) -> str | None:
    """The warning about a run; None if its images suit its weights, or if these are not of this package.

    Args:
        config: The configuration.
    """
    if not config.pretrained or config.weights is not None:
        return None
    name = timm_name(config.model).partition(".")[0]
    if name == MINI_VIT.name and config.dataset == LEARNED:
        return (
            f"{MINI_VIT.name} was pretrained on {config.dataset} itself, with its labels: accuracies say nothing "
            "about classes that are new to it"
        )
    if name == MICRO_VIT.name and config.dataset in DATASETS and DATASETS[config.dataset].augment:
        return (
            f"{MICRO_VIT.name} was pretrained on drawn characters, and knows little about the photographs of "
            f"{config.data_name}. Use --model {FOR_PHOTOGRAPHS}, or the smaller {SMALLER}. Without a network, use "
            f"--model {MINI_VIT.name}, which ships with this package, or add --weights FILE"
        )
    return None
