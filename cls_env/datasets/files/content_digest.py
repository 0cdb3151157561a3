"""Digest of the names and contents of a dataset's files.

The digest is cached on disk together with a fingerprint of the files' sizes, times of change and inodes. If the
fingerprint is unchanged and reliable, no file is read again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from cls_env.bounded.json_text import read_json
from cls_env.datasets.files.contents import list_folder
from cls_env.datasets.paths import cache_root

READ_AT_ONCE = 2**20
RECENT_NANOSECONDS = 2 * 10**9
"""A file that changed more recently than this could change again without a new time, because some file systems have a
time resolution of two seconds."""
SECONDS_WITHOUT_BAR = 2


class FileState(NamedTuple):
    """State of a file in the file system. It changes with the content, where it is reliable."""

    name: str
    size: int
    modified: int
    changed: int
    inode: int


@dataclass(frozen=True)
class SourceFiles:
    """The files and folders from which a dataset is decoded.

    Attributes:
        roots: Files, archives or folders. Missing ones are part of the digest.
    """

    roots: tuple[Path, ...]

    @cached_property
    def _listing(self) -> tuple[list[str], list[FileState]]:
        """Folders, problems and missing roots, and the states of all files, at the first access."""
        facts: list[str] = []
        states: list[FileState] = []
        for index, root in enumerate(self.roots):
            if root.is_dir():
                contents = list_folder(root)
                facts += [f"{index} folder {name}" for name in contents.folders]
                facts += [f"{index} problem {name}" for name in sorted(contents.problems)]
                states += [_state(root / name, f"{index}/{name}") for name in contents.files]
            elif root.exists():
                states.append(_state(root, str(index)))
            else:
                facts.append(f"{index} is missing")
        return facts, states

    @property
    def fingerprint(self) -> str:
        """Digest of the states of all files at the first access."""
        facts, states = self._listing
        return _digest([*facts, *(repr(tuple(state)) for state in states)])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names and contents, independent of location and times."""
        started = time.time_ns()
        fingerprint, record = self.fingerprint, self._record
        known = _remembered(record)
        if known.get("stamp") == fingerprint:
            return known["digest"]
        facts, states = self._listing
        digest = _digest([*facts, *_contents(self.roots, states)])
        if _can_be_trusted(states, started):
            remember(record, {"stamp": fingerprint, "digest": digest})
        return digest

    def unchanged(self) -> bool:
        """Whether the files have not changed since the first access."""
        return SourceFiles(self.roots).fingerprint == self.fingerprint

    @property
    def _record(self) -> Path:
        paths = "\0".join(str(root.resolve()) for root in self.roots)
        name = sha256(paths.encode(errors="surrogateescape")).hexdigest()[:32]
        return cache_root() / "digests" / f"{name}.json"


def _state(file: Path, name: str) -> FileState:
    try:
        about = file.stat()
    except OSError:  # it was removed after listing
        return FileState(name, -1, -1, -1, -1)
    return FileState(name, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)


def _can_be_trusted(states: Iterable[FileState], time_listed: int) -> bool:
    """Whether equal states imply equal contents.

    False on Windows, where the time of change is that of creation, without inodes, and if a file changed so recently
    that another change might not be visible.
    """
    recent = time_listed - RECENT_NANOSECONDS
    return os.name != "nt" and all(state.inode and max(state.modified, state.changed) < recent for state in states)


def _contents(roots: tuple[Path, ...], states: list[FileState]) -> Iterator[str]:
    total = sum(max(state.size, 0) for state in states)
    bar: tqdm[Any] = tqdm(
        total=total, desc="checking files", unit="B", unit_scale=True, delay=SECONDS_WITHOUT_BAR, leave=False
    )
    with bar:
        for state in states:
            index, _, inside = state.name.partition("/")
            yield f"{state.name} {_file_digest(roots[int(index)] / inside, bar)}"


def _file_digest(file: Path, bar: tqdm[Any]) -> str:
    digest = sha256()
    try:
        with file.open("rb") as stream:
            while part := stream.read(READ_AT_ONCE):
                digest.update(part)
                bar.update(len(part))
    except OSError as error:  # decoding reports the file
        return f"can't be read ({error.strerror})"
    return digest.hexdigest()


def _digest(lines: Iterable[str]) -> str:
    digest = sha256()
    for line in lines:
        digest.update(line.encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()


def _remembered(record: Path) -> dict[str, str]:
    try:
        known = read_json(record)
        return {"stamp": str(known["stamp"]), "digest": str(known["digest"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def remember(record: Path, known: dict[str, Any]) -> None:
    """Write a record if possible. Without it the files are read again next time."""
    aside = record.with_name(f".{record.name}.{os.getpid()}.tmp")
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(known), encoding="utf-8")
        aside.replace(record)
    except OSError:
        with suppress(OSError):
            aside.unlink()
