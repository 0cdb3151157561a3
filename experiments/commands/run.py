"""`cls-env run`: one run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cls_env.arguments import number
from experiments.commands.option_groups import NO_PREFIX
from experiments.config.comparison import CHECKPOINT_EVERY
from experiments.config.gpus import GpuName, check_gpu
from experiments.config.settings import RunConfig
from experiments.config.watching import WatchSettings, check_watch

if TYPE_CHECKING:
    from experiments.config.resolved import ResolvedRun
    from experiments.config.validation import CheckedRun
    from experiments.runs.run_folder import RunFolder

UNWATCHED = WatchSettings()


def run_command(
    config: Annotated[RunConfig, NO_PREFIX],
    watch: Annotated[WatchSettings, NO_PREFIX] = UNWATCHED,
    out: Path | None = None,
    dry_run: bool = False,
    gpu: GpuName | None = None,
    checkpoint_every: float = CHECKPOINT_EVERY,
    fresh: bool = False,
) -> None:
    """Train one agent on one stream, task by task, and test it after each.

    Args:
        watch: Reports while it learns. They do not change the result.
        config: What to run.
        out: Folder of the run. By default results/run/NAME. A finished run is shown, an interrupted one resumed.
        dry_run: Show what would run, and how long it takes. Only decoded images are written, to the cache.
        gpu: GPU for which --dry-run estimates hours, in addition to those measured here. By default h100.
        checkpoint_every: Minutes between two checkpoints, at least 0. A run that is stopped goes on from the last one.
        fresh: Begin anew. A run that is in the folder is kept in a folder of another name.
    """
    from experiments.catalogue.names import check_names

    check_names(config, "objective", [config.objective])
    check_watch(watch)
    check_gpu(gpu, dry_run)
    number("--checkpoint-every", checkpoint_every, "[0, inf)")

    from agents.parallel.processes import current
    from experiments.comparisons.backbone_warnings import warn_of_backbone
    from experiments.comparisons.show_plan import show_plan
    from experiments.comparisons.unused_options import refuse_unused
    from experiments.config.entry import Entry
    from experiments.config.processes import check_processes
    from experiments.runs.run_folder import RunFolder, run_path

    entry = Entry("", config.objective, config)
    checked = entry.checked
    check_processes(checked, current(), dry_run)
    refuse_unused(config, RunConfig(), [entry])
    warn_of_backbone([entry])
    if dry_run:
        show_plan([entry], gpu)
        return
    folder = RunFolder(out or run_path(config, Path("results/run")))
    if fresh and current().leads:
        _set_aside(checked, folder)
    _own_and_learn(checked, folder, watch if current().leads else watch.measuring, checkpoint_every)


def _own_and_learn(checked: CheckedRun, folder: RunFolder, watch: WatchSettings, checkpoint_every: float) -> None:
    """Own the folder, and let all processes of the run execute it."""
    from agents.parallel.exchange import leader_first
    from experiments.config.resolved import resolve
    from experiments.runs.shared_folder import owned_together

    with owned_together(folder) as owned:
        with leader_first():
            run = resolve(checked)
        _learn_and_show(run, owned, watch, checkpoint_every)


def _set_aside(checked: CheckedRun, folder: RunFolder) -> None:
    """Keep an earlier run under another name, and print the name."""
    from experiments.config.resolved import resolve
    from experiments.console import say
    from experiments.runs.set_aside import set_aside

    resolve(checked)  # images that can't be read are an error before the folder is renamed
    if kept := set_aside(folder.path):
        say(f"the earlier run is kept in {kept}")


def _learn_and_show(run: ResolvedRun, folder: RunFolder, watch: WatchSettings, checkpoint_every: float) -> None:
    """Execute a run, or read a finished one, and print its results."""
    from experiments.commands.stream import show_stream
    from experiments.console import say, show
    from experiments.reports.run_summary import images_line, places, save_run_figures, summary
    from experiments.reports.run_watch import TerminalWatch
    from experiments.runs.runner import run_owned

    config = run.config
    if watch.watch_validation and not run.stream.has_validation:
        raise ValueError("--watch-validation looks at held-out images: give --validation-fraction too, such as 0.2")
    show_stream(run.stream, config.seed, classes_named=2)
    if folder.finished:
        metrics = run_owned(run, folder)
        more = "; it is not watched, since it learns no more" if watch != UNWATCHED else ""
        say(f"already finished, read from {folder.path}{more}")
    else:
        say(images_line(run), highlight=False)
        title = f"{config.objective} on {config.data_name}, images"
        with TerminalWatch(watch, title, sum(run.images_per_task)) as shown:
            metrics = run_owned(run, folder, shown.on_images, shown, checkpoint_every)
    curve = ", ".join(f"{accuracy:.1%}" for accuracy in metrics["accuracy_curve"])
    say(f"\naccuracy on all classes seen, after each task: {curve}\n")
    show(summary(metrics))
    say("")
    for line in places(folder, save_run_figures(config, folder)):
        say(line)
