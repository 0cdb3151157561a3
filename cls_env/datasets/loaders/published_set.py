"""The one way in which every published set is found, fetched, split, decoded and stored."""

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
    """The loader of a published set.

    Attributes:
        name: Of the set.
        wanted: Files or folders of which the first that is there is read, relative to `root`.
        listing: Lists that path, given a folder for temporary files and a report of what is left out; all rows in the
            training split where the set was published without one.
        download: Fetches the set into a folder, or None where nobody may.
        beside: Further files that the listing reads if they are there, relative to `root`.
        advice: What to do where there is no download.
        splits: Whether it was published with a split of its own.
        image_size: Side of the images in the store by default, in pixels.
        test_fraction: The share held out by default, where the set was published without a split.
    """

    name: str
    wanted: tuple[str, ...]
    listing: Callable[[Path, Path, LoadReport], FileList]
    download: Callable[[Path], None] | None = None
    beside: tuple[str, ...] = ()
    advice: str = ""
    splits: bool = False
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
        """Load the set.

        Args:
            root: The folder that holds it, or the archive; by default `$CLS_ENV_DATA/<name>`, or in the user's data
                folder.
            image_size: Side of the square images in the store, in pixels; by default the set's own.
            test_fraction: Hold out this share of each class, in (0, 1), by the seed, in path of the published split;
                where there is none, this is the default.
            seed: Fixes which.
            download: Fetch what is missing.
            resize: `"crop"`, `"squash"` or `"pad"`, see `RESIZE_RULES`.
            interpolation: `"bicubic"` or `"bilinear"`, with antialiasing.
            on_error: `"raise"`, or `"skip"` to leave out files that can't be decoded.
            workers: Decoding processes; by default one for each core.

        Raises:
            FileNotFoundError: It is not there; the message says what is wanted, where, and how to get it.
            ValueError: An argument is out of range, or the files are damaged.
        """
        side = self.image_size if image_size is None else image_size
        options = StoreOptions(
            image_size=side, resize=resize, interpolation=interpolation, on_error=on_error, workers=workers
        )
        share = None if test_fraction is None else check_fraction(test_fraction)
        number = whole_number("seed", seed, 0)
        folder = data_folder(self.name, root)
        if truth_value("download", download):
            self.fetch(folder)
        path = first_existing(self.name, folder, self.wanted, self.advice)

        def list_files(tmp_dir: Path, report: LoadReport) -> FileList:
            file_list = self.list_files(path, tmp_dir, report)
            if share is None and file_list.test:
                return file_list
            rows = (*file_list.train, *file_list.test)
            held_out = self.test_fraction if share is None else share
            return split_by_seed(file_list.reader, rows, file_list.class_names, held_out, number)

        files = SourceFiles((path, *(path.parent / name for name in self.beside)))
        drawn = "" if self.splits and share is None else f"{share} {number}"
        return open_or_build_store(self.name, f"{files.digest} {drawn}", list_files, options, files.unchanged)

    def fetch(self, folder: Path) -> None:
        """Download the set into a folder, unless it is there and whole.

        Raises:
            ValueError: No program may, or it failed.
        """
        if self.download is None:
            raise ValueError(f"{self.name} can't be downloaded by a program: {self.advice}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.download(folder)
        except (OSError, RuntimeError) as error:
            raise ValueError(f"{self.name} could not be downloaded into {folder}: {error}") from error
