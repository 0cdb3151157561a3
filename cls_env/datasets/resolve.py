"""The images that a stream is made of: by name, as arrays, and with domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from cls_env.arguments import name_list
from cls_env.datasets import ImageDataset, from_arrays, load_dataset


def as_dataset(
    given: str | ImageDataset | tuple[ArrayLike, ...], options: Mapping[str, Any] | None, seed: int
) -> ImageDataset:
    """The image set meant by a name or by arrays.

    Args:
        given: A name, an image set, (images, labels), or (train images, train labels, test images, test labels).
        options: Arguments of the loader, with a name.
        seed: Fixes the test split, where there is none.

    Raises:
        ValueError: Options without a name, or something else is given.
    """
    if options is not None and not isinstance(options, Mapping):
        raise ValueError(f"dataset_options must be a dict of a loader's arguments, not {options!r}")
    if isinstance(given, str):
        return load_dataset(given, **(options or {}))
    if options:
        raise ValueError("dataset_options are arguments of a loader: give them with a dataset's name, not with images")
    if isinstance(given, ImageDataset):
        return given
    if isinstance(given, tuple) and len(given) in (2, 4):
        return from_arrays(*given, seed=seed)
    raise ValueError(
        "dataset is a name, an ImageDataset, or a tuple (images, labels) or (train_images, train_labels, test_images, "
        f"test_labels), not a {type(given).__name__}" + (f" of {len(given)}" if isinstance(given, tuple) else "")
    )


def with_domains(dataset: ImageDataset, domains: Sequence[str] | None, seed: int) -> ImageDataset:
    """The image set itself where it has domains; otherwise one that shows its images under each shift.

    Args:
        dataset: The images.
        domains: Names of domains or shifts.
        seed: Fixes what the shifts draw.

    Raises:
        ValueError: A name is unknown or given twice, or the set has no domains and no shifts are named.
    """
    if domains is not None:
        domains = name_list("domains", domains)
        if not domains or len(set(domains)) < len(domains):
            raise ValueError(f"domains must be a list of different names, at least one, not {domains!r}")
    if dataset.domain_names:
        return dataset
    if domains is None:
        raise ValueError(
            f"{dataset.name} has no domains of its own: name shifts as domains, such as ['identity', 'rotate-90']"
        )
    from cls_env.datasets.domain_shifts import shift_domains

    return shift_domains(dataset, domains, seed)
