"""Generates the tables of objectives, modules, methods, algorithms, datasets, presets, studies and measures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from site_source.markdown import page, table, write
from site_source.papers import PEFT, arxiv, source

from agents.methods import METHODS
from agents.objectives import OBJECTIVES
from agents.peft_modules import PEFT_MODULES, library, lora
from cls_env.datasets import DATASETS
from cls_env.datasets.cards import DatasetCard
from experiments.catalogue.names import rows
from experiments.presets import PRESETS
from experiments.presets.listing import FIGURES, published, stated_settings
from experiments.presets.preset import Preset
from experiments.rl.measures import ALGORITHM_MEASURES
from experiments.runs.measure import Measure
from experiments.runs.measures import MEASURES, OF_VALIDATION

NAMED = "A name may have arguments: "
RESULTS = "experiments/results/studies"
"""Folder of the studies' committed results, from the repository's root."""
DEFAULTS = "The table shows the defaults of the arguments."


def objectives_page() -> str:
    """All objectives with their arguments and papers."""
    return page(
        "Objectives",
        f'{NAMED}`--objective focal:gamma=2`, or `EPG(..., objective="focal:gamma=2")`. {DEFAULTS} pi is the policy, '
        "R the reward, x the image, a the class. [How to choose](../guides/choose.md#objectives) · "
        "[Add your own](../guides/own_objective.md) · [Functions](../api/objectives.md)",
        _catalogue("objective", lambda name: _paper(OBJECTIVES[name])),
    )


def modules_page() -> str:
    """All PEFT modules, and those of peft that do not fit."""
    unfit = rows("PEFT module that does not fit")
    return page(
        "PEFT modules",
        f'{NAMED}`--peft lora:r=8`, or `policy_kwargs={{"peft": "lora:r=8"}}`. {DEFAULTS} The modules of '
        "[peft](https://huggingface.co/docs/peft) take all arguments of its configs. "
        "[How to choose](../guides/choose.md#peft-modules) · [Add your own](../guides/own_peft_module.md) · "
        "[Classes](../api/peft_modules.md)",
        _catalogue("PEFT module", _paper_of_module),
        "## Methods of peft that do not fit",
        table(("name", "reason"), ((f"`{name}`", row["reason"]) for name, row in unfit.items())),
    )


def methods_page() -> str:
    """All continual-learning methods with their papers."""
    return page(
        "Methods",
        f'{NAMED}`--method replay:size=500`, or `policy_kwargs={{"method": "replay:size=500"}}`. {DEFAULTS} The '
        "columns `objective` and `peft` say with which objectives and PEFT modules a method can be combined. "
        "`joint` keeps the tasks, and trains each on the images of all tasks so far. `cls-env bounds` does not use it: "
        "its joint training is one task of all classes. "
        "[How to choose](../guides/choose.md#methods) · [Add your own](../guides/own_method.md) · "
        "[Classes](../api/methods.md)",
        _catalogue("method", lambda name: _paper(METHODS[name])),
    )


def algorithms_page() -> str:
    """The algorithms of the RL comparison."""
    return page(
        "RL algorithms",
        "`cls-env rl` compares these algorithms on one stream: `cls-env rl --algorithms epg ppo`. "
        "[What it found](../../experiments/results/rl/README.md) · [Use any RL library](../guides/rl_libraries.md)",
        _catalogue("algorithm", None),
    )


def datasets_page() -> str:
    """All datasets, from their cards."""
    columns = ("name", "dataset", "classes", "training / test images", "split", "source", "authors", "license")
    return page(
        "Datasets",
        '`--dataset NAME`, or `gym.make("cls_env/ClassIncremental-v0", dataset=NAME)`. The first three are in the '
        "package. `cls-env download NAME` downloads another one and checks its hash. The source decides about the "
        "license. [Use your own images](../guides/own_images.md) · [Datasets and streams](../guides/streams.md)",
        table(columns, (_dataset(card) for card in DATASETS.values())),
    )


def presets_page() -> str:
    """All published runs, with their results and what is known of their settings."""
    return page(
        "Published runs",
        "`cls-env presets NAME` runs one of these. [How to run them](../guides/published_runs.md). Published results "
        f"are {FIGURES}.",
        table(
            ("name", "run", "published"),
            ((f"[`{name}`](#{name})", preset.title, published(preset)) for name, preset in PRESETS.items()),
        ),
        *(_preset(preset) for preset in PRESETS.values()),
    )


def studies_page() -> str:
    """All studies with their questions."""
    return page(
        "Studies",
        "`cls-env study NAME` runs a study, and writes tables and figures. The same command resumes it. "
        "[What the studies found](../../experiments/results/studies/README.md)",
        _studies(),
    )


def measures_page() -> str:
    """All measures of a run, and those that only RL algorithms have."""
    of_rl = {name: measure for name, measure in ALGORITHM_MEASURES.items() if name not in MEASURES}
    validation = " and ".join(f"`{name}`" for name in OF_VALIDATION)
    return page(
        "Measures",
        "Each measure has its name in `metrics.json` and in `runs.csv`. `--measures NAME ...` chooses the columns of a "
        "comparison's table. Lists of numbers have no heading, and no column. The column `own pass` names the option "
        "that makes an additional pass over images, which the measure needs. `--measures` turns it on. "
        f"{validation} need `--validation-fraction`. [What the main results mean](../results.md#the-main-job) · "
        "[Concepts](../concepts.md#what-is-measured)",
        _measures(MEASURES.values()),
        "## Of RL algorithms",
        "`cls-env rl` has `" + "`, `".join(name for name in ALGORITHM_MEASURES if name in MEASURES) + "`, and these:",
        _measures(of_rl.values()),
    )


def pages() -> dict[str, str]:
    """All pages, by file name."""
    return {
        "objectives.md": objectives_page(),
        "peft_modules.md": modules_page(),
        "methods.md": methods_page(),
        "algorithms.md": algorithms_page(),
        "datasets.md": datasets_page(),
        "presets.md": presets_page(),
        "studies.md": studies_page(),
        "measures.md": measures_page(),
    }


def _catalogue(kind: str, paper: Callable[[str], str] | None) -> str:
    """The table of a kind in the catalogue, with a column of papers."""
    known = rows(kind)
    columns = list(next(iter(known.values())))
    last = ("paper",) if paper else ()

    def cells(name: str) -> Iterator[str]:
        yield f"`{name}`"
        for column in columns:
            text = known[name][column]
            yield f"`{text}`" if text and column == "arguments" else text.replace("*", r"\*")
        if paper:
            yield paper(name)

    return table(("name", *columns, *last), map(cells, known))


def _studies() -> str:
    """The table of studies, with links to the committed tables of those that were run."""
    known = rows("study")
    columns = tuple(next(iter(known.values())))
    return table(
        ("name", *columns, "results"),
        ((f"`{name}`", *(row[column] for column in columns), _results(name)) for name, row in known.items()),
    )


def _results(study: str) -> str:
    committed = (Path(__file__).parents[1] / RESULTS / study / "table.md").exists()
    return f"[table](../../{RESULTS}/{study}/table.md)" if committed else "not run yet"


def _measures(measures: Iterable[Measure]) -> str:
    return table(
        ("name", "heading", "definition", "better", "own pass"),
        (
            (
                f"`{measure.name}`",
                measure.heading,
                measure.definition.replace("*", r"\*"),
                measure.better,
                f"`--{measure.needs.replace('_', '-')}`" if measure.needs else "",
            )
            for measure in measures
        ),
    )


def _paper(definition: Callable[..., object]) -> str:
    plain = definition.func if isinstance(definition, partial) else definition
    return source(plain.__doc__ or "")


def _paper_of_module(name: str) -> str:
    if name in library.METHODS:
        return arxiv(PEFT[name]) if name in PEFT else ""
    return source(lora.__doc__ or "") if name == "lora" else _paper(PEFT_MODULES[name])


def _dataset(card: DatasetCard) -> Iterator[str]:
    yield f"`{card.name}`"
    yield card.title
    yield f"{card.classes:,}" if card.classes else ""
    yield f"{card.images[0]:,} / {card.images[1]:,}" if card.images else ""
    yield card.split
    yield f"<{card.source}>" if card.source.startswith("http") else card.source
    yield card.citation
    yield card.licence


def _preset(preset: Preset) -> str:
    parts = [
        f"## {preset.name} {{: #{preset.name} }}",
        f"{preset.title}. Settings by {preset.source}: {', '.join(stated_settings(preset))}.",
    ]
    for heading, items in (("The source leaves open", preset.open), ("Our run differs", preset.departs)):
        if items:
            parts.append("\n".join([f"{heading}:\n", *(f"- {item}" for item in items)]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    folder = Path(__file__).parent / "catalog"
    sys.stdout.writelines(f"{path}\n" for path in write(folder, pages()))
