"""`cls-env study`: the list, and one study, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from experiments.commands.columns import chosen_columns, with_passes_for
from experiments.commands.option_groups import NO_PREFIX
from experiments.comparisons.backbone_warnings import warn_of_backbone
from experiments.comparisons.compare import check_comparison, run_and_report, save_and_list_figures
from experiments.comparisons.output_paths import OutputPaths
from experiments.comparisons.show_plan import show_plan
from experiments.comparisons.smaller_table import refuse_smaller
from experiments.comparisons.unused_options import refuse_unused
from experiments.comparisons.write_table import write_table
from experiments.config.comparison import DEFAULTS, ComparisonOptions
from experiments.config.entry import Entry
from experiments.config.gpus import check_gpu
from experiments.console import say
from experiments.report_page.reporting import reporting
from experiments.reports.captions import seeds_of
from experiments.reports.latex import table_caption
from experiments.reports.tables import legend
from experiments.runs.measure import Measure
from experiments.runs.ownership import owned
from experiments.studies import STUDIES
from experiments.studies.study import Study, with_settings

RUNS = Path("results/studies/runs")


def study_command(name: str) -> Callable[..., None]:
    """The command that runs a study, with its settings as defaults.

    Raises:
        ValueError: The study is unknown.
    """
    study: Study[Any] = STUDIES.lookup(name)

    def command(
        config: Any = study.config,
        execution: Annotated[ComparisonOptions, NO_PREFIX] = DEFAULTS,
        out: Path | None = None,
    ) -> None:
        check_gpu(execution.gpu, execution.dry_run)
        shown = chosen_columns(execution.measures, config.imports)
        config = with_passes_for((*study.measures, *shown), config)
        entries = study.entries(config)
        refuse_unused(config, study.config, entries)
        warn_of_backbone(entries)
        _introduce(study)
        if execution.dry_run:
            check_comparison(entries, study.baseline)
            show_plan(entries, execution.gpu)
            if study.follow_up:
                say("what follows depends on these runs")
            return
        folder = out or Path("results/studies") / study.name
        paths = OutputPaths.of(folder, execution, RUNS)
        with owned(paths.tables):
            refuse_smaller(entries, paths)
            _run_steps(study, config, entries, paths, shown, execution.report_every)

    command.__annotations__["config"] = Annotated[type(study.config), NO_PREFIX]
    command.__doc__ = f"""{study.title}.

    {study.question}

    Published: {study.published}

    Args:
        execution: How the runs are executed and shown. Without --runs they are in {RUNS}, which all studies share.
        config: What to compare.
        out: Folder of tables and figures. By default results/studies/{study.name}.
    """
    return command


def _run_steps(
    study: Study[Any],
    config: Any,
    entries: Sequence[Entry],
    first: OutputPaths,
    shown: tuple[Measure, ...],
    report_every: float | None,
) -> None:
    """Run a study, and those that its results lead to. Each has a report of its own."""
    finished = _run_step(study, entries, first, shown, report_every)
    while study.follow_up is not None:
        study = study.follow_up(config, finished)
        _introduce(study)
        entries, paths = study.entries(config), replace(first, tables=first.tables / study.name)
        refuse_smaller(entries, paths)
        finished = _run_step(study, entries, paths, shown, report_every)


def _introduce(study: Study[Any]) -> None:
    say(study.title, style="bold", highlight=False)
    say(f"{study.question}\npublished: {study.published}", highlight=False)


def _run_step(
    study: Study[Any],
    entries: Sequence[Entry],
    paths: OutputPaths,
    shown: tuple[Measure, ...],
    report_every: float | None,
) -> pd.DataFrame:
    """Run one step of a study, and write its tables and figures."""
    introduction = f"# {study.title}\n\n{study.question}\n\nPublished: {study.published}"
    with reporting(entries, paths, report_every):
        runs = run_and_report(entries, study.baseline, paths, study.measures, introduction, shown=shown)
        known, dataset = with_settings(runs, entries), entries[0].config.data_name
        for name, table in study.tables(known).items():
            explanation = legend(table) if "contender" in table else study.explanations.get(name, "")
            title = f"{study.title}: {name.replace('_', ' ')}"
            caption = table_caption(title, dataset, seeds_of(known), explanation)
            write_table(table, paths.tables / name, explanation, caption)
        save_and_list_figures(study.figures(known), paths.tables, dataset)
    return known
