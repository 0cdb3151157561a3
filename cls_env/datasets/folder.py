"""A user's own images: a folder, or a zip or tar of one."""

from __future__ import annotations

from pathlib import Path

from cls_env.datasets.decoding import TreeReader
from cls_env.datasets.listing import (
    Listing,
    list_split_tree,
    list_whole_tree,
    read_lines,
    split_by_lists,
    split_by_seed,
)
from cls_env.datasets.store import StoredDataset, StoreOptions, stored
from cls_env.datasets.trees import open_tree, plain_name, stamp


def load_folder(
    root: str | Path,
    image_size: int = 32,
    *,
    domains: bool = False,
    test_fraction: float | None = None,
    train_list: str | Path | None = None,
    test_list: str | Path | None = None,
    seed: int = 0,
    resize: str = "crop",
    on_error: str = "raise",
    workers: int | None = None,
) -> StoredDataset:
    """Labelled images in folders, by class.

    The layout is `train/<class>/<image>` and `test/<class>/<image>`; or `<class>/<image>` alone, with a seeded
    (`test_fraction`) or a listed split (`train_list` and `test_list`). Images may lie deeper. Files whose name starts
    with a dot, or does not end like an image's, are passed over. The decoded images are kept in a store on disk.

    Args:
        root: A folder, or a zip or tar of one, whose single top folder may hold all.
        image_size: Side of the square images, in pixels.
        domains: `train/<domain>/<class>/<image>`, for domain-incremental streams.
        test_fraction: Without `train/` and `test/`: the share of each class held out for testing, in (0, 1).
        train_list: A text file that names an image a line, for the training split.
        test_list: The same for testing.
        seed: Fixes the seeded split.
        resize: `"crop"`, `"squash"` or `"pad"`, see `RESIZE_RULES`.
        on_error: `"raise"`, or `"skip"` to leave out files that can't be decoded.
        workers: Decoding processes; by default one for each core.

    Returns:
        The images; classes in the order of their names.

    Raises:
        FileNotFoundError: `root`, a list, or `train/` or `test/` is missing.
        ValueError: There are no images, a class is empty, a file can't be decoded (the message names it), a list names
            an image that is not there, or the test split has a class that the training split lacks.
    """
    options = StoreOptions(image_size=image_size, resize=resize, on_error=on_error, workers=workers)
    tree = open_tree(root)
    if (train_list is None) != (test_list is None):
        raise ValueError("a listed split needs both train_list and test_list")
    if sum((domains, test_fraction is not None, train_list is not None)) > 1:
        raise ValueError("choose one of domains, test_fraction and train_list with test_list")
    lists = [Path(file).expanduser() for file in (train_list, test_list) if file is not None]
    for file in lists:
        if not file.exists():
            raise FileNotFoundError(f"the list {file} does not exist")

    def make_listing(room: Path) -> Listing:
        files = tree.for_random_access(room)
        if test_fraction is None and not lists:
            return list_split_tree(files, domains)
        rows, names = list_whole_tree(files)
        if test_fraction is not None:
            return split_by_seed(TreeReader(files), rows, names, test_fraction, seed)
        train, test = map(read_lines, lists)
        return split_by_lists(TreeReader(files), rows, names, (train, test), f"{train_list} and {test_list}")

    source = f"{stamp(tree.root, *lists)} {domains} {test_fraction} {test_fraction and seed}"
    return stored(f"folder:{plain_name(tree.root)}", source, make_listing, options)
