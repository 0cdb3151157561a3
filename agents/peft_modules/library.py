"""The methods of peft that fit a ViT, by name, each with a place and small arguments of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import gcd
from typing import Any

import peft
from peft import PeftConfig, PeftModel
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from torch import nn

from agents.peft_modules.peft_model import check_config_arguments, make_peft_model
from agents.peft_modules.target_modules import target_pattern
from cls_env.specification import lookup

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Method:
    """How a method of peft is put on a ViT by default."""

    arguments: Arguments = field(default_factory=dict)
    """Of peft's config, in place of its defaults; about the size of a LoRA of rank 4 where the method has a size."""
    fitted: Callable[[int], Arguments] | None = None
    """Further ones, which depend on the width of the model."""
    alpha: str = ""
    """The argument that equals the rank, so that nothing is multiplied by alpha / r."""
    targets: str = "kv"
    """Place in the blocks, see `agents.peft_modules.target_modules`."""
    identity: bool = True
    """Whether the model's outputs are at first those of the backbone."""
    peft_type: str = ""
    """Name of its config in peft, where that is not its own in capitals."""


_RANK_4 = {"r": 4}

METHODS: dict[str, Method] = {
    "adamss": Method(),
    "beft": Method(targets="v"),  # adding one vector to all keys would change no attention
    "boft": Method({"boft_block_size": 4}),
    "c3a": Method({"init_weights": True}, lambda width: {"block_size": gcd(64, width)}),
    "deft": Method(_RANK_4),
    "delora": Method(_RANK_4),
    "dora": Method({"use_dora": True} | _RANK_4, alpha="lora_alpha", peft_type="LORA"),
    "fourierft": Method({"init_weights": True}, lambda width: {"n_frequency": min(1000, width**2)}),
    "frod": Method({"progressbar": False}),
    "glora": Method({"r": 2}),
    "gralora": Method(_RANK_4, alpha="alpha"),
    "hira": Method(_RANK_4),
    "hra": Method({"r": 8}),
    "ia3": Method({"feedforward_modules": r".*\.mlp\.fc2"}, targets="kv+fc2"),
    "ln-tuning": Method(targets="norms"),
    "loha": Method({"r": 2}, alpha="alpha"),
    "lokr": Method(_RANK_4, alpha="alpha"),
    "miss": Method({"r": 8}),
    "oft": Method(fitted=lambda width: {"oft_block_size": gcd(16, width)}),
    "osf": Method({"effective_rank": 0.99}),
    "peanut": Method(_RANK_4),
    "psoft": Method({"r": 16}, alpha="psoft_alpha"),
    "randlora": Method({"r": 96, "randlora_alpha": 20 * 96}),
    "road": Method(fitted=lambda width: {"group_size": gcd(64, width)}),
    "shira": Method(_RANK_4),
    "supertuning": Method(),
    "tinylora": Method(),
    "unilora": Method(_RANK_4, identity=False),
    "vblora": Method({"num_vectors": 90} | _RANK_4, lambda width: {"vector_length": gcd(256, width)}, identity=False),
    "vera": Method({"r": 256}),
    "waveft": Method(fitted=lambda width: {"n_frequency": min(1000, width**2)}),
}
"""Methods by the name that peft gives them, in small letters; LoRA itself is in `agents.peft_modules.lora`."""

_VIRTUAL_TOKENS = "it puts virtual tokens before the text of a language model"

UNFIT: dict[str, str] = {
    "adalora": "it moves rank between layers by a call after each step, which no learner here makes",
    "adaption-prompt": "it is built for the attention of Llama, Mistral and GPT-2",
    "bone": "peft renamed it; ask for miss",
    "cartridge": "it fills the key-value cache of a language model",
    "cpt": _VIRTUAL_TOKENS,
    "lily": "it routes by a mean over the batch, so that an answer depends on the other images",
    "multitask-prompt-tuning": _VIRTUAL_TOKENS,
    "p-tuning": _VIRTUAL_TOKENS,
    "poly": "it needs the task of each image with each call",
    "prefix-tuning": _VIRTUAL_TOKENS,
    "prompt-tuning": _VIRTUAL_TOKENS,
    "pvera": "it samples in training mode, in which a frozen backbone never is",
    "shadow": "it runs parallel to the decoder of a language or diffusion model",
    "trainable-tokens": "it learns rows of a token embedding, which images have not",
    "xlora": "it mixes LoRAs of a language model that were trained and saved before",
}
"""The other methods of peft, and what keeps them from a ViT."""

SEEDS = ("generator_seed", "proj_seed", "projection_prng_key", "projection_seed", "random_loc_seed", "random_seed")
"""Arguments by which methods of peft fix random numbers of their own."""


def add_library_module(
    name: str,
    /,
    backbone: nn.Module,
    blocks: Sequence[int],
    seed: int,
    *,
    targets: str | None = None,
    **config: Any,
) -> PeftModel:
    """Freeze a timm ViT and put a module of peft on layers of some blocks.

    Args:
        name: Of the method, in `METHODS`.
        backbone: A timm VisionTransformer; changed in place.
        blocks: Indices of the transformer blocks.
        seed: Fixes the module's random numbers; the global random state does not change.
        targets: Where in a block, see `agents.peft_modules.target_modules`; by default, the method's own place.
        **config: Arguments of peft's config, which replace those in `METHODS`.

    Returns:
        The model as a `peft.PeftModel`.

    Raises:
        ValueError: The method is unknown or is not in this version of peft, has no such argument, or the blocks or the
            place do not fit the model.

    >>> import timm
    >>> vit = timm.create_model("test_vit", num_classes=0)
    >>> add_library_module("ia3", vit, blocks=[0, 1], seed=0).get_nb_trainable_parameters()[0]
    640
    """
    method = lookup("PEFT module", name, METHODS)
    config_class = method_config(name)
    own = {argument.name: seed for argument in fields(config_class) if argument.name in SEEDS}
    arguments = own | _defaults(method, getattr(backbone, "embed_dim", 0)) | config
    if method.alpha:
        arguments.setdefault(method.alpha, arguments["r"])
    check_config_arguments(name, config_class, arguments)
    pattern = target_pattern(backbone, blocks, targets or method.targets)
    return make_peft_model(config_class, backbone, seed, pattern, arguments)


def _defaults(method: Method, width: int) -> Arguments:
    return method.arguments | (method.fitted(width) if method.fitted else {})


def method_config(name: str) -> type[PeftConfig]:
    """The config of a method in `METHODS`.

    Raises:
        ValueError: The installed version of peft, being older, lacks it.
    """
    method = METHODS[name]
    known: Mapping[Any, type[PeftConfig]] = PEFT_TYPE_TO_CONFIG_MAPPING
    config_class = known.get(method.peft_type or name.upper().replace("-", "_"))
    if config_class is None:
        raise ValueError(f"peft {peft.__version__} has no {name!r}; a later version has")
    return config_class
