"""What `run` prints and leaves behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.__main__ import main
from experiments.config.settings import RunConfig
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run
from tests.experiments.interruption import Interrupted, interrupt_after

pytestmark = pytest.mark.long

CONFIG = RunConfig(
    model="test_vit",
    pretrained=False,
    options=("num_classes=4", "train_per_class=6", "test_per_class=4"),
    num_tasks=2,
    epochs=2,
    batch_size=8,
    device="cpu",
    seed=5,
)
WORDS = "run --model test_vit --no-pretrained --options num_classes=4 train_per_class=6 test_per_class=4 --num-tasks 2"
WORDS += " --epochs 2 --batch-size 8 --device cpu --seed 5"


def test_a_run_is_followed_resumed_and_read_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(Interrupted):
        run(CONFIG, folder, interrupt_after(30))  # in the second task
    capsys.readouterr()
    words = [*WORDS.split(), "--out", str(folder.path)]

    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "resuming at task 2 of 2" in printed and "task 2 of 2: " in printed and "task 1 of 2: " not in printed
    assert ", seed 5," in printed and "2 epochs of 24 images, in batches of 8\n" in printed and "48/48" in printed
    assert "defined in protocol.json as" in printed and "'forgetting'" not in printed
    figures = sorted((folder.path / "figures").iterdir())
    names = ("accuracy_after_each_task", "accuracy_matrix")
    assert [file.name for file in figures] == [f"{name}.{kind}" for name in names for kind in ("pdf", "png")]
    for file in figures[1::2]:
        assert np.asarray(Image.open(file).convert("L")).std() > 10  # something is drawn
        assert f"figures/{file.name}" in printed
    assert f"results in {folder.path}\n" in printed and "model.zip" in printed and "metrics.json" in printed

    written = {file: file.stat().st_mtime_ns for file in folder.path.rglob("*")}
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert f"already finished, read from {folder.path}" in printed and "task 2 of 2: " not in printed
    assert {file: file.stat().st_mtime_ns for file in folder.path.rglob("*")} == written


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--watch-validation", "--watch-validation looks at held-out images: give --validation-fraction too"),
        ("--wandb ''", "--wandb takes the name of a project"),
    ],
)
def test_what_can_not_be_watched_is_refused(
    words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "wandb" in words:
        pytest.importorskip("wandb")
    given = [word.strip("'") for word in words.split()]
    assert main([*WORDS.split(), *given, "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "run").exists()
