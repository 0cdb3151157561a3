"""The command line: `python -m experiments run | compare | bounds | pretrain`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import tyro
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from agents.policy import parameter_counts
from experiments.comparison import (
    BoundsConfig,
    CompareConfig,
    Entry,
    RunFailedError,
    bounds_entries,
    objective_entries,
    run_all,
)
from experiments.config import RunConfig
from experiments.figures import comparison_figures, final_accuracies, save_figures
from experiments.pretrain import PretrainConfig, pretrain
from experiments.progress import progress_bar
from experiments.report import rich_tables, write_report
from experiments.results import RunFolder
from experiments.runner import make_agent, make_stream, run, task_images

console = Console()


def run_command(config: RunConfig, out: Path | None = None, dry_run: bool = False) -> None:
    """Train one agent on one stream, task by task, and test it after each.

    Args:
        config: What to run.
        out: The run's folder; by default results/run/<name>. A finished run is shown again, an interrupted one goes on
            at the task where it stopped.
        dry_run: Show what would run, and write nothing.
    """
    if dry_run:
        _show_plan([Entry("", config.objective, config)])
        return
    folder = RunFolder(out or Path("results/run") / config.name)
    stream = make_stream(config)
    total = sum(task_images(config, stream, task.index) for task in stream.tasks)
    with progress_bar(console) as progress:
        bar = progress.add_task(f"{config.objective} on {config.data_name}, images", total=total)
        metrics = run(config, folder, lambda count: progress.advance(bar, count))
        progress.update(bar, completed=total)
    curve = ", ".join(f"{accuracy:.1%}" for accuracy in metrics["accuracy_curve"])
    console.print(f"accuracy on all classes seen, after each task: {curve}")
    console.print({key: value for key, value in metrics.items() if key != "accuracy_curve"})
    console.print(f"results in {folder.path}")


def compare_command(
    config: CompareConfig, out: Path | None = None, workers: int | None = None, dry_run: bool = False
) -> None:
    """Compare objectives over label noise and seeds: the main job.

    Args:
        config: What to compare.
        out: The comparison's folder; by default results/compare/<images>. Finished runs in it are reused.
        workers: Runs at once; by default as many as fit the cores, one on a GPU.
        dry_run: Show what would run, and write nothing.
    """
    folder = out or Path("results/compare") / config.data_name
    entries = objective_entries(config)
    if (runs := _compare(entries, (*config.objectives, "")[0], folder, workers, dry_run)) is not None:
        _save(comparison_figures(runs, make_stream(entries[0].config)), folder)


def bounds_command(
    config: BoundsConfig, out: Path | None = None, workers: int | None = None, dry_run: bool = False
) -> None:
    """Place a sequential learner between its bounds: a frozen random backbone and joint training.

    Args:
        config: What to compare.
        out: The comparison's folder; by default results/bounds/<images>. Finished runs in it are reused.
        workers: Runs at once; by default as many as fit the cores, one on a GPU.
        dry_run: Show what would run, and write nothing.
    """
    folder = out or Path("results/bounds") / config.data_name
    if (runs := _compare(bounds_entries(config), "sequential", folder, workers, dry_run)) is not None:
        _save({"final_accuracies": final_accuracies(runs)}, folder)


def pretrain_command(config: PretrainConfig, dry_run: bool = False) -> None:
    """Pretrain the embedded micro ViT on glyph classes that no stream uses; writes its weights and card.

    Args:
        config: How to train.
        dry_run: Show the configuration, and write nothing.
    """
    console.print(config)
    if not dry_run:
        console.print(pretrain(config))


COMMANDS: dict[str, Any] = {
    "run": run_command,
    "compare": compare_command,
    "bounds": bounds_command,
    "pretrain": pretrain_command,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it went well, 2 with one line of explanation when its input was wrong."""
    try:
        tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            args=arguments,
            prog="python -m experiments",
            description=__doc__,
            config=(tyro.conf.OmitArgPrefixes,),
        )
    except (ValueError, FileNotFoundError, FileExistsError, RunFailedError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _compare(
    entries: list[Entry], baseline: str, folder: Path, workers: int | None, dry_run: bool
) -> pd.DataFrame | None:
    """Run, tabulate and print; or show the plan, and return None."""
    if not entries:
        raise ValueError("nothing to compare: give at least one objective, one label noise and one seed")
    if dry_run:
        _show_plan(entries)
        return None
    runs = run_all(entries, folder, workers)
    command = f"python -m experiments {shlex.join(sys.argv[1:])}"
    table = write_report(runs, baseline, folder, command)
    seeds = len({entry.config.seed for entry in entries})
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    console.print(f"\n{entries[0].config.data_name}: {len(entries)} runs, {spread}")
    console.print(*rich_tables(table))
    console.print(f"table {folder / 'table.md'}, runs in {folder / 'runs'}")
    return runs


def _save(figures: dict[str, Figure], folder: Path) -> None:
    for file in save_figures(figures, folder):
        console.print(f"figure {file}")


def _show_plan(entries: list[Entry]) -> None:
    """The resolved configuration, the tasks and the trainable parameters, without training."""
    config = entries[0].config
    stream = make_stream(config)
    agent = make_agent(config, stream)
    console.print(config)
    console.print(stream)
    tasks = Table("task", "classes", "train images", "test images", "images to train on", title="first run's stream")
    for task in stream.tasks:
        names = ", ".join(stream.class_names[label] for label in task.classes[:3])
        tasks.add_row(
            str(task.index),
            f"{len(task.classes)}: {names} ...",
            str(len(task.train_indices)),
            str(len(task.test_indices)),
            f"{task_images(config, stream, task.index):,}",
        )
    console.print(tasks)
    console.print("parameters:", parameter_counts(agent.policy))
    if len(entries) > 1:
        plan = Table("condition", "contender", "seed", "run", title=f"{len(entries)} runs")
        for entry in entries:
            plan.add_row(entry.condition, entry.contender, str(entry.config.seed), entry.config.name)
        console.print(plan)


if __name__ == "__main__":
    sys.exit(main())
