"""Loader of datasets of the Hugging Face hub, and of others that its library `datasets` can read."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cls_env.datasets.files.class_folders import CLASS_SORTS
from cls_env.datasets.files.decoding import DEPTH, MOST_PIXELS
from cls_env.datasets.files.listing import FileList
from cls_env.datasets.files.load_report import LoadReport
from cls_env.datasets.files.split_folders import SPLIT_NAMES
from cls_env.datasets.loaders.huggingface_files import LocalDataset
from cls_env.datasets.loaders.huggingface_rows import list_rows
from cls_env.datasets.loaders.huggingface_splits import choose_splits, requested_splits
from cls_env.datasets.loaders.huggingface_tables import Columns, OpenDataset, open_local, open_published
from cls_env.datasets.paths import expanded
from cls_env.datasets.splits import seeded_split
from cls_env.datasets.storage.store import StoredDataset, cache_folder, make_cache, open_or_build_store
from cls_env.datasets.storage.store_build import StoreOptions
from cls_env.datasets.storage.temporary_folders import scratch_folder
from cls_env.specification import lookup


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
    """Load a dataset through Hugging Face's library `datasets`, which downloads and caches datasets of the hub.

    `path` and the arguments `image_column` to `revision` are described in `HubSource`, `image_size` and the arguments
    from `resize` on in `StoreOptions`. With `on_error="skip"`, rows without a label are left out too. The dataset's
    `left_out` counts rows of unused splits.

    The store of a local folder is identified by the contents of its files and of the files that its tables refer to,
    the store of a dataset of the hub by its commit.

    Raises:
        ModuleNotFoundError: The library is not installed.
        ValueError: The dataset can't be downloaded, has no such split or column, its labels are not classes, its files
            number the classes differently or changed during reading, or arguments are invalid.
    """
    library = _datasets_library()
    options = StoreOptions(image_size, resize, interpolation, on_error, workers, background, bit_depth, max_pixels)
    columns, splits = (image_column, label_column), (train_split, test_split, validation_split)
    return HubSource(path, columns, splits, test_fraction, class_sort, seed, revision).load(library, options)


def _datasets_library() -> Any:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'datasets of the Hugging Face hub need its library: pip install "cls-env[hub]"'
        ) from error
    return datasets


@dataclass(frozen=True)
class HubSource:
    """Which rows of a dataset of the hub belong to which split and class.

    Classes are a `ClassLabel` column of the library, or a column of integers or text, whose values become the classes.
    Class names are in Unicode's composed form.

    Attributes:
        path: Name on the hub, such as `"uoft-cs/cifar10"`, or a local folder of parquet files or images.
        columns: `image_column` and `label_column`. The image column defaults to the only one. The label column defaults
            to the only `ClassLabel`, else to the one called label, labels, class, category or target.
        splits: `train_split`, `test_split` and `validation_split`, names of splits. The test split defaults to one with
            a usual name of test splits, else to the validation split, unless another argument names it. The validation
            split defaults to one with a usual name, unless it is the test split.
        test_fraction: Fraction of each class of the training split to hold out for testing instead of a `test_split`,
            in (0, 1). A validation split is then used only if `validation_split` names it.
        class_sort: Order of classes that are values of a column, as in `FolderLayout`.
        seed: Seed of the held-out test split.
        revision: Branch, tag or commit on the hub. A local folder has none.
    """

    path: str
    columns: Columns
    splits: tuple[str, str | None, str | None]
    test_fraction: float | None
    class_sort: str
    seed: int
    revision: str | None

    def load(self, library: Any, options: StoreOptions) -> StoredDataset:
        """Open the store of the dataset, after building it if needed."""
        lookup("class_sort", self.class_sort, CLASS_SORTS)
        seeded = seeded_split(self.test_fraction, self.seed)
        requested = requested_splits(*self.splits, seeded is not None)
        local = self._local()

        with ExitStack() as until_built:

            @cache
            def opened() -> OpenDataset:
                if local is None:
                    return open_published(library, self.path, self.revision, self.columns)
                make_cache(cache_folder())
                scratch = until_built.enter_context(scratch_folder(cache_folder(), "huggingface"))
                return open_local(library, self.path, local, scratch)

            facts = opened().facts if local is None else local.facts(lambda: opened().facts)
            used = choose_splits(self.path, facts.splits, requested, seeded is not None)

            def list_files(tmp_dir: Path, report: LoadReport) -> FileList:
                file_list = list_rows(self.path, opened(), used, seeded, self.class_sort, report)
                if used.get("test") != requested.get("test") and SPLIT_NAMES[used["test"].casefold()] == "validation":
                    remark = f"of the split {used['test']!r}, used as the test split, since there is no other"
                    report.remarks[remark] += len(file_list.test)
                return file_list

            prints = {name: facts.prints[name] for name in used.values() if name in facts.prints}
            source = f"{prints} {facts.images} {facts.labels} {seeded} {self.class_sort} {used}"
            if local is None:
                return open_or_build_store(f"huggingface:{Path(self.path).name}", source, list_files, options)
            outside = local.outside_files(facts)
            return open_or_build_store(
                f"huggingface:{local.root.name}",
                f"{local.files.digest} {outside.digest} {source}",
                list_files,
                options,
                lambda: local.files.unchanged() and outside.unchanged(),
            )

    def _local(self) -> LocalDataset | None:
        """The local folder of this path, if there is one.

        Raises:
            ValueError: The dataset is local, and `revision` is given.
        """
        root = expanded(self.path, "path").absolute()
        if not root.is_dir():
            return None
        if self.revision is not None:
            raise ValueError(
                f"{self.path} is a local folder, which has no revisions: remove revision={self.revision!r}, or name a "
                "dataset of the hub"
            )
        return LocalDataset(root, self.columns)
