"""`cls-env sweep`: the runs that a file describes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from experiments.commands.option_groups import NO_PREFIX
from experiments.config.comparison import DEFAULTS, ComparisonOptions

if TYPE_CHECKING:
    from experiments.config.sweep import Sweep


def sweep_command(
    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")],
    execution: Annotated[ComparisonOptions, NO_PREFIX] = DEFAULTS,
    out: Path | None = None,
) -> None:
    """Run all combinations of some settings, which a file lists.

    A file in TOML, or the same in YAML:

        baseline = "ce"           # by default the contender of the first run
        [constants]               # options of `cls-env run`
        dataset = "glyphs"
        epochs = 5
        [axes]                    # each value with each of the others
        label_noise = [0.0, 0.2]
        objective = ["ce", "epg", "aepg"]
        seed = [0, 1, 2]

    Settings of the stream make the conditions of the table, and all others but the seed its contenders. A value may
    also be a table of settings that change together, such as {objective = "epg", learning_rate = 0.001, name = "EPG"}.

    Args:
        file: The file, .toml or .yaml.
        execution: How the runs are executed and shown.
        out: Folder of the results. By default results/sweeps/FILE.
    """
    from experiments.config.sweep import read_sweep

    _run(read_sweep(file), out or Path("results/sweeps") / file.stem, execution)


def _run(sweep: Sweep, folder: Path, execution: ComparisonOptions) -> None:
    """Run a sweep, with its tables and its figure in a folder, which holds the runs too; or show the plan."""
    from dataclasses import replace

    from experiments.commands.columns import chosen_columns, with_passes_for
    from experiments.comparisons.backbone_warnings import warn_of_backbone
    from experiments.comparisons.compare import check_comparison, data_names, run_and_report, save_and_list_figures
    from experiments.comparisons.output_paths import OutputPaths
    from experiments.comparisons.show_plan import show_plan
    from experiments.comparisons.smaller_table import refuse_smaller
    from experiments.config.gpus import check_gpu
    from experiments.console import show
    from experiments.report_page.reporting import reporting
    from experiments.reports.figures import accuracy_curves
    from experiments.reports.plan_tables import run_table
    from experiments.runs.ownership import owned

    imports = tuple(dict.fromkeys(name for entry in sweep.entries for name in entry.config.imports))
    shown = chosen_columns(execution.measures, imports)
    entries = [replace(entry, config=with_passes_for(shown, entry.config)) for entry in sweep.entries]
    check_gpu(execution.gpu, execution.dry_run)
    warn_of_backbone(entries)
    check_comparison(entries, sweep.baseline)
    if execution.dry_run:
        seconds = show_plan(entries, execution.gpu)
        show(run_table([(entry.condition, entry.contender, entry.config.seed) for entry in entries], seconds))
        return
    paths = OutputPaths.of(folder, execution)
    with owned(folder), reporting(entries, paths, execution.report_every):
        refuse_smaller(entries, paths)
        runs = run_and_report(entries, sweep.baseline, paths, shown=shown)
        save_and_list_figures({"accuracy_after_each_task": accuracy_curves(runs)}, folder, data_names(entries))
