"""Folders of datasets and of decoded images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

CACHE_VARIABLE = "CLS_ENV_CACHE"
DATA_VARIABLE = "CLS_ENV_DATA"


def cache_root() -> Path:
    """The folder of decoded images: `$CLS_ENV_CACHE`, or the user's cache folder.

    Raises:
        OSError: The user has no home folder, and the variable is not set.
    """
    return _folder(CACHE_VARIABLE, user_cache_path)


def data_folder(name: str, root: str | Path | None) -> Path:
    """The folder of a published dataset: `root`, else `$CLS_ENV_DATA/<name>`, else one in the user's data folder.

    Raises:
        OSError: The user has no home folder, and neither `root` nor the variable is given.
    """
    return _folder(DATA_VARIABLE, user_data_path) / name if root is None else expanded(root)


def expanded(path: str | Path, name: str = "a path") -> Path:
    """A path with `~` replaced by the home folder.

    Args:
        path: The path.
        name: Name of the argument, for messages.

    Raises:
        ValueError: It is not a path.
        OSError: There is no home folder.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(f"{name} must be text or a Path, not {path!r}")
    if path == "":
        raise ValueError(f"{name} must not be empty; '.' is the current folder")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise OSError(f"{path} can't be expanded, since this user has no home folder: give the full path") from error


def _folder(variable: str, find: Callable[[str], Path]) -> Path:
    given = os.environ.get(variable)
    if given:
        return expanded(given).absolute()
    try:
        return find("cls-env")
    except RuntimeError as error:
        raise OSError(f"this user has no home folder: set {variable} to a writable folder") from error
