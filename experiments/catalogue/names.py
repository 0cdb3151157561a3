"""The catalogue as it is saved: names and what is said of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from cls_env.datasets import DATASETS
from cls_env.datasets.files.trees import open_tree
from cls_env.specification import lookup
from experiments.config.settings import Settings
from experiments.files import read_json

Row = dict[str, str]
"""Texts by column."""
NO_OBJECTIVE = "none"
"""The objective of methods that learn without gradients."""
FILE = Path(__file__).with_name("catalogue.json")


@cache
def rows(kind: str) -> dict[str, Row]:
    """What is known of a kind, such as `"objective"`, by name."""
    known: dict[str, Row] = read_json(FILE)[kind]
    return known


def check_names(config: Settings, kind: str, names: Iterable[str]) -> None:
    """Check the names in a configuration, and the root of the user's images, without importing what they stand for.

    Settings that import the user's modules are not checked, since these may register further names.

    Args:
        config: Its dataset, PEFT module and method are checked.
        kind: What the contenders are: `"objective"` or `"algorithm"`.
        names: The contenders.

    Raises:
        FileNotFoundError: The root does not exist.
        ValueError: A name is unknown; the message gives the nearest known one. Or the root is no folder or archive.
    """
    if config.imports:
        return
    DATASETS.lookup(config.dataset)
    if config.peft.partition(":")[0] not in rows("PEFT module that does not fit"):
        check_name("PEFT module", config.peft)
    check_name("method", config.method)
    for name in names:
        if name != NO_OBJECTIVE:
            check_name(kind, name)
    if config.dataset == "folder" and config.root is not None and Path(config.root).is_absolute():
        open_tree(config.root)


def check_name(kind: str, specification: str) -> None:
    """Check the name in a specification such as `"focal:gamma=2"`. Its arguments are not checked.

    Raises:
        ValueError: There is nothing of this name in the package; the message gives the nearest known one.
    """
    lookup(kind, specification.partition(":")[0], rows(kind))
