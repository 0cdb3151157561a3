"""Datasets that torchvision offers. It downloads and checks them, and their files are read from disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cls_env.bounded.json_text import read_json
from cls_env.datasets.files.decoding import Facts, TreeReader
from cls_env.datasets.files.listing import FileList, ImageRef, list_whole_tree, split_by_lists
from cls_env.datasets.files.load_report import LoadReport
from cls_env.datasets.files.trees import FolderTree
from cls_env.datasets.loaders.published_set import PublishedSet


def _torchvision(name: str) -> Any:
    """A dataset class of torchvision.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    try:
        from torchvision import datasets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'{name} is read and downloaded by torchvision: pip install "cls-env[datasets]"'
        ) from error
    return getattr(datasets, name)


@dataclass(frozen=True)
class ArrayReader:
    """Reads images of an array by row."""

    images: NDArray[np.uint8]
    name: str

    def read(self, reference: int, facts: Facts) -> Image.Image:
        """The image of a row."""
        return Image.fromarray(self.images[reference])

    def location(self, reference: int) -> str:
        """Name and row."""
        return f"{self.name}, row {reference}"


def _cifar(name: str) -> tuple[Any, Any]:
    """Functions that list and download CIFAR-10 or CIFAR-100. torchvision checks the checksums before it unpickles."""

    def list_files(path: Path, tmp_dir: Path, report: LoadReport) -> FileList:
        try:
            train, test = (_torchvision(name)(str(path.parent), train=train) for train in (True, False))
        except RuntimeError as error:
            raise ValueError(
                f"{path} is not {name} as published, or damaged ({error}); remove it and download it again"
            ) from error
        rows = [ImageRef(index, label) for index, label in enumerate([*train.targets, *test.targets])]
        reader = ArrayReader(np.concatenate([train.data, test.data]), str(path))
        count = len(train.targets)
        return FileList(reader, tuple(rows[:count]), tuple(rows[count:]), tuple(train.classes))

    def download(folder: Path) -> None:
        for train in (True, False):
            _torchvision(name)(str(folder), train=train, download=True)

    return list_files, download


def _list_food101(path: Path, tmp_dir: Path, report: LoadReport) -> FileList:
    tree = FolderTree(path)
    rows, names = list_whole_tree(tree, report, "images")

    def listed(split: str) -> list[str]:
        by_class = read_json(path / "meta" / f"{split}.json")
        return [f"{name}.jpg" for files in by_class.values() for name in files]

    return split_by_lists(TreeReader(tree), rows, names, (listed("train"), listed("test")), str(path / "meta"), report)


def _list_caltech101(path: Path, tmp_dir: Path, report: LoadReport) -> FileList:
    tree = FolderTree(path)
    rows, names = list_whole_tree(tree, report, excluded=("BACKGROUND_Google",))
    return FileList(TreeReader(tree), tuple(rows), (), names)


def _list_omniglot(path: Path, tmp_dir: Path, report: LoadReport) -> FileList:
    """List both parts together. A class is a character of an alphabet."""
    tree = FolderTree(path)
    rows: list[ImageRef] = []
    classes: list[str] = []
    for part in ("images_background", "images_evaluation"):
        if part not in tree.contents.folders:
            raise ValueError(f"{path} lacks the folder {part}; remove it and download it again")
        found, names = list_whole_tree(tree, report, part, level=2)
        rows += [ImageRef(row.reference, row.label + len(classes)) for row in found]
        classes += names
    return FileList(TreeReader(tree), tuple(rows), (), tuple(classes))


def _download_omniglot(folder: Path) -> None:
    for background in (True, False):
        _torchvision("Omniglot")(str(folder), background=background, download=True)


load_cifar10 = PublishedSet("cifar10", ("cifar-10-batches-py",), *_cifar("CIFAR10"), has_split=True, image_size=32)
load_cifar100 = PublishedSet("cifar100", ("cifar-100-python",), *_cifar("CIFAR100"), has_split=True, image_size=32)
load_food101 = PublishedSet(
    "food101",
    ("food-101",),
    _list_food101,
    lambda folder: _torchvision("Food101")(str(folder), download=True),
    has_split=True,
)
load_caltech101 = PublishedSet(
    "caltech101",
    ("caltech101/101_ObjectCategories", "101_ObjectCategories"),
    _list_caltech101,
    lambda folder: _torchvision("Caltech101")(str(folder), download=True),
)
load_omniglot = PublishedSet(
    "omniglot", ("omniglot-py",), _list_omniglot, _download_omniglot, image_size=105, test_fraction=0.25
)
