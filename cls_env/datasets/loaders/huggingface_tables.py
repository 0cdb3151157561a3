"""A set as the `datasets` library opens it: its splits, and which columns hold images and classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from cls_env.command_line.errors import one_line
from cls_env.datasets.loaders.huggingface_files import LocalSet, SetFacts, check_class_names, is_local, referred_files
from cls_env.specification import lookup

LABEL_NAMES = ("label", "labels", "class", "category", "target")
"""Names of a column of classes, in order, where its type does not tell."""
Columns = tuple[str | None, str | None]
"""The columns of images and of classes, where they are named."""


class OpenSet(NamedTuple):
    """All splits of a set, with undecoded images, and what is known of it."""

    splits: dict[str, Any]
    facts: SetFacts


def open_published(datasets: Any, path: str, revision: str | None, columns: Columns) -> OpenSet:
    """Let the library fetch a set of the hub.

    Args:
        datasets: The library.
        path: The name of the set.
        revision: Branch, tag or commit.
        columns: Those that are named.

    Raises:
        ValueError: The set can't be fetched, or has no such columns.
    """
    found = _given(path, partial(datasets.load_dataset, path, revision=revision))
    images, labels = _columns(datasets, path, found, columns)
    splits = _undecoded(datasets, path, found, images)
    return OpenSet(splits, SetFacts(tuple(splits), images, labels, prints=_prints(splits)))


def open_local(datasets: Any, path: str, local: LocalSet, scratch: Path) -> OpenSet:
    """Let the library read a local folder.

    Args:
        datasets: The library.
        path: The folder, as messages are to name it.
        local: The folder.
        scratch: For the library's own copy of the tables, which is of no further use once the set is stored: it knows
            files by their times, not by their contents.

    Raises:
        ValueError: The library can't read it, it has no such columns, or its files name different classes.
    """
    builder = _given(path, partial(datasets.load_dataset_builder, str(local.root), cache_dir=str(scratch)))
    _given(path, builder.download_and_prepare)
    found = _given(path, builder.as_dataset)
    files = [str(file) for split in (builder.config.data_files or {}).values() for file in split]
    images, labels = _columns(datasets, path, found, local.columns)
    check_class_names((Path(file) for file in files if is_local(file)), labels)
    splits = _undecoded(datasets, path, found, images)
    outside = local.outside(filter(is_local, {*files, *referred_files(splits.values(), images)}), scratch)
    prints = {} if all(map(is_local, files)) else _prints(splits)
    return OpenSet(splits, SetFacts(tuple(splits), images, labels, outside, prints))


def _prints(splits: dict[str, Any]) -> dict[str, str]:
    return {name: split._fingerprint for name, split in splits.items()}


def _given(path: str, ask: Callable[[], Any]) -> Any:
    """What the library answers.

    Raises:
        ValueError: It fails.
    """
    try:
        return ask()
    except Exception as error:  # the hub's client has many kinds: no network, no such set, no such revision, ...
        within = type(error).__name__ == "DatasetGenerationError" and error.__cause__  # its own message says nothing
        raise ValueError(f"datasets.load_dataset can't give {path!r}: {one_line(within or error)}") from error


def _undecoded(datasets: Any, path: str, found: Any, images: str) -> dict[str, Any]:
    """The splits by name, their images as bytes or paths.

    Raises:
        ValueError: The column holds no images.
    """
    try:
        return {str(name): split.cast_column(images, datasets.Image(decode=False)) for name, split in found.items()}
    except Exception as error:  # another schema in a split, a column that holds no images, ...
        raise ValueError(f"{path}: column {images!r} can't be read as images: {one_line(error)}") from error


def _columns(datasets: Any, path: str, found: Any, named: Columns) -> tuple[str, str]:
    """The columns of images and of classes.

    Raises:
        ValueError: There are none, or several, or what is named holds no classes.
    """
    features = next(iter(found.values())).features
    images = named[0] or _only(path, features, datasets.Image, "image")
    labels = named[1] or _label_column(path, features, datasets)
    for column in (images, labels):
        lookup(f"column of {path}", column, features)
    if not (isinstance(features[labels], datasets.ClassLabel) or _is_plain(features[labels])):
        raise ValueError(
            f"{path}: column {labels!r} holds {features[labels]}, not classes; name another by label_column"
        )
    return images, labels


def _label_column(path: str, features: Any, datasets: Any) -> str:
    """The column of classes.

    Raises:
        ValueError: There is none, or there are several.
    """
    if any(isinstance(feature, datasets.ClassLabel) for feature in features.values()):
        return _only(path, features, datasets.ClassLabel, "label")
    plain = [name for name, feature in features.items() if _is_plain(feature)]
    for name in LABEL_NAMES:
        if name in plain:
            return name
    if len(plain) == 1:
        return plain[0]
    raise ValueError(
        f"{path} has no column of kind ClassLabel, and none of its columns of numbers or words "
        f"({', '.join(plain) or 'none'}) is called {', '.join(LABEL_NAMES[:-1])} or {LABEL_NAMES[-1]}: name one by "
        "label_column"
    )


def _is_plain(feature: Any) -> bool:
    """Whether a column holds whole numbers, words or truth values."""
    dtype = str(getattr(feature, "dtype", ""))
    return type(feature).__name__ == "Value" and dtype.startswith(("int", "uint", "string", "large_string", "bool"))


def _only(path: str, features: Any, kind: type, what: str) -> str:
    """The one column of a kind.

    Raises:
        ValueError: There is none, or there are several.
    """
    columns = [name for name, feature in features.items() if isinstance(feature, kind)]
    if len(columns) != 1:
        raise ValueError(
            f"{path} has {len(columns)} columns of kind {kind.__name__} ({', '.join(columns) or 'none'} of "
            f"{', '.join(features)}); name one by {what}_column"
        )
    return columns[0]
