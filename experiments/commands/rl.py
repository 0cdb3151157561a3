"""`python -m experiments rl`: the comparison, its tables and figures."""

from __future__ import annotations

from pathlib import Path

from experiments.rl.config import RlConfig


def rl_command(
    config: RlConfig,
    out: Path | None = None,
    workers: int | None = None,
    dry_run: bool = False,
    measures: tuple[str, ...] = (),
) -> None:
    """Compare reinforcement-learning algorithms on one stream: same images, same network, same seeds.

    Args:
        config: What to compare.
        out: The comparison's folder; by default results/rl/<images>. Finished runs in it are reused.
        workers: Runs at once; by default as many as fit the cores; on a GPU the fastest number is measured. 0 runs all
            in this process.
        dry_run: Show what would run, and write nothing.
        measures: Columns of the table, such as final_accuracy gradient_steps; CSV files have all measures.
    """
    from experiments.catalogue.names import check_names

    check_names(config, "algorithm", config.algorithms)

    from experiments.commands.columns import chosen_columns
    from experiments.comparisons.compare import OutputPaths, check_comparison, run_and_report, save_and_list_figures
    from experiments.comparisons.unused_options import refuse_unused
    from experiments.rl.algorithms import check_device_images
    from experiments.rl.config import algorithm_entries
    from experiments.rl.figures import algorithm_figures
    from experiments.rl.measures import ALGORITHM_COLUMNS, ALGORITHM_MEASURES
    from experiments.rl.plan import show_algorithms
    from experiments.rl.runner import RUNNING
    from experiments.rl.variance import variance_of_entries
    from experiments.runs.ownership import owned

    shown = chosen_columns(measures, config.imports, ALGORITHM_MEASURES)
    entries = algorithm_entries(config)
    baseline = (*config.algorithms, "")[0]
    refuse_unused(config, RlConfig(), entries)
    check_device_images(config)
    if dry_run:
        check_comparison(entries, baseline, workers)
        show_algorithms(entries)
        return
    folder = out or Path("results/rl") / config.data_name
    introduction = "# Reinforcement-learning algorithms on one stream"
    paths = OutputPaths.of(folder, workers)
    with owned(folder):
        runs = run_and_report(entries, baseline, paths, ALGORITHM_COLUMNS, introduction, RUNNING, shown)
        variance = variance_of_entries(entries, config.gradient_draws, folder)
        save_and_list_figures(algorithm_figures(runs, variance), folder)
