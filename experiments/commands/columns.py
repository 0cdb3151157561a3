"""The columns that `--measures` names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.config.validation import import_modules
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
