"""Local files that the `datasets` library reads: their names, their digest and their classes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any
from unicodedata import normalize

from cls_env.bounded.json_text import parse_json, read_json
from cls_env.datasets.files.content_digest import SourceFiles, remember
from cls_env.datasets.files.contents import list_folder
from cls_env.datasets.paths import cache_root

MOST_SHOWN = 8


@dataclass(frozen=True)
class DatasetFacts:
    """Facts about a dataset that identify its store.

    Attributes:
        splits: Names of all splits.
        images: Name of the image column.
        labels: Name of the label column.
        outside: Files outside of its folder that the dataset refers to, with relative paths unchanged.
        prints: The library's fingerprints of the splits, by name, unless all data are local files.
    """

    splits: tuple[str, ...]
    images: str
    labels: str
    outside: tuple[str, ...] = ()
    prints: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LocalDataset:
    """A local folder in one of the library's formats, and the files outside of it that it refers to.

    Attributes:
        root: The folder.
        columns: Names of the image and label column, if given.
    """

    root: Path
    columns: tuple[str | None, str | None]

    @cached_property
    def files(self) -> SourceFiles:
        """All files in the folder."""
        return SourceFiles((self.root,))

    def facts(self, find: Callable[[], DatasetFacts]) -> DatasetFacts:
        """The facts about the dataset, cached on disk for the same contents of the folder.

        Args:
            find: Reads the facts with the library.
        """
        key = json.dumps([str(self.root.resolve()), *self.columns]).encode()
        record = cache_root() / "digests" / f"huggingface-{sha256(key).hexdigest()[:32]}.json"
        facts = _remembered(record, self.files.digest)
        if facts is None:
            facts = find()
            if not facts.prints and self.files.unchanged():
                remember(record, {"digest": self.files.digest, **asdict(facts)})
        return facts

    def outside_files(self, facts: DatasetFacts) -> SourceFiles:
        """The files outside of the folder."""
        return SourceFiles(tuple(Path(file).absolute() for file in facts.outside))

    def outside(self, files: Iterable[str], scratch: Path) -> tuple[str, ...]:
        """Select the files that the folder's digest does not cover.

        Args:
            files: Paths.
            scratch: A folder with derived files, such as unpacked archives, which are not selected.
        """
        base = self.root.resolve()
        covered = {base / name for name in list_folder(self.root).files}
        paths = {file: Path(file) for file in files}
        return tuple(
            sorted(file for file, path in paths.items() if path not in covered and not path.is_relative_to(scratch))
        )


def is_local(file: str) -> bool:
    """Whether a path is a local file, not a URL."""
    return "://" not in file


def referred_files(splits: Iterable[Any], column: str) -> set[str]:
    """Paths of images whose contents are not stored in the table."""
    paths: set[str] = set()
    for split in splits:
        images = split.with_format("arrow")[:].column(column)
        fields = {field.name: part for field, part in zip(images.type, images.flatten(), strict=True)}
        paths.update(filter(None, fields["path"].filter(fields["bytes"].is_null()).to_pylist()))
    return paths


def check_class_names(files: Iterable[Path], column: str) -> None:
    """Raise ValueError unless all files number the classes alike. The library uses the names of the first file.

    Args:
        files: Files of tables. Files that are not parquet or Arrow files, or without class names, are ignored.
        column: The label column.

    Raises:
        ValueError: Two files have different class names, or a different order of them.
    """
    named: dict[Path, list[str]] = {}
    for file in files:
        if names := _class_names(file, column):
            named[file] = names
    for file, names in named.items():
        first = next(iter(named))
        if names != named[first]:
            start = _first_difference(named[first], names)
            raise ValueError(
                f"{first} and {file} number the classes of {column!r} differently, {_shown(named[first], start)} and "
                f"{_shown(names, start)}: write both with one ClassLabel, or with names instead of numbers"
            )


def _class_names(file: Path, column: str) -> list[str]:
    """Class names of a column in a file, in Unicode's composed form; empty if it has none."""
    try:
        about = parse_json((_schema(file).metadata or {})[b"huggingface"])
        return [normalize("NFC", name) for name in about["info"]["features"][column]["names"]]
    except (KeyError, TypeError, ValueError):  # other kinds of files and columns
        return []


def _schema(file: Path) -> Any:
    """The schema of a table.

    Raises:
        ValueError: It is not a parquet or Arrow file.
    """
    import pyarrow as arrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    if file.suffix.lower() == ".parquet":
        return parquet.read_schema(file)
    if file.suffix.lower() != ".arrow":
        raise ValueError(f"{file} is not a table")
    with file.open("rb") as stream:
        try:
            return arrow.ipc.open_stream(stream).schema
        except arrow.ArrowInvalid:  # Arrow has two formats
            return arrow.ipc.open_file(stream).schema


def _first_difference(one: Sequence[str], other: Sequence[str]) -> int:
    """Index of the first class to show: 0 if all can be shown, else that of the first difference."""
    if max(len(one), len(other)) <= MOST_SHOWN:
        return 0
    return next((at for at, pair in enumerate(zip(one, other, strict=False)) if len(set(pair)) > 1), len(one))


def _shown(names: Sequence[str], start: int) -> str:
    before, after = "... " * (start > 0), " ..." * (len(names) > start + MOST_SHOWN)
    return f"({before}{', '.join(names[start : start + MOST_SHOWN])}{after})"


def _remembered(record: Path, digest: str) -> DatasetFacts | None:
    try:
        known = read_json(record)
        if known["digest"] != digest:
            return None
        return DatasetFacts(
            tuple(known["splits"]), str(known["images"]), str(known["labels"]), tuple(map(str, known["outside"]))
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
