"""Curves of the training, from the step logs of a run."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SMOOTHED_OVER = 5
"""Gradient steps over which a curve is smoothed."""


def entropy_by_progress(steps: pd.DataFrame, points: int) -> NDArray[np.float64]:
    """Output entropy during the training of each task, smoothed: tasks of different lengths on one grid of progress.

    Args:
        steps: The step logs of all tasks, of `RunFolder.read_steps`.
        points: Values of a task, at equal distances from its first to its last gradient step.

    Returns:
        The entropy in nats, shape (tasks, points); without rows if nothing was trained by gradients.
    """
    grid = np.linspace(0, 1, points)
    curves = []
    for _, log in steps.groupby("train/task"):
        smooth = log["train/entropy"].rolling(SMOOTHED_OVER, min_periods=1, center=True).mean()
        curves.append(np.interp(grid, log["train/progress"], smooth))
    return np.array(curves).reshape(-1, points)
