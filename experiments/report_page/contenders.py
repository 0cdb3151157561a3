"""Which runs are one row of the leaderboard: those of one contender in one setting, which differ only in their seed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cls_env import DATASETS
from cls_env.datasets.files.trees import plain_name
from experiments.config.settings import StreamSettings
from experiments.report_page.collect import NOT_LEARNED, Run
from experiments.reports.display_names import display_name

OF_SETTING = (*(field.name for field in fields(StreamSettings)), "label_noise", "images_sha256")
"""Entries of a configuration that say on what a contender learns: images, tasks and labels."""
WITHOUT_EFFECT = ("seed", *NOT_LEARNED)
"""Entries by which neither settings nor contenders differ: what is learned does not depend on them, or is the seed."""
NAMED_FIRST = ("method", "objective", "algorithm")
"""Entries that are in every contender's name."""
FILTERS = {
    "dataset": "dataset",
    "label_noise": "label noise",
    "method": "method",
    "objective": "objective",
    "algorithm": "algorithm",
    "peft": "PEFT module",
}
"""Entries with a filter of its own, first, and their labels."""
COMMAND = "trained by"
"""Stands for the command, by which a run of `rl` and one of `compare` differ that have the same objective."""


@dataclass(frozen=True)
class Setting:
    """What a group of contenders learns on.

    Attributes:
        name: Name on the page.
        entries: The configuration's entries of `OF_SETTING`.
    """

    name: str
    entries: dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A contender in a setting, with its runs in the order of their seeds.

    Attributes:
        setting: Index of the setting.
        contender: Display name of the contender, the same in all settings.
        label: The same with ids in place of display names, which `experiments.reports.colors` knows.
        runs: The runs, which differ only in their seed.
        entries: The configuration's entries without `WITHOUT_EFFECT`.
    """

    setting: int
    contender: str
    label: str
    runs: list[Run]
    entries: dict[str, Any]


def arrange(runs: Iterable[Run]) -> tuple[list[Setting], list[Row]]:
    """Group runs into settings and rows, both in the order of their first run.

    A contender's name has the entries that tell it from another contender of a setting. Contenders of different
    settings with the same name are shown in one color.
    """
    grouped: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        entries = _entries(run)
        grouped[_key(_part(entries, True))][_key(entries)].append(run)
    groups = [[(_entries(same[0]), same) for same in rows.values()] for rows in grouped.values()]
    naming = _in_order(
        {name for group in groups for name in differing([_part(entries, False) for entries, _ in group])}
    )
    settings = [_part(group[0][0], True) for group in groups]
    apart = _in_order(differing(settings))
    return (
        [Setting(_setting_name(entries, apart), entries) for entries in settings],
        [
            Row(
                place,
                contender_name(entries, naming),
                contender_label(entries, naming),
                sorted(same, key=lambda run: run.seed),
                entries,
            )
            for place, group in enumerate(groups)
            for entries, same in group
        ],
    )


def differing(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of the entries in which some mappings differ; one that is absent is None."""
    names = dict.fromkeys(name for each in entries for name in each)
    return [name for name in names if len({json.dumps(each.get(name)) for each in entries}) > 1]


def contender_name(entries: Mapping[str, Any], naming: Iterable[str]) -> str:
    """The display name of a contender.

    Args:
        entries: Its configuration.
        naming: Entries that tell it from other contenders.

    >>> contender_name({"method": "lae", "objective": "aepg", "learning_rate": 0.01}, ["objective", "learning_rate"])
    'LAE + aEPG, learning rate 0.01'
    """
    return ", ".join([display_name(_id(entries)) or "none", *_rest(entries, naming)])


def contender_label(entries: Mapping[str, Any], naming: Iterable[str]) -> str:
    """The name of a contender with the ids of its parts.

    >>> contender_label({"method": "lae", "objective": "aepg", "learning_rate": 0.01}, ["objective", "learning_rate"])
    'lae + aepg, learning rate 0.01'
    """
    return ", ".join([_id(entries) or "none", *_rest(entries, naming)])


def _id(entries: Mapping[str, Any]) -> str:
    if "algorithm" in entries:
        return str(entries["algorithm"])
    parts = [str(entries.get("method", "")), str(entries.get("objective", ""))]
    return " + ".join(part for part in parts if part not in ("sequential", "none", ""))


def _rest(entries: Mapping[str, Any], naming: Iterable[str]) -> list[str]:
    rest = [described(name, entries.get(name)) for name in naming if name not in NAMED_FIRST]
    return [part for part in rest if part]


def described(name: str, value: Any) -> str:
    """An entry of a configuration in words; nothing for an entry without a value.

    >>> described("crop_scale", [0.05, 1.0]), described("peft", "lora:r=4"), described("augment", None)
    ('crop scale 0.05, 1', 'LoRA (r=4)', '')
    >>> described("weights_sha256", "c6b73e3fb573")
    'weights c6b73e3f'
    """
    if value is None or value in ([], ()):
        return ""
    if name in ("peft", COMMAND):
        return display_name(str(value)) if name == "peft" else f"by {value}"
    if name.endswith("_sha256"):
        return f"{name.removesuffix('_sha256')} {str(value)[:8]}"
    return f"{name.replace('_', ' ')} {shown(value)}"


def shown(value: Any) -> str:
    """A value of a configuration as text.

    >>> shown([1, 2.0, True]), shown(None)
    ('1, 2, yes', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def filter_value(name: str, entries: Mapping[str, Any]) -> str:
    """What a filter shows of an entry of a configuration."""
    if name == "dataset":
        return data_name(entries)
    if name == "label_noise":
        return noise_name(entries)
    value = entries.get(name)
    return display_name(str(value)) if name in FILTERS and value is not None else shown(value)


def data_name(entries: Mapping[str, Any]) -> str:
    """Short name of the images: of the folder or archive, or of the set."""
    root = entries.get("root")
    return plain_name(Path(root)) if entries.get("dataset") == "folder" and root else str(entries.get("dataset"))


def noise_name(entries: Mapping[str, Any]) -> str:
    """The label noise in words."""
    return "by matrix" if entries.get("noise_matrix") else f"{100 * float(entries.get('label_noise') or 0):g} %"


def _entries(run: Run) -> dict[str, Any]:
    kept = {name: value for name, value in run.config.items() if name not in WITHOUT_EFFECT}
    return kept | run.origin | {COMMAND: "cls-env rl" if run.of_rl else "cls-env run"} | _augment(run)


def _augment(run: Run) -> dict[str, str]:
    """Whether images are augmented, where the configuration leaves it to the dataset."""
    dataset = run.config["dataset"]
    if run.config.get("augment") != "auto" or dataset not in DATASETS:
        return {}
    return {"augment": "yes" if DATASETS[dataset].augment else "no"}


def _part(entries: Mapping[str, Any], of_setting: bool) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if (name in OF_SETTING) is of_setting}


def _key(entries: Mapping[str, Any]) -> str:
    return json.dumps(entries, sort_keys=True)


def _in_order(names: Iterable[str]) -> list[str]:
    """The entries with filters first, then the others by name."""
    given = set(names)
    return [*(name for name in FILTERS if name in given), *sorted(given - set(FILTERS))]


def _setting_name(entries: Mapping[str, Any], apart: Iterable[str]) -> str:
    plain = {"dataset", "root", "label_noise", "noise_matrix"}
    noise = noise_name(entries)
    clean = noise == "0 %" and not {"label_noise", "noise_matrix"} & set(apart)
    rest = [described(name, entries.get(name)) for name in apart if name not in plain]
    return ", ".join([data_name(entries), *([] if clean else [f"label noise {noise}"]), *filter(None, rest)])
