"""Which file or folder of a published set is read, and what to say when it is not there."""

from __future__ import annotations

from pathlib import Path

from cls_env.datasets.files.archives import ARCHIVE_SUFFIXES


def first_existing(name: str, root: Path, wanted: tuple[str, ...], advice: str = "") -> Path:
    """The first of some files or folders that is there; `root` itself, if it is a file.

    Args:
        name: Of the set.
        root: Where to look.
        wanted: Names, in order of preference.
        advice: What to do, where no command gets the set.

    Raises:
        ValueError: `root` is a file, and the set is no archive.
        FileNotFoundError: None is there; the message says what is wanted, where it was looked for, and how to get it.
    """
    if root.is_file():
        if any(name.endswith(ARCHIVE_SUFFIXES) for name in wanted):
            return root
        raise ValueError(
            f"{name} is read from {' or '.join(wanted)} in a folder, not from {root}; for images of your own "
            "use the dataset 'folder'"
        )
    for candidate in wanted:
        if (root / candidate).exists():
            return root / candidate
    how = advice or f"get it with `cls-env download {name} --root {root}`"
    raise FileNotFoundError(f"{name} needs {' or '.join(wanted)} in {root}, and it is not there: {how}")
