"""Location of the files of a published dataset."""

from __future__ import annotations

from pathlib import Path

from cls_env.datasets.files.archives import ARCHIVE_SUFFIXES


def first_existing(name: str, root: Path, candidates: tuple[str, ...], advice: str = "") -> Path:
    """The first file or folder that exists, or `root` itself if it is a file.

    Args:
        name: Name of the dataset.
        root: The folder that contains the candidates.
        candidates: Names, in order of preference.
        advice: How to get the dataset if no command downloads it.

    Raises:
        ValueError: `root` is a file, and the dataset is not an archive.
        FileNotFoundError: None exists. The message says what is needed, where, and how to get it.
    """
    if root.is_file():
        if any(name.endswith(ARCHIVE_SUFFIXES) for name in candidates):
            return root
        raise ValueError(
            f"{name} is read from {' or '.join(candidates)} in a folder, not from {root}; for images of your own "
            "use the dataset 'folder'"
        )
    for candidate in candidates:
        if (root / candidate).exists():
            return root / candidate
    how = advice or f"get it with `cls-env download {name} --root {root}`"
    raise FileNotFoundError(f"{name} needs {' or '.join(candidates)} in {root}, which does not exist: {how}")
