"""Checks of the parameters for `set_parameters`, before any is copied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from agents.networks.weights import check_tensors

_ADVICE = "an agent that learned other tasks is kept by save(path) and load(path)"
_ACTIONS = "network.head.actions"


def check_parameters(given: Any, own: Mapping[str, Mapping[str, Any]], algorithm: str, exact_match: bool) -> None:
    """Check that parameters are those of an agent that learned the same classes.

    Args:
        given: What `get_parameters` of such an agent gave.
        own: What `get_parameters` of this one gives.
        algorithm: Its name.
        exact_match: Whether all of its parameters must be given.

    Raises:
        ValueError: They are not.
    """
    if not isinstance(given, Mapping):
        raise ValueError(
            f"set_parameters takes the dict that get_parameters gives, not {given!r}: read a file by "
            f"{algorithm}.load(path)"
        )
    expected = ", ".join(map(repr, own))
    strange = [name for name in given if name not in own]
    if strange or (exact_match and set(given) != set(own)):
        found = ", ".join(map(repr, given)) or "nothing"
        raise ValueError(f"set_parameters of {algorithm} takes {expected}, as get_parameters gives them, not {found}")
    for name, tensors in given.items():
        if not isinstance(tensors, Mapping) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
            raise ValueError(f"set_parameters: {name!r} holds tensors by name, as get_parameters gives them")
        _check_classes(tensors, own[name])
        wanted = own[name] if exact_match else {key: own[name][key] for key in tensors if key in own[name]}
        fitting = tensors if exact_match else {key: tensors[key] for key in wanted}
        try:
            check_tensors(fitting, wanted, f"what set_parameters was given as {name!r}")
        except ValueError as error:
            raise ValueError(f"{error}; {_ADVICE}") from error


def _check_classes(given: Mapping[str, Tensor], own: Mapping[str, Any]) -> None:
    if _ACTIONS not in given or _ACTIONS not in own:
        return
    theirs, ours = given[_ACTIONS].flatten().tolist(), own[_ACTIONS].flatten().tolist()
    if theirs != ours:
        raise ValueError(
            f"set_parameters was given the parameters of an agent that learned the classes {theirs}, where this one "
            f"learned {ours}; {_ADVICE}"
        )
