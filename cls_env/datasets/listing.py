"""Which images belong to a set, before any of them is decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np

from cls_env.datasets.decoding import IMAGE_SUFFIXES, ImageReader, TreeReader
from cls_env.datasets.splits import stratified_split
from cls_env.datasets.trees import Tree


class Row(NamedTuple):
    """One image: its reference for the reader, its class and its domain."""

    reference: Any
    label: int
    domain: int = 0


@dataclass(frozen=True)
class Listing:
    """The rows of either split, in order, and who reads them."""

    reader: ImageReader
    train: tuple[Row, ...]
    test: tuple[Row, ...]
    class_names: tuple[str, ...]
    domain_names: tuple[str, ...] = ()


def list_split_tree(tree: Tree, with_domains: bool = False) -> Listing:
    """`train/<class>/<image>` and `test/<class>/<image>`, or with a level `<domain>` above the classes.

    Images may lie deeper than their class folder, as torchvision's ImageFolder takes them; a single folder that holds
    `train` and `test` is entered.

    Raises:
        FileNotFoundError: `train` or `test` is missing.
        ValueError: There are no images, a class is empty, or only one split has it.
    """
    top = _top(tree)
    level = 2 if with_domains else 1
    places = {name: _below(tree, top, name) for name in ("train", "test")}
    splits = {name: _grouped(tree, place, level, f"{tree.root}: {name}") for name, place in places.items()}
    classes = {name: sorted({group[-1] for group in groups}) for name, groups in splits.items()}
    if strangers := sorted(set(classes["test"]) - set(classes["train"])):
        raise ValueError(
            f"{tree.root}: test has classes that train lacks: {', '.join(strangers[:5])}"
            f"{' ...' if len(strangers) > 5 else ''}; remove them or add training images"
        )
    domains = sorted({group[0] for groups in splits.values() for group in groups}) if with_domains else []

    def rows(groups: Mapping[tuple[str, ...], list[str]]) -> tuple[Row, ...]:
        return tuple(
            Row(file, classes["train"].index(group[-1]), domains.index(group[0]) if with_domains else 0)
            for group, files in groups.items()
            for file in files
        )

    reader = TreeReader(tree)
    return Listing(reader, rows(splits["train"]), rows(splits["test"]), tuple(classes["train"]), tuple(domains))


def list_whole_tree(
    tree: Tree, top: str = ".", level: int = 1, excluded: Sequence[str] = ()
) -> tuple[list[Row], tuple[str, ...]]:
    """The rows of one tree of classes, `<class>/<image>`, that a split is to divide.

    Args:
        tree: The files.
        top: The folder in it that holds the classes, or holds a single folder that does.
        level: Folders that make up a class name: 2 for `<alphabet>/<character>`.
        excluded: Folders that are no classes.

    Raises:
        ValueError: There are no images, or a class is empty.
    """
    groups = _grouped(tree, _entered(tree, top, level), level, f"{tree.root}", excluded)
    if set(groups) == {("train",), ("test",)}:
        raise ValueError(f"{tree.root} is split already, into train and test: drop test_fraction or the lists")
    names = tuple("/".join(group) for group in groups)
    return [Row(file, label) for label, files in enumerate(groups.values()) for file in files], names


def split_by_seed(reader: ImageReader, rows: Sequence[Row], names: tuple[str, ...], share: float, seed: int) -> Listing:
    """Hold out a share of each class for testing, drawn by the seed.

    Raises:
        ValueError: The share is out of (0, 1), or a class has a single image.
    """
    test = stratified_split(np.array([row.label for row in rows], dtype=np.int64), share, seed, names)
    parts = ([row for row, held in zip(rows, test, strict=True) if held == wanted] for wanted in (False, True))
    train, held_out = (tuple(part) for part in parts)
    return Listing(reader, train, held_out, names)


def split_by_lists(
    reader: ImageReader,
    rows: Sequence[Row],
    names: tuple[str, ...],
    lists: tuple[Sequence[str], Sequence[str]],
    where: str,
) -> Listing:
    """Divide by lists of files; images that no list names are left out.

    A line is a path, possibly with a label after it, which is passed over. It names the file whose path ends so: lists
    are often written from another folder.

    Raises:
        ValueError: A line names no image, several, or one that was named before, or a class has no training image; the
            message says which, and `where` the lists are.
    """
    known = _by_ending(rows)
    taken: set[Any] = set()

    def listed(lines: Sequence[str], split: str) -> tuple[Row, ...]:
        found = []
        for line in filter(None, (normalize("NFC", line.strip()) for line in lines)):
            row = _named(known, line)
            if row is None:
                raise ValueError(f"{where}: the {split} list names {line!r}, but there is no such image, or several")
            if row.reference in taken:
                raise ValueError(f"{where}: {row.reference!r} is named twice, the second time in the {split} list")
            taken.add(row.reference)
            found.append(row)
        if not found:
            raise ValueError(f"{where}: the {split} list names no image")
        return tuple(found)

    train, test = listed(lists[0], "train"), listed(lists[1], "test")
    if missing := {row.label for row in test} - {row.label for row in train}:
        raise ValueError(f"{where}: the train list names no image of class {names[min(missing)]!r}")
    return Listing(reader, train, test, names)


def read_lines(file: Path) -> list[str]:
    """The lines of a list, in UTF-8 with or without its mark."""
    return file.read_text(encoding="utf-8-sig").splitlines()


def _by_ending(rows: Sequence[Row]) -> dict[tuple[str, ...], Row | None]:
    """Rows by every ending of their path; None where several share it."""
    known: dict[tuple[str, ...], Row | None] = {}
    for row in rows:
        parts = PurePosixPath(normalize("NFC", row.reference)).parts
        for start in range(len(parts)):
            known[parts[start:]] = None if parts[start:] in known else row
    return known


def _named(known: Mapping[tuple[str, ...], Row | None], line: str) -> Row | None:
    """The row whose path has the longest ending in common with a line, of two parts at least if the line has them."""
    for candidate in (line, line.rpartition(" ")[0]):
        parts = PurePosixPath(candidate).parts
        for start in range(max(len(parts) - 1, 1)):
            if parts[start:] in known:
                return known[parts[start:]]
    return None


def _top(tree: Tree) -> str:
    """The folder that holds `train` and `test`: the root, or the only folder in it."""
    outer = {PurePosixPath(name).parts[0] for name in tree.folders}
    return outer.pop() if len(outer) == 1 and not outer & {"train", "test"} else "."


def _entered(tree: Tree, top: str, level: int) -> str:
    """`top`, or the single folder in it if the classes lie below that."""
    folders = [PurePosixPath(name) for name in tree.folders]
    inner = [folder for folder in folders if folder.parent == PurePosixPath(top)]
    below = [folder for folder in folders if len(inner) == 1 and folder.is_relative_to(inner[0])]
    return str(inner[0]) if any(len(folder.relative_to(inner[0]).parts) == level for folder in below) else top


def _below(tree: Tree, top: str, split: str) -> str:
    place = str(PurePosixPath(top) / split)
    if place not in tree.folders:
        shown = tree.root if top == "." else f"{tree.root}/{top}"
        inner = sorted(
            {PurePosixPath(name).name for name in tree.folders if PurePosixPath(name).parent == PurePosixPath(top)}
        )
        found = f"it holds {', '.join(inner[:5])}{' ...' if len(inner) > 5 else ''}" if inner else "it holds no folders"
        raise FileNotFoundError(
            f"{shown} has no folder {split!r} ({found}); the layout is train/<class>/<image> and test/<class>/<image>, "
            "or <class>/<image> with a test_fraction or two lists"
        )
    return place


def _grouped(
    tree: Tree, top: str, level: int, place: str, excluded: Sequence[str] = ()
) -> dict[tuple[str, ...], list[str]]:
    """Class (with the folders above it) to its image files, both sorted; names in Unicode's composed form."""
    base = PurePosixPath(top)
    groups: dict[tuple[str, ...], list[str]] = {name: [] for name in _class_folders(tree, base, level, place, excluded)}
    for file in map(PurePosixPath, tree.files):
        inner = file.relative_to(base).parts if file.is_relative_to(base) else ()
        name = tuple(normalize("NFC", part) for part in inner[:level])
        if len(inner) > level and name in groups and file.suffix.lower() in IMAGE_SUFFIXES:
            groups[name].append(str(file))
    if not groups:
        raise ValueError(f"{place} is empty: it holds no class folders")
    for name, files in groups.items():
        if not files:
            raise ValueError(f"{place}: class {'/'.join(name)!r} holds no images; add some or remove the folder")
    return dict(sorted(groups.items()))


def _class_folders(
    tree: Tree, base: PurePosixPath, level: int, place: str, excluded: Sequence[str]
) -> dict[tuple[str, ...], tuple[str, ...]]:
    """The folders some levels below `base`: their names in Unicode's composed form, and as written."""
    written: dict[tuple[str, ...], tuple[str, ...]] = {}
    for folder in map(PurePosixPath, tree.folders):
        inner = folder.relative_to(base).parts if folder.is_relative_to(base) else ()
        if len(inner) != level or inner[0] in excluded:
            continue
        name = tuple(normalize("NFC", part) for part in inner)
        if any("\udc80" <= letter <= "\udcff" for part in name for letter in part):
            raise ValueError(f"{place}: the folder name {'/'.join(inner)!a} is not UTF-8; rename it")
        if name in written:
            raise ValueError(
                f"{place}: two folders are named {'/'.join(name)!r}, in two Unicode spellings ({written[name]!a} and "
                f"{inner!a}); merge them"
            )
        written[name] = inner
    return written
