"""The numbers of the leaderboard: means, interquartile means and paired differences, as JSON for the page."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from experiments.report_page.aggregates import interquartile_means, probability_of_larger
from experiments.report_page.collect import Run
from experiments.report_page.compact import compact
from experiments.report_page.contenders import Row
from experiments.reports.numbers import NOISE_DIGITS
from experiments.reports.statistics import mean_interval, paired_difference
from experiments.rl.measures import ALGORITHM_MEASURES
from experiments.runs.measure import Measure
from experiments.runs.measures import MEASURES

Values = dict[int, float]
"""A measure's value by seed."""


def measures_of(runs: Iterable[Run]) -> list[Measure]:
    """The measures that some runs have a number of, those that this version does not know with the name as heading."""
    known = MEASURES | ALGORITHM_MEASURES
    found: dict[str, Measure] = {}
    for run in runs:
        for name, value in run.metrics.items():
            if name not in found and is_number(value):
                definition = str(run.card.get("metrics", {}).get(name, ""))
                found[name] = known.get(name) or Measure(name, name, 1, definition, lambda _: None)
    order = {name: place for place, name in enumerate(known)}
    listed = sorted(found.values(), key=lambda measure: order.get(measure.name, len(order)))
    return [replace(measure, heading=measure.heading or measure.name) for measure in listed]


def is_number(value: Any) -> bool:
    """Whether a value of `metrics.json` is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def values_of(row: Row, measure: Measure) -> Values:
    """A measure of a row's runs by seed, in shown units without rounding noise; without runs that do not have it."""
    found = {run.seed: run.metrics.get(measure.name) for run in row.runs}
    return {
        seed: round(measure.factor * value, NOISE_DIGITS)
        for seed, value in found.items()
        if value is not None and is_number(value)
    }


def measure_entry(measure: Measure) -> dict[str, Any]:
    """A measure for the page: name, title, what values are multiplied by, digits, definition, and what is better."""
    title = measure.name.replace("_", " ")
    heading = "" if measure.heading == measure.name else f" ({measure.heading})"
    digits = 1 if measure.factor > 1 else 2
    return {
        "name": measure.name,
        "title": f"{title}{heading}",
        "heading": measure.heading,
        "factor": measure.factor,
        "digits": digits,
        "definition": measure.definition,
        "better": measure.better,
    }


def summaries(row: Row, measures: Sequence[Measure]) -> dict[str, list[Any]]:
    """Mean, low, high, interquartile mean, its low and high, and number of seeds of each measure, in shown units."""
    by_seeds: dict[tuple[int, ...], list[tuple[Measure, list[float]]]] = defaultdict(list)
    for measure in measures:
        values = values_of(row, measure)
        if values:
            by_seeds[tuple(values)].append((measure, list(values.values())))
    found = {}
    for seeds, group in by_seeds.items():
        middles = interquartile_means([given for _, given in group])
        for (measure, given), middle in zip(group, middles, strict=True):
            found[measure.name] = [*compact([*mean_interval(given), *middle]), len(seeds)]
    return found


def pairs(rows: Mapping[int, Row], measures: Sequence[Measure]) -> dict[str, dict[str, list[Any]]]:
    """The paired differences between all rows of a setting.

    Args:
        rows: The rows of one setting by their index on the page.
        measures: The measures.

    Returns:
        By measure and by `"FIRST,SECOND"`, the indices of two rows with FIRST < SECOND: the number of shared seeds, the
        mean of FIRST - SECOND over these in shown units, the ends of its 95 % interval, and the probability that a run
        of FIRST has a larger value than one of SECOND, over all their seeds. Pairs without a shared seed are left out.
    """
    found: dict[str, dict[str, list[Any]]] = {}
    for measure in measures:
        values = {index: values_of(row, measure) for index, row in rows.items()}
        here = found[measure.name] = {}
        for first, second in combinations(sorted(rows), 2):
            one, other = values[first], values[second]
            shared = [seed for seed in one if seed in other]
            if shared:
                difference = paired_difference([one[seed] for seed in shared], [other[seed] for seed in shared])
                larger = probability_of_larger(list(one.values()), list(other.values()))
                here[f"{first},{second}"] = [len(shared), *compact([*difference, larger])]
    return found
