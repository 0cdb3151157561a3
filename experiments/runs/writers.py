"""Formats of SB3's logger to which a watched run writes, in addition to its own CSV files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.logger import KVWriter, TensorBoardOutputFormat

from experiments.config.watching import WatchSettings
from experiments.files import read_json, write_json
from experiments.runs.run_folder import RunFolder

TENSORBOARD = "tensorboard"
"""Folder of TensorBoard's events within that of the run."""
WANDB_ID = "wandb.json"
"""File with the id of the run at Weights & Biases, so that a resumed run goes on in the same curves."""


class WandbWriter(KVWriter):
    """Writes rows of numbers to one run of Weights & Biases, over the number of images learned from.

    Args:
        project: Name of the project.
        folder: The run's folder, in which files of W&B are kept too.
        config: The run's settings.
    """

    def __init__(self, project: str, folder: RunFolder, config: Mapping[str, Any]) -> None:
        import wandb  # type: ignore[import-not-found, unused-ignore]  # the extra of this name

        file = folder.path / WANDB_ID
        begun = read_json(file)["id"] if file.exists() else None
        self.run = wandb.init(
            project=project,
            name=folder.path.name,
            id=begun,
            resume="allow" if begun else None,
            dir=folder.path,
            config=dict(config),
            settings=wandb.Settings(console="off", silent=True),
        )
        self.run.define_metric("*", step_metric="images")
        write_json(file, {"project": project, "id": self.run.id})

    @property
    def place(self) -> str:
        """Address of the run, or the folder to synchronize."""
        if self.run.offline:
            return f"{Path(self.run.dir).parent} (offline: wandb sync uploads it)"
        return str(self.run.url)

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Write the numbers of a row.

        Args:
            key_values: Values by name; those that are no numbers are left out.
            key_excluded: Formats that leave a value out, by the value's name.
            step: Images learned from so far.
        """
        numbers = {
            name: float(value)
            for name, value in key_values.items()
            if isinstance(value, int | float | np.number) and "wandb" not in (key_excluded.get(name) or ())
        }
        self.run.log({**numbers, "images": step})

    def close(self) -> None:
        """End the run at Weights & Biases, once all is written."""
        self.run.finish()


def open_writers(watch: WatchSettings, folder: RunFolder, config: Mapping[str, Any]) -> list[KVWriter]:
    """Open the chosen writers.

    Args:
        watch: The chosen options, after `check_watch`, so that the packages are installed.
        folder: The run's folder.
        config: The run's settings.
    """
    writers: list[KVWriter] = []
    if watch.tensorboard:
        writers.append(TensorBoardOutputFormat(str(folder.path / TENSORBOARD)))
    if watch.wandb is not None:
        writers.append(WandbWriter(watch.wandb, folder, config))
    return writers
