"""Names of backbones: timm's own, and the forms in which its hub gives them."""

from __future__ import annotations

from cls_env.arguments import word
from cls_env.specification import quoted

_HUB_PREFIXES = ("hf-hub:", "hf_hub:")
_OWNER = "timm/"


def timm_name(model: str) -> str:
    """The timm name that a model is asked for by; `hf-hub:timm/NAME`, `hf_hub:timm/NAME` and `timm/NAME` mean NAME.

    Raises:
        ValueError: It is a model of another organization of the hub, or of a local folder; or no text.

    >>> timm_name("hf-hub:timm/vit_tiny_patch16_224.augreg_in21k")
    'vit_tiny_patch16_224.augreg_in21k'
    """
    _, colon, place = word("model", model).rpartition(":")
    known = not colon or model.startswith(_HUB_PREFIXES)
    name = place.removeprefix(_OWNER)
    if not known or "/" in name or (colon and name == place):
        raise ValueError(
            f"model {quoted(model)} is not one of timm's models: download its weights and pass them as weights=FILE, "
            "with timm's name of the architecture as model"
        )
    return name
