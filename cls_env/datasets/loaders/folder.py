"""Loader of a user's own images: a folder, or a zip or tar archive of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cls_env.arguments import truth_value, whole_number
from cls_env.bounded.limits import MOST_BYTES, MOST_FILES, MOST_RATIO, ArchiveLimits
from cls_env.datasets.files.class_folders import CLASS_SORTS, LEAF
from cls_env.datasets.files.content_digest import SourceFiles
from cls_env.datasets.files.decoding import DEPTH, MOST_PIXELS, TreeReader
from cls_env.datasets.files.listing import (
    FileList,
    list_split_tree,
    list_whole_tree,
    split_by_lists,
    split_by_name,
    split_by_seed,
)
from cls_env.datasets.files.load_report import LoadReport
from cls_env.datasets.files.split_folders import has_splits
from cls_env.datasets.files.split_lists import read_lines
from cls_env.datasets.files.trees import Tree, open_tree, plain_name
from cls_env.datasets.paths import expanded
from cls_env.datasets.splits import DEFAULT_FRACTION, seeded_split
from cls_env.datasets.storage.store import StoredDataset, open_or_build_store
from cls_env.datasets.storage.store_build import StoreOptions
from cls_env.specification import lookup


def load_folder(
    root: str | Path,
    image_size: int = 32,
    *,
    domains: bool = False,
    test_fraction: float | None = None,
    train_list: str | Path | None = None,
    test_list: str | Path | None = None,
    leaf_classes: bool = False,
    class_sort: str = "numeric",
    seed: int = 0,
    resize: str = "crop",
    interpolation: str = "bicubic",
    background: str = "white",
    bit_depth: int = DEPTH,
    max_pixels: int = MOST_PIXELS,
    max_files: int = MOST_FILES,
    max_bytes: int = MOST_BYTES,
    max_ratio: float = MOST_RATIO,
    on_error: str = "raise",
    workers: int | None = None,
) -> StoredDataset:
    """Load labeled images from a folder, or a zip or tar archive of one, with a subfolder for each class.

    `root` is the folder or archive. `domains` to `seed` are described in `FolderLayout`, `image_size` and the
    arguments from `resize` to `max_pixels`, `on_error` and `workers` in `StoreOptions`.

    An archive is read in place: nothing is unpacked under a name that it gives, and links and names that lead out of it
    are refused. It may hold `max_files` files, folders and links, by default 2,000,000. It may unpack to `max_bytes`
    bytes, by default 1 TiB, and, if they are more than 64 MiB, to `max_ratio` times its own size, by default 200. No
    image file may have more than 2 GiB.

    Files that are left out (hidden files, thumbnails of file servers, files that are not images, images outside of the
    class folders or in no list) are counted in the dataset's `left_out` and reported when the images are decoded.
    The decoded images are cached in a store on disk, which is identified by the files' names and contents.

    Raises:
        FileNotFoundError: `root`, a list, or the folder of a split is missing.
        ValueError: There are no images, a class is empty, a file can't be read (the message names it), a list names a
            missing image, the test split has a class that the training split lacks, the archive holds more than its
            limits allow, or an argument is invalid.
    """
    options = StoreOptions(image_size, resize, interpolation, on_error, workers, background, bit_depth, max_pixels)
    layout = FolderLayout(domains, test_fraction, train_list, test_list, leaf_classes, class_sort, seed)
    return layout.load(open_tree(root, ArchiveLimits(max_files, max_bytes, max_ratio)), options)


@dataclass(frozen=True)
class FolderLayout:
    """How the images of a folder are assigned to splits and classes.

    The layout is `train/<class>/<image>` and `test/<class>/<image>`. The folders of the splits may also be called
    training, val, valid, validation, dev, testing, eval or evaluation, in any case. A validation folder in addition to
    both is the validation split. Without a test folder it is the test split. Alternatively the layout is
    `<class>/<image>`, of which 20 % of each class are held out for testing, or with a seeded split (`test_fraction`) or
    a listed split (`train_list` and `test_list`). In both layouts images may be in subfolders of their class, and
    `root` may contain a single folder with all others.

    Attributes:
        domains: Whether the layout is `train/<domain>/<class>/<image>`, for domain-incremental streams.
        test_fraction: For the layout `<class>/<image>`: fraction of each class to hold out for testing, in (0, 1),
            chosen by the position of the class. By default 0.2, chosen by the names of class and file, so that classes
            that are added later leave the split of the others as it is.
        train_list: For the layout `<class>/<image>`: a text file with one training image per line.
        test_list: The same for testing.
        leaf_classes: Whether each folder that contains images is a class, named by its path. By default each top
            folder is a class.
        class_sort: The order of the classes. `"numeric"` sorts by value if all names are integers, else by name.
            `"text"` always sorts by name, as earlier versions did.
        seed: Seed of the held-out images.

    Raises:
        ValueError: An argument is invalid.
    """

    domains: bool
    test_fraction: float | None
    train_list: str | Path | None
    test_list: str | Path | None
    leaf_classes: bool
    class_sort: str
    seed: int

    def __post_init__(self) -> None:
        for name in ("domains", "leaf_classes"):
            object.__setattr__(self, name, truth_value(name, getattr(self, name)))
        lookup("class_sort", self.class_sort, CLASS_SORTS)
        seeded_split(self.test_fraction, self.seed)
        object.__setattr__(self, "seed", whole_number("seed", self.seed, 0))

    def load(self, tree: Tree, options: StoreOptions) -> StoredDataset:
        """Open the store of a tree's images, after building it if needed."""
        lists = self._lists()
        # Trees with folders of splits have no seed, and the default seed is not named: their stores stay valid.
        seeded = seeded_split(self.test_fraction, self.seed) or self.seed or None

        def list_files(tmp_dir: Path, report: LoadReport) -> FileList:
            found = self.list_files(tree.for_random_access(tmp_dir), report)
            if len(found.class_names) == 1:
                remark = f"all of one class, {found.class_names[0]!r}; is root the folder that contains the classes?"
                report.remarks[remark] += len(found.train) + len(found.test) + len(found.validation)
            return found

        files = SourceFiles((tree.root, *lists))
        source = f"{files.digest} {self.domains} {seeded} {self.leaf_classes} {self.class_sort}"
        return open_or_build_store(f"folder:{plain_name(tree.root)}", source, list_files, options, files.unchanged)

    def _lists(self) -> list[Path]:
        """The paths of the lists, if a listed split is used.

        Raises:
            ValueError: The arguments can't be combined.
            FileNotFoundError: A list is missing.
        """
        if (self.train_list is None) != (self.test_list is None):
            raise ValueError("a listed split needs both train_list and test_list")
        if sum((self.domains, self.test_fraction is not None, self.train_list is not None)) > 1:
            raise ValueError("choose one of domains, test_fraction and train_list with test_list")
        named = {"train_list": self.train_list, "test_list": self.test_list}
        lists = [expanded(file, name) for name, file in named.items() if file is not None]
        for file in lists:
            if not file.is_file():
                raise FileNotFoundError(f"the list {file} {'is not a file' if file.exists() else 'does not exist'}")
        return lists

    def list_files(self, tree: Tree, report: LoadReport) -> FileList:
        """List the images of each split, without decoding them.

        Args:
            tree: The files.
            report: Counts what is left out.

        Raises:
            FileNotFoundError: A list or the folder of a split is missing.
            ValueError: As in `load_folder`.
        """
        seeded, lists = seeded_split(self.test_fraction, self.seed), self._lists()
        if seeded is None and not lists and (self.domains or has_splits(tree)):
            return list_split_tree(
                tree,
                report,
                with_domains=self.domains,
                leaf_classes=self.leaf_classes,
                class_sort=self.class_sort,
            )
        level = LEAF if self.leaf_classes else 1
        rows, names = list_whole_tree(tree, report, level=level, class_sort=self.class_sort)
        if seeded is not None:
            return split_by_seed(TreeReader(tree), rows, names, *seeded)
        if not lists:
            return split_by_name(TreeReader(tree), rows, names, DEFAULT_FRACTION, self.seed, report)
        train, test = map(read_lines, lists)
        where = f"{self.train_list} and {self.test_list}"
        return split_by_lists(TreeReader(tree), rows, names, (train, test), where, report)
