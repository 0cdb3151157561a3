"""Report of loading a dataset: what was left out, and remarks on the images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cls_env.datasets.files.decoding import BITS, DEPTH, FEW_BITS, FIRST_FRAME, TRANSPARENT, UNREADABLE_METADATA, Facts

MOST_NAMED = 3


class Problem(NamedTuple):
    """A file, folder or link that can't be listed, read or followed."""

    kind: str
    path: str
    reason: str

    def __str__(self) -> str:
        """Path and reason in one line."""
        return f"{self.path}: {self.reason}"


@dataclass
class LoadReport:
    """Counts what is left out, by kind, and raises errors unless problems are skipped.

    Attributes:
        skip: Whether problems are left out and counted. Otherwise they raise an error.
        left_out: Number of files or folders that are left out, by kind.
        skipped: One line for each problem that was skipped.
        remarks: Number of images for each remark.
    """

    skip: bool
    left_out: Counter[str] = field(default_factory=Counter)
    skipped: list[str] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)

    def leave_out(self, kind: str, count: int = 1) -> None:
        """Count files or folders that are left out on purpose."""
        if count:
            self.left_out[kind] += count

    def refuse(self, problems: list[Problem], remedy: str) -> None:
        """Raise an error that names the first problems or, with `skip`, record and count each.

        Args:
            problems: The problems.
            remedy: What the user can do about them.

        Raises:
            ValueError: There are problems, and `skip` is False.
        """
        if not problems:
            return
        if not self.skip:
            named = "; ".join(map(str, problems[:MOST_NAMED]))
            more = f"; and {len(problems) - MOST_NAMED} more" if len(problems) > MOST_NAMED else ""
            raise ValueError(
                f"{named}{more}. {remedy}, or pass on_error='skip' (on the command line, --options on_error=skip) to "
                "leave it out and count it"
            )
        for problem in problems:
            self.left_out[problem.kind] += 1
            self.skipped.append(str(problem))

    def add_facts(self, facts: Facts, background: str, bit_depth: int) -> None:
        """Turn facts about decoded images into remarks.

        Args:
            facts: The counts of `read_square`.
            background: As in `StoreOptions`.
            bit_depth: As in `StoreOptions`.
        """
        for fact, remark in (
            (TRANSPARENT, f"transparent, shown on the background {background}"),
            (FIRST_FRAME, "several frames, of which the first was taken"),
            (UNREADABLE_METADATA, "metadata that can't be read in full; the pixels were taken"),
        ):
            if facts[fact]:
                self.remarks[remark] += facts[fact]
        bits = {int(fact.removeprefix(BITS)): count for fact, count in facts.items() if fact.startswith(BITS)}
        if bits and bit_depth == DEPTH and 0 < max(bits) <= FEW_BITS:
            dark = f"16 bits, of which only {max(bits)} are used; bit_depth={max(bits)} makes them brighter"
            self.remarks[dark] += sum(bits.values())
        if bits and max(bits) > bit_depth:
            lost = f"values above bit_depth={bit_depth}, which became white"
            self.remarks[lost] += sum(count for used, count in bits.items() if used > bit_depth)


def report_lines(left_out: Mapping[str, int], remarks: Mapping[str, int]) -> list[str]:
    """One line for each kind of left-out files and for each remark.

    >>> report_lines({"hidden files and folders": 2}, {"several frames, of which the first was taken": 1})
    ['left out: 2 hidden files and folders', '1 image: several frames, of which the first was taken']
    """
    return [
        *(f"left out: {count:,} {kind}" for kind, count in left_out.items()),
        *(f"{count:,} image{'s' * (count != 1)}: {remark}" for remark, count in remarks.items()),
    ]
