"""What `presets` and `presets NAME --help` say of a preset."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from experiments.config.settings import CompareConfig
from experiments.presets.preset import Preset
from experiments.reports.display_names import display_name

FIGURES = "A_T / avg. A in %: the accuracy after the last task / the mean of the accuracies after each task"
"""Definition of the published figures."""


def published(preset: Preset) -> str:
    """The published figures by contender, or the finding."""
    figures = ", ".join(f"{display_name(contender)} {figure}" for contender, figure in preset.reported.items())
    return figures or preset.finding


def preset_lines(preset: Preset) -> Iterator[str]:
    """What was published, which settings the source states, what it leaves open, and where our run differs."""
    yield f"published: {published(preset)}"
    if preset.reported:
        yield f"    ({FIGURES})"
    yield f"as published: {', '.join(stated_settings(preset))}"
    yield f"    by {preset.source}"
    yield from _listed("open", preset.open)
    yield from _listed("differs", preset.departs)


def stated_settings(preset: Preset) -> list[str]:
    """The settings that the source states, in words."""
    return [_WORDS.get(name, _plain(name))(preset.config) for name in preset.stated]


def _listed(title: str, items: Sequence[str]) -> Iterator[str]:
    yield f"{title}:"
    yield from (f"    - {item}" for item in items)


def _plain(name: str) -> Callable[[CompareConfig], str]:
    return lambda config: f"{name.replace('_', ' ')} {_value(getattr(config, name))}"


def _value(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _blocks(config: CompareConfig) -> str:
    blocks = config.blocks
    whole = blocks == tuple(range(blocks[0], blocks[-1] + 1))
    return f"blocks {blocks[0]}-{blocks[-1]}" if whole else f"blocks {_value(blocks)}"


def _head_only(config: CompareConfig) -> str:
    epochs = config.freeze_fraction * config.epochs
    return f"{epochs:g} of them head only in later tasks" if epochs else "none of them head only"


def _milestones(config: CompareConfig) -> str:
    return f"divided by 10 at epochs {_value(tuple(round(share * config.epochs) for share in config.rate_milestones))}"


def _crops(config: CompareConfig) -> str:
    smallest, largest = config.crop_scale
    return f"random crops of {100 * smallest:g} to {100 * largest:g} % of the area"


_WORDS: dict[str, Callable[[CompareConfig], str]] = {
    "blocks": _blocks,
    "freeze_fraction": _head_only,
    "rate_milestones": _milestones,
    "crop_scale": _crops,
    "seeds": lambda config: f"{len(config.seeds)} seeds",
}
"""The fields whose name and value alone would not be understood."""
