"""Finding the folders of a tree that contain its splits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from cls_env.datasets.files.decoding import IMAGE_SUFFIXES, OTHER_IMAGE_SUFFIXES
from cls_env.datasets.files.load_report import LoadReport
from cls_env.datasets.files.trees import Tree

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
"""Usual names of split folders, in lower case, and the split they contain."""
_ORDER = ("train", "validation", "test")


def has_splits(tree: Tree) -> bool:
    """Whether folders of a tree are named like splits. A single one that contains images itself is a class."""
    top = _top(tree)
    named = [name for name in _inner(tree, top) if name.casefold() in SPLIT_NAMES]
    if len(named) != 1:
        return bool(named)
    depths = _depths(_images(tree), PurePosixPath(top) / named[0])
    return not depths or _mostly_deeper(depths)


def split_folders(tree: Tree, report: LoadReport) -> tuple[str, dict[str, str]]:
    """Find the folder that contains the splits, the root or a single folder in it, and the folder of each split.

    Args:
        tree: The files.
        report: Gets a remark if a validation folder is used as the test split.

    Returns:
        The path of the folder, and the names of the folders in it for train, test and possibly validation.

    Raises:
        FileNotFoundError: The training or test folder is missing.
        ValueError: Two folders are for the same split.
    """
    top = _top(tree)
    inner = _inner(tree, top)
    shown = str(tree.root) if top == "." else f"{tree.root}/{top}"
    folders: dict[str, str] = {}
    for name in inner:
        split = SPLIT_NAMES.get(name.casefold())
        if split is not None and folders.setdefault(split, name) != name:
            raise ValueError(
                f"{shown} has two folders for the {split} split, {folders[split]!r} and {name!r}: merge them"
            )
    if {"train", "validation"} == set(folders):
        folders["test"] = folders.pop("validation")
        test_folder = PurePosixPath(top) / folders["test"]
        remark = f"of the folder {folders['test']!r}, used as the test split, since there is no other"
        report.remarks[remark] += sum(path.is_relative_to(test_folder) for path in _images(tree))
    for split in ("train", "test"):
        if split not in folders:
            raise FileNotFoundError(
                f"{shown} has no folder {split!r} ({_listed(inner)}); the layout is train/<class>/<image> and "
                "test/<class>/<image>, or <class>/<image> without folders of splits"
            )
    return top, {split: folders[split] for split in ("train", "test", "validation") if split in folders}


def report_outside(tree: Tree, used: Iterable[str], report: LoadReport) -> None:
    """Count the files outside of the folders that are used.

    Args:
        tree: The files.
        used: Paths of the used folders.
        report: Counts the files.
    """
    roots = [PurePosixPath(folder) for folder in used]
    base = roots[0].parent
    for path in map(PurePosixPath, tree.contents.files):
        if any(path.is_relative_to(root) for root in roots):
            continue
        inner = path.relative_to(base).parts if path.is_relative_to(base) else path.parts
        suffix = path.suffix.lower()
        if suffix not in IMAGE_SUFFIXES | OTHER_IMAGE_SUFFIXES:
            report.leave_out(f"files that are not images ({suffix or 'no suffix'})")
        elif len(inner) > 1:
            report.leave_out(f"images in the folder {inner[0]!r}, which is not a split")
        else:
            report.leave_out("images outside of the class folders")


def refuse_split_folders(tree: Tree, top: str) -> None:
    """Raise ValueError if the class folders look like split folders.

    Raises:
        ValueError: Folders are named like splits, and most of their images are in subfolders.
    """
    splits = {name: SPLIT_NAMES[name.casefold()] for name in _inner(tree, top) if name.casefold() in SPLIT_NAMES}
    images = _images(tree)
    holding = [name for name in splits if _mostly_deeper(_depths(images, PurePosixPath(top) / name))]
    if not holding:
        return  # classes with such names
    names = sorted(holding, key=lambda name: _ORDER.index(splits[name]))
    if len(names) > 1:
        named = f"{', '.join(names[:-1])} and {names[-1]}"
        raise ValueError(f"{tree.root} already has split folders, {named}: remove test_fraction or the lists of files")
    raise ValueError(
        f"{tree.root}: the folder {names[0]!r} is named like a split, and its images are in subfolders: "
        f"give {names[0]!r} as root, or rename it if it is a class"
    )


def _images(tree: Tree) -> list[PurePosixPath]:
    return [path for path in map(PurePosixPath, tree.contents.files) if path.suffix.lower() in IMAGE_SUFFIXES]


def _depths(images: Iterable[PurePosixPath], folder: PurePosixPath) -> list[int]:
    """The depth of each image in a folder; 1 for those directly in it."""
    return [len(path.relative_to(folder).parts) for path in images if path.is_relative_to(folder)]


def _mostly_deeper(depths: Sequence[int]) -> bool:
    """Whether more images are in subfolders of a folder than directly in it."""
    return sum(depth > 1 for depth in depths) > sum(depth == 1 for depth in depths)


def entered_folder(tree: Tree, top: str, level: int) -> str:
    """`top`, or the single folder in it if that contains the classes, `level` levels deep."""
    inner = _inner(tree, top)
    if len(inner) != 1:
        return top
    single = PurePosixPath(top) / inner[0]
    folders = [PurePosixPath(name) for name in tree.contents.folders]
    below = [folder for folder in folders if folder.is_relative_to(single)]
    return str(single) if any(len(folder.relative_to(single).parts) == level for folder in below) else top


def _top(tree: Tree) -> str:
    """The folder that contains the splits: the root, or the only folder in the root, recursively."""
    top = "."
    while len(inner := _inner(tree, top)) == 1 and inner[0].casefold() not in SPLIT_NAMES:
        top = str(PurePosixPath(top) / inner[0])
    return top if any(name.casefold() in SPLIT_NAMES for name in inner) else "."


def _inner(tree: Tree, top: str) -> list[str]:
    """Names of the folders in a folder."""
    paths = map(PurePosixPath, tree.contents.folders)
    return sorted(path.name for path in paths if path.parent == PurePosixPath(top))


def _listed(names: list[str]) -> str:
    if not names:
        return "it contains no folders"
    return f"it contains {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
