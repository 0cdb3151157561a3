"""The labeled images of a folder or archive on which a saved agent is evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from inspect import signature
from pathlib import Path
from typing import Any

from cls_env.arguments import whole_number
from cls_env.bounded.limits import ArchiveLimits
from cls_env.datasets.files.class_folders import LEAF
from cls_env.datasets.files.decoding import MOST_PIXELS, Decoding, ImageReader, TreeReader
from cls_env.datasets.files.listing import ImageRef, list_whole_tree
from cls_env.datasets.files.load_report import LoadReport
from cls_env.datasets.files.split_folders import has_splits
from cls_env.datasets.files.trees import Tree, open_tree
from cls_env.datasets.loaders.folder import FolderLayout, load_folder
from cls_env.datasets.storage.store_build import ON_ERROR, UNDECODABLE
from cls_env.specification import check_arguments, lookup
from experiments.config.settings import parse_options

_LAYOUT = {field.name: signature(load_folder).parameters[field.name].default for field in fields(FolderLayout)}
"""Defaults of the loader's arguments that say which images are of which class and split."""
SPLITS = {name: name for name in ("test", "validation", "train")}


@dataclass(frozen=True)
class LabeledImages:
    """Images with their classes.

    Attributes:
        reader: Reads them.
        images: Their references for the reader, and labels.
        class_names: The names of the labels.
        report: What was left out.
        max_pixels: As in `StoreOptions`.
    """

    reader: ImageReader
    images: Sequence[ImageRef]
    class_names: tuple[str, ...]
    report: LoadReport
    max_pixels: int

    def fail(self, line: str) -> None:
        """Count an image that can't be decoded.

        Raises:
            ValueError: Such images are not to be skipped.
        """
        if not self.report.skip:
            raise ValueError(f"{line}, or give --options on_error=skip to leave such images out")
        self.report.leave_out(UNDECODABLE)


def find_labeled_images(root: Path, words: Sequence[str], split: str, tmp_dir: Path) -> LabeledImages:
    """List the images of one split of a folder or archive; all of them where it has no splits.

    Args:
        root: The folder, zip or tar archive.
        words: Arguments of `load_folder` on classes, splits and problems, as `name=value`.
        split: `"test"`, `"validation"` or `"train"`.
        tmp_dir: Where a compressed tar archive is unpacked.

    Raises:
        FileNotFoundError: The root, or a list of files, does not exist.
        ValueError: An option is unknown, there are no images in the split, or the folder can't be read.
    """
    lookup("split", split, SPLITS)
    options = _parsed(words)
    layout = FolderLayout(**(_LAYOUT | {name: options[name] for name in _LAYOUT if name in options}))
    report = LoadReport(skip=lookup("on_error", options.get("on_error", "raise"), ON_ERROR))
    max_pixels = whole_number("max_pixels", options.get("max_pixels", MOST_PIXELS), least=1)
    own = {field.name for field in fields(ArchiveLimits)}
    limits = ArchiveLimits(**{name: value for name, value in options.items() if name in own})
    tree = open_tree(root, limits).for_random_access(tmp_dir)
    if _is_split(tree, layout):
        files = layout.list_files(tree, report)
        rows, names = getattr(files, split), files.class_names
        reader = files.reader
    elif split != "test":
        raise ValueError(f"{root} has no split folders, so all its images are tested on: leave out --split {split}")
    else:
        level = LEAF if layout.leaf_classes else 1
        rows, names = list_whole_tree(tree, report, level=level, class_sort=layout.class_sort)
        reader = TreeReader(tree)
    if not rows:
        raise ValueError(f"{root} has no {split} split")
    return LabeledImages(reader, rows, names, report, max_pixels)


def _parsed(words: Sequence[str]) -> dict[str, Any]:
    options = parse_options(words)
    own = {field.name for field in fields(Decoding)}
    if fixed := sorted(own & set(options)):
        raise ValueError(f"{fixed[0]} can't be chosen: images are decoded as the model's training images were")
    check_arguments("dataset 'folder'", load_folder, options, ("root", "workers"))
    return options


def _is_split(tree: Tree, layout: FolderLayout) -> bool:
    chosen = layout.domains or layout.test_fraction is not None or layout.train_list or layout.test_list
    return bool(chosen) or has_splits(tree)
