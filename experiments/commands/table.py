"""The commands of `python -m experiments`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

from cls_env import TaskStream
from cls_env.command_line.errors import DEBUG_HELP
from cls_env.datasets.files.load_report import report_lines
from experiments.commands.catalogue import methods_table, modules_table, objectives_table, unfit_lines
from experiments.commands.columns import chosen_columns
from experiments.commands.rl import rl_command
from experiments.commands.study import list_studies, study_command
from experiments.comparisons.compare import (
    OutputPaths,
    check_comparison,
    run_and_report,
    save_and_list_figures,
    show_plan,
)
from experiments.comparisons.entries import BoundsConfig, CompareConfig, Entry, bounds_entries, objective_entries
from experiments.comparisons.unused_options import refuse_idle
from experiments.config.builders import check, make_stream, task_images
from experiments.config.settings import RunConfig
from experiments.console import progress_bar, say, show, titled
from experiments.presets import PRESETS, Preset
from experiments.presets.listing import preset_lines
from experiments.pretrain import PretrainConfig, check_pretraining, pretrain
from experiments.reports.figures import comparison_figures, final_accuracies
from experiments.reports.terminal import stream_table
from experiments.runs.ownership import owned
from experiments.runs.run_folder import RunFolder, place_of
from experiments.runs.runner import run_owned
from experiments.studies import STUDIES


def run_command(config: RunConfig, out: Path | None = None, dry_run: bool = False) -> None:
    """Train one agent on one stream, task by task, and test it after each.

    Args:
        config: What to run.
        out: The run's folder; by default results/run/<name>. A finished run is shown again, an interrupted one goes on
            at the task where it stopped.
        dry_run: Show what would run. Images that are at hand are decoded into the cache; nothing else is written.
    """
    entry = Entry("", config.objective, config)
    check(config)
    refuse_idle(config, RunConfig(), [entry])
    if dry_run:
        show_plan([entry])
        return
    folder = RunFolder(out or place_of(config, Path("results/run")))
    with folder.owned():
        stream = make_stream(config)
        show(stream_table(stream, classes_named=2))
        _show_left_out(stream)
        total = sum(task_images(config, stream, task.index) for task in stream.tasks)
        with progress_bar() as progress:
            bar = progress.add_task(f"{config.objective} on {config.data_name}, images", total=total)
            metrics = run_owned(config, stream, folder, lambda count: progress.advance(bar, count))
            progress.update(bar, completed=total)
    curve = ", ".join(f"{accuracy:.1%}" for accuracy in metrics["accuracy_curve"])
    say(f"accuracy on all classes seen, after each task: {curve}")
    say({key: value for key, value in metrics.items() if key != "accuracy_curve"})
    say(f"results in {folder.path}")


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
        workers: Runs at once; by default as many as fit the cores, one on a GPU.
        dry_run: Show what would run. Images that are at hand are decoded into the cache; nothing else is written.
        measures: Columns of the table, such as final_accuracy nll; CSV files have all measures.
    """
    places = _places(out or Path("results/compare") / config.data_name, workers)
    _compare(config, CompareConfig(), places, dry_run, measures)


def bounds_command(
    config: BoundsConfig,
    out: Path | None = None,
    workers: int | None = None,
    dry_run: bool = False,
    measures: tuple[str, ...] = (),
) -> None:
    """Place a sequential learner between its bounds: a frozen random backbone and joint training.

    Args:
        config: What to compare.
        out: The comparison's folder; by default results/bounds/<images>. Finished runs in it are reused.
        workers: Runs at once; by default as many as fit the cores, one on a GPU.
        dry_run: Show what would run. Images that are at hand are decoded into the cache; nothing else is written.
        measures: Columns of the table, such as final_accuracy nll; CSV files have all measures.
    """
    shown = chosen_columns(measures, config.imports)
    entries = bounds_entries(config)
    refuse_idle(config, BoundsConfig(), entries)
    if dry_run:
        check_comparison(entries, "sequential", workers)
        show_plan(entries)
        return
    folder = out or Path("results/bounds") / config.data_name
    with owned(folder):
        runs = run_and_report(entries, "sequential", _places(folder, workers), shown=shown)
        save_and_list_figures({"final_accuracies": final_accuracies(runs)}, folder)


def pretrain_command(config: PretrainConfig, dry_run: bool = False) -> None:
    """Pretrain the embedded micro ViT on glyph classes that no stream uses; writes its weights and card.

    Args:
        config: How to train.
        dry_run: Show the configuration, and write nothing.
    """
    check_pretraining(config)
    say(config)
    if not dry_run:
        say(pretrain(config))


def stream_command(config: RunConfig) -> None:
    """Describe a stream: tasks, classes, images, order, seed and the hash of its index lists.

    Args:
        config: Which stream; what concerns the policy and its learning does not matter.
    """
    stream = make_stream(config)
    show(stream_table(stream))
    _show_left_out(stream)
    say(f"images SHA-256 {stream.dataset.images_sha256}")
    say(f"stream SHA-256 {stream.fingerprint}")


def _show_left_out(stream: TaskStream) -> None:
    """What loading the images left out, and what is remarkable about them."""
    for line in report_lines(stream.dataset.left_out, stream.dataset.remarks):
        say(line, highlight=False)


def presets_command() -> None:
    """List published runs; `presets NAME` carries one out, with `compare`'s options to change it.

    Of each: its published figures, which of its settings are as published, what the publication leaves open, and where
    our run is known to differ.
    """
    for preset in PRESETS.values():
        count = len(objective_entries(preset.config))
        say(titled(preset.name, f"{preset.title}; {count} runs"), highlight=False)
        for line in preset_lines(preset):
            say(f"    {line}", highlight=False)


def objectives_command() -> None:
    """List the objectives with their arguments, for --objective focal:gamma=2."""
    show(objectives_table())


def modules_command() -> None:
    """List the PEFT modules with their arguments, for --peft prefix:length=20, and those of peft that do not fit."""
    show(modules_table())
    say("\nof peft, but not for a ViT:", highlight=False)
    for line in unfit_lines():
        say(f"  {line}", highlight=False)


def methods_command() -> None:
    """List the continual-learning methods with their arguments, for --method lae:decay=0.999."""
    show(methods_table())


def _preset_command(preset: Preset) -> Callable[..., None]:
    """`compare` with the settings of a preset as its defaults."""

    def command(
        config: CompareConfig = preset.config,
        out: Path | None = None,
        workers: int | None = None,
        dry_run: bool = False,
        measures: tuple[str, ...] = (),
    ) -> None:
        places = _places(out or Path("results/presets") / preset.name, workers)
        _compare(config, preset.config, places, dry_run, measures)

    command.__doc__ = f"{preset.title}.\n\n{compare_command.__doc__}"
    return command


def _named_command(kind: str, name: str) -> Callable[..., None]:
    """What `presets NAME` or `study NAME` runs."""
    if kind == "study":
        return study_command(STUDIES.lookup(name))
    return _preset_command(PRESETS.lookup(name))


COMMANDS: dict[str, Any] = {
    "run": run_command,
    "compare": compare_command,
    "bounds": bounds_command,
    "rl": rl_command,
    "study": list_studies,
    "presets": presets_command,
    "objectives": objectives_command,
    "modules": modules_command,
    "methods": methods_command,
    "stream": stream_command,
    "pretrain": pretrain_command,
}


def carry_out_words(words: list[str]) -> None:
    """Carry out the command that the words of a command line name."""
    flat = (tyro.conf.OmitArgPrefixes,)
    if words[:1] in (["presets"], ["study"]) and len(words) > 1 and not words[1].startswith("-"):
        prog = f"python -m experiments {words[0]} {words[1]}"
        tyro.cli(_named_command(*words[:2]), args=words[2:], prog=prog, config=flat)
    else:
        about = f"The command line of the experiments. {DEBUG_HELP}."
        tyro.extras.subcommand_cli_from_dict(
            COMMANDS, args=words, prog="python -m experiments", description=about, config=flat
        )


def _places(folder: Path, workers: int | None) -> OutputPaths:
    """A comparison's folder, which holds its runs too."""
    return OutputPaths(tables=folder, runs=folder / "runs", workers=workers)


def _compare(
    config: CompareConfig, default: CompareConfig, places: OutputPaths, dry_run: bool, measures: tuple[str, ...]
) -> None:
    """Compare objectives, with tables and figures in a folder; or show the plan."""
    shown = chosen_columns(measures, config.imports)
    entries = objective_entries(config)
    baseline = (*config.objectives, "")[0]
    refuse_idle(config, default, entries)
    if dry_run:
        check_comparison(entries, baseline, places.workers)
        show_plan(entries)
        return
    with owned(places.tables):
        runs = run_and_report(entries, baseline, places, shown=shown)
        save_and_list_figures(comparison_figures(runs, make_stream(entries[0].config)), places.tables)
