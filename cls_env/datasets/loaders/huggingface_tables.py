"""Opening a dataset with the `datasets` library: its splits, and its image and label columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from cls_env.command_line.errors import one_line
from cls_env.datasets.loaders.huggingface_files import (
    DatasetFacts,
    LocalDataset,
    check_class_names,
    is_local,
    referred_files,
)
from cls_env.specification import lookup

LABEL_NAMES = ("label", "labels", "class", "category", "target")
"""Usual names of a label column, in order of preference, if its type does not identify it."""
Columns = tuple[str | None, str | None]
"""Names of the image and label column, if given."""


class OpenDataset(NamedTuple):
    """All splits of a dataset, with undecoded images, and the facts about it."""

    splits: dict[str, Any]
    facts: DatasetFacts


def open_published(datasets: Any, path: str, revision: str | None, columns: Columns) -> OpenDataset:
    """Download a dataset of the hub with the library.

    Args:
        datasets: The library.
        path: Name of the dataset.
        revision: Branch, tag or commit.
        columns: Names of the image and label column, if given.

    Raises:
        ValueError: The dataset can't be downloaded, or has no such columns.
    """
    found = _given(path, partial(datasets.load_dataset, path, revision=revision))
    images, labels = _columns(datasets, path, found, columns)
    splits = _undecoded(datasets, path, found, images)
    return OpenDataset(splits, DatasetFacts(tuple(splits), images, labels, prints=_prints(splits)))


def open_local(datasets: Any, path: str, local: LocalDataset, scratch: Path) -> OpenDataset:
    """Read a local folder with the library.

    Args:
        datasets: The library.
        path: Path of the folder, for messages.
        local: The folder.
        scratch: Folder for the library's copy of the tables. It is not kept, because the library identifies files by
            their times, not by their contents.

    Raises:
        ValueError: The library can't read it, it has no such columns, or its files number the classes differently.
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
    return OpenDataset(splits, DatasetFacts(tuple(splits), images, labels, outside, prints))


def _prints(splits: dict[str, Any]) -> dict[str, str]:
    return {name: split._fingerprint for name, split in splits.items()}


def _given(path: str, ask: Callable[[], Any]) -> Any:
    """Call the library and return its result.

    Raises:
        ValueError: The call fails.
    """
    try:
        return ask()
    except Exception as error:  # the hub's client has many kinds: no network, no such set, no such revision, ...
        within = type(error).__name__ == "DatasetGenerationError" and error.__cause__  # its own message says nothing
        raise ValueError(f"datasets.load_dataset can't give {path!r}: {one_line(within or error)}") from error


def _undecoded(datasets: Any, path: str, found: Any, images: str) -> dict[str, Any]:
    """The splits by name, with images as bytes or paths.

    Raises:
        ValueError: The column does not contain images.
    """
    try:
        return {str(name): split.cast_column(images, datasets.Image(decode=False)) for name, split in found.items()}
    except Exception as error:  # another schema in a split, a column without images, ...
        raise ValueError(f"{path}: column {images!r} can't be read as images: {one_line(error)}") from error


def _columns(datasets: Any, path: str, found: Any, named: Columns) -> tuple[str, str]:
    """Names of the image and label column.

    Raises:
        ValueError: There is no such column, there are several, or the named one does not contain classes.
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
    """Name of the label column.

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
        f"{path} has no column of kind ClassLabel, and none of its columns of integers or text "
        f"({', '.join(plain) or 'none'}) is called {', '.join(LABEL_NAMES[:-1])} or {LABEL_NAMES[-1]}: name one by "
        "label_column"
    )


def _is_plain(feature: Any) -> bool:
    """Whether a column contains integers, text or booleans."""
    dtype = str(getattr(feature, "dtype", ""))
    return type(feature).__name__ == "Value" and dtype.startswith(("int", "uint", "string", "large_string", "bool"))


def _only(path: str, features: Any, kind: type, what: str) -> str:
    """Name of the only column of a kind.

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
