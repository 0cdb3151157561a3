"""The command line: `python -m experiments run | compare | bounds | presets | stream | pretrain`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import tyro
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from cls_env.naming import lookup
from experiments.building import check, make_stream, task_images
from experiments.comparison import (
    BoundsConfig,
    CompareConfig,
    Entry,
    RunFailedError,
    bounds_entries,
    kinds,
    objective_entries,
    run_all,
)
from experiments.config import RunConfig
from experiments.display import compute, plan_lines, stream_table
from experiments.figures import comparison_figures, final_accuracies, save_figures
from experiments.plan import make_plan
from experiments.presets import PRESETS, Preset
from experiments.pretrain import PretrainConfig, pretrain
from experiments.progress import progress_bar
from experiments.report import rich_tables, write_report
from experiments.results import RunFolder
from experiments.runner import run

console = Console()


def run_command(config: RunConfig, out: Path | None = None, dry_run: bool = False) -> None:
    """Train one agent on one stream, task by task, and test it after each.

    Args:
        config: What to run.
        out: The run's folder; by default results/run/<name>. A finished run is shown again, an interrupted one goes on
            at the task where it stopped.
        dry_run: Show what would run. Images that are at hand are decoded into the cache; nothing else is written.
    """
    if dry_run:
        _show_plan([Entry("", config.objective, config)])
        return
    folder = RunFolder(out or Path("results/run") / config.name)
    stream = make_stream(config)
    console.print(stream_table(stream, classes_named=2))
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
        dry_run: Show what would run. Images that are at hand are decoded into the cache; nothing else is written.
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
        dry_run: Show what would run. Images that are at hand are decoded into the cache; nothing else is written.
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


def stream_command(config: RunConfig) -> None:
    """Describe a stream: tasks, classes, images, order, seed and the hash of its index lists.

    Args:
        config: Which stream; what concerns the policy and its learning does not matter.
    """
    stream = make_stream(config)
    console.print(stream_table(stream))
    console.print(f"images SHA-256 {stream.dataset.images_sha256}")
    console.print(f"stream SHA-256 {stream.fingerprint}")


def presets_command() -> None:
    """List published runs; `presets NAME` carries one out, with `compare`'s options to change it."""
    for preset in PRESETS.values():
        config = preset.config
        count = len(objective_entries(config))
        console.print(f"[bold]{preset.name}[/bold]  {preset.title}; {count} runs", highlight=False)
        if preset.reported:
            figures = ", ".join(f"{contender} {figure}" for contender, figure in preset.reported.items())
            console.print(f"    published, %: {figures}", highlight=False)
        if preset.remark:
            console.print(f"    {preset.remark}", highlight=False)


def _preset_command(preset: Preset) -> Callable[..., None]:
    """`compare` with the settings of a preset as its defaults."""

    def command(
        config: CompareConfig = preset.config,
        out: Path | None = None,
        workers: int | None = None,
        dry_run: bool = False,
    ) -> None:
        compare_command(config, out or Path("results/presets") / preset.name, workers, dry_run)

    command.__doc__ = f"{preset.title}.\n\n{compare_command.__doc__}"
    return command


COMMANDS: dict[str, Any] = {
    "run": run_command,
    "compare": compare_command,
    "bounds": bounds_command,
    "presets": presets_command,
    "stream": stream_command,
    "pretrain": pretrain_command,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it went well, 2 with one line of explanation when its input was wrong."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    flat = (tyro.conf.OmitArgPrefixes,)
    try:
        if words[:1] == ["presets"] and len(words) > 1 and not words[1].startswith("-"):
            preset = lookup("preset", words[1], PRESETS)
            prog = f"python -m experiments presets {preset.name}"
            tyro.cli(_preset_command(preset), args=words[2:], prog=prog, config=flat)
        else:
            tyro.extras.subcommand_cli_from_dict(
                COMMANDS, args=words, prog="python -m experiments", description=__doc__, config=flat
            )
    except (ValueError, OSError, ModuleNotFoundError, RunFailedError) as error:
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
    """The resolved configuration, the tasks, what learns, and an estimate of compute and memory, without training."""
    for entry in entries:
        check(entry.config)
    first = entries[0].config
    shapes = [replace(kind, objective=first.objective) for entry in entries for kind in kinds([entry])]
    plans = {shape: make_plan(shape) for shape in dict.fromkeys(shapes)}
    console.print(first)
    for line in plan_lines(next(iter(plans.values())), first.precision):
        console.print(line)
    if len(entries) > 1:
        total = sum(plans[shape].total_flops for shape in shapes)
        runs = Table("condition", "contender", "seed", "run", title=f"{len(entries)} runs")
        for entry in entries:
            runs.add_row(entry.condition, entry.contender, str(entry.config.seed), entry.config.name)
        console.print(runs)
        console.print(f"all runs: {compute(total, first.precision)}")


if __name__ == "__main__":
    sys.exit(main())
