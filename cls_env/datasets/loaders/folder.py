"""A user's own images: a folder, or a zip or tar of one."""

from __future__ import annotations

from pathlib import Path

from cls_env.arguments import truth_value, whole_number
from cls_env.datasets.files.class_folders import CLASS_SORTS, LEAF
from cls_env.datasets.files.content_digest import SourceFiles
from cls_env.datasets.files.decoding import DEPTH, MOST_PIXELS, TreeReader
from cls_env.datasets.files.listing import FileList, list_split_tree, list_whole_tree, split_by_lists, split_by_seed
from cls_env.datasets.files.load_report import LoadReport
from cls_env.datasets.files.split_lists import read_lines
from cls_env.datasets.files.trees import open_tree, plain_name
from cls_env.datasets.paths import expanded
from cls_env.datasets.splits import check_fraction
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
    on_error: str = "raise",
    workers: int | None = None,
) -> StoredDataset:
    """Labelled images in folders, by class.

    The layout is `train/<class>/<image>` and `test/<class>/<image>`; or `<class>/<image>` alone, with a seeded
    (`test_fraction`) or a listed split (`train_list` and `test_list`). The folders of the splits may also be called
    training, val, valid, validation, dev, testing, eval or evaluation, in any case. A validation folder beside both is
    the validation split; without a test folder it is the test split. Images may lie deeper.

    What is left out is counted by kind in the dataset's `left_out`, and said when the images are decoded: hidden files,
    thumbnails of file servers, files that are no images, images outside of the class folders or in no list. What can't
    be listed, read, followed or decoded, and images of formats that are not read, are errors unless `on_error` is
    `"skip"`. The decoded images are kept in a store on disk, which belongs to the files' names and contents.

    Args:
        root: A folder, or a zip or tar of one, whose single top folder may hold all.
        image_size: Side of the square images, in pixels.
        domains: `train/<domain>/<class>/<image>`, for domain-incremental streams.
        test_fraction: Without `train/` and `test/`: the share of each class held out for testing, in (0, 1).
        train_list: A text file that names an image a line, for the training split.
        test_list: The same for testing.
        leaf_classes: Each folder that holds images is a class, named by its path; by default, each folder at the top.
        class_sort: The order of the classes: `"numeric"` by value where all names are whole numbers, else by name;
            `"text"` always by name, which gives streams of earlier versions their fingerprints.
        seed: Fixes the seeded split.
        resize: `"crop"`, `"squash"` or `"pad"`, see `RESIZE_RULES`.
        interpolation: `"bicubic"` or `"bilinear"`, with antialiasing.
        background: Colour under transparent pixels, such as `"white"` or `"#202020"`.
        bit_depth: How many bits of 16-bit grey images are in use, 8 to 16: 12 for images of a 12-bit camera.
        max_pixels: The most pixels that a file may have.
        on_error: `"raise"`, or `"skip"` to leave out and count what can't be read, followed or decoded.
        workers: Decoding processes; by default one for each core.

    Returns:
        The images.

    Raises:
        FileNotFoundError: `root`, a list, or the folder of a split is missing.
        ValueError: There are no images, a class is empty, something can't be read (the message names it), a list names
            an image that is not there, the test split has a class that the training split lacks, or an argument is
            wrong.
    """
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
    with_domains, leaves = truth_value("domains", domains), truth_value("leaf_classes", leaf_classes)
    lookup("class_sort", class_sort, CLASS_SORTS)
    drawn = None if test_fraction is None else (check_fraction(test_fraction), whole_number("seed", seed, 0))
    tree = open_tree(root)
    if (train_list is None) != (test_list is None):
        raise ValueError("a listed split needs both train_list and test_list")
    if sum((with_domains, drawn is not None, train_list is not None)) > 1:
        raise ValueError("choose one of domains, test_fraction and train_list with test_list")
    named = {"train_list": train_list, "test_list": test_list}
    lists = [expanded(file, name) for name, file in named.items() if file is not None]
    for file in lists:
        if not file.is_file():
            raise FileNotFoundError(f"the list {file} {'is not a file' if file.exists() else 'does not exist'}")

    def list_files(tmp_dir: Path, report: LoadReport) -> FileList:
        files = tree.for_random_access(tmp_dir)
        if drawn is None and not lists:
            return list_split_tree(files, report, with_domains=with_domains, leaf_classes=leaves, class_sort=class_sort)
        rows, names = list_whole_tree(files, report, level=LEAF if leaves else 1, class_sort=class_sort)
        if drawn is not None:
            return split_by_seed(TreeReader(files), rows, names, *drawn)
        train, test = map(read_lines, lists)
        return split_by_lists(TreeReader(files), rows, names, (train, test), f"{train_list} and {test_list}", report)

    files = SourceFiles((tree.root, *lists))
    source = f"{files.digest} {with_domains} {drawn} {leaves} {class_sort}"
    return open_or_build_store(f"folder:{plain_name(tree.root)}", source, list_files, options, files.unchanged)
