"""Loader of published datasets: finds, downloads, splits, decodes and stores them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cls_env.arguments import truth_value, whole_number
from cls_env.datasets.files.content_digest import SourceFiles
from cls_env.datasets.files.listing import FileList, split_by_seed
from cls_env.datasets.files.load_report import LoadReport
from cls_env.datasets.paths import data_folder
from cls_env.datasets.splits import check_fraction
from cls_env.datasets.storage.downloads import first_existing
from cls_env.datasets.storage.store import StoredDataset, open_or_build_store
from cls_env.datasets.storage.store_build import StoreOptions


@dataclass(frozen=True)
class PublishedSet:
    """The loader of a published dataset.

    Attributes:
        name: Name of the dataset.
        candidates: Files or folders relative to `root`. The first that exists is read.
        list_files: Lists the images of this path, given a folder for temporary files and a report of what is left out.
            If the dataset was published without a split, all images are in the training split.
        download: Downloads the dataset into a folder, or None if it can't be downloaded by a program.
        extra_files: Further files that `list_files` reads if they exist, relative to `root`.
        advice: How to get the dataset if there is no download.
        has_split: Whether it was published with a split.
        image_size: Default side of the images in the store, in pixels.
        test_fraction: Default fraction to hold out if the dataset was published without a split.
    """

    name: str
    candidates: tuple[str, ...]
    list_files: Callable[[Path, Path, LoadReport], FileList]
    download: Callable[[Path], None] | None = None
    extra_files: tuple[str, ...] = ()
    advice: str = ""
    has_split: bool = False
    image_size: int = 256
    test_fraction: float = 0.2

    def __call__(
        self,
        root: str | Path | None = None,
        image_size: int | None = None,
        *,
        test_fraction: float | None = None,
        seed: int = 0,
        download: bool = False,
        resize: str = "crop",
        interpolation: str = "bicubic",
        on_error: str = "raise",
        workers: int | None = None,
    ) -> StoredDataset:
        """Load the dataset.

        Args:
            root: Its folder or archive. Defaults to `$CLS_ENV_DATA/<name>`, else to the user's data folder.
            image_size: Side of the square images in the store, in pixels. Defaults to that of the dataset.
            test_fraction: Fraction of each class to hold out for testing, in (0, 1), instead of the published split.
            seed: Seed of the held-out test split.
            download: Whether to download missing files.
            resize: As in `StoreOptions`.
            interpolation: As in `StoreOptions`.
            on_error: As in `StoreOptions`.
            workers: As in `StoreOptions`.

        Raises:
            FileNotFoundError: The files are missing. The message says which, where, and how to get them.
            ValueError: An argument is out of range, or the files are damaged.
        """
        side = self.image_size if image_size is None else image_size
        options = StoreOptions(side, resize, interpolation, on_error, workers)
        share = None if test_fraction is None else check_fraction(test_fraction)
        seed_number = whole_number("seed", seed, 0)
        folder = data_folder(self.name, root)
        if truth_value("download", download):
            self.fetch(folder)
        path = first_existing(self.name, folder, self.candidates, self.advice)

        def list_files(tmp_dir: Path, report: LoadReport) -> FileList:
            file_list = self.list_files(path, tmp_dir, report)
            if share is None and file_list.test:
                return file_list
            rows = (*file_list.train, *file_list.test)
            held_out = self.test_fraction if share is None else share
            return split_by_seed(file_list.reader, rows, file_list.class_names, held_out, seed_number)

        files = SourceFiles((path, *(path.parent / name for name in self.extra_files)))
        split = "" if self.has_split and share is None else f"{share} {seed_number}"
        return open_or_build_store(self.name, f"{files.digest} {split}", list_files, options, files.unchanged)

    def fetch(self, folder: Path) -> None:
        """Download the dataset into a folder, unless it is complete already.

        Raises:
            ValueError: The dataset can't be downloaded by a program, or the download failed.
        """
        if self.download is None:
            raise ValueError(f"{self.name} can't be downloaded by a program: {self.advice}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.download(folder)
        except (OSError, RuntimeError) as error:
            raise ValueError(f"{self.name} could not be downloaded into {folder}: {error}") from error
