"""Image sets of the Hugging Face hub, or any that its `datasets` library can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from cls_env.arguments import whole_number
from cls_env.command_line import one_line
from cls_env.datasets.class_folders import CLASS_SORTS, sort_names
from cls_env.datasets.decoding import DEPTH, MOST_PIXELS, Facts, upright
from cls_env.datasets.listing import Listing, Row, split_by_seed
from cls_env.datasets.load_report import LoadReport, Problem
from cls_env.datasets.split_folders import SPLIT_NAMES
from cls_env.datasets.splits import check_fraction
from cls_env.datasets.store import StoredDataset, stored
from cls_env.datasets.store_build import StoreOptions
from cls_env.naming import lookup

LABEL_NAMES = ("label", "labels", "class", "category", "target")
"""Names of a column of classes, in order, where its type does not tell."""


@dataclass(frozen=True)
class HubReader:
    """Gives the images of a column, left undecoded by the library, by split and row."""

    splits: dict[str, Any]
    column: str

    def read(self, reference: tuple[str, int], facts: Facts) -> Image.Image:
        """The image of a row."""
        split, row = reference
        entry = self.splits[split][row][self.column]
        if entry is None:
            raise ValueError("the row has no image")
        source: Any = BytesIO(entry["bytes"]) if entry["bytes"] is not None else entry["path"]
        with Image.open(source) as image:
            return upright(image, facts)

    def place(self, reference: tuple[str, int]) -> str:
        """Split and row."""
        return f"split {reference[0]!r}, row {reference[1]}"


def load_hub(
    path: str,
    image_size: int = 256,
    *,
    image_column: str | None = None,
    label_column: str | None = None,
    train_split: str = "train",
    test_split: str | None = None,
    validation_split: str | None = None,
    test_fraction: float | None = None,
    class_sort: str = "numeric",
    seed: int = 0,
    revision: str | None = None,
    resize: str = "crop",
    background: str = "white",
    bit_depth: int = DEPTH,
    max_pixels: int = MOST_PIXELS,
    on_error: str = "raise",
    workers: int | None = None,
) -> StoredDataset:
    """Load an image set through `datasets.load_dataset`, which fetches and caches it.

    Classes are a `ClassLabel` column of the library, or a column of whole numbers or words, whose values become the
    classes.

    Args:
        path: Its name on the hub, such as `"uoft-cs/cifar10"`, or a local folder of parquet files or images.
        image_size: Side of the square images in the store, in pixels.
        image_column: The column of images; by default the only one.
        label_column: The column of classes; by default the only `ClassLabel`, else the one called label, labels, class,
            category or target.
        train_split: Name of the training split.
        test_split: Name of the test split; by default the one that is called as test splits are, else the validation
            split.
        validation_split: Name of the validation split; by default the one that is called so, if it is not the test
            split.
        test_fraction: Hold out this share of each class of the training split instead, in (0, 1).
        class_sort: The order of classes that are values of a column, see `load_folder`.
        seed: Fixes which.
        revision: Branch, tag or commit on the hub.
        resize: `"crop"`, `"squash"` or `"pad"`, see `RESIZE_RULES`.
        background: Colour under transparent pixels.
        bit_depth: How many bits of 16-bit grey images are in use, 8 to 16.
        max_pixels: The most pixels that an image may have.
        on_error: `"raise"`, or `"skip"` to leave out and count rows without a label and images that can't be decoded.
        workers: Decoding processes; by default one for each core.

    Raises:
        ModuleNotFoundError: The library is not installed.
        ValueError: The set can't be fetched, or has no such split or column, or its labels are no classes.
    """
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'sets of the Hugging Face hub need its library: pip install "cls-env[hub]"'
        ) from error
    options = StoreOptions(
        image_size=image_size,
        resize=resize,
        on_error=on_error,
        workers=workers,
        background=background,
        bit_depth=bit_depth,
        max_pixels=max_pixels,
    )
    lookup("class_sort", class_sort, CLASS_SORTS)
    drawn = None if test_fraction is None else (check_fraction(test_fraction), whole_number("seed", seed, 0))
    try:
        found = datasets.load_dataset(path, revision=revision)
    except Exception as error:  # the hub's client has many kinds: no network, no such set, no such revision, ...
        raise ValueError(f"datasets.load_dataset can't give {path!r}: {one_line(error)}") from error
    wanted = _splits(path, list(found), train_split, test_split, validation_split, drawn is not None)
    features = found[train_split].features
    images = image_column or _only(path, features, datasets.Image, "image")
    labels = label_column or _label_column(path, features, datasets)
    for column in (images, labels):
        lookup(f"column of {path}", column, features)
    if not (isinstance(features[labels], datasets.ClassLabel) or _is_plain(features[labels])):
        raise ValueError(
            f"{path}: column {labels!r} holds {features[labels]}, not classes; name another by label_column"
        )
    try:
        splits = {name: found[name].cast_column(images, datasets.Image(decode=False)) for name in wanted.values()}
        prints = [splits[name]._fingerprint for name in wanted.values()]
    except Exception as error:  # another schema in a split, a column that holds no images, ...
        raise ValueError(f"{path}: column {images!r} can't be read as images: {one_line(error)}") from error

    def make_listing(room: Path, report: LoadReport) -> Listing:
        reader = HubReader(splits, images)
        names, rows = _listed_rows(path, splits, labels, class_sort, report)
        train = rows[wanted["train"]]
        if without := sorted(set(range(len(names))) - {row.label for row in train}):
            raise ValueError(f"{path}: class {names[without[0]]!r} has no image in split {train_split!r}")
        if drawn is not None:
            return split_by_seed(reader, train, names, *drawn)
        validation = rows[wanted["validation"]] if "validation" in wanted else ()
        if test_split is None and SPLIT_NAMES.get(wanted["test"].casefold()) == "validation":
            remark = f"of the split {wanted['test']!r}, used as the test split, since there is no other"
            report.remarks[remark] += len(rows[wanted["test"]])
        return Listing(reader, train, rows[wanted["test"]], names, validation=validation)

    source = f"{prints} {images} {labels} {drawn} {class_sort} {wanted}"
    return stored(f"huggingface:{Path(path).name}", source, make_listing, options)


def _splits(
    path: str, known: Sequence[str], train: str, test: str | None, validation: str | None, drawn: bool
) -> dict[str, str]:
    """The names of the splits that are read.

    Raises:
        ValueError: One is not there.
    """

    def named(kind: str) -> str | None:
        return next((name for name in known if SPLIT_NAMES.get(name.casefold()) == kind), None)

    wanted = {"train": train}
    if not drawn:
        wanted["test"] = test or named("test") or named("validation") or "test"
        further = validation or named("validation")
        if further is not None and further not in wanted.values():
            wanted["validation"] = further
    for split in wanted.values():
        if split not in known:
            raise ValueError(
                f"{path} has no split {split!r}, only {', '.join(known)}; without a test split give test_fraction"
            )
    return wanted


def _listed_rows(
    path: str, splits: dict[str, Any], column: str, class_sort: str, report: LoadReport
) -> tuple[tuple[str, ...], dict[str, tuple[Row, ...]]]:
    """The names of the classes, and the rows of each split.

    Raises:
        ValueError: A label is missing, or is no class.
    """
    values = {name: list(split[column]) for name, split in splits.items()}
    feature = next(iter(splits.values())).features[column]
    given = getattr(feature, "names", None)
    if given is not None:
        names, label_of = tuple(given), {label: label for label in range(len(given))}
    else:
        present = {label for labels in values.values() for label in labels if label is not None}
        names = tuple(sort_names(map(str, present), class_sort))
        label_of = {value: names.index(str(value)) for value in present}
    missing = [
        Problem("rows without a label", f"{path}, split {name!r}, row {row}", f"its {column!r} is {label}")
        for name, labels in values.items()
        for row, label in enumerate(labels)
        if label not in label_of  # the library's ClassLabel has -1 for no label
    ]
    report.refuse(missing, "Give these rows a label")
    rows = {
        name: tuple(Row((name, row), label_of[label]) for row, label in enumerate(labels) if label in label_of)
        for name, labels in values.items()
    }
    return names, rows


def _label_column(path: str, features: Any, datasets: Any) -> str:
    """The column of classes.

    Raises:
        ValueError: There is none, or there are several.
    """
    if any(isinstance(feature, datasets.ClassLabel) for feature in features.values()):
        return _only(path, features, datasets.ClassLabel, "label")
    plain = [name for name, feature in features.items() if _is_plain(feature)]
    for name in LABEL_NAMES:
        if name in plain:
            return name
    if len(plain) == 1:
        return plain[0]
    raise ValueError(
        f"{path} has no column of kind ClassLabel, and none of its columns of numbers or words "
        f"({', '.join(plain) or 'none'}) is called {', '.join(LABEL_NAMES[:-1])} or {LABEL_NAMES[-1]}: name one by "
        "label_column"
    )


def _is_plain(feature: Any) -> bool:
    """Whether a column holds whole numbers, words or truth values."""
    dtype = str(getattr(feature, "dtype", ""))
    return type(feature).__name__ == "Value" and dtype.startswith(("int", "uint", "string", "large_string", "bool"))


def _only(path: str, features: Any, kind: type, what: str) -> str:
    """The one column of a kind.

    Raises:
        ValueError: There is none, or there are several.
    """
    columns = [name for name, feature in features.items() if isinstance(feature, kind)]
    if len(columns) != 1:
        raise ValueError(
            f"{path} has {len(columns)} columns of kind {kind.__name__} ({', '.join(columns) or 'none'} of "
            f"{', '.join(features)}); name one by {what}_column"
        )
    return columns[0]
