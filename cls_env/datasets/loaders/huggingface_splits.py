"""Which splits of a dataset of the Hugging Face hub are used for training, testing and validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from cls_env.arguments import word
from cls_env.datasets.files.split_folders import SPLIT_NAMES


def requested_splits(train: str, test: str | None, validation: str | None, seeded: bool) -> dict[str, str]:
    """The split names given as arguments, by use: `"train"`, `"test"` or `"validation"`.

    Args:
        train: The argument `train_split`.
        test: The argument `test_split`.
        validation: The argument `validation_split`.
        seeded: Whether `test_fraction` is given.

    Raises:
        ValueError: The arguments contradict each other.
    """
    given = {"train": train, "test": test, "validation": validation}
    requested = {
        kind: word(f"{kind}_split", name) for kind, name in given.items() if kind == "train" or name is not None
    }
    if seeded and test is not None:
        raise ValueError(
            f"test_split={test!r} and test_fraction can't be combined: the fraction is held out of the split "
            f"{train!r}; remove one of them"
        )
    for one, other in combinations(requested, 2):
        if requested[one] == requested[other]:
            raise ValueError(f"{one}_split and {other}_split are both {requested[one]!r}; give each a split of its own")
    return requested


def choose_splits(path: str, known: Sequence[str], requested: Mapping[str, str], seeded: bool) -> dict[str, str]:
    """The split for each use: the requested one, or one with a usual name that has no other use.

    Args:
        path: Path of the dataset, for messages.
        known: Names of all splits of the dataset.
        requested: As returned by `requested_splits`.
        seeded: Whether the test split is held out by a seed. Only requested splits are then used.

    Returns:
        The names of the used splits, by use.

    Raises:
        ValueError: A requested split does not exist, or there is no split for testing.

    >>> choose_splits("set", ["train", "dev", "test"], {"train": "train"}, False)
    {'train': 'train', 'test': 'test', 'validation': 'dev'}
    >>> choose_splits("set", ["train", "dev", "test"], {"train": "train"}, True)
    {'train': 'train'}
    """
    for kind, name in requested.items():
        if name not in known:
            hint = "; without a test split give test_fraction" if kind == "test" else f"; name one by {kind}_split"
            raise ValueError(f"{path} has no split {name!r}, only {', '.join(known)}{hint}")
    chosen = dict(requested)

    def take(kind: str, usual: str) -> None:
        free = (name for name in known if name not in chosen.values() and SPLIT_NAMES.get(name.casefold()) == usual)
        if kind not in chosen and (name := next(free, None)) is not None:
            chosen[kind] = name

    if not seeded:
        for usual in ("test", "validation"):
            take("test", usual)
        if "test" not in chosen:
            raise ValueError(
                f"{path} has no split left for testing, only {', '.join(known)}; name one by test_split, or give "
                "test_fraction"
            )
        take("validation", "validation")
    return {kind: chosen[kind] for kind in ("train", "test", "validation") if kind in chosen}
