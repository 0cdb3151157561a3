"""Resolving the dataset of a stream: by name, from arrays, and with domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from cls_env.arguments import name_list
from cls_env.datasets import ImageDataset, from_arrays, load_dataset
from cls_env.specification import quoted


def as_dataset(
    given: str | ImageDataset | tuple[ArrayLike, ...], options: Mapping[str, Any] | None, seed: int
) -> ImageDataset:
    """Return the dataset of a name or of arrays.

    Args:
        given: A name, a dataset, (images, labels), or (train images, train labels, test images, test labels).
        options: Arguments of the loader, with a name only.
        seed: Seed of the test split of (images, labels).

    Raises:
        ValueError: `given` is something else, or options are combined with images.
    """
    if options is not None and not isinstance(options, Mapping):
        raise ValueError(f"dataset_options must be a dict of the loader's arguments, not {quoted(options)}")
    if isinstance(given, str):
        return load_dataset(given, **(options or {}))
    if options:
        raise ValueError("dataset_options are arguments of a loader: they need the name of a dataset, not images")
    if isinstance(given, ImageDataset):
        return given
    if isinstance(given, tuple) and len(given) in (2, 4):
        return from_arrays(*given, seed=seed)
    raise ValueError(
        "dataset must be a name, an ImageDataset, a tuple (images, labels), or a tuple (train_images, train_labels, "
        "test_images, test_labels), "
        f"not a {type(given).__name__}" + (f" of {len(given)}" if isinstance(given, tuple) else "")
    )


def with_domains(dataset: ImageDataset, domains: Sequence[str] | None, seed: int) -> ImageDataset:
    """Return the dataset itself if it has domains, else a dataset with its images under each shift.

    Args:
        dataset: The images.
        domains: Names of domains or shifts.
        seed: Seed of random shifts.

    Raises:
        ValueError: A name is unknown or occurs twice, or the dataset has no domains and no shifts are given.
    """
    if domains is not None:
        domains = name_list("domains", domains)
        if not domains or len(set(domains)) < len(domains):
            raise ValueError(f"domains must be a list of distinct names, at least one, not {quoted(domains)}")
    if dataset.domain_names:
        return dataset
    if domains is None:
        raise ValueError(f"{dataset.name} has no domains: give shifts as domains, such as ['identity', 'rotate-90']")
    from cls_env.datasets.domain_shifts import shift_domains

    return shift_domains(dataset, domains, seed)
