"""Local files that the `datasets` library reads: which they are, what identifies them, and the classes they name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any
from unicodedata import normalize

from cls_env.datasets.files.content_digest import SourceFiles, remember
from cls_env.datasets.files.contents import list_folder
from cls_env.datasets.paths import cache_root

MOST_SHOWN = 8


@dataclass(frozen=True)
class SetFacts:
    """What must be known of a set to say which store is its own.

    Attributes:
        splits: Names of all splits.
        images: The column of images.
        labels: The column of classes.
        outside: Files that the set refers to and that are not in its folder; relative ones as they are written.
        prints: The library's fingerprints of the splits, by name, where not all data are local files.
    """

    splits: tuple[str, ...]
    images: str
    labels: str
    outside: tuple[str, ...] = ()
    prints: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LocalSet:
    """A folder in one of the library's formats, with the files outside of it that it refers to.

    Attributes:
        root: The folder.
        columns: Those of images and of classes, where they are named; they decide on the facts.
    """

    root: Path
    columns: tuple[str | None, str | None]

    @cached_property
    def files(self) -> SourceFiles:
        """All files in the folder."""
        return SourceFiles((self.root,))

    def facts(self, find: Callable[[], SetFacts]) -> SetFacts:
        """What is known of the set; found once for the same contents of the folder, then remembered in the cache.

        Args:
            find: Reads the set with the library.
        """
        key = json.dumps([str(self.root.resolve()), *self.columns]).encode()
        record = cache_root() / "digests" / f"huggingface-{sha256(key).hexdigest()[:32]}.json"
        facts = _remembered(record, self.files.digest)
        if facts is None:
            facts = find()
            if not facts.prints and self.files.unchanged():
                remember(record, {"digest": self.files.digest, **asdict(facts)})
        return facts

    def outside_files(self, facts: SetFacts) -> SourceFiles:
        """The files outside of the folder."""
        return SourceFiles(tuple(Path(file).absolute() for file in facts.outside))

    def outside(self, files: Iterable[str], scratch: Path) -> tuple[str, ...]:
        """Those of some files that the folder's digest does not cover.

        Args:
            files: Paths.
            scratch: A folder of files that were made from others, such as unpacked archives.
        """
        base = self.root.resolve()
        covered = {base / name for name in list_folder(self.root).files}
        paths = {file: Path(file) for file in files}
        return tuple(
            sorted(file for file, path in paths.items() if path not in covered and not path.is_relative_to(scratch))
        )


def is_local(file: str) -> bool:
    """Whether a path is one of this machine, and no address."""
    return "://" not in file


def referred_files(splits: Iterable[Any], column: str) -> set[str]:
    """The paths of images whose contents are not in the table itself."""
    paths: set[str] = set()
    for split in splits:
        images = split.with_format("arrow")[:].column(column)
        fields = {field.name: part for field, part in zip(images.type, images.flatten(), strict=True)}
        paths.update(filter(None, fields["path"].filter(fields["bytes"].is_null()).to_pylist()))
    return paths


def check_class_names(files: Iterable[Path], column: str) -> None:
    """Check that all files mean the same classes by the same numbers; the library takes the names of the first.

    Args:
        files: That hold tables; what is no parquet or Arrow file, or names no classes, is passed over.
        column: Of the classes.

    Raises:
        ValueError: Two files name other classes, or in another order.
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
                f"{_shown(names, start)}: write both with one ClassLabel, or with names in place of numbers"
            )


def _class_names(file: Path, column: str) -> list[str]:
    """The names that a file gives to the numbers of a column, composed; empty where it gives none."""
    try:
        about = json.loads((_schema(file).metadata or {})[b"huggingface"])
        return [normalize("NFC", name) for name in about["info"]["features"][column]["names"]]
    except (KeyError, TypeError, ValueError):  # other kinds of files and columns
        return []


def _schema(file: Path) -> Any:
    """The schema of a table.

    Raises:
        ValueError: It is no parquet or Arrow file.
    """
    import pyarrow as arrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    if file.suffix.lower() == ".parquet":
        return parquet.read_schema(file)
    if file.suffix.lower() != ".arrow":
        raise ValueError(f"{file} is no table")
    with file.open("rb") as stream:
        try:
            return arrow.ipc.open_stream(stream).schema
        except arrow.ArrowInvalid:  # the other of the two formats
            return arrow.ipc.open_file(stream).schema


def _first_difference(one: Sequence[str], other: Sequence[str]) -> int:
    """The first class that must be shown: 0 where all can be, else the first that differs."""
    if max(len(one), len(other)) <= MOST_SHOWN:
        return 0
    return next((at for at, pair in enumerate(zip(one, other, strict=False)) if len(set(pair)) > 1), len(one))


def _shown(names: Sequence[str], start: int) -> str:
    before, after = "... " * (start > 0), " ..." * (len(names) > start + MOST_SHOWN)
    return f"({before}{', '.join(names[start : start + MOST_SHOWN])}{after})"


def _remembered(record: Path, digest: str) -> SetFacts | None:
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        if known["digest"] != digest:
            return None
        return SetFacts(
            tuple(known["splits"]), str(known["images"]), str(known["labels"]), tuple(map(str, known["outside"]))
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
