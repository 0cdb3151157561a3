"""What a stopped pretraining run needs to go on, saved after each epoch."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from timm.utils import ModelEmaV3
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from agents.networks.torch_files import read_torch
from agents.networks.weights import check_finite
from cls_env.arguments import number, whole_number
from cls_env.command_line.errors import one_line
from experiments.config.pretraining import PLACES, PretrainConfig
from experiments.files import reading, replace_file

CHECKPOINT = "checkpoint.pt"


class TrainingState:
    """A model in training, with the average of its weights, its optimizer and its schedule.

    Args:
        config: The settings of the run.
        images_sha256: Hash of the images.
        model: The model.
        average: Its moving average.
        optimizer: Its optimizer.
        schedule: The schedule of the learning rate.

    Attributes:
        epoch: Number of finished epochs.
        seconds: Seconds that they took.
    """

    def __init__(
        self,
        config: PretrainConfig,
        images_sha256: str,
        model: nn.Module,
        average: ModelEmaV3,
        optimizer: Optimizer,
        schedule: LRScheduler,
    ) -> None:
        self.model, self.average, self.optimizer, self.schedule = model, average, optimizer, schedule
        self.epoch, self.seconds = 0, 0.0
        self._file = config.out / CHECKPOINT
        settings = {key: value for key, value in asdict(config).items() if key not in PLACES}
        self._settings: dict[str, Any] = settings | {"images_sha256": images_sha256}

    def finish_epoch(self, seconds: float) -> None:
        """Count an epoch and save everything."""
        self.epoch += 1
        self.seconds += seconds
        content: dict[str, Any] = {name: part.state_dict() for name, part in self._parts().items()}
        content |= {"epoch": self.epoch, "seconds": self.seconds, "settings": self._settings}
        try:
            replace_file(self._file, lambda aside: torch.save(content, aside))
        except RuntimeError as error:  # what PyTorch makes of a full disk
            raise OSError(
                f"{self._file} can't be written: {one_line(error)}; make room, or choose another place"
            ) from error

    def restore(self) -> None:
        """Go on from the folder's checkpoint, if there is one. Nothing in it can run code.

        Raises:
            ValueError: It is damaged, holds NaN or infinity, or belongs to a run with other settings.
        """
        if not self._file.is_file():
            return
        with reading(self._file, "remove it to begin anew"):
            content = read_torch(self._file)
            settings: dict[str, Any] = dict(content["settings"])
            epoch, seconds = whole_number("epoch", content["epoch"], 0), number("seconds", content["seconds"])
        for name, value in self._settings.items():
            if (saved := settings.get(name)) != value:
                raise ValueError(
                    f"{self._file} belongs to another run, with {name} {saved} in place of {value}: choose another "
                    "--out, or remove it"
                )
        with reading(self._file, "remove it to begin anew"):
            for name in ("model", "average"):
                check_finite(content[name], name)
            for name, part in self._parts().items():
                part.load_state_dict(content[name])
        self.epoch, self.seconds = epoch, seconds

    def _parts(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "average": self.average,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
        }
