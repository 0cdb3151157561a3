"""The columns that `--measures` names, and what the runs must do for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from experiments.config.imports import import_modules
from experiments.config.settings import Settings
from experiments.runs.measure import Measure, find_measures
from experiments.runs.measures import MEASURES


def chosen_columns(
    names: Sequence[str], imports: Sequence[str], known: Mapping[str, Measure] = MEASURES
) -> tuple[Measure, ...]:
    """The measures of these names, once the user's modules, which may register some, are imported.

    Raises:
        ValueError: A name is unknown, or a module can't be imported.
    """
    import_modules(imports)
    return find_measures(names, known)


Config = TypeVar("Config", bound=Settings)


def with_passes_for(measures: Iterable[Measure], config: Config) -> Config:
    """A configuration whose runs make the passes that some measures need."""
    needs = {measure.needs for measure in measures}
    return replace(
        config,
        test_before_tasks=config.test_before_tasks or "test_before_tasks" in needs,
        label_fit=config.label_fit or "label_fit" in needs,
    )
