"""Show the progress of a run in the terminal: a bar, and a line after each task."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

from rich.progress import Progress
from stable_baselines3.common.logger import KVWriter

from experiments.config.resolved import ResolvedRun
from experiments.config.watching import WatchSettings
from experiments.console import progress_bar, say
from experiments.reports.numbers import rounded
from experiments.runs.run_folder import RunFolder
from experiments.runs.watch import TaskReport, Watch
from experiments.runs.writers import WandbWriter, open_writers


def duration(seconds: float) -> str:
    """A time in words.

    >>> duration(0.84), duration(75), duration(2 * 3600 + 300)
    ('0.8 s', '1 min 15 s', '2 h 05 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def task_line(report: TaskReport, images_per_task: Sequence[int]) -> str:
    """The line after a task: accuracies, forgetting, seconds, and what is left.

    The time left is that of the last task, for the images of the tasks to come.

    Args:
        report: Report of the task.
        images_per_task: Images that each task is trained on.
    """
    task, count = report.task, len(images_per_task)
    on_task, on_seen, forgotten = (rounded(100 * value) for value in report.figures.values())
    left = count - task - 1
    images = images_per_task[task]
    ahead = sum(images_per_task[task + 1 :]) / images if images else left
    rest = f"about {duration(report.seconds * ahead)} left for {left} task{'s' * (left > 1)}" if left else "done"
    return (
        f"task {task + 1} of {count}: {on_task} % on it, {on_seen} % on all seen classes, "
        f"forgetting {forgotten} points; {duration(report.seconds)}; {rest}"
    )


class TerminalWatch(Watch):
    """Shows a run in the terminal, and opens the chosen writers. It is a context manager.

    Args:
        settings: The chosen options.
        title: Title of the progress bar.
        total: Images that the run is trained on.
    """

    def __init__(self, settings: WatchSettings, title: str, total: int) -> None:
        self._settings, self._title, self._total = settings, title, total
        self.measures_held_out = settings.watch_validation
        self.writers: list[KVWriter] = []
        self._open = ExitStack()
        self._images_per_task: Sequence[int] = ()
        self._epoch = 0

    def __enter__(self) -> TerminalWatch:
        self._progress: Progress = self._open.enter_context(progress_bar())
        self._bar = self._progress.add_task(self._title, total=self._total)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self._progress.update(self._bar, description=self._title, completed=self._total)
        self._open.__exit__(kind, error, at)

    def on_images(self, count: int) -> None:
        """Advance the bar by some images."""
        self._progress.advance(self._bar, count)

    def begin(self, run: ResolvedRun, folder: RunFolder, tasks_done: int) -> None:
        """Open the writers, and say at which task a run is resumed."""
        self._images_per_task = run.images_per_task
        if tasks_done:
            say(f"resuming at task {tasks_done + 1} of {len(run.images_per_task)}, in {folder.path}")
        self.writers = open_writers(self._settings, folder, run.config.as_json())
        for writer in self.writers:
            self._open.callback(writer.close)
            if isinstance(writer, WandbWriter):
                say(f"Weights & Biases: {writer.place}")

    def begin_task(self, task: int) -> None:
        """Name the task in front of the bar."""
        self._task, self._epoch = task, 0
        self._describe()

    def on_held_out(self, accuracy: float) -> None:
        """Show the accuracy in front of the bar."""
        self._epoch += 1
        self._describe(f", epoch {self._epoch}: {rounded(100 * accuracy)} % of held-out images")

    def on_task(self, report: TaskReport) -> None:
        """Print the line of the task."""
        say(task_line(report, self._images_per_task), highlight=False)

    def _describe(self, more: str = "") -> None:
        self._progress.update(self._bar, description=f"{self._title}, task {self._task + 1}{more}")
