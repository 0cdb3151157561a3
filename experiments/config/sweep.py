"""A sweep: runs for all combinations of some settings, described by a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from cls_env.bounded.regular_files import check_regular
from cls_env.specification import lookup
from experiments.config.entry import Entry
from experiments.config.settings import RunConfig, StreamSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

SECTIONS = ("constants", "axes", "baseline")
SETTINGS = {field.name: field for field in fields(RunConfig)}
OF_STREAMS = {*(field.name for field in fields(StreamSettings)), "label_noise"}
"""Settings that say what is learned: they name a condition of the table, and all others but the seed a contender."""
MOST_BYTES = 2**20
MOST_RUNS = 100_000
JOINT = ", "


@dataclass(frozen=True)
class Sweep:
    """The runs of a sweep.

    Attributes:
        entries: The runs, in the order of the axes; the last axis varies fastest.
        baseline: The contender from which the others are subtracted.
    """

    entries: list[Entry]
    baseline: str


def read_sweep(file: Path) -> Sweep:
    """The sweep of a file, in YAML (`.yaml`, `.yml`) or TOML (`.toml`).

    It has up to three sections: `constants`, settings of all runs by name; `axes`, lists of values by the name of their
    setting, of which all combinations are run; and `baseline`, the name of a contender, by default that of the first
    run. A value of an axis may also be a table of several settings, which change together; such an axis has any name,
    and its tables may have a `name`.

    Args:
        file: The file, of up to 1 MiB.

    Raises:
        ValueError: It can't be read, or a section, setting or value is wrong; the message names it.
    """
    content = _read(file)
    for section in content:
        lookup(f"section of {file}", section, dict.fromkeys(SECTIONS))
    constants, axes = (_table(file, content, section) for section in ("constants", "axes"))
    _check_settings(file, "constants", constants)
    points = [list(_points(file, name, values)) for name, values in axes.items()]
    _check_once(file, constants, points)
    count = 1
    for each in points:
        count *= len(each)
    if count > MOST_RUNS:
        raise ValueError(f"{file} has {count:,} runs, more than {MOST_RUNS:,}: make several files")
    entries = [_entry(file, constants, combination) for combination in product(*points)]
    _check_names(file, entries)
    baseline = content.get("baseline", entries[0].contender)
    contenders = dict.fromkeys(entry.contender for entry in entries)
    if not isinstance(baseline, str) or baseline not in contenders:
        raise ValueError(f"{file}: baseline is {baseline!r}, and the contenders are: {', '.join(contenders)}")
    return Sweep(entries, baseline)


@dataclass(frozen=True)
class _Point:
    """A value of an axis: the settings that it changes, and words that name it in the table."""

    changes: dict[str, Any]
    words: str

    @property
    def of_stream(self) -> bool:
        return set(self.changes) <= OF_STREAMS

    @property
    def of_seed(self) -> bool:
        return set(self.changes) == {"seed"}


def _read(file: Path) -> dict[str, Any]:
    try:
        check_regular(file)
        if file.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix == ".toml":
            return tomllib.loads(text)
        if file.suffix not in (".yaml", ".yml"):
            raise ValueError("its name ends with neither .toml nor .yaml")
        content = yaml.load(text, _PlainLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f"{file} can't be read as a sweep: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} can't be read as a sweep: it has no sections axes and constants")
    return content


class _PlainLoader(yaml.SafeLoader):
    """Refuses references within a file: a few of them can stand for billions of values."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("it has an alias (*name): write the value out")
        return super().compose_node(parent, index)


def _table(file: Path, content: Mapping[str, Any], section: str) -> dict[str, Any]:
    table = content.get(section, {})
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table):
        raise ValueError(f"{file}: {section} must be settings by name, not {table!r}")
    return table


def _check_settings(file: Path, place: str, names: Iterable[str]) -> None:
    for name in names:
        lookup(f"setting in {place} of {file}", name, SETTINGS)


def _points(file: Path, axis: str, values: Any) -> Iterable[_Point]:
    if not isinstance(values, list) or not values:
        raise ValueError(f"{file}: axis {axis} must be a list of values, not {values!r}")
    for value in values:
        if isinstance(value, dict):
            changes = {name: each for name, each in value.items() if name != "name"}
            _check_settings(file, f"axis {axis}", map(str, changes))
            if not changes:
                raise ValueError(f"{file}: a table of axis {axis} has no settings")
            yield _Point(changes, str(value.get("name", JOINT.join(_words(*each) for each in changes.items()))))
        else:
            _check_settings(file, "axes", [axis])
            yield _Point({axis: value}, _words(axis, value))


def _words(name: str, value: Any) -> str:
    """A value in the table: alone if it is a word, else with its setting's name."""
    if name == "label_noise" and isinstance(value, int | float):
        return f"{100 * value:g}% label noise"
    if isinstance(value, str):
        return value
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{name.replace('_', ' ')} {shown}"


def _check_once(file: Path, constants: Mapping[str, Any], axes: Sequence[Sequence[_Point]]) -> None:
    """Raise ValueError if a setting is in several places."""
    places = [set(constants), *({name for point in points for name in point.changes} for points in axes)]
    seen: set[str] = set()
    for place in places:
        if twice := seen & place:
            raise ValueError(f"{file} gives {sorted(twice)[0]} in several places: name it in one axis or the constants")
        seen |= place


def _check_names(file: Path, entries: Sequence[Entry]) -> None:
    """Raise ValueError if two runs have the same place in the table."""
    seen: set[tuple[str, str, int]] = set()
    for entry in entries:
        place = entry.condition, entry.contender, entry.config.seed
        if place in seen:
            raise ValueError(
                f"{file} names two runs {', '.join(map(str, place))}: give each value of an axis another name"
            )
        seen.add(place)


def _entry(file: Path, constants: Mapping[str, Any], combination: Sequence[_Point]) -> Entry:
    settings = dict(constants)
    for point in combination:
        settings |= point.changes
    try:
        config = RunConfig(**settings)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    condition = JOINT.join(point.words for point in combination if point.of_stream)
    named = [point.words for point in combination if not point.of_stream and not point.of_seed]
    return Entry(
        condition or f"{100 * config.label_noise:g}% label noise", " + ".join(named) or config.objective, config
    )
