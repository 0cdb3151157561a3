"""Image sets of the Hugging Face hub, or any that its `datasets` library can read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from unicodedata import normalize

from PIL import Image

from cls_env.arguments import whole_number
from cls_env.datasets.files.class_folders import CLASS_SORTS, sort_names
from cls_env.datasets.files.decoding import DEPTH, MOST_PIXELS, Facts, upright
from cls_env.datasets.files.listing import FileList, ImageRef, split_by_seed
from cls_env.datasets.files.load_report import LoadReport, Problem
from cls_env.datasets.files.split_folders import SPLIT_NAMES
from cls_env.datasets.loaders.huggingface_files import LocalSet
from cls_env.datasets.loaders.huggingface_splits import asked_splits, choose_splits
from cls_env.datasets.loaders.huggingface_tables import Columns, OpenSet, open_local, open_published
from cls_env.datasets.paths import expanded
from cls_env.datasets.splits import check_fraction
from cls_env.datasets.storage.store import StoredDataset, cache_folder, make_cache, open_or_build_store
from cls_env.datasets.storage.store_build import StoreOptions
from cls_env.datasets.storage.temporary_folders import scratch_folder
from cls_env.specification import lookup


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

    def location(self, reference: tuple[str, int]) -> str:
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
    interpolation: str = "bicubic",
    background: str = "white",
    bit_depth: int = DEPTH,
    max_pixels: int = MOST_PIXELS,
    on_error: str = "raise",
    workers: int | None = None,
) -> StoredDataset:
    """Load an image set through Hugging Face's library `datasets`, which fetches sets of the hub and caches them.

    Classes are a `ClassLabel` column of the library, or a column of whole numbers or words, whose values become the
    classes; names are in Unicode's composed form. The store of a local folder belongs to the contents of its files and
    of the files that its tables refer to; that of a set of the hub, to its commit. Rows of splits that are not used are
    counted in the dataset's `left_out`.

    Args:
        path: Its name on the hub, such as `"uoft-cs/cifar10"`, or a local folder of parquet files or images.
        image_size: Side of the square images in the store, in pixels.
        image_column: The column of images; by default the only one.
        label_column: The column of classes; by default the only `ClassLabel`, else the one called label, labels, class,
            category or target.
        train_split: Name of the training split.
        test_split: Name of the test split; by default the one that is called as test splits are, else the validation
            split, unless that is named by another argument.
        validation_split: Name of the validation split; by default the one that is called so, if it is not the test
            split.
        test_fraction: Hold out this share of each class of the training split instead of a `test_split`, in (0, 1);
            then there is a validation split only where `validation_split` names it.
        class_sort: The order of classes that are values of a column, see `load_folder`.
        seed: Fixes which.
        revision: Branch, tag or commit on the hub; a local folder has none.
        resize: `"crop"`, `"squash"` or `"pad"`, see `RESIZE_RULES`.
        interpolation: `"bicubic"` or `"bilinear"`, with antialiasing.
        background: Colour under transparent pixels.
        bit_depth: How many bits of 16-bit grey images are in use, 8 to 16.
        max_pixels: The most pixels that an image may have.
        on_error: `"raise"`, or `"skip"` to leave out and count rows without a label and images that can't be decoded.
        workers: Decoding processes; by default one for each core.

    Raises:
        ModuleNotFoundError: The library is not installed.
        ValueError: The set can't be fetched, or has no such split or column, its labels are no classes, its
            files number the classes differently or changed while they were read, or arguments contradict each other.
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
        interpolation=interpolation,
        on_error=on_error,
        workers=workers,
        background=background,
        bit_depth=bit_depth,
        max_pixels=max_pixels,
    )
    lookup("class_sort", class_sort, CLASS_SORTS)
    drawn = None if test_fraction is None else (check_fraction(test_fraction), whole_number("seed", seed, 0))
    asked = asked_splits(train_split, test_split, validation_split, drawn is not None)
    columns = image_column, label_column
    local = _local_set(path, revision, columns)

    with ExitStack() as until_built:

        @cache
        def opened() -> OpenSet:
            if local is None:
                return open_published(datasets, path, revision, columns)
            make_cache(cache_folder())
            scratch = until_built.enter_context(scratch_folder(cache_folder(), "huggingface"))
            return open_local(datasets, path, local, scratch)

        facts = opened().facts if local is None else local.facts(lambda: opened().facts)
        wanted = choose_splits(path, facts.splits, asked, drawn is not None)

        def list_files(tmp_dir: Path, report: LoadReport) -> FileList:
            file_list = _listing(path, opened(), wanted, drawn, class_sort, report)
            if wanted.get("test") != asked.get("test") and SPLIT_NAMES[wanted["test"].casefold()] == "validation":
                remark = f"of the split {wanted['test']!r}, used as the test split, since there is no other"
                report.remarks[remark] += len(file_list.test)
            return file_list

        prints = {name: facts.prints[name] for name in wanted.values() if name in facts.prints}
        further = f"{prints} {facts.images} {facts.labels} {drawn} {class_sort} {wanted}"
        if local is None:
            return open_or_build_store(f"huggingface:{Path(path).name}", further, list_files, options)
        outside = local.outside_files(facts)
        return open_or_build_store(
            f"huggingface:{local.root.name}",
            f"{local.files.digest} {outside.digest} {further}",
            list_files,
            options,
            lambda: local.files.unchanged() and outside.unchanged(),
        )


def _local_set(path: str, revision: str | None, columns: Columns) -> LocalSet | None:
    """The folder of this name, if there is one.

    Raises:
        ValueError: The set is local, and `revision` is given.
    """
    root = expanded(path, "path").absolute()
    if not root.is_dir():
        return None
    if revision is not None:
        raise ValueError(
            f"{path} is a local folder, which has no revisions: leave out revision={revision!r}, or name a set of the "
            "hub"
        )
    return LocalSet(root, columns)


def _listing(
    path: str,
    found: OpenSet,
    wanted: Mapping[str, str],
    drawn: tuple[float, int] | None,
    class_sort: str,
    report: LoadReport,
) -> FileList:
    """The rows of the splits that are wanted; all others are counted in the report.

    Raises:
        ValueError: A label is missing, or is no class, or a class has no training image.
    """
    splits = {name: found.splits[name] for name in wanted.values()}
    for name, split in found.splits.items():
        if name not in splits:
            report.leave_out(f"images of the unused split {name!r}", split.num_rows)
    reader = HubReader(splits, found.facts.images)
    names, rows = _listed_rows(path, splits, found.facts.labels, class_sort, report)
    train = rows[wanted["train"]]
    if without := sorted(set(range(len(names))) - {row.label for row in train}):
        raise ValueError(f"{path}: class {names[without[0]]!r} has no image in split {wanted['train']!r}")
    validation = rows[wanted["validation"]] if "validation" in wanted else ()
    if drawn is not None:
        return replace(split_by_seed(reader, train, names, *drawn), validation=validation)
    return FileList(reader, train, rows[wanted["test"]], names, validation=validation)


def _listed_rows(
    path: str, splits: dict[str, Any], column: str, class_sort: str, report: LoadReport
) -> tuple[tuple[str, ...], dict[str, tuple[ImageRef, ...]]]:
    """The names of the classes, and the rows of each split. Names are in Unicode's composed form.

    Raises:
        ValueError: A label is missing, or is no class.
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
