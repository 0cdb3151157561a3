"""Checks of `model.json` in a checkpoint, before an agent is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from types import NoneType
from typing import Any

from cls_env.datasets.files.decoding import Decoding

Kinds = Mapping[str, tuple[type, ...]]

POLICY: Kinds = {
    "policy": (dict,),
    "optimizer": (str, NoneType),
    "optimizer_kwargs": (dict,),
    "backbone_sha256": (str,),
}
"""Entries of the policy, with their types."""

AGENT: Kinds = {
    "algorithm": (str,),
    "learning_rate": (float, int, NoneType),
    "observation_shape": (list,),
    "num_actions": (int,),
    "num_timesteps": (int,),
    "n_updates": (int,),
    "action_seed": (int,),
    "current_task": (dict, NoneType),
    "tasks_begun": (int,),
}
"""Further entries of an agent."""

LATER: Kinds = {
    "class_names": (list, NoneType),
    "stream_fingerprint": (str, NoneType),
    "images_sha256": (str, NoneType),
    "image_decoding": (dict, NoneType),
    "policy_class": (str,),
    "view_seed": (int,),
    "recent_episodes": (dict,),
}
"""Entries that older checkpoints may lack."""

MOST_VALUES = 2**28
"""The most values of an observation: more than 4,096 x 4,096 pixels have."""
MOST = 2**12
"""The longest side of an image; there are at most as many actions as an image of such sides has pixels."""
_JSON_NAMES = {
    dict: "an object",
    list: "a list",
    str: "text",
    int: "a whole number",
    float: "a number",
    NoneType: "null",
}


def check_entries(description: Mapping[str, Any], kinds: Kinds, source: Path | str, required: bool = True) -> None:
    """Check the types of some entries of a description.

    Args:
        description: The object of `model.json`.
        kinds: The types of each entry.
        source: The file, for the message.
        required: Whether all entries must be there.

    Raises:
        ValueError: An entry is missing or of another kind.
    """
    for name, types in kinds.items():
        if name not in description:
            if required:
                raise ValueError(f"model.json in {source} lacks the entry {name!r}: the file is damaged")
            continue
        value = description[name]
        if not isinstance(value, types) or isinstance(value, bool):
            wanted = " or ".join(_JSON_NAMES[kind] for kind in types)
            raise ValueError(f"model.json in {source}: {name!r} must be {wanted}, not {value!r}")


def check_agent(description: Mapping[str, Any], source: Path | str) -> None:
    """Check the entries that all agents have in common.

    Args:
        description: The object of `model.json`.
        source: The file, for the message.

    Raises:
        ValueError: An entry is missing, of another kind, or does not fit another one.
    """
    check_entries(description, {**AGENT, **POLICY}, source)
    check_entries(description, LATER, source, required=False)
    actions, names, task = (description.get(name) for name in ("num_actions", "class_names", "current_task"))
    fitting = {
        "observation_shape": all(_is_count(side) and side <= MOST for side in description["observation_shape"])
        and prod(description["observation_shape"]) <= MOST_VALUES,
        "num_actions": _is_count(actions) and description["num_actions"] <= MOST**2,
        "num_timesteps": 0 <= description["num_timesteps"] < 2**63,
        "n_updates": 0 <= description["n_updates"] < 2**63,
        "action_seed": 0 <= description["action_seed"] < 2**32,
        "view_seed": 0 <= description.get("view_seed", 0) < 2**32,
        "tasks_begun": (task is not None) <= description["tasks_begun"] < 2**31,
        "class_names": names is None or (len(names) == actions and all(isinstance(name, str) for name in names)),
        "current_task": task is None
        or (
            all(_are_indices(task.get(name)) for name in ("classes", "tasks"))
            and all(action < description["num_actions"] for action in task["classes"])
        ),
    }
    for name, fits in fitting.items():
        if not fits:
            raise ValueError(f"model.json in {source}: {name!r} is damaged: {description[name]!r}")


def saved_decoding(entry: Mapping[str, Any], source: Path | str) -> Decoding:
    """The entry `image_decoding`.

    Args:
        entry: The object in `model.json`.
        source: The file, for the message.

    Raises:
        ValueError: An option is missing, unknown or out of range.
    """
    try:
        return Decoding(**entry)
    except (TypeError, ValueError) as error:
        raise ValueError(f"model.json in {source}: 'image_decoding' is damaged: {error}") from error


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _are_indices(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(index, int) and index >= 0 for index in value)
