"""Lists of the images of a dataset, before they are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cls_env.datasets.files.class_folders import LEAF, Group, Groups, class_groups, report_tree, sort_names
from cls_env.datasets.files.decoding import ImageReader, TreeReader
from cls_env.datasets.files.load_report import LoadReport
from cls_env.datasets.files.split_folders import (
    entered_folder,
    refuse_split_folders,
    report_outside,
    split_folders,
)
from cls_env.datasets.files.split_lists import by_ending, listed_files
from cls_env.datasets.files.trees import Tree
from cls_env.datasets.splits import held_out_by_name, stratified_split


class ImageRef(NamedTuple):
    """Reference to an image: its reference for the reader, its label and its domain."""

    reference: Any
    label: int
    domain: int = 0


@dataclass(frozen=True)
class FileList:
    """The images of each split, in order, and their reader."""

    reader: ImageReader
    train: tuple[ImageRef, ...]
    test: tuple[ImageRef, ...]
    class_names: tuple[str, ...]
    domain_names: tuple[str, ...] = ()
    validation: tuple[ImageRef, ...] = ()


def list_split_tree(
    tree: Tree,
    report: LoadReport,
    *,
    with_domains: bool = False,
    leaf_classes: bool = False,
    class_sort: str = "numeric",
) -> FileList:
    """List the layout `train/<class>/<image>` and `test/<class>/<image>`, with or without a `<domain>` level above.

    Split folders may have any of `SPLIT_NAMES`, in any case. A validation folder in addition to both is the validation
    split. Without a test folder it is the test split. If the tree contains a single folder, that folder is used.

    Args:
        tree: The files.
        report: Counts what is left out.
        with_domains: Whether there is a level of domains above the classes.
        leaf_classes: Whether each folder that contains images is a class. Otherwise each top folder of a split is.
        class_sort: A key of `CLASS_SORTS`.

    Raises:
        FileNotFoundError: The folder of a split is missing.
        ValueError: There are no images, a class is empty or in one split only, or a file can't be read.
    """
    report_tree(tree, report)
    top, folders = split_folders(tree, report)
    level = LEAF if leaf_classes else 2 if with_domains else 1
    groups = {
        split: class_groups(tree, str(PurePosixPath(top) / folder), level, f"{tree.root}: {folder}", report)
        for split, folder in folders.items()
    }
    report_outside(tree, [str(PurePosixPath(top) / folder) for folder in folders.values()], report)
    if with_domains and leaf_classes:
        groups = {split: _under_domains(found) for split, found in groups.items()}
    classes = sort_names({group[-1] for group in groups["train"]}, class_sort)
    for split, found in groups.items():
        if unknown := sorted({group[-1] for group in found} - set(classes)):
            raise ValueError(
                f"{tree.root}: {folders[split]} has classes that {folders['train']} lacks: {', '.join(unknown[:5])}"
                f"{' ...' if len(unknown) > 5 else ''}; remove them or add training images"
            )
    all_groups = {group for found in groups.values() for group in found}
    domains = sort_names({group[0] for group in all_groups}, class_sort) if with_domains else []
    rows = {split: _rows(found, classes, domains) for split, found in groups.items()}
    return FileList(
        TreeReader(tree), rows["train"], rows["test"], tuple(classes), tuple(domains), rows.get("validation", ())
    )


def list_whole_tree(
    tree: Tree,
    report: LoadReport,
    top: str = ".",
    level: int = 1,
    excluded: Sequence[str] = (),
    class_sort: str = "numeric",
) -> tuple[list[ImageRef], tuple[str, ...]]:
    """List the layout `<class>/<image>`, without splits.

    Args:
        tree: The files.
        report: Counts what is left out.
        top: The folder that contains the classes, or contains a single folder that does.
        level: Number of folder levels in a class name, such as 2 for `<alphabet>/<character>`, or `LEAF`.
        excluded: Folders that are not classes.
        class_sort: A key of `CLASS_SORTS`.

    Returns:
        The images, by class, and the class names.

    Raises:
        ValueError: There are no images, a class is empty, the tree has split folders, or a file can't be read.
    """
    report_tree(tree, report)
    entered = entered_folder(tree, top, level or 1)
    refuse_split_folders(tree, entered)
    groups = class_groups(tree, entered, level, f"{tree.root}", report, excluded)
    if top == ".":
        report_outside(tree, [entered], report)
    by_name = {"/".join(group): files for group, files in groups.items()}
    names = sort_names(by_name, class_sort)
    return [ImageRef(file, label) for label, name in enumerate(names) for file in by_name[name]], tuple(names)


def split_by_seed(
    reader: ImageReader, rows: Sequence[ImageRef], names: tuple[str, ...], share: float, seed: int
) -> FileList:
    """Hold out a random fraction of each class for testing.

    Raises:
        ValueError: The fraction is not in (0, 1), or a class has only one image.
    """
    test = stratified_split(np.array([row.label for row in rows], dtype=np.int64), share, seed, names)
    return _two_splits(reader, rows, names, test)


def _two_splits(
    reader: ImageReader, rows: Sequence[ImageRef], names: tuple[str, ...], test: NDArray[np.bool_]
) -> FileList:
    parts = ([row for row, held in zip(rows, test, strict=True) if held == wanted] for wanted in (False, True))
    train, held_out = (tuple(part) for part in parts)
    return FileList(reader, train, held_out, names)


def split_by_name(
    reader: ImageReader, rows: Sequence[ImageRef], names: tuple[str, ...], share: float, seed: int, report: LoadReport
) -> FileList:
    """Hold out a fraction of each class for testing, chosen by the names of class and file.

    When classes are added later, the others' images stay in the split that they were in.

    Args:
        reader: Reads the images.
        rows: The images; their references are paths.
        names: The classes.
        share: The fraction.
        seed: Seed of the choice.
        report: Gets a remark on what was held out.

    Raises:
        ValueError: A class has only one image.
    """
    files = [f"{names[row.label]}/{PurePosixPath(row.reference).name}" for row in rows]
    test = held_out_by_name(files, np.array([row.label for row in rows], dtype=np.int64), share, seed, names)
    report.remarks[f"{100 * share:g} % of each class held out for testing (test_fraction={share:g})"] += int(test.sum())
    return _two_splits(reader, rows, names, test)


def split_by_lists(
    reader: ImageReader,
    rows: Sequence[ImageRef],
    names: tuple[str, ...],
    lists: tuple[Sequence[str], Sequence[str]],
    where: str,
    report: LoadReport,
) -> FileList:
    """Split by two lists of files. Images in no list are left out and counted.

    A line matches the file whose path ends like it, because lists are often written in another folder. See
    `listed_files`.

    Raises:
        ValueError: A line matches no image, several, or one that is listed already, or a class has no training image.
            The message says which, and `where` the lists are.
    """
    known = by_ending({row.reference: row for row in rows})
    taken: set[Any] = set()

    def listed(lines: Sequence[str], split: str) -> tuple[ImageRef, ...]:
        found = []
        for line, row in listed_files(lines, known):
            if row is None:
                raise ValueError(f"{where}: the {split} list contains {line!r}, which matches no image or several")
            if row.reference in taken:
                raise ValueError(f"{where}: {row.reference!r} is listed twice, the second time in the {split} list")
            taken.add(row.reference)
            found.append(row)
        if not found:
            raise ValueError(f"{where}: the {split} list contains no image")
        return tuple(found)

    train, test = listed(lists[0], "train"), listed(lists[1], "test")
    if missing := {row.label for row in test} - {row.label for row in train}:
        raise ValueError(f"{where}: the train list contains no image of class {names[min(missing)]!r}")
    report.leave_out("images in no list", len(rows) - len(taken))
    report.leave_out("classes in no list", len({row.label for row in rows} - {row.label for row in train}))
    return FileList(reader, train, test, names)


def _rows(groups: Groups, classes: Sequence[str], domains: Sequence[str]) -> tuple[ImageRef, ...]:
    """The images of a split, sorted by domain, then by class."""
    label = {name: index for index, name in enumerate(classes)}
    domain = {name: index for index, name in enumerate(domains)}

    def order(group: Group) -> tuple[int, int]:
        return domain.get(group[0], 0), label[group[-1]]

    return tuple(
        ImageRef(file, label[group[-1]], domain.get(group[0], 0) if domains else 0)
        for group in sorted(groups, key=order if domains else lambda group: (0, label[group[-1]]))
        for file in groups[group]
    )


def _under_domains(groups: Groups) -> Groups:
    """Split the names `<domain>/<class>` of leaf folders into domain and class.

    Raises:
        ValueError: A folder with images is not below a domain.
    """
    split: Groups = {}
    for (name,), files in groups.items():
        domain, slash, rest = name.partition("/")
        if not slash:
            raise ValueError(f"the domain folder {name!r} contains images itself; move them into a class folder in it")
        split[domain, rest] = files
    return split
