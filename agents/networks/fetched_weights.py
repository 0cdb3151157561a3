"""Whether the pretrained weights of a timm model must be fetched first."""

from __future__ import annotations

import timm
from huggingface_hub import try_to_load_from_cache

from agents.networks.model_names import timm_name

_FILE = "model.safetensors"
"""The hub's usual name of a file of weights."""


def needs_download(model: str) -> bool:
    """Whether the weights of a timm model are on the hub, and not in the hub's cache here.

    False for a model that is unknown, or has no weights.
    """
    try:
        config = timm.get_pretrained_cfg(timm_name(model))
    except RuntimeError:
        return False
    if config is None or config.file or not config.hf_hub_id:
        return False
    return not isinstance(try_to_load_from_cache(config.hf_hub_id, config.hf_hub_filename or _FILE), str)
