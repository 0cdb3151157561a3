"""The line that a comparison prints when one of its runs has finished."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.config.entry import Entry
from experiments.reports.display_names import short_name
from experiments.reports.numbers import rounded


def finished_line(entry: Entry, metrics: Mapping[str, Any]) -> str:
    """Contender, condition and seed of a run, and its main measures.

    Args:
        entry: The run.
        metrics: The contents of its `metrics.json`.
    """
    seconds = metrics.get("seconds", metrics.get("training_seconds"))
    accuracy, forgotten = (rounded(100 * metrics[name]) for name in ("final_accuracy", "forgetting"))
    time = f", {seconds:.0f} s" if seconds is not None else ""
    return (
        f"{short_name(entry.contender)}, {entry.condition}, seed {entry.config.seed}: "
        f"A_T {accuracy} %, forgetting {forgotten} points{time}"
    )
