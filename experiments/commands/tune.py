"""`cls-env tune`: each objective's own settings, and the comparison at them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from experiments.commands.option_groups import NO_PREFIX
from experiments.config.comparison import DEFAULTS, ComparisonOptions
from experiments.config.tuning import TuneConfig

if TYPE_CHECKING:
    import pandas as pd

    from experiments.comparisons.output_paths import OutputPaths
    from experiments.config.entry import Entry
    from experiments.runs.job import Job
    from experiments.runs.measure import Measure
    from experiments.runs.run_folder import RunFolder
    from experiments.tuning.rounds import Contest
    from experiments.tuning.space import Space

TUNE = TuneConfig()


def tune_command(
    config: Annotated[TuneConfig, NO_PREFIX] = TUNE,
    execution: Annotated[ComparisonOptions, NO_PREFIX] = DEFAULTS,
    out: Path | None = None,
) -> None:
    """Search each objective's own learning rate and arguments with an equal budget, and compare them at the best.

    Each objective has the same number of trials, on the same tuning seeds and held-out images. The comparison then uses
    other seeds and all training images.

    Args:
        execution: How the runs are executed and shown.
        config: What to tune and to compare.
        out: Folder of the results. By default results/tune/DATASET.
    """
    from experiments.catalogue.names import check_names

    check_names(config, "objective", config.objectives)

    from experiments.commands.columns import chosen_columns, with_passes_for
    from experiments.comparisons.backbone_warnings import warn_of_backbone
    from experiments.comparisons.compare import check_comparison
    from experiments.comparisons.output_paths import OutputPaths
    from experiments.comparisons.show_plan import show_plan
    from experiments.comparisons.unused_options import refuse_unused
    from experiments.config.gpus import check_gpu
    from experiments.runs.ownership import owned
    from experiments.studies.study import by_noise
    from experiments.tuning.rounds import check_ends, contests, planned_entries
    from experiments.tuning.space import space_of

    shown = chosen_columns(execution.measures, config.imports)
    config = with_passes_for(shown, config)
    spaces = [space_of(objective, config.rates) for objective in config.objectives]
    contested = contests(config, spaces, by_noise(config, config.label_noise))
    check_ends(config, contested)
    planned = list(planned_entries(config, contested))
    check_comparison(planned, (*config.objectives, "")[0])
    refuse_unused(config, TUNE, planned)
    warn_of_backbone(planned)
    check_gpu(execution.gpu, execution.dry_run)
    if execution.dry_run:
        show_plan(planned, execution.gpu)
        return
    paths = OutputPaths.of(out or Path("results/tune") / config.data_name, execution)
    with owned(paths.tables):
        _tune(config, contested, paths, shown, execution.report_every)


def _tune(
    config: TuneConfig,
    contested: list[Contest],
    paths: OutputPaths,
    shown: tuple[Measure, ...],
    report_every: float | None,
) -> None:
    """Run the search, and the comparison at the chosen settings."""
    from experiments.comparisons.compare import run_and_report
    from experiments.comparisons.smaller_table import refuse_smaller
    from experiments.console import say
    from experiments.execution.run_all import execute_all
    from experiments.report_page.reporting import reporting
    from experiments.tuning.rounds import chosen_points, compared_entries, run_trials

    def execute(entries: Sequence[Entry], job: Job) -> list[RunFolder]:
        return execute_all(entries, paths.runs, paths.engine, job, paths.checkpoint_every, paths.store)

    with paths.engine.ready():
        trials = run_trials(config, contested, execute)
    _report_trials(trials, [contest.space for contest in contested], paths, config)
    entries = compared_entries(config, contested, chosen_points(trials))
    refuse_smaller(entries, paths)
    say("comparison at the chosen settings, on other seeds and all training images", style="bold")
    with reporting(entries, paths, report_every):
        run_and_report(entries, config.objectives[0], paths, shown=shown)


def _report_trials(trials: pd.DataFrame, spaces: list[Space], paths: OutputPaths, config: TuneConfig) -> None:
    """Write and print the chosen settings, and write all trials and their figure."""
    from experiments.comparisons.compare import save_and_list_figures
    from experiments.comparisons.write_table import write_table
    from experiments.files import replace_file
    from experiments.reports.latex import table_caption
    from experiments.tuning.tables import EXPLANATION, chosen_table, trials_figure

    replace_file(paths.tables / "trials.csv", lambda aside: trials.to_csv(aside, index=False))
    table = chosen_table(trials, spaces)
    caption = table_caption(
        "Chosen settings", config.data_name, f"{len(config.tuning_seeds)} tuning seeds", EXPLANATION
    )
    write_table(table, paths.tables / "chosen_settings", EXPLANATION, caption)
    save_and_list_figures({"trials": trials_figure(trials)}, paths.tables, config.data_name)
