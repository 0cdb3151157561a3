"""Which classes of a folder are new to a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

MOST_NAMED = 8


def new_classes(learned: Sequence[str], found: Sequence[str], model: Path, root: Path) -> list[str]:
    """The classes of a folder that a model has not learned, in the folder's order, by exact name.

    Args:
        learned: Classes of the model.
        found: Classes of the folder: all of the model's and further ones, or new ones alone.
        model: The model's file, for messages.
        root: The folder, for messages.

    Raises:
        ValueError: Nothing is new, or the folder has some of the model's classes and lacks others.
    """
    lacking = [name for name in learned if name not in set(found)]
    new = [name for name in found if name not in set(learned)]
    if not new:
        raise ValueError(
            f"{root} has no class that {model} has not learned: nothing is new; add a folder of images for each new "
            "class"
        )
    if not lacking or len(lacking) == len(learned):
        return new
    if len(lacking) == len(new) == 1:
        raise ValueError(
            f"{root} has {new[0]!r} and lacks {lacking[0]!r}, which {model} has learned: if it is the same class under "
            f"a new name, name the folder {lacking[0]!r} again; if {new[0]!r} is new, add the images of {lacking[0]!r} "
            f"too, or give a folder of {new[0]!r} alone"
        )
    raise ValueError(
        f"{root} lacks {len(lacking)} of the {len(learned)} classes that {model} has learned, {named(lacking)}: add "
        f"their folders, or give a folder of the new classes alone, {named(new)}"
    )


def named(names: Sequence[str]) -> str:
    """Some names, with an ellipsis for the rest."""
    return ", ".join(map(repr, names[:MOST_NAMED])) + (", ..." if len(names) > MOST_NAMED else "")
