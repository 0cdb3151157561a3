"""How a run is watched. The run's result and its folder's name do not depend on it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True, kw_only=True)
class WatchSettings:
    """What is reported of a run while it learns."""

    tensorboard: bool = False
    """Write each gradient step and the accuracy after each task for TensorBoard, to the folder tensorboard within the
    run's."""
    wandb: str | None = None
    """Write the same to this project of Weights & Biases; WANDB_MODE=offline keeps it on this machine."""
    watch_validation: bool = False
    """Show the accuracy on the current task's held-out images after each epoch, and add it to the step log; needs
    --validation-fraction."""


def check_watch(watch: WatchSettings) -> None:
    """Check that a run can be watched as asked for, before anything is built.

    Raises:
        ModuleNotFoundError: A package is not installed; the message holds the command that installs it.
        ValueError: The project has no name.
    """
    for option, package, asked in (
        ("--tensorboard", "tensorboard", watch.tensorboard),
        ("--wandb", "wandb", watch.wandb is not None),
    ):
        if asked and find_spec(package) is None:
            raise ModuleNotFoundError(f'{option} needs the package {package}: pip install "cls-env[{package}]"')
    if watch.wandb is not None and not watch.wandb.strip():
        raise ValueError("--wandb takes the name of a project, such as --wandb forgetting")
