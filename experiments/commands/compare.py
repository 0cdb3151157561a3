"""`python -m experiments compare`, `bounds` and `presets`: comparisons of objectives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from experiments.config.settings import BoundsConfig, CompareConfig


def compare_command(
    config: CompareConfig,
    out: Path | None = None,
    workers: int | None = None,
    dry_run: bool = False,
    measures: tuple[str, ...] = (),
) -> None:
    """Compare objectives over label noise and seeds: the main job.

    Args:
        config: What to compare.
        out: The comparison's folder; by default results/compare/<images>. Finished runs in it are reused.
        workers: Runs at once; by default as many as fit the cores; on a GPU the fastest number is measured. 0 runs all
            in this process.
        dry_run: Show what would run. Local images are decoded into the cache; nothing else is written.
        measures: Columns of the table, such as final_accuracy nll; CSV files have all measures.
    """
    folder = out or Path("results/compare") / config.data_name
    _compare(config, CompareConfig(), folder, workers, dry_run, measures)


def bounds_command(
    config: BoundsConfig,
    out: Path | None = None,
    workers: int | None = None,
    dry_run: bool = False,
    measures: tuple[str, ...] = (),
) -> None:
    """Compare a sequential learner with its bounds: a frozen random backbone and joint training.

    Args:
        config: What to compare.
        out: The comparison's folder; by default results/bounds/<images>. Finished runs in it are reused.
        workers: Runs at once; by default as many as fit the cores; on a GPU the fastest number is measured. 0 runs all
            in this process.
        dry_run: Show what would run. Local images are decoded into the cache; nothing else is written.
        measures: Columns of the table, such as final_accuracy nll; CSV files have all measures.
    """
    from experiments.catalogue.names import check_names

    check_names(config, "objective", [config.objective])

    from experiments.commands.columns import chosen_columns, with_passes_for
    from experiments.comparisons.compare import (
        OutputPaths,
        check_comparison,
        run_and_report,
        save_and_list_figures,
        show_plan,
    )
    from experiments.comparisons.entries import bounds_entries
    from experiments.comparisons.unused_options import refuse_unused
    from experiments.reports.figures import final_accuracies
    from experiments.runs.ownership import owned

    shown = chosen_columns(measures, config.imports)
    config = with_passes_for(shown, config)
    entries = bounds_entries(config)
    refuse_unused(config, BoundsConfig(), entries)
    if dry_run:
        check_comparison(entries, "sequential", workers)
        show_plan(entries)
        return
    folder = out or Path("results/bounds") / config.data_name
    with owned(folder):
        runs = run_and_report(entries, "sequential", OutputPaths.of(folder, workers), shown=shown)
        save_and_list_figures({"final_accuracies": final_accuracies(runs)}, folder)


def presets_command() -> None:
    """List published runs; `presets NAME` runs one, with `compare`'s options to change it.

    Of each: its published figures, which of its settings are as published, what the publication leaves open, and where
    our run is known to differ.
    """
    from experiments.comparisons.entries import objective_entries
    from experiments.console import say, titled
    from experiments.presets import PRESETS
    from experiments.presets.listing import preset_lines

    for preset in PRESETS.values():
        count = len(objective_entries(preset.config))
        say(titled(preset.name, f"{preset.title}; {count} runs"), highlight=False)
        for line in preset_lines(preset):
            say(f"    {line}", highlight=False)


def preset_command(name: str) -> Callable[..., None]:
    """`compare` with the settings of a preset as its defaults.

    Raises:
        ValueError: The preset is unknown.
    """
    from experiments.presets import PRESETS

    preset = PRESETS.lookup(name)

    def command(
        config: CompareConfig = preset.config,
        out: Path | None = None,
        workers: int | None = None,
        dry_run: bool = False,
        measures: tuple[str, ...] = (),
    ) -> None:
        _compare(config, preset.config, out or Path("results/presets") / preset.name, workers, dry_run, measures)

    command.__doc__ = f"{preset.title}.\n\n{compare_command.__doc__}"
    return command


def _compare(
    config: CompareConfig,
    default: CompareConfig,
    folder: Path,
    workers: int | None,
    dry_run: bool,
    measures: tuple[str, ...],
) -> None:
    """Compare objectives, with tables and figures in a folder, which holds the runs too; or show the plan."""
    from experiments.catalogue.names import check_names

    check_names(config, "objective", config.objectives)

    from experiments.commands.columns import chosen_columns, with_passes_for
    from experiments.comparisons.compare import (
        OutputPaths,
        check_comparison,
        run_and_report,
        save_and_list_figures,
        show_plan,
    )
    from experiments.comparisons.entries import objective_entries
    from experiments.comparisons.unused_options import refuse_unused
    from experiments.config.builders import make_stream
    from experiments.reports.figures import comparison_figures
    from experiments.runs.ownership import owned

    shown = chosen_columns(measures, config.imports)
    config = with_passes_for(shown, config)
    entries = objective_entries(config)
    baseline = (*config.objectives, "")[0]
    refuse_unused(config, default, entries)
    if dry_run:
        check_comparison(entries, baseline, workers)
        show_plan(entries)
        return
    with owned(folder):
        runs = run_and_report(entries, baseline, OutputPaths.of(folder, workers), shown=shown)
        save_and_list_figures(comparison_figures(runs, make_stream(entries[0].checked)), folder)
