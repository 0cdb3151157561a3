"""Checks of `metrics.json`, the summary of a finished run."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.runs.metrics import Matrix, accuracy_curve

CURVE = "accuracy_curve"
ROUNDING = 1e-6
"""The matrix is written with 9 digits."""


def checked_summary(content: Any, matrix: Matrix | None) -> dict[str, Any]:
    """The summary, after a check that it is one, and that it is of this run.

    Args:
        content: What the file holds.
        matrix: The accuracies of the run, of shape (T, T) and NaN above the diagonal; None if there are none.

    Raises:
        ValueError: It is no summary, or its accuracies are not those of the run.

    >>> checked_summary({"final_accuracy": 0.5, "accuracy_curve": [0.4, 0.5]}, np.array([[0.4, np.nan], [0.2, 0.7]]))
    Traceback (most recent call last):
    ...
    ValueError: its accuracy_curve ends with 0.5 after 2 tasks, and accuracy_matrix.csv has 0.45 after 2 tasks
    """
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, and measures by name are needed")
    for name, value in content.items():
        if not (_is_number(value) or (isinstance(value, list) and all(map(_is_number, value)))):
            raise ValueError(f"its {name} is neither a number nor a list of numbers")
    if not isinstance(content.get("final_accuracy"), int | float):
        raise ValueError("it has no final_accuracy")
    if matrix is not None and CURVE in content:
        _check_curve(content[CURVE], matrix)
    return content


def _check_curve(curve: Any, matrix: Matrix) -> None:
    right = accuracy_curve(matrix)
    if not isinstance(curve, list) or None in curve or not curve:
        raise ValueError(f"its {CURVE} is no list of accuracies")
    if len(curve) != len(right) or not np.allclose(curve, right, rtol=0, atol=ROUNDING):
        raise ValueError(
            f"its {CURVE} ends with {curve[-1]:.6g} after {len(curve)} tasks, and accuracy_matrix.csv has "
            f"{right[-1]:.6g} after {len(right)} tasks"
        )


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, int | float)
