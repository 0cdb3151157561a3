"""The practitioner's session of the docs, at a small size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cls_env.__main__ import main
from tests.agents.export.test_readme import lines_of, run_elsewhere

pytestmark = pytest.mark.long

COLORS = {"red": (220, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 220), "gray": (128, 128, 128)}


def draw(root: Path, names: list[str], count: int = 10) -> Path:
    """A tree of classes: noisy images of one color each."""
    random = np.random.default_rng(0)
    for name in names:
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = np.clip(random.normal(COLORS[name], 20, size=(40, 48, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


def test_a_practitioners_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    photos, new = draw(Path("photos"), ["blue", "green"]), draw(Path("new_classes"), ["gray", "red"])
    model = ["--model", "test_vit", "--no-pretrained", "--peft", "none", "--method", "ncm", "--objective", "none"]
    assert main(["run", "--dataset", "folder", "--root", str(photos), *model, "--device", "cpu", "--out", "run"]) == 0
    said = capsys.readouterr().out
    assert "20 % of each class held out" in said and "task 2 of 2" in said and "model.zip" in said

    assert main(["predict", "run/model.zip", "photos/blue/0.png", "--top", "1", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["predictions"][0]["class"] == "blue"

    assert main(["continue", "run/model.zip", "--root", str(new), "--out", "june.zip", "--device", "cpu"]) == 0
    assert "new model june.zip" in capsys.readouterr().out
    draw(Path("all"), list(COLORS), count=3)
    assert main(["evaluate", "june.zip", "--root", "all", "--out", "evaluation"]) == 0
    measures = json.loads(Path("evaluation/metrics.json").read_text(encoding="utf-8"))
    assert measures["accuracy"] > 0.7  # chance is a quarter

    assert main(["export", "june.zip", "--to", "timm", "--out", "classifier"]) == 0
    lines = lines_of(Path("classifier")).replace("image.png", "all/red/0.png")
    assert "red" in run_elsewhere(lines, tmp_path).splitlines()[0]
