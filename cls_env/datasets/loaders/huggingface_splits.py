"""Which splits of a set of the Hugging Face hub are for training, testing and validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from cls_env.arguments import word
from cls_env.datasets.files.split_folders import SPLIT_NAMES


def asked_splits(train: str, test: str | None, validation: str | None, drawn: bool) -> dict[str, str]:
    """The names that the arguments give, by the kind of the split.

    Args:
        train: The argument `train_split`.
        test: The argument `test_split`.
        validation: The argument `validation_split`.
        drawn: Whether `test_fraction` is given.

    Raises:
        ValueError: The arguments contradict each other.
    """
    given = {"train": train, "test": test, "validation": validation}
    asked = {kind: word(f"{kind}_split", name) for kind, name in given.items() if kind == "train" or name is not None}
    if drawn and test is not None:
        raise ValueError(
            f"test_split={test!r} and test_fraction contradict each other: the fraction is held out of the split "
            f"{train!r}; give one of them"
        )
    for one, other in combinations(asked, 2):
        if asked[one] == asked[other]:
            raise ValueError(f"{one}_split and {other}_split are both {asked[one]!r}; give each a split of its own")
    return asked


def choose_splits(path: str, known: Sequence[str], asked: Mapping[str, str], drawn: bool) -> dict[str, str]:
    """The split for each use: the given name, or a split with a usual name that no other use takes.

    Args:
        path: Of the set, for messages.
        known: Names of all splits that there are.
        asked: As `asked_splits` gives it.
        drawn: Whether the test split is drawn; then no split is used that is not asked for.

    Returns:
        The splits that are used; any other is unused.

    Raises:
        ValueError: A given split does not exist, or there is no split for testing.

    >>> choose_splits("set", ["train", "dev", "test"], {"train": "train"}, False)
    {'train': 'train', 'test': 'test', 'validation': 'dev'}
    >>> choose_splits("set", ["train", "dev", "test"], {"train": "train"}, True)
    {'train': 'train'}
    """
    for kind, name in asked.items():
        if name not in known:
            hint = "; without a test split give test_fraction" if kind == "test" else f"; name one by {kind}_split"
            raise ValueError(f"{path} has no split {name!r}, only {', '.join(known)}{hint}")
    chosen = dict(asked)

    def take(kind: str, usual: str) -> None:
        free = (name for name in known if name not in chosen.values() and SPLIT_NAMES.get(name.casefold()) == usual)
        if kind not in chosen and (name := next(free, None)) is not None:
            chosen[kind] = name

    if not drawn:
        for usual in ("test", "validation"):
            take("test", usual)
        if "test" not in chosen:
            raise ValueError(
                f"{path} has no split left for testing, only {', '.join(known)}; name one by test_split, or give "
                "test_fraction"
            )
        take("validation", "validation")
    return {kind: chosen[kind] for kind in ("train", "test", "validation") if kind in chosen}
