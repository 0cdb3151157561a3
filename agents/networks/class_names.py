"""Compare the classes of an agent with those of an environment, and reorder what is kept for each action."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MOST_NAMED = 3


def check_same_classes(learned: Sequence[str], given: Sequence[str], advice: str) -> None:
    """Check that an environment has the classes that were learned, in the same order.

    Args:
        learned: Names of the agent's actions.
        given: Names of the environment's actions.
        advice: What the user can do, for the message.

    Raises:
        ValueError: The names or their order differ.
    """
    if tuple(learned) != tuple(given):
        raise ValueError(
            f"the classes of the environment and of the agent differ, or their order: {differences(learned, given)}; "
            f"{advice}"
        )


def begins_with(given: Sequence[str], learned: Sequence[str]) -> bool:
    """Whether the names of an environment are those that were learned, in order, followed by further ones."""
    return len(given) > len(learned) and tuple(given[: len(learned)]) == tuple(learned)


def differences(learned: Sequence[str], given: Sequence[str]) -> str:
    """Where the names of two action spaces differ, in words."""
    places = [place for place, pair in enumerate(zip(learned, given, strict=False)) if pair[0] != pair[1]]
    moved = [
        f"action {place} is {given[place]!r} in the environment and {learned[place]!r} in the agent"
        for place in places[:MOST_NAMED]
    ]
    parts = [", ".join(moved) + (", ..." if len(places) > MOST_NAMED else "")] if moved else []
    for verb, names, others in (("lacks", learned, given), ("adds", given, learned)):
        if found := [name for name in names if name not in set(others)]:
            parts.append(f"the environment {verb} {_listed(found)}")
    if len(learned) != len(given):
        parts.append(f"the environment has {len(given)} actions and the agent {len(learned)}")
    return "; ".join(parts)


def new_positions(learned: Sequence[str], given: Sequence[str], seen: Sequence[int]) -> Tensor:
    """For each learned action, the position of its name among the names of an environment.

    Args:
        learned: Names of the agent's actions.
        given: Names of the environment's actions.
        seen: The agent's actions of which it has seen images.

    Returns:
        int64 of shape (len(learned),); -1 for an unseen class that the environment lacks.

    Raises:
        ValueError: The environment lacks a seen class, or a name stands for two actions.
    """
    for names in (learned, given):
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if list(names).count(name) > 1})
            raise ValueError(f"match_classes=True needs unique class names; these occur twice: {_listed(twice)}")
    if lost := [learned[action] for action in seen if learned[action] not in set(given)]:
        raise ValueError(f"the environment lacks classes that the agent has learned: {_listed(lost)}")
    place = {name: index for index, name in enumerate(given)}
    return torch.tensor([place.get(name, -1) for name in learned], dtype=torch.int64)


def move_actions(
    tensor: Tensor, new_index: Tensor, num_actions: int, dim: int = 0, fill: float | Tensor = 0.0
) -> Tensor:
    """Reorder a tensor of values for each action for another action space.

    Args:
        tensor: Values; dimension `dim` has the size of the old action space.
        new_index: The new position of each old action, -1 where it has none; int64.
        num_actions: Size of the new action space.
        dim: The dimension of the actions.
        fill: Values of new actions; a tensor is broadcast to the shape of the result.

    Returns:
        A new tensor.

    >>> move_actions(torch.tensor([1.0, 2.0]), torch.tensor([2, 0]), 3)
    tensor([2., 0., 1.])
    """
    shape = list(tensor.shape)
    shape[dim] = num_actions
    kept = (new_index >= 0).nonzero().squeeze(1)
    moved = tensor.new_empty(shape)
    moved[:] = fill
    return moved.index_copy_(dim, new_index[kept], tensor.index_select(dim, kept))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:MOST_NAMED])) + (", ..." if len(names) > MOST_NAMED else "")
