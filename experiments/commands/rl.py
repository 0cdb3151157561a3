"""`cls-env rl`: the comparison, its tables and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from experiments.commands.option_groups import NO_PREFIX
from experiments.config.comparison import DEFAULTS, ComparisonOptions
from experiments.rl.config import RlConfig

RL = RlConfig()
INTRODUCTION = "# Reinforcement-learning algorithms on one stream"


def rl_command(
    config: Annotated[RlConfig, NO_PREFIX] = RL,
    execution: Annotated[ComparisonOptions, NO_PREFIX] = DEFAULTS,
    out: Path | None = None,
) -> None:
    """Compare reinforcement-learning algorithms on one stream: same images, same network, same seeds.

    Args:
        execution: How the runs are executed and shown.
        config: What to compare.
        out: Folder of the results. By default results/rl/DATASET.
    """
    from experiments.catalogue.names import check_names

    check_names(config, "algorithm", config.algorithms)

    from experiments.commands.columns import chosen_columns
    from experiments.comparisons.backbone_warnings import warn_of_backbone
    from experiments.comparisons.compare import check_comparison, run_and_report, save_and_list_figures
    from experiments.comparisons.output_paths import OutputPaths
    from experiments.comparisons.smaller_table import refuse_smaller
    from experiments.comparisons.unused_options import refuse_unused
    from experiments.report_page.reporting import reporting
    from experiments.rl.algorithms import check_device_images
    from experiments.rl.config import algorithm_entries
    from experiments.rl.figures import algorithm_figures
    from experiments.rl.measures import ALGORITHM_COLUMNS, ALGORITHM_MEASURES
    from experiments.rl.plan import show_algorithms
    from experiments.rl.runner import RUNNING
    from experiments.rl.variance import variance_of_entries
    from experiments.runs.ownership import owned

    if execution.gpu is not None:
        raise ValueError("--gpu has no effect: a dry run of this comparison estimates no hours")
    shown = chosen_columns(execution.measures, config.imports, ALGORITHM_MEASURES)
    entries = algorithm_entries(config)
    baseline = (*config.algorithms, "")[0]
    refuse_unused(config, RL, entries)
    warn_of_backbone(entries)
    check_device_images(config)
    if execution.dry_run:
        check_comparison(entries, baseline)
        show_algorithms(entries)
        return
    paths = OutputPaths.of(out or Path("results/rl") / config.data_name, execution)
    with owned(paths.tables), reporting(entries, paths, execution.report_every):
        refuse_smaller(entries, paths)
        runs = run_and_report(entries, baseline, paths, ALGORITHM_COLUMNS, INTRODUCTION, RUNNING, shown)
        variance = variance_of_entries(entries, config.gradient_draws, paths.tables, paths.runs)
        save_and_list_figures(algorithm_figures(runs, variance), paths.tables, config.data_name)
