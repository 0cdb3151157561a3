"""Options for watching a run. They do not change its result or the name of its folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec


@dataclass(frozen=True, kw_only=True)
class WatchSettings:
    """Reports of a run while it learns."""

    tensorboard: bool = False
    """Write losses and accuracies for TensorBoard, to the folder tensorboard in the run's folder."""
    wandb: str | None = None
    """Write them to this project of Weights & Biases. WANDB_MODE=offline keeps them on this machine."""
    watch_validation: bool = False
    """Show the validation accuracy on the current task after each epoch. Needs --validation-fraction."""

    @property
    def measuring(self) -> WatchSettings:
        """The same measurements, written nowhere but to the step log."""
        return replace(self, tensorboard=False, wandb=None)


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
