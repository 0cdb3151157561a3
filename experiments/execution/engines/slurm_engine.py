"""Runs as jobs of Slurm, which submitit submits."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import submitit
from submitit.core.job_environment import JobEnvironment

from experiments.execution.engines.cluster import follow
from experiments.execution.engines.engine import Observer, Waiting
from experiments.execution.engines.local import fitting_workers
from experiments.execution.engines.remote import counted_images, counting, execute_and_log, last_line, log_file
from experiments.runs.job import Job
from experiments.runs.run_folder import RunFolder

JOBS = "jobs"
"""Folder, beside those of the runs, in which submitit keeps what it submits and what the jobs print at their start."""
DEFAULTS: dict[str, Any] = {"name": "cls-env", "timeout_min": 60}
"""Parameters of the jobs."""
MOST_TIMEOUTS = 1000
"""How often a job that runs out of time is queued again."""
SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_FOR_FILES = 10.0
"""How long files that another machine has written may take to appear on a shared file system."""


class SlurmEngine:
    """Submits each run as a job of Slurm. A job that is preempted, or out of time, is queued again and goes on.

    Slurm must send the signal that submitit expects, SIGUSR2, some time before it ends a job; submitit asks it to.

    Args:
        parameters: Parameters of submitit's `AutoExecutor.update_parameters`, such as `timeout_min` or
            `slurm_partition`. `cluster="local"` executes the jobs on this machine.
        gpus: GPUs of a run; by default 1 if the device of the runs is `"cuda"`, else 0.
        workers: Maximum number of jobs in the queue at once; by default all runs, and on this machine as many as fit
            the cores.

    Raises:
        ValueError: There is no Slurm here, or submitit does not know a parameter.
    """

    def __init__(
        self, parameters: Mapping[str, Any] | None = None, gpus: int | None = None, workers: int | None = None
    ) -> None:
        given = dict(parameters or {})
        self.gpus, self.workers = gpus, workers
        self.cluster = given.pop("cluster", "slurm")
        self._parameters = given
        self._executor(Path(), gpus or 0, 1)

    def ready(self) -> AbstractContextManager[None]:
        """See `Engine`."""
        return nullcontext()

    def execute(self, waiting: Sequence[Waiting], job: Job, observer: Observer) -> None:
        """See `Engine`."""
        config = waiting[0].entry.config
        gpus = int(config.device == "cuda") if self.gpus is None else self.gpus
        folder = waiting[0].path.resolve().with_name(JOBS)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # submitit's files are pickles, which jobs load
        cluster = _SlurmCluster(self._executor(folder, gpus, config.threads), job.done)
        here = fitting_workers(config) if self.cluster == "local" else None
        follow(cluster, waiting, job, observer, self.workers or here)

    def _executor(self, folder: Path, gpus: int, cpus: int) -> submitit.AutoExecutor:
        try:
            executor = submitit.AutoExecutor(
                folder, cluster=self.cluster, **{f"{self.cluster}_max_num_timeout": MOST_TIMEOUTS}
            )
            executor.update_parameters(**DEFAULTS | {"gpus_per_node": gpus, "cpus_per_task": cpus} | self._parameters)
        except (RuntimeError, ValueError, TypeError, NameError, AssertionError) as error:
            raise ValueError(f"--engine slurm: {error}") from error
        return executor


class ResumedRun:
    """What a job executes. When it is to end, the run writes a checkpoint, and the job is queued again.

    Args:
        run: The function of a `Job`.
        config: Its configuration.
        path: The folder of the run.
    """

    def __init__(self, run: Callable[..., Any], config: Any, path: Path) -> None:
        self._work = (run, config, path)

    def __call__(self) -> None:
        """Execute the run, or what is left of it."""
        number = JobEnvironment._usr_sig()
        queue_again: Any = signal.getsignal(number)
        asked: list[Any] = []

        def stop(number: int, frame: Any) -> None:
            asked.append(frame)
            signal.raise_signal(signal.SIGTERM)  # the run ends after its gradient step

        signal.signal(number, stop)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            failed = execute_and_log(*self._work, counting(self._work[2]))
        except (KeyboardInterrupt, SystemExit):
            if not asked:
                raise
            queue_again(number, None)
            raise
        if failed is not None:
            sys.exit(1)

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What the job executes when it is started again."""
        return submitit.helpers.DelayedSubmission(ResumedRun(*self._work))


class _SlurmCluster:
    """See `Cluster`; a handle is a job of submitit."""

    def __init__(self, executor: submitit.AutoExecutor, done: Callable[[RunFolder], bool]) -> None:
        self._executor, self._done = executor, done
        self._counted: dict[Path, int] = {}

    def start(self, waiting: Waiting, job: Job) -> submitit.Job[None]:
        self._counted[waiting.path] = 0
        return self._executor.submit(ResumedRun(job.run, waiting.entry.config, waiting.path))

    def ended(self, running: Sequence[submitit.Job[None]]) -> Sequence[submitit.Job[None]]:
        time.sleep(SECONDS_BETWEEN_LOOKS)
        return [job for job in running if job.done()]

    def failure(self, handle: submitit.Job[None], waiting: Waiting) -> str | None:
        deadline = time.monotonic() + SECONDS_FOR_FILES
        while not self._done(RunFolder(waiting.path)):
            if time.monotonic() > deadline or log_file(waiting.path).exists():
                return f"job {handle.job_id} has ended ({handle.state}): {last_line(waiting.path, handle.paths.stderr)}"
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return None

    def images(self, finished: Sequence[Waiting]) -> int:
        count = sum(each.images - self._counted.pop(each.path) for each in finished)
        for path, before in self._counted.items():
            self._counted[path] = max(before, counted_images(path))
            count += self._counted[path] - before
        return count

    def cancel(self, running: Sequence[submitit.Job[None]]) -> None:
        for job in running:
            job.cancel(check=False)
