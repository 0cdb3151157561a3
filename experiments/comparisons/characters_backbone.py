"""A warning about photographs seen through the backbone that was pretrained on characters."""

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


def warn_of_characters(entries: Sequence[Entry]) -> None:
    """Print a warning, once, if a run learns photographs with the pretrained weights of the embedded backbone."""
    for entry in entries:
        if warning := characters_warning(entry.config):
            warn(warning)
            return


def characters_warning(config: RunConfig) -> str | None:
    """The warning about a run; None if its images or its weights are others.

    Args:
        config: The configuration.
    """
    own_weights = config.pretrained and config.weights is None
    embedded = timm_name(config.model).partition(".")[0] == MICRO_VIT.name
    photographs = config.dataset in DATASETS and DATASETS[config.dataset].augment
    if not (own_weights and embedded and photographs):
        return None
    return (
        f"{MICRO_VIT.name} was pretrained on drawn characters, and {config.data_name} is taken for photographs, in "
        f"which it sees little: type --model {FOR_PHOTOGRAPHS}, or the smaller {SMALLER}; without a network "
        f"--model {MINI_VIT.name}, which ships with this package, or --weights FILE too"
    )
