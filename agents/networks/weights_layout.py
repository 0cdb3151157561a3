"""Finding the model's own tensors among those of a training checkpoint, by their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

LEFT_OUT = ("momentum", "encoder_k", "student", "target")
"""Words in the prefix of a copy of the model that is not the one to take: MoCo's key encoder, DINO's student."""
AVERAGED = "ema"
"""The word in the prefix of a running average of the model, which is taken in place of the model."""


def without_prefix(tensors: Mapping[str, Tensor], wanted: Collection[str], source: str) -> dict[str, Tensor]:
    """The tensors of the prefix under which a model's names are found, without the prefix; all, where there is none.

    Frameworks put the model under a name of their own: `module.` (data parallel), `_orig_mod.` (compiled),
    `model.` or `net.` (Lightning), `module.base_encoder.` and `module.encoder_q.` (MoCo), `backbone.` (DINO). The
    prefix is the one under which most of the wanted names are found, at least half of them. Tensors of other prefixes,
    such as projection heads, queues and momentum encoders, are left out.

    Args:
        tensors: Of the file, by name.
        wanted: The model's names.
        source: Where the tensors come from, for the message.

    Raises:
        ValueError: The model is there twice, and nothing tells which one to take.
    """
    names = set(wanted)
    found: Counter[str] = Counter()
    for name in tensors:
        parts = name.split(".")
        for place in range(len(parts)):
            if ".".join(parts[place:]) in names:
                found["".join(f"{part}." for part in parts[:place])] += 1
    most = max(found.values(), default=0)
    if 2 * most < len(names):
        return dict(tensors)
    prefix = _chosen([prefix for prefix, count in found.items() if count == most], source)
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _chosen(prefixes: list[str], source: str) -> str:
    kept = [prefix for prefix in prefixes if not any(word in prefix for word in LEFT_OUT)] or prefixes
    kept = [prefix for prefix in kept if AVERAGED in re.split(r"[._]", prefix)] or kept
    if len(kept) > 1:
        raise ValueError(
            f"{source} contains several copies of the model, with the prefixes {', '.join(map(repr, sorted(kept)))}: "
            "save a file with one of them"
        )
    return kept[0]


def unwrapped(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The tensors within the entries of a training checkpoint that usually hold them, running averages first."""
    wrappers = ("state_dict_ema", "model_ema", "state_dict", "model")
    checkpoint = next((inner for name in wrappers if isinstance(inner := checkpoint.get(name), dict)), checkpoint)
    for wrapper in ("teacher", "model", "state_dict"):
        inner = checkpoint.get(wrapper)
        checkpoint = inner if isinstance(inner, dict) else checkpoint
    if not any(isinstance(value, Tensor) for value in checkpoint.values()):
        for wrapper in ("student", "net", "network", "backbone", "encoder", "params", "weights"):
            inner = checkpoint.get(wrapper)
            checkpoint = inner if isinstance(inner, dict) else checkpoint
    return checkpoint
