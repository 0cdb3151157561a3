"""The rows and classes of a dataset that the `datasets` library has opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any
from unicodedata import normalize

from PIL import Image

from cls_env.datasets.files.class_folders import sort_names
from cls_env.datasets.files.decoding import Facts, open_image, upright
from cls_env.datasets.files.listing import FileList, ImageRef, split_by_seed
from cls_env.datasets.files.load_report import LoadReport, Problem
from cls_env.datasets.loaders.huggingface_tables import OpenDataset


@dataclass(frozen=True)
class HubReader:
    """Reads the images of a column, which the library leaves undecoded, by split and row."""

    splits: dict[str, Any]
    column: str

    def read(self, reference: tuple[str, int], facts: Facts) -> Image.Image:
        """The image of a row."""
        split, row = reference
        entry = self.splits[split][row][self.column]
        if entry is None:
            raise ValueError("the row has no image")
        source: Any = BytesIO(entry["bytes"]) if entry["bytes"] is not None else entry["path"]
        with open_image(source) as image:
            return upright(image, facts)

    def location(self, reference: tuple[str, int]) -> str:
        """Split and row."""
        return f"split {reference[0]!r}, row {reference[1]}"


def list_rows(
    path: str,
    dataset: OpenDataset,
    used: Mapping[str, str],
    seeded: tuple[float, int] | None,
    class_sort: str,
    report: LoadReport,
) -> FileList:
    """List the rows of the used splits. The report counts those of all other splits.

    Args:
        path: Path of the dataset, for messages.
        dataset: The opened dataset.
        used: Names of the train, test and validation split, as `choose_splits` returns them.
        seeded: Fraction and seed of a held-out test split, or None.
        class_sort: A key of `CLASS_SORTS`.
        report: Counts what is left out.

    Raises:
        ValueError: A label is missing or not a class, or a class has no training image.
    """
    splits = {name: dataset.splits[name] for name in used.values()}
    for name, split in dataset.splits.items():
        if name not in splits:
            report.leave_out(f"images of the unused split {name!r}", split.num_rows)
    reader = HubReader(splits, dataset.facts.images)
    names, rows = _labeled_rows(path, splits, dataset.facts.labels, class_sort, report)
    train = rows[used["train"]]
    if without := sorted(set(range(len(names))) - {row.label for row in train}):
        raise ValueError(f"{path}: class {names[without[0]]!r} has no image in split {used['train']!r}")
    validation = rows[used["validation"]] if "validation" in used else ()
    if seeded is not None:
        return replace(split_by_seed(reader, train, names, *seeded), validation=validation)
    return FileList(reader, train, rows[used["test"]], names, validation=validation)


def _labeled_rows(
    path: str, splits: dict[str, Any], column: str, class_sort: str, report: LoadReport
) -> tuple[tuple[str, ...], dict[str, tuple[ImageRef, ...]]]:
    """The class names, in Unicode's composed form, and the rows of each split.

    Raises:
        ValueError: A label is missing or not a class.
    """
    values = {name: list(split[column]) for name, split in splits.items()}
    feature = next(iter(splits.values())).features[column]
    given = getattr(feature, "names", None)
    if given is not None:
        written: dict[Any, str] = dict(enumerate(given))
        names = tuple(dict.fromkeys(normalize("NFC", name) for name in given))
    else:
        written = {label: str(label) for labels in values.values() for label in labels if label is not None}
        names = tuple(sort_names({normalize("NFC", name) for name in written.values()}, class_sort))
    number = {name: label for label, name in enumerate(names)}
    label_of = {value: number[normalize("NFC", name)] for value, name in written.items()}
    missing = [
        Problem("rows without a label", f"{path}, split {name!r}, row {row}", f"its {column!r} is {label}")
        for name, labels in values.items()
        for row, label in enumerate(labels)
        if label not in label_of  # the library's ClassLabel has -1 for no label
    ]
    report.refuse(missing, "Give these rows a label")
    rows = {
        name: tuple(ImageRef((name, row), label_of[label]) for row, label in enumerate(labels) if label in label_of)
        for name, labels in values.items()
    }
    return names, rows
