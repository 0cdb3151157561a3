"""The folder of a run: what is in it, when it is finished, and how to read it back.

config.json            the resolved configuration
protocol.json          what was run on what: weights, class order, seeds, versions, definitions
accuracy_matrix.csv    row t: accuracy on every task after learning task t
training_labels.csv    row t: how many true and flipped labels of task t are answered after learning it
steps/                 a row for each gradient step, a file for each task
predictions/           the choices on the test images, before and after each task
model.zip              adapter and head, for `EPG.load`
metrics.json           the summary; its presence says that the run is finished
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from agents.evaluation import TaskTest
from experiments.config import RunConfig
from experiments.files import replace_file, write_json
from experiments.training_labels import LabelFit

LOGGED = ("train/task", "train/progress", "train/entropy")
"""What is read of a step's row."""
ANSWERS = tuple(field.name for field in fields(TaskTest) if field.name != "task")


@dataclass(frozen=True)
class RunFolder:
    """Reads and writes one run's folder."""

    path: Path

    @property
    def model(self) -> Path:
        """The agent after the last finished task."""
        return self.path / "model.zip"

    @property
    def steps(self) -> Path:
        """The folder of the per-step logs."""
        return self.path / "steps"

    def claim(self, config: RunConfig) -> None:
        """Take the folder for a configuration.

        Raises:
            FileExistsError: It holds something else, which is left as it is.
        """
        file = self.path / "config.json"
        if file.exists():
            if json.loads(file.read_text()) != config.as_json():
                raise FileExistsError(f"{self.path} holds a run of another configuration; choose another --out")
            return
        if self.path.exists() and any(not file.name.startswith(".") for file in self.path.iterdir()):
            raise FileExistsError(f"{self.path} is not empty and holds no run; choose another --out")
        write_json(file, config.as_json())

    def record_protocol(self, card: dict[str, Any]) -> None:
        """Write the protocol card, or see that the run was begun on the same images, stream and weights.

        Raises:
            FileExistsError: It was begun on others; the folder is left as it is.
        """
        file = self.path / "protocol.json"
        if not file.exists():
            write_json(file, card)
            return
        begun = json.loads(file.read_text(encoding="utf-8"))
        for section, key in (("stream", "images_sha256"), ("stream", "fingerprint"), ("weights", "sha256")):
            if begun[section][key] != card[section][key]:
                raise FileExistsError(
                    f"{self.path} was run on other data or weights ({section}, {key}); choose another --out"
                )

    @property
    def finished(self) -> bool:
        """Whether the run is complete."""
        return (self.path / "metrics.json").exists()

    def metrics(self) -> dict[str, Any]:
        """The summary of a finished run."""
        content: dict[str, Any] = json.loads((self.path / "metrics.json").read_text())
        return content

    def write_matrix(self, matrix: NDArray[np.float64]) -> None:
        """Write the rows known so far."""
        columns = [f"task_{index}" for index in range(matrix.shape[1])]
        table = pd.DataFrame(matrix, columns=columns).rename_axis("after_task")
        replace_file(self.path / "accuracy_matrix.csv", lambda aside: table.to_csv(aside, float_format="%.9g"))

    def read_matrix(self) -> NDArray[np.float64]:
        """The accuracy matrix, a row for each tested task."""
        return pd.read_csv(self.path / "accuracy_matrix.csv", index_col="after_task").to_numpy(dtype=float)

    def write_predictions(self, moment: str, tests: Sequence[TaskTest]) -> None:
        """Keep the answers on test images; `moment` is such as `"before_task_1"`."""
        arrays = {
            "task": np.concatenate([np.full(len(test.labels), test.task) for test in tests]),
            **{key: np.concatenate([getattr(test, key) for test in tests]) for key in ANSWERS},
        }

        def write(aside: Path) -> None:
            with aside.open("wb") as stream:
                np.savez_compressed(stream, allow_pickle=False, **arrays)

        replace_file(self.path / "predictions" / f"{moment}.npz", write)

    def read_predictions(self, moment: str) -> dict[str, NDArray[Any]]:
        """The arrays `task` and those of a `TaskTest`, of a moment."""
        with np.load(self.path / "predictions" / f"{moment}.npz", allow_pickle=False) as arrays:
            return dict(arrays)

    def write_label_fits(self, fits: Sequence[LabelFit]) -> None:
        """Write the rows known so far."""
        table = pd.DataFrame(fits, columns=LabelFit._fields).rename_axis("task")
        replace_file(self.path / "training_labels.csv", lambda aside: table.to_csv(aside))

    def read_label_fits(self) -> list[LabelFit]:
        """A row for each task learned.

        Raises:
            ValueError: The run was begun when this file and what else the measures need were not kept.
        """
        file = self.path / "training_labels.csv"
        if not file.exists():
            raise ValueError(f"{self.path} was begun by a version that kept no {file.name}; choose another --out")
        table = pd.read_csv(file, index_col="task")
        return [LabelFit(*map(int, row)) for row in table.itertuples(index=False)]

    def read_steps(self) -> pd.DataFrame:
        """All per-step rows, in the order of the tasks; none where nothing was learned by gradients."""
        files = sorted(
            self.steps.glob("progress_task*.csv"), key=lambda file: int(file.stem.removeprefix("progress_task"))
        )
        tables = [pd.read_csv(file) for file in files if file.stat().st_size]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=LOGGED)
