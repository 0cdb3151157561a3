"""`cls-env compare`, `bounds` and `presets`: comparisons of objectives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from experiments.commands.option_groups import NO_PREFIX
from experiments.config.comparison import DEFAULTS, ComparisonOptions
from experiments.config.gpus import check_gpu
from experiments.config.settings import BoundsConfig, CompareConfig

COMPARE, BOUNDS = CompareConfig(), BoundsConfig()


def compare_command(
    config: Annotated[CompareConfig, NO_PREFIX] = COMPARE,
    execution: Annotated[ComparisonOptions, NO_PREFIX] = DEFAULTS,
    out: Path | None = None,
) -> None:
    """Compare objectives over label noise and seeds: the main job.

    Args:
        execution: How the runs are executed and shown.
        config: What to compare.
        out: Folder of the results. By default results/compare/DATASET.
    """
    _compare(config, COMPARE, out or Path("results/compare") / config.data_name, execution)


def bounds_command(
    config: Annotated[BoundsConfig, NO_PREFIX] = BOUNDS,
    execution: Annotated[ComparisonOptions, NO_PREFIX] = DEFAULTS,
    out: Path | None = None,
) -> None:
    """Compare a sequential learner with its bounds: a frozen random backbone and joint training.

    Args:
        execution: How the runs are executed and shown.
        config: What to compare.
        out: Folder of the results. By default results/bounds/DATASET.
    """
    from experiments.catalogue.names import check_names

    check_names(config, "objective", [config.objective])

    from experiments.commands.columns import chosen_columns, with_passes_for
    from experiments.comparisons.backbone_warnings import warn_of_backbone
    from experiments.comparisons.compare import check_comparison, run_and_report, save_and_list_figures
    from experiments.comparisons.entries import bounds_entries
    from experiments.comparisons.output_paths import OutputPaths
    from experiments.comparisons.show_plan import show_plan
    from experiments.comparisons.smaller_table import refuse_smaller
    from experiments.comparisons.unused_options import refuse_unused
    from experiments.report_page.reporting import reporting
    from experiments.reports.figures import final_accuracies
    from experiments.runs.ownership import owned

    shown = chosen_columns(execution.measures, config.imports)
    config = with_passes_for(shown, config)
    entries = bounds_entries(config)
    refuse_unused(config, BOUNDS, entries)
    warn_of_backbone(entries)
    check_gpu(execution.gpu, execution.dry_run)
    if execution.dry_run:
        check_comparison(entries, "sequential")
        show_plan(entries, execution.gpu)
        return
    folder = out or Path("results/bounds") / config.data_name
    paths = OutputPaths.of(folder, execution)
    with owned(folder), reporting(entries, paths, execution.report_every):
        refuse_smaller(entries, paths)
        runs = run_and_report(entries, "sequential", paths, shown=shown)
        save_and_list_figures({"final_accuracies": final_accuracies(runs)}, folder, config.data_name)


def presets_command() -> None:
    """List published runs; `presets NAME` runs one, with `compare`'s options to change it.

    `presets NAME --help` says which of its settings are as published, what the publication leaves open, and where our
    run is known to differ.
    """
    from experiments.comparisons.entries import objective_entries
    from experiments.console import say, titled
    from experiments.presets import PRESETS
    from experiments.presets.listing import FIGURES, published

    say(f"Published figures are {FIGURES}. Settings, open choices and differences: presets NAME --help\n")
    for preset in PRESETS.values():
        count = len(objective_entries(preset.config))
        say(titled(preset.name, f"{preset.title}; {count} runs"), highlight=False)
        say(f"    published: {published(preset)}", highlight=False)


def preset_command(name: str) -> Callable[..., None]:
    """`compare` with the settings of a preset as its defaults.

    Raises:
        ValueError: The preset is unknown.
    """
    from experiments.presets import PRESETS
    from experiments.presets.listing import preset_lines

    preset = PRESETS.lookup(name)

    def command(
        config: Annotated[CompareConfig, NO_PREFIX] = preset.config,
        execution: Annotated[ComparisonOptions, NO_PREFIX] = DEFAULTS,
        out: Path | None = None,
    ) -> None:
        _compare(config, preset.config, out or Path("results/presets") / preset.name, execution)

    about = "\n    ".join(line if line.startswith(" ") else f"\n    {line}" for line in preset_lines(preset))
    command.__doc__ = f"""{preset.title}.
    {about}

    Args:
        execution: How the runs are executed and shown.
        config: What to compare.
        out: The comparison's folder; by default results/presets/{preset.name}.
    """
    return command


def _compare(config: CompareConfig, default: CompareConfig, folder: Path, execution: ComparisonOptions) -> None:
    """Compare objectives, with tables and figures in a folder, which holds the runs too; or show the plan."""
    from experiments.catalogue.names import check_names

    check_names(config, "objective", config.objectives)

    from experiments.commands.columns import chosen_columns, with_passes_for
    from experiments.comparisons.backbone_warnings import warn_of_backbone
    from experiments.comparisons.compare import check_comparison, run_and_report, save_and_list_figures
    from experiments.comparisons.entries import objective_entries
    from experiments.comparisons.output_paths import OutputPaths
    from experiments.comparisons.show_plan import show_plan
    from experiments.comparisons.smaller_table import refuse_smaller
    from experiments.comparisons.unused_options import refuse_unused
    from experiments.config.builders import make_stream
    from experiments.report_page.reporting import reporting
    from experiments.reports.figures import comparison_figures
    from experiments.runs.ownership import owned

    shown = chosen_columns(execution.measures, config.imports)
    config = with_passes_for(shown, config)
    entries = objective_entries(config)
    baseline = (*config.objectives, "")[0]
    refuse_unused(config, default, entries)
    warn_of_backbone(entries)
    check_gpu(execution.gpu, execution.dry_run)
    if execution.dry_run:
        check_comparison(entries, baseline)
        show_plan(entries, execution.gpu)
        return
    paths = OutputPaths.of(folder, execution)
    with owned(folder), reporting(entries, paths, execution.report_every):
        refuse_smaller(entries, paths)
        runs = run_and_report(entries, baseline, paths, shown=shown)
        figures = comparison_figures(runs, make_stream(entries[0].checked))
        save_and_list_figures(figures, folder, config.data_name)
