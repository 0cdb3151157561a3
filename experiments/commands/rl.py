"""`python -m experiments rl`: the comparison, its tables and figures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.table import Table

from experiments.commands.columns import chosen_columns
from experiments.comparisons.compare import OutputPaths, check_comparison, run_and_report, save_and_list_figures
from experiments.comparisons.unused_options import refuse_unused
from experiments.console import say, show
from experiments.files import reading, replace_file
from experiments.rl.algorithms import ALGORITHMS, find_algorithm
from experiments.rl.config import AlgorithmRun, RlConfig, algorithm_entries
from experiments.rl.figures import algorithm_figures
from experiments.rl.measures import ALGORITHM_COLUMNS, ALGORITHM_MEASURES
from experiments.rl.runner import RUNNING
from experiments.rl.variance import VARIANCES, gradient_variance
from experiments.runs.job import Entry
from experiments.runs.ownership import owned
from experiments.runs.run_folder import run_path


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
        workers: Runs at once; by default as many as fit the cores, one on a GPU. 0 runs all in this process.
        dry_run: Show what would run, and write nothing.
        measures: Columns of the table, such as final_accuracy gradient_steps; CSV files have all measures.
    """
    shown = chosen_columns(measures, config.imports, ALGORITHM_MEASURES)
    entries = algorithm_entries(config)
    baseline = (*config.algorithms, "")[0]
    refuse_unused(config, RlConfig(), entries)
    if dry_run:
        check_comparison(entries, baseline, workers)
        _show(entries)
        return
    folder = out or Path("results/rl") / config.data_name
    introduction = "# Reinforcement-learning algorithms on one stream"
    paths = OutputPaths(tables=folder, runs=folder / "runs", workers=workers)
    with owned(folder):
        runs = run_and_report(entries, baseline, paths, ALGORITHM_COLUMNS, introduction, RUNNING, shown)
        variance = _variance(entries, config.gradient_draws, folder)
        save_and_list_figures(algorithm_figures(runs, variance), folder)


def _variance(entries: list[Entry], draws: int, folder: Path) -> pd.DataFrame:
    """The variance of gradient estimates, once for each seed; measured where it is not there yet."""
    first = {entry.config.seed: entry.config for entry in reversed(entries)}
    tables = []
    for seed, config in sorted(first.items()):
        assert isinstance(config, AlgorithmRun)
        file = run_path(config, folder / "runs") / f"gradient_variance_{draws}.csv"
        if not file.exists():
            say(f"gradient variance, seed {seed}")
            table = gradient_variance(config, draws=draws)
            replace_file(file, lambda aside, table=table: table.to_csv(aside, index=False, float_format="%.6g"))  # type: ignore[misc]
        with reading(file, "remove it, and the same command measures it anew"):
            tables.append(pd.read_csv(file).astype(dict.fromkeys(VARIANCES, float)))
    found = pd.concat(tables, ignore_index=True)
    replace_file(folder / "gradient_variance.csv", lambda aside: found.to_csv(aside, index=False, float_format="%.6g"))
    return found


def _show(entries: list[Entry]) -> None:
    first, *_ = [entry.checked for entry in entries]
    say(first.config)
    table = Table("algorithm", "what it is", "feedback", "arguments", title=f"{len(entries)} runs")
    for name in dict.fromkeys(entry.contender for entry in entries):
        algorithm, arguments = find_algorithm(name)
        table.add_row(name, algorithm.title, algorithm.feedback, ", ".join(f"{k}={v}" for k, v in arguments.items()))
    show(table)
    say(f"known: {', '.join(ALGORITHMS)}")
