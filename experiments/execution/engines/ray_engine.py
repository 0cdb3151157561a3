"""Runs as tasks of Ray, on this machine or on a cluster."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cls_env.command_line.environment import variable
from cls_env.command_line.errors import described
from experiments.config.settings import Settings
from experiments.console import say, warn
from experiments.execution.engines.cluster import follow
from experiments.execution.engines.engine import Observer, Waiting
from experiments.execution.engines.ray_signals import same_handlers, signals_wait
from experiments.execution.engines.remote import execute_and_log, log_file
from experiments.runs.interruptions import GRACE
from experiments.runs.job import Job

RETRIES = 3
"""How often a run is started again, from its checkpoint, after its machine or its process was lost."""
SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_TO_CONNECT = 10.0
START_WAIT = ("RAY_raylet_start_wait_time_s", "120")
"""Ray's variable for how long it waits for its processes to start, which a busy machine starts slowly."""


class RayEngine:
    """Executes each run as a task of Ray. A run whose machine is lost goes on elsewhere, from its last checkpoint.

    The folder of the runs must be shared by all machines of a cluster, as must the package.

    Args:
        address: Address of a Ray cluster, or `"auto"` for one that is found. By default Ray is started on this machine,
            and ended afterwards.
        gpus: GPUs of a run; a fraction lets several runs share one. By default 1 if the runs are to use a GPU and the
            cluster has one, else 0.
        workers: Maximum number of runs at once; by default as many as the cluster has room for.
    """

    def __init__(self, address: str | None = None, gpus: float | None = None, workers: int | None = None) -> None:
        self.address, self.gpus, self.workers = address, gpus, workers

    def ready(self) -> AbstractContextManager[None]:
        """See `Engine`."""
        return _connected(self.address)

    def execute(self, waiting: Sequence[Waiting], job: Job, observer: Observer) -> None:
        """See `Engine`."""
        with _connected(self.address):
            config = waiting[0].entry.config
            gpus = _default_gpus(config) if self.gpus is None else self.gpus
            _warn_of_small_nodes(config.threads, gpus)
            follow(_RayCluster(config.threads, gpus), waiting, job, observer, self.workers)


class _RayCluster:
    """See `Cluster`; a handle is the reference to a task's result."""

    def __init__(self, cpus: int, gpus: float) -> None:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._counter = ray.remote(num_cpus=0, scheduling_strategy=here)(_Counter).remote()
        self._task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES)(_run)

    def start(self, waiting: Waiting, job: Job) -> Any:
        with signals_wait():
            return self._task.options(name=waiting.path.name).remote(
                job.run, waiting.entry.config, waiting.path, self._counter
            )

    def ended(self, running: Sequence[Any]) -> Sequence[Any]:
        time.sleep(SECONDS_BETWEEN_LOOKS)
        with signals_wait():
            done, _ = ray.wait(list(running), num_returns=len(running), timeout=0, fetch_local=False)
        return done

    def failure(self, handle: Any, waiting: Waiting) -> str | None:
        try:
            with signals_wait():
                failed: str | None = ray.get(handle)
        except WorkerCrashedError:
            return f"its process was lost {RETRIES + 1} times, possibly because memory ran out (log {_log(waiting)})"
        except RayError as error:
            return f"{described(error)} (log {_log(waiting)})"
        return failed

    def images(self, finished: Sequence[Waiting]) -> int:
        with signals_wait():
            count: int = ray.get(self._counter.take.remote())
        return count

    def cancel(self, running: Sequence[Any]) -> None:
        for handle in running:
            ray.cancel(handle)  # as Ctrl-C
        ray.wait(list(running), num_returns=len(running), timeout=GRACE) if running else None
        for handle in running:
            ray.cancel(handle, force=True)


class _Counter:
    """Counts images of all runs, on the machine of the command."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, count: int) -> None:
        self._count += count

    def take(self) -> int:
        count, self._count = self._count, 0
        return count


def _run(run: Callable[..., Any], config: Any, path: Path, counter: Any) -> str | None:
    """Execute a run in a process of Ray, and return why it failed."""
    return execute_and_log(run, config, path, counter.add.remote)


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Connect to a cluster, unless the process is connected already, as in a notebook."""
    if ray.is_initialized():
        yield
        return
    if address is not None:
        _check_address(address)
    try:
        with variable(*START_WAIT), same_handlers():
            ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except Exception as error:  # also a plain Exception, when Ray's processes do not start in time
        where = f"no Ray cluster at {address!r}" if address else "Ray can't be started on this machine"
        raise OSError(f"{where}: {described(error)}") from error
    try:
        resources = ray.cluster_resources()
        say(f"Ray: {len(ray.nodes())} nodes, {resources.get('CPU', 0):g} CPUs, {resources.get('GPU', 0):g} GPUs")
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Check that something answers at `host:port`, for which Ray itself waits for many minutes."""
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdigit() and "/" not in address):
        return
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise OSError(f"no Ray cluster at {address!r}: {described(error)}") from error


def _default_gpus(config: Settings) -> float:
    wanted = config.device == "cuda" or (config.device == "auto" and ray.cluster_resources().get("GPU", 0) > 0)
    return 1.0 if wanted else 0.0


def _warn_of_small_nodes(cpus: int, gpus: float) -> None:
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in alive):
        warn(f"no node of the cluster has {cpus} CPUs and {gpus:g} GPUs now; runs wait until there is one")


def _log(waiting: Waiting) -> Path:
    return log_file(waiting.path)
