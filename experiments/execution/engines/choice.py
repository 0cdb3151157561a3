"""The engine that the options of a command choose."""

from __future__ import annotations

from cls_env.command_line.errors import ReportedError
from experiments.config.comparison import ComparisonOptions
from experiments.config.settings import parse_options
from experiments.execution.engines.engine import Engine
from experiments.execution.engines.local import LocalEngine


def engine_of(options: ComparisonOptions) -> Engine:
    """The engine of the options.

    Raises:
        ReportedError: Its package is not installed.
        ValueError: Its parameters are wrong.
    """
    try:
        if options.engine == "ray":
            from experiments.execution.engines.ray_engine import RayEngine

            return RayEngine(options.address, options.gpus_per_run, options.workers)
        if options.engine == "slurm":
            from experiments.execution.engines.slurm_engine import SlurmEngine

            gpus = None if options.gpus_per_run is None else int(options.gpus_per_run)
            return SlurmEngine(parse_options(options.slurm, "--slurm"), gpus, options.workers)
    except ModuleNotFoundError as error:
        raise ReportedError(
            f"--engine {options.engine} needs the package {error.name!r}: pip install 'cls-env[cluster]'"
        ) from error
    return LocalEngine(options.workers)
