"""The order of classes and domains in a stream, and the number of classes per task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cls_env.arguments import as_plain, regular_list, whole_number
from cls_env.specification import lookup, quoted

Indices = NDArray[np.int64]


def order_classes(given: str | Sequence[int] | None, num_classes: int, generator: np.random.Generator) -> Indices:
    """Return the class order of a stream.

    Args:
        given: A list of all original classes, `"natural"` for 0 ... K - 1, or None for a random order.
        num_classes: K.
        generator: Draws the random order.

    Returns:
        The original class of each label, int64 of shape (K,).

    Raises:
        ValueError: The list does not contain each class once, or the text is unknown.
    """
    if given is None:
        return generator.permutation(num_classes)
    if isinstance(given, str):
        return lookup("class_order", given, {"natural": np.arange(num_classes)})
    order = regular_list("class_order", given)
    whole = order.ndim == 1 and np.issubdtype(order.dtype, np.integer) and not any(isinstance(c, bool) for c in given)
    if not whole or not np.array_equal(np.sort(order), np.arange(num_classes)):
        raise ValueError(f"class_order must name each of 0 ... {num_classes - 1} once, not {quoted(as_plain(given))}")
    return order.astype(np.int64)


def order_domains(given: Sequence[str] | None, names: Sequence[str], generator: np.random.Generator) -> Indices:
    """Return the domain order of a stream.

    Args:
        given: Names of some or all domains, or None for all in random order.
        names: The domains of the dataset.
        generator: Draws the random order.

    Returns:
        Indices into `names`, int64 of shape (D,).

    Raises:
        ValueError: A name is unknown.
    """
    if given is None:
        return generator.permutation(len(names))
    known = {name: index for index, name in enumerate(names)}
    return np.array([lookup("domain", name, known) for name in given], dtype=np.int64)


def as_sizes(
    num_tasks: Any, init_classes: Any, increment: Any
) -> tuple[int | list[int] | None, int | None, int | None]:
    """Convert the arguments that split classes into tasks to Python's integers.

    Raises:
        ValueError: An argument is neither None nor an integer. `num_tasks` may be a list of integers.
    """
    single = {"num_tasks": num_tasks, "init_classes": init_classes, "increment": increment}
    first, *others = (
        None if value is None else _whole_numbers(name, value) if _is_list(name, value) else whole_number(name, value)
        for name, value in single.items()
    )
    for name, value in zip(("init_classes", "increment"), others, strict=True):
        if isinstance(value, list):
            raise ValueError(f"{name} must be a whole number, not {value}")
    return first, *others  # type: ignore[return-value]  # lists were rejected above


def _is_list(name: str, value: Any) -> bool:
    return regular_list(name, value).ndim > 0


def _whole_numbers(name: str, values: Any) -> list[int]:
    return [whole_number(f"each of {name}", value) for value in values]


def task_sizes(
    num_classes: int, num_tasks: int | Sequence[int] | None, init_classes: int | None, increment: int | None
) -> list[int]:
    """Number of classes in each task.

    Args:
        num_classes: K.
        num_tasks: Number of tasks of equal size. If K is not divisible, the first tasks have one class more. A list
            contains the sizes of the tasks.
        init_classes: Alternative to `num_tasks`: classes in the first task. Defaults to `increment`.
        increment: Classes in each later task. The last task may have fewer.

    Raises:
        ValueError: `num_tasks` is combined with the other arguments, all are missing, or the sizes don't sum to K.

    >>> task_sizes(10, 4, None, None)
    [3, 3, 2, 2]
    >>> task_sizes(10, None, 5, 3)
    [5, 3, 2]
    """
    if num_tasks is None:
        return _growing_sizes(num_classes, init_classes, increment)
    if init_classes is not None or increment is not None:
        raise ValueError("num_tasks can't be combined with init_classes or increment: remove num_tasks or the others")
    if isinstance(num_tasks, int | np.integer):
        return _equal_sizes(num_classes, num_tasks)
    if sum(num_tasks) != num_classes or min(num_tasks, default=0) < 1:
        raise ValueError(
            f"num_tasks={list(num_tasks)} sums to {sum(num_tasks)}; a list contains the number of classes per task, "
            f"at least 1 each and {num_classes} in total"
        )
    return list(num_tasks)


def _equal_sizes(num_classes: int, num_tasks: int) -> list[int]:
    if not 1 <= num_tasks <= num_classes:
        raise ValueError(
            f"{num_tasks} tasks can't be made of {num_classes} classes: num_tasks must be in 1 ... {num_classes}"
        )
    size, larger = divmod(num_classes, num_tasks)
    return [size + (index < larger) for index in range(num_tasks)]


def _growing_sizes(num_classes: int, init_classes: int | None, increment: int | None) -> list[int]:
    if increment is None:
        raise ValueError(f"init_classes={init_classes} needs increment, the number of classes in each later task")
    first = increment if init_classes is None else init_classes
    if increment < 1 or not 1 <= first <= num_classes:
        raise ValueError(
            f"a first task of {first} classes and later tasks of {increment} can't be made of "
            f"{num_classes} classes: init_classes must be in 1 ... {num_classes}, increment at least 1"
        )
    return [first, *(min(increment, num_classes - start) for start in range(first, num_classes, increment))]
