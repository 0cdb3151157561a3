"""Which configurations are one run: the name of its folder, and configurations that earlier versions saved."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

RENAMED = {"normalisation": "normalization"}
"""Names of settings in `config.json` files of earlier versions, and their present names."""
ADDED: dict[str, Any] = {
    "compile": False,
    "micro_batch": None,
    "on_divergence": "stop",
    "device_images": "auto",
    "test_before_tasks": True,
    "label_fit": True,
}
"""Settings that earlier versions do not have, and the values that stand for what they do."""
MEASURING = ("test_before_tasks", "label_fit")
"""Settings that add tests. What a run learns does not depend on them."""
MOST_NAME_BYTES = 200
"""The most bytes in the name of a run's folder; file systems allow 255."""


def folder_name(words: Iterable[str], kind: type[Any], entries: Mapping[str, Any]) -> str:
    """A name for the folder of a run.

    Args:
        words: The readable part; cut where it is too long.
        kind: Class of the configuration.
        entries: The configuration. The name ends with its digest, without added settings that have their defaults; so
            folders of earlier versions keep their names.
    """
    defaults = {field.name: field.default for field in fields(kind)}
    named = {name: value for name, value in entries.items() if name not in ADDED or value != defaults[name]}
    digest = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:8]
    readable = re.sub(r"[^\w.+-]+", "_", "-".join(words)).encode()
    return f"{readable[: MOST_NAME_BYTES - len(digest) - 1].decode(errors='ignore')}-{digest}"


def precision_here(precision: str, device: str) -> str:
    """The precision that `auto` is on this machine; any other as it is.

    Args:
        precision: The setting.
        device: `auto`, `cpu`, `cuda` or `mps`.
    """
    if precision != "auto":
        return precision
    import torch

    from agents.networks.precision import precision_on

    gpu = device in ("auto", "cuda") and torch.cuda.is_available()
    return precision_on(precision, torch.device("cuda" if gpu else "cpu"))


def canonical(kind: type[Any], content: Any) -> dict[str, Any]:
    """The entries of a saved configuration, with the names and values that `as_json` gives them now.

    Modules that it names are not imported: others may have made the file.

    Args:
        kind: Class of the configuration.
        content: Content of its file; entries that this version does not know stay as they are.

    Raises:
        ValueError: It is not a configuration.
    """
    if not isinstance(content, dict):
        raise ValueError("it holds no configuration")
    content = ADDED | {RENAMED.get(name, name): value for name, value in content.items()}
    known = {field.name: content[field.name] for field in fields(kind) if field.name in content}
    try:
        spelled = kind(**known | {"imports": ()}).as_json()
    except ValueError:  # saved by a version that accepted other values
        return content
    return content | {name: value for name, value in spelled.items() if name in content and name != "imports"}


def measured(entries: Mapping[str, Any]) -> frozenset[str]:
    """The settings of `MEASURING` that are on in a configuration."""
    return frozenset(name for name in MEASURING if entries[name])


def what_is_learned(entries: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a configuration without those of `MEASURING`."""
    return {name: value for name, value in entries.items() if name not in MEASURING}
