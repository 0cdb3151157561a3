"""The contents of a folder or an archive: files, folders, ignored files, and problems."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

HIDDEN_PREFIXES = (".", "__MACOSX")
SYSTEM_NAMES = frozenset(
    {
        "@eadir",  # thumbnails of a Synology
        "@recycle",
        "@tmp",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "desktop.ini",
        "ehthumbs.db",
        "thumbs.db",
    }
)
HIDDEN = "hidden files and folders"
SYSTEM = "thumbnails and system files (@eaDir, Thumbs.db ...)"
LOOPS = "links to a parent folder"


@dataclass(frozen=True)
class Contents:
    """Everything in one root, by its path relative to it, with slashes.

    Attributes:
        files: Sorted.
        folders: Sorted, including empty ones.
        ignored: Files and folders that are ignored because of their name, and links to a parent folder, each with its
            kind. A folder counts once, whatever it contains.
        problems: Files, folders and links that can't be listed, read or followed, each with the reason.
    """

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def ignored_kind(name: str) -> str | None:
    """Why a file or folder with this name, without its path, is ignored. None if it is not."""
    if name.startswith(HIDDEN_PREFIXES):
        return HIDDEN
    return SYSTEM if name.casefold() in SYSTEM_NAMES else None


def list_folder(root: Path) -> Contents:
    """List a folder on disk. Links are followed, except links to a folder that contains them.

    Errors don't stop the listing. They are recorded as problems.
    """
    contents = Contents()
    waiting = [(".", frozenset[tuple[int, int]]())]
    while waiting:
        inside, around = waiting.pop()
        try:
            about = (root / inside).stat()
            with os.scandir(root / inside) as found:
                entries = list(found)
        except OSError as error:
            contents.problems[inside] = f"the folder can't be listed ({_reason(error)})"
            continue
        within = around | {(about.st_dev, about.st_ino)}
        for entry in entries:
            name = entry.name if inside == "." else f"{inside}/{entry.name}"
            if kind := ignored_kind(entry.name):
                contents.ignored[name] = kind
            elif _sort_in(contents, entry, name, within):
                waiting.append((name, within))
    contents.files.sort()
    contents.folders.sort()
    return contents


def _sort_in(contents: Contents, entry: os.DirEntry[str], name: str, within: frozenset[tuple[int, int]]) -> bool:
    """Record an entry. Returns True for a folder that must be listed."""
    try:
        if not entry.is_symlink() and entry.is_file(follow_symlinks=False):
            contents.files.append(name)
            return False
        about = entry.stat()
    except OSError as error:
        what = f"the link to {str(Path(entry.path).readlink())!r}" if entry.is_symlink() else "it"
        contents.problems[name] = f"{what} can't be followed ({_reason(error)})"
        return False
    if stat.S_ISREG(about.st_mode):
        contents.files.append(name)
    elif not stat.S_ISDIR(about.st_mode):
        contents.problems[name] = "it is neither a file nor a folder"
    elif entry.is_symlink() and (about.st_dev, about.st_ino) in within:
        contents.ignored[name] = LOOPS
    else:
        contents.folders.append(name)
        return True
    return False


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def list_names(files: Iterable[str], folders: Iterable[str], problems: dict[str, str]) -> Contents:
    """The contents of an archive, from the names of its members.

    Args:
        files: Paths of the files.
        folders: Paths of folders. The parents of files are added.
        problems: As in `Contents`.
    """
    ignored: dict[str, str] = {}

    def shown(paths: Iterable[PurePosixPath]) -> Iterator[PurePosixPath]:
        for path in paths:
            kinds = [ignored_kind(part) for part in path.parts]
            first = next((index for index, kind in enumerate(kinds) if kind), None)
            if first is not None:
                ignored[str(PurePosixPath(*path.parts[: first + 1]))] = str(kinds[first])
            elif path.parts:
                yield path

    named = {PurePosixPath(name) for name in files}
    outer = {PurePosixPath(name) for name in folders} | {parent for name in named for parent in name.parents}
    broken = {str(path): problems[str(path)] for path in shown(map(PurePosixPath, problems))}
    return Contents(sorted(map(str, shown(named))), sorted(map(str, shown(outer))), ignored, broken)
