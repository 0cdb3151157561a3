"""A whole run on a pretend GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.config.settings import RunConfig
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run
from tests.experiments.interruption import Interrupted, interrupt_after
from tests.pretend_gpu import Traffic

pytestmark = pytest.mark.slow

CONFIG = RunConfig(
    device="cuda",
    precision="bfloat16",
    model="test_vit",
    pretrained=False,
    method="lae",
    num_tasks=2,
    epochs=1,
    batch_size=8,
    augment="yes",
    validation_fraction=0.25,
    early_stopping=True,
    options=("num_classes=4", "train_per_class=8", "test_per_class=4"),
)


@pytest.mark.parametrize(("images", "checkpoint_every", "states"), [(16, 5.0, 0), (24, 0.0, 2)])
def test_an_interrupted_run_goes_on(
    images: int, checkpoint_every: float, states: int, gpu: Traffic, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(Interrupted):
        run(CONFIG, folder, interrupt_after(images), checkpoint_every)  # in the second task
    assert len(folder.read_matrix()) == 1 and gpu.uploaded > 0
    assert len(list(folder.training.glob("task_1/*"))) == states
    metrics = run(CONFIG, folder)
    assert folder.finished and metrics["final_accuracy"] == pytest.approx(np.mean(folder.read_matrix()[1]))
