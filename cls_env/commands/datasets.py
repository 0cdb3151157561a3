"""The commands `cls-env datasets | download | cache`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cls_env.command_line.errors import DEBUG_HELP
from cls_env.datasets import DATASETS
from cls_env.datasets.loaders.published_set import PublishedSet
from cls_env.datasets.paths import CACHE_VARIABLE, DATA_VARIABLE, data_folder
from cls_env.datasets.storage.store import StoreEntry, cache_folder, clear_stores, list_stores, matching_stores
from cls_env.specification import lookup


def run_command(words: list[str]) -> None:
    """Parse the arguments of a command line and run its command."""
    arguments = _parser().parse_args(words)
    arguments.run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cls-env",
        description="The command line of datasets and environments.",
        epilog=f"{DEBUG_HELP}.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    datasets = commands.add_parser("datasets", help="list the known datasets")
    datasets.set_defaults(run=_show_datasets)

    download = commands.add_parser("download", help="download a dataset and check it")
    download.add_argument("name", help="one of `cls-env datasets`")
    download.add_argument(
        "--root",
        help=f"folder for its files; by default ${DATA_VARIABLE}/<name>, or in the user's data folder",
    )
    download.set_defaults(run=_download)

    cache = commands.add_parser("cache", help=f"stores of decoded images, in ${CACHE_VARIABLE} or the user's cache")
    actions = cache.add_subparsers(required=True, metavar="action")
    listing = actions.add_parser("list", help="show the stores and their sizes")
    listing.set_defaults(run=lambda arguments: _show_stores(list_stores()))
    clear = actions.add_parser("clear", help="remove stores; they are rebuilt when needed")
    clear.add_argument("name", nargs="?", help="a dataset, or the name of a store in `cache list`; by default all")
    clear.add_argument("--yes", action="store_true", help="remove without asking")
    clear.set_defaults(run=_clear)
    return parser


def _show_datasets(arguments: argparse.Namespace) -> None:
    for card in DATASETS.values():
        size = (
            f"{card.classes:,} classes, {sum(card.images):,} images" if card.classes and card.images else "your images"
        )
        side = f"{card.image_size} px" if card.image_size else "of any size"
        tasks = "/".join(map(str, card.task_counts))
        print(f"{card.name:12} {card.title}\n{'':12} {size} {side}; {tasks} tasks; split: {card.split}")
        print(f"{'':12} {card.source}\n{'':12} {card.citation}; licence: {card.licence}")


def _download(arguments: argparse.Namespace) -> None:
    loader = lookup("dataset", arguments.name, DATASETS).load_function()
    if not isinstance(loader, PublishedSet):
        raise ValueError(f"{arguments.name} has no download: {DATASETS[arguments.name].source}")
    folder = data_folder(arguments.name, arguments.root)
    loader.fetch(folder)
    print(f"{arguments.name} is in {folder}")


def _show_stores(entries: Sequence[StoreEntry]) -> None:
    for entry in entries:
        skipped = f", {entry.skipped} files left out" if entry.skipped else ""
        print(f"{entry.path.name}: {entry.name}, {entry.images:,} images, {entry.bytes / 2**20:,.0f} MiB{skipped}")
    total = sum(entry.bytes for entry in entries)
    print(f"{len(entries)} stores, {total / 2**20:,.0f} MiB, in {cache_folder()}")


def _clear(arguments: argparse.Namespace) -> None:
    chosen = matching_stores(arguments.name)
    if arguments.name and not chosen:
        known = ", ".join(sorted({entry.name for entry in list_stores()})) or "none"
        raise ValueError(f"no store of {arguments.name!r} in {cache_folder()}; there are stores of: {known}")
    if chosen and not arguments.yes:
        _show_stores(chosen)
        if sys.stdin is None or not sys.stdin.isatty():
            raise ValueError("nothing was removed: without a terminal to ask on, add --yes to remove these stores")
        if input("remove these stores? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing was removed")
            return
    print("removed")
    _show_stores(clear_stores(arguments.name))
