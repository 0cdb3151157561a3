"""Prints what a command would do: its runs, tasks, images, hours, memory and disk space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from experiments.comparisons.dry_run import plan_resolved, resolve_offline
from experiments.comparisons.native_size import size_warning
from experiments.comparisons.this_machine import measure
from experiments.config.entry import Entry
from experiments.config.gpus import DEFAULT_GPU, GpuName
from experiments.config.settings import RunConfig
from experiments.config.typed_options import changed_settings, option_words
from experiments.console import say, show
from experiments.reports.plan_tables import cost_table, task_table
from experiments.runs.plan import Measured, Plan

NAMED_APART = ("objective", "label_noise", "seed", "algorithm")
"""Settings that name a run of a comparison; they are listed as contenders, conditions and seeds."""


def show_plan(entries: Sequence[Entry], gpu: GpuName | None) -> list[float]:
    """Print a plan without training. A few steps are taken, to measure the time.

    Args:
        entries: The runs.
        gpu: The GPU for which hours are estimated; by default `DEFAULT_GPU`.

    Returns:
        The seconds that each run takes on this machine.

    Raises:
        ValueError: An entry is impossible.
        FileNotFoundError: The images are not here, and their dataset's card does not say how many there are.
    """
    runs = [entry.checked for entry in entries]
    costs = [_cost(run.config) for run in runs]
    plans: dict[RunConfig, Plan] = {}
    measured: Measured | None = None
    for run, cost in zip(runs, costs, strict=True):
        if cost not in plans:
            resolved, missing = resolve_offline(run)
            plans[cost] = plan_resolved(resolved, missing)
            measured = measured or measure(resolved, plans[cost])
    assert measured is not None
    for line in run_lines(entries):
        say(line, highlight=False)
    for warning in filter(None, (size_warning(*view) for view in _views(entries))):
        say(warning)
    first = plans[costs[0]]
    say(f"images: {first.images}", highlight=False)
    if first.fingerprint is not None:
        say(f"stream SHA-256 {first.fingerprint}", highlight=False)
    show(task_table(first.tasks))
    for line in parameter_lines(first):
        say(line, highlight=False)
    all_plans = [plans[cost] for cost in costs]
    seconds = [measured.seconds * plan.total_flops / first.total_flops for plan in all_plans]
    show(cost_table(all_plans, seconds, measured, gpu or DEFAULT_GPU, runs[0].config.precision))
    return seconds


def run_lines(entries: Sequence[Entry]) -> Iterator[str]:
    """How many runs there are, of what, and which of their settings are not the defaults."""
    first = entries[0].config
    if len(entries) == 1:
        yield f"1 run: {entries[0].contender} on {first.data_name}, seed {first.seed}"
    else:
        of = [
            _listed(list(dict.fromkeys(getattr(entry, name) for entry in entries)))
            for name in ("contender", "condition")
        ]
        seeds = " ".join(dict.fromkeys(str(entry.config.seed) for entry in entries))
        yield f"{len(entries)} runs on {first.data_name}: {of[0]}; {of[1]}; seeds {seeds}"
    changed = changed_options(first)
    yield f"settings that are not the defaults: {' '.join(changed) if changed else 'none'}"


def _listed(names: Sequence[str]) -> str:
    """Names in a line, between commas unless these are part of a name."""
    return (" | " if any("," in name for name in names) else ", ").join(names)


def changed_options(config: RunConfig) -> list[str]:
    """The settings of a run that differ from the defaults, as options."""
    changed = changed_settings(config).items()
    return [" ".join(option_words(name, value)) for name, value in changed if name not in NAMED_APART]


def parameter_lines(plan: Plan) -> Iterator[str]:
    """Numbers of parameters, and the operations of an image."""
    frozen, learning, own, head = (plan.parameters[part] for part in ("backbone", "peft", "method", "head"))
    yield (
        f"parameters: {frozen:,} frozen in the backbone, {learning:,} of PEFT modules in it, {own:,} of the method, "
        f"{head:,} in the head"
    )


def _views(entries: Sequence[Entry]) -> dict[tuple[str, int | None], Any]:
    return dict.fromkeys((entry.config.model, entry.config.input_size) for entry in entries)


def _cost(config: RunConfig) -> RunConfig:
    """The same for runs that cost the same: they differ in objective, seed, label noise and learning rate alone."""
    return replace(config, objective="", seed=0, label_noise=0.0, learning_rate=1.0)
