"""How much an archive may hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cls_env.arguments import number, whole_number

MOST_FILES = 2_000_000
MOST_BYTES = 2**40
MOST_RATIO = 200.0
FREE_BYTES = 2**26
"""An archive that unpacks to at most this many bytes may have any ratio."""
LARGEST_FILE = 2**31
"""Bytes of a file that is read as a whole; images of up to Pillow's limit of pixels are smaller."""


@dataclass(frozen=True)
class ArchiveLimits:
    """How much a zip or tar archive may hold, so that a small file can't fill the memory, the disk or the day.

    Attributes:
        max_files: Maximum number of files, folders and links, at least 1.
        max_bytes: Maximum number of bytes of its files together, unpacked, at least 1.
        max_ratio: Maximum of these bytes over the bytes of the archive, at least 1. An archive that unpacks to at most
            64 MiB may have any ratio.

    Raises:
        ValueError: A limit is of the wrong type, or out of range.
    """

    max_files: int = MOST_FILES
    max_bytes: int = MOST_BYTES
    max_ratio: float = MOST_RATIO

    def __post_init__(self) -> None:
        for name in ("max_files", "max_bytes"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), 1))
        object.__setattr__(self, "max_ratio", number("max_ratio", self.max_ratio, "[1, inf)"))

    def check_files(self, file: Path, count: int) -> None:
        """Raise ValueError if an archive holds too many files."""
        if count > self.max_files:
            raise ValueError(f"{file} holds more than {self.max_files:,} files: {self.advice('max_files')}")

    def check_bytes(self, file: Path, unpacked: int) -> None:
        """Raise ValueError if an archive unpacks to too many bytes.

        Args:
            file: The archive.
            unpacked: Bytes of its files, as far as known.
        """
        if unpacked > self.max_bytes:
            raise ValueError(f"{file} unpacks to more than {self.max_bytes:,} bytes: {self.advice('max_bytes')}")
        if unpacked > FREE_BYTES and unpacked > self.max_ratio * file.stat().st_size:
            raise ValueError(
                f"{file} unpacks to more than {self.max_ratio:g} times its size: {self.advice('max_ratio')}"
            )

    def advice(self, name: str) -> str:
        """What to do about an archive beyond the limit of a name."""
        return f"raise {name} if you trust it, else remove it"


class FixedLimits(ArchiveLimits):
    """Limits that no option raises."""

    def advice(self, name: str) -> str:
        """What to do about an archive beyond the limit of a name."""
        return f"get it again, from a source that you trust ({name})"


USUAL = ArchiveLimits()
"""The limits of archives of images whose user sets none."""
RESULTS = FixedLimits()
"""Limits of the archives of a run."""
WEIGHTS = FixedLimits(max_files=100_000, max_ratio=4)
"""Limits of archives of tensors and arrays, which hardly compress."""


def check_file_size(size: int) -> None:
    """Raise ValueError if a file is too large to be read as a whole."""
    if size > LARGEST_FILE:
        raise ValueError(f"it has {size:,} bytes, more than the {LARGEST_FILE:,} of the largest image")


def leads_out(name: str) -> bool:
    """Whether the name of an archive's member, with slashes, would lie outside of the folder it is unpacked in.

    >>> leads_out("cat/1.png"), leads_out("../1.png"), leads_out("/etc/passwd")
    (False, True, True)
    """
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts
