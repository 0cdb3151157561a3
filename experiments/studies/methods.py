"""Table 1 of the paper: continual-learning methods, each with several objectives, over more and more tasks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from agents.methods import METHODS, NO_OBJECTIVE
from cls_env.specification import lookup, parse_specification
from experiments.config.entry import Entry
from experiments.presets.table1 import TABLE_1, TABLE_1_TASKS
from experiments.studies.figures import heat_map
from experiments.studies.line_figures import plot_data, plot_lines
from experiments.studies.method_figures import accuracy_against_cost, forgetting_by_task, gain_over
from experiments.studies.study import Study, StudyConfig, grid

PAPER = {
    f"{name or 'sequential'} + {objective}": figures
    for name, row in TABLE_1.items()
    for objective, figures in row.reported.items()
}
"""A_T / average A, in %, of arXiv 2602.14078 on Split-ImageNet-R (Table 1), for each of `TABLE_1_TASKS`."""

JOINT = "1 task (joint training)"
BASELINE = "sequential + ce"
WITHOUT_GRADIENTS = "without gradients"
"""The line of methods that have no objective, in figures."""

EXPLANATIONS = {
    "table_1": "A_T / average accuracy in %, means over seeds. Columns of the paper: its results on Split-ImageNet-R.",
    "cost": (
        "Means over objectives and seeds. Trainable: number of trainable parameters. Kept: what the method stores "
        "between tasks. Seconds: time of a whole run, tests included."
    ),
}
"""What the further tables show."""

LEARNING = (
    "sequential",
    "linear-probe",
    "lae:decay=0.992,reference_batch=32",
    "inflora",
    "sd-lora",
    "dualprompt",
    "ncm",
    "ranpac:projections=1000",
    "l2p",
    "coda-prompt",
    "replay:size=100,batch=8",
    "der++:size=100,batch=8",
)
"""All methods that learn task by task."""


@dataclass(frozen=True, kw_only=True)
class MethodsConfig(StudyConfig):
    """Methods x objectives x numbers of tasks x seeds."""

    methods: tuple[str, ...] = (*LEARNING, "frozen")
    """Methods, in place of --method, each with the PEFT module that it is made for, or else --peft. LAE's average has
    a shorter memory than its authors': a task of ten classes enters it with a weight of 18 %, as in their setting.
    """
    epochs: int = 10
    """Passes over each task's training images: half as many as elsewhere, for time."""
    learning_rate: float = 1e-3
    """The optimizer's rate: twice that of elsewhere."""
    objectives: tuple[str, ...] = ("ce", "epg", "aepg")
    """Objectives of every method that learns by gradients; sequential with ce is the baseline."""
    tasks: tuple[int, ...] = TABLE_1_TASKS
    """Numbers of tasks, in place of --num-tasks; joint training is shown too."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Every contender runs on each of them."""


@dataclass(frozen=True, kw_only=True)
class NoisyMethodsConfig(MethodsConfig):
    """Methods x objectives x label noise x seeds."""

    methods: tuple[str, ...] = LEARNING
    """Methods, in place of --method, each with the PEFT module that it is made for, or else --peft."""
    tasks: tuple[int, ...] = (5,)
    """Numbers of tasks, in place of --num-tasks."""
    label_noise: tuple[float, ...] = (0.0, 0.2)
    """Shares of flipped training labels."""


def module_of(method: str, otherwise: str) -> str:
    """The PEFT module that a method is made for, or another one if it works with any."""
    return lookup("method", method, METHODS).peft_or_default(otherwise)


def contenders(config: MethodsConfig) -> dict[str, dict[str, Any]]:
    """Every method with every objective, named "method + objective".

    A method without gradients has its name alone. A method that occurs twice has its arguments in the name.
    """
    found: dict[str, dict[str, Any]] = {}
    names = [parse_specification(method)[0] for method in config.methods]
    for method, name in zip(config.methods, names, strict=True):
        shown = method if names.count(name) > 1 else name
        definition = lookup("method", name, METHODS)
        peft = module_of(name, config.peft)
        for objective in config.objectives if definition.learns_by_gradient else (NO_OBJECTIVE,):
            label = f"{shown} + {objective}" if definition.learns_by_gradient else shown
            found[label] = {"method": method, "peft": peft, "objective": objective}
    return found


def entries(config: MethodsConfig) -> list[Entry]:
    """All contenders on all streams, and, unless one of these has a single task, joint training."""
    streams = {f"{tasks} tasks": {"num_tasks": tasks} for tasks in config.tasks}
    everything = {label: changes for label, changes in contenders(config).items() if changes["method"] == "sequential"}
    joint = {} if 1 in config.tasks else {JOINT: {"num_tasks": 1}}
    return [*grid(config, streams, contenders(config)), *grid(config, joint, everything)]


def noisy_entries(config: NoisyMethodsConfig) -> list[Entry]:
    """All contenders on all streams, under every label noise."""
    streams = {
        f"{tasks} tasks, {100 * share:g}% label noise": {"num_tasks": tasks, "label_noise": share}
        for tasks in config.tasks
        for share in config.label_noise
    }
    return grid(config, streams, contenders(config))


def split_contenders(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with their contender's parts, columns `method_name` and `objective_name`."""
    parts = runs["contender"].str.partition(" + ")
    return runs.assign(method_name=parts[0], objective_name=parts[2].where(parts[2] != "", NO_OBJECTIVE))


def figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """A_T against the number of tasks and against cost, and forgetting by task."""
    split = split_contenders(runs)
    streams = split[split["condition"] != JOINT]
    by_tasks = streams.assign(contender=streams["objective_name"].replace(NO_OBJECTIVE, WITHOUT_GRADIENTS))
    drawn = {
        "accuracy_against_tasks": plot_lines(
            plot_data(by_tasks, by_tasks["num_tasks"], by_tasks["method_name"]),
            ("tasks", "A_T, %"),
            others_in_gray=True,
        )
    }
    costs = ("trainable_parameters", "state_bytes", "seconds")
    if all(cost in runs for cost in costs):
        drawn["accuracy_against_cost"] = accuracy_against_cost(streams)
    if "folder" in runs:
        drawn["forgetting_by_task"] = forgetting_by_task(split[split["num_tasks"] > 1])
    return drawn


def noisy_figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """A_T of every method and objective, and what the other objectives gain over CE with each method."""
    return {"final_accuracies": heat_map(runs), "gain_over_ce": gain_over(split_contenders(runs), "ce")}


def tables(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The paper's Table 1 next to our results, and the cost of each method."""
    made = {"table_1": pd.DataFrame(_table_1(runs))}
    if "state_bytes" in runs:
        made["cost"] = pd.DataFrame(_costs(split_contenders(runs)))
    return made


def _table_1(runs: pd.DataFrame) -> Iterator[dict[str, str]]:
    """A_T / average A in %: a row for each contender, columns for our conditions and for the paper's."""
    means = 100 * runs.pivot_table(["final_accuracy", "average_accuracy"], "contender", "condition", sort=False)
    conditions = list(runs["condition"].unique())
    for name in means.index:
        row = {"method and objective": name}
        for condition in conditions:
            final, average = (means.loc[name, (key, condition)] for key in ("final_accuracy", "average_accuracy"))
            row[condition] = "" if pd.isna(final) else f"{final:.1f} / {average:.1f}"
        published = dict(zip(TABLE_1_TASKS, PAPER.get(name, ("",) * len(TABLE_1_TASKS)), strict=True))
        yield row | {f"paper, {tasks} tasks": figures for tasks, figures in published.items()}


def _costs(runs: pd.DataFrame) -> Iterator[dict[str, str]]:
    """What a method learns, keeps, and takes in time, of each condition: means over objectives and seeds."""
    for (method, condition), group in runs.groupby(["method_name", "condition"], sort=False):
        peak = group["peak_memory_bytes"].astype(float).mean()
        yield {
            "method": str(method),
            "stream": str(condition),
            "A_T %": f"{100 * group['final_accuracy'].mean():.1f}",
            "trainable": f"{group['trainable_parameters'].mean():,.0f}",
            "kept, kB": f"{group['state_bytes'].mean() / 1000:,.1f}",
            "peak memory, MB": "" if pd.isna(peak) else f"{peak / 1e6:,.0f}",
            "seconds": f"{group['seconds'].mean():.1f}",
        }


METHODS_STUDY = Study(
    name="methods",
    title="Continual-learning methods and objectives (the paper's Table 1)",
    question="Does aEPG add to every method, and which method is best for its price?",
    published=(
        "on Split-ImageNet-R with 5, 10 and 20 tasks aEPG adds 0.9 to 2.4 points of A_T to LoRA and 1.1 to 2.2 to LAE, "
        "and LAE with aEPG is best"
    ),
    config=MethodsConfig(),
    entries=entries,
    figures=figures,
    tables=tables,
    explanations=EXPLANATIONS,
    baseline=BASELINE,
)

METHODS_UNDER_NOISE = Study(
    name="methods-under-noise",
    title="Continual-learning methods and objectives under label noise",
    question="Does the gain of an objective under label noise depend on the method?",
    published="at 20 % symmetric noise aEPG gains most over CE, with LoRA; other methods were not studied",
    config=NoisyMethodsConfig(),
    entries=noisy_entries,
    figures=noisy_figures,
    tables=tables,
    explanations=EXPLANATIONS,
    baseline=BASELINE,
)
