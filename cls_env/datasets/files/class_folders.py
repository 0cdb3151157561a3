"""Finding the class folders of a tree, and the images in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from unicodedata import normalize

from cls_env.datasets.files.decoding import IMAGE_SUFFIXES, OTHER_IMAGE_SUFFIXES
from cls_env.datasets.files.load_report import LoadReport, Problem
from cls_env.datasets.files.trees import Tree
from cls_env.specification import lookup

Group = tuple[str, ...]
Groups = dict[Group, list[str]]
UNREAD = "files, folders and links that can't be read"
LEAF = 0
"""Instead of a level: each folder that contains images is a class."""

CLASS_SORTS = {"numeric": True, "text": False}
"""How classes are sorted: `"text"` by name, `"numeric"` by value if all names are integers."""


def sort_names(names: Iterable[str], class_sort: str = "numeric") -> list[str]:
    """Sort the names of classes or domains.

    Args:
        names: Distinct names.
        class_sort: A key of `CLASS_SORTS`.

    >>> sort_names(["10", "9", "1"]), sort_names(["10", "9", "1"], "text"), sort_names(["b10", "b9"])
    (['1', '9', '10'], ['1', '10', '9'], ['b10', 'b9'])
    """
    listed = sorted(names)
    numbers = all(re.fullmatch(r"-?[0-9]+", name) for name in listed)
    return sorted(listed, key=int) if numbers and lookup("class_sort", class_sort, CLASS_SORTS) else listed


def report_tree(tree: Tree, report: LoadReport) -> None:
    """Report the files that a tree ignores, and those that it can't read or follow. Repeated calls change nothing.

    Raises:
        ValueError: A file, folder or link can't be read or followed, and problems are not skipped.
    """
    for kind, count in sorted(Counter(tree.contents.ignored.values()).items()):
        report.left_out[kind] = count
    problems = [
        Problem(UNREAD, str(tree.root / name.lstrip("/")), reason)
        for name, reason in sorted(tree.contents.problems.items())
    ]
    new = [problem for problem in problems if str(problem) not in report.skipped]
    report.refuse(new, "Repair, mount or remove what can't be read")


def class_groups(
    tree: Tree, top: str, level: int, shown: str, report: LoadReport, excluded: Sequence[str] = ()
) -> Groups:
    """Find the classes below a folder and their image files, both sorted.

    Images in subfolders of a class are counted in a remark. Names are in Unicode's composed form.

    Args:
        tree: The files.
        top: The folder.
        level: Number of folder levels in the name of a group: 1 for `<class>`, 2 for `<domain>/<class>`, or `LEAF`.
        shown: The folder's path in messages.
        report: Counts what is left out.
        excluded: Folders that are not classes.

    Raises:
        ValueError: There are no classes; or, unless problems are skipped, a class is empty, or an image has an
            unsupported format.
    """
    base = PurePosixPath(top)
    below = [path.relative_to(base) for path in map(PurePosixPath, tree.contents.files) if path.is_relative_to(base)]
    inside = [path for path in below if path.parts[0] not in excluded]
    unread = [
        Problem(
            f"images in an unsupported format ({path.suffix.lower()})",
            f"{tree.root / base / path}",
            f"the image format {path.suffix.lower()} is not supported",
        )
        for path in inside
        if path.suffix.lower() in OTHER_IMAGE_SUFFIXES
    ]
    report.refuse(unread, "Convert these images to PNG or JPEG")
    others = [path for path in inside if path.suffix.lower() not in IMAGE_SUFFIXES | OTHER_IMAGE_SUFFIXES]
    for suffix, count in sorted(Counter(path.suffix.lower() or "no suffix" for path in others).items()):
        report.leave_out(f"files that are not images ({suffix})", count)
    images = [path for path in inside if path.suffix.lower() in IMAGE_SUFFIXES]
    if level == LEAF:
        groups = _leaves(images, shown, report)
    else:
        groups = _folders(tree, base, level, shown, excluded)
        _sort_into(groups, images, level, report)
    empty = [name for name, files in groups.items() if not files]
    if not groups or len(empty) == len(groups):
        _refuse_flat(images, shown)
    reasons = [f"class {'/'.join(name)!r} contains no images" for name in sorted(empty)]
    problems = [Problem("class folders without images", shown, reason) for reason in reasons]
    report.refuse(problems, "Add images or remove the folder")
    return {name: [str(base / file) for file in files] for name, files in sorted(groups.items()) if files}


def _refuse_flat(images: Sequence[PurePosixPath], shown: str) -> None:
    """Say what the layout is, for a folder in which no class folder has images.

    Raises:
        ValueError: Always.
    """
    layout = "the layout is <class>/<image>, a folder for each class"
    if not images:
        raise ValueError(f"{shown} contains no class folders with images: {layout}")
    raise ValueError(
        f"{shown} contains no class folders with images, but {len(images):,} images outside of them: {layout}; move "
        f"the images of each class into a folder of its name, such as cat/{images[0].name}, or, if this folder is one "
        "class, give the folder above it as root"
    )


def _sort_into(
    groups: Mapping[Group, list[PurePosixPath]], images: Sequence[PurePosixPath], level: int, report: LoadReport
) -> None:
    """Assign the images to the classes."""
    outside = deeper = 0
    for path in images:
        name = _composed(path.parts[:level])
        if len(path.parts) <= level or name not in groups:
            outside += 1
            continue
        groups[name].append(path)
        deeper += len(path.parts) > level + 1
    report.leave_out("images outside of the class folders", outside)
    if deeper:
        report.remarks[
            "in subfolders of a class folder, whose names are not used (leaf_classes=True makes each folder that "
            "contains images a class)"
        ] += deeper


def _leaves(images: Sequence[PurePosixPath], shown: str, report: LoadReport) -> dict[Group, list[PurePosixPath]]:
    """The images of each folder that contains any, by its path."""
    groups: dict[Group, list[PurePosixPath]] = {}
    written: dict[Group, Group] = {}
    for path in images:
        if len(path.parts) > 1:
            _note_spelling(written, path.parts[:-1], shown)
            groups.setdefault(("/".join(_composed(path.parts[:-1])),), []).append(path)
    report.leave_out("images outside of the class folders", sum(len(path.parts) == 1 for path in images))
    return groups


def _folders(
    tree: Tree, base: PurePosixPath, level: int, shown: str, excluded: Sequence[str]
) -> dict[Group, list[PurePosixPath]]:
    """The folders `level` levels below `base`, without images."""
    written: dict[Group, Group] = {}
    for folder in map(PurePosixPath, tree.contents.folders):
        inner = folder.relative_to(base).parts if folder.is_relative_to(base) else ()
        if len(inner) == level and inner[0] not in excluded:
            _note_spelling(written, inner, shown)
    return {name: [] for name in written}


def _note_spelling(written: dict[Group, Group], parts: Group, shown: str) -> None:
    """Record the spelling of a folder's name.

    Raises:
        ValueError: The name is not UTF-8, or another folder has the same name in another Unicode form.
    """
    name = _composed(parts)
    if any("\udc80" <= letter <= "\udcff" for part in name for letter in part):
        raise ValueError(f"{shown}: the folder name {'/'.join(parts)!a} is not UTF-8; rename it")
    if written.setdefault(name, parts) != parts:
        raise ValueError(
            f"{shown}: two folders are named {'/'.join(name)!r}, in two Unicode forms ({written[name]!a} and "
            f"{parts!a}); merge them"
        )


def _composed(parts: Sequence[str]) -> Group:
    return tuple(normalize("NFC", part) for part in parts)
