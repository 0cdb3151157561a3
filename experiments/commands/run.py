"""`cls-env run`: one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from experiments.commands.option_groups import NO_PREFIX
from experiments.config.settings import RunConfig


def run_command(config: Annotated[RunConfig, NO_PREFIX], out: Path | None = None, dry_run: bool = False) -> None:
    """Train one agent on one stream, task by task, and test it after each.

    Args:
        config: What to run.
        out: Folder of the run. By default results/run/NAME. A finished run is shown, an interrupted one resumed.
        dry_run: Show what would run. Only decoded images are written, to the cache.
    """
    from experiments.catalogue.names import check_names

    check_names(config, "objective", [config.objective])

    from experiments.commands.stream import show_stream
    from experiments.comparisons.characters_backbone import warn_of_characters
    from experiments.comparisons.compare import show_plan
    from experiments.comparisons.unused_options import refuse_unused
    from experiments.config.entry import Entry
    from experiments.config.resolved import resolve
    from experiments.console import progress_bar, say
    from experiments.runs.run_folder import RunFolder, run_path
    from experiments.runs.runner import run_owned

    entry = Entry("", config.objective, config)
    checked = entry.checked
    refuse_unused(config, RunConfig(), [entry])
    if dry_run:
        warn_of_characters([entry])
        show_plan([entry])
        return
    folder = RunFolder(out or run_path(config, Path("results/run")))
    with folder.owned():
        run = resolve(checked)
        warn_of_characters([entry])
        show_stream(run.stream, classes_named=2)
        total = sum(run.images_per_task)
        with progress_bar() as progress:
            bar = progress.add_task(f"{config.objective} on {config.data_name}, images", total=total)
            metrics = run_owned(run, folder, lambda count: progress.advance(bar, count))
            progress.update(bar, completed=total)
    curve = ", ".join(f"{accuracy:.1%}" for accuracy in metrics["accuracy_curve"])
    say(f"accuracy on all classes seen, after each task: {curve}")
    say({key: value for key, value in metrics.items() if key != "accuracy_curve"})
    say(f"results in {folder.path}")
