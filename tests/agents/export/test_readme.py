"""The lines in the README.md of an exported folder run where this package does not exist."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agents import EPG
from agents.export import export_agent
from tests.agents.policies import EMBEDDED
from tests.slow_cases import slow_but

pytestmark = pytest.mark.long

WITHOUT_THIS_PACKAGE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"agents", "cls_env", "experiments"}:
            raise ModuleNotFoundError(f"{name} is not installed here")

sys.meta_path.insert(0, Absent())
"""


def lines_of(folder: Path) -> str:
    (lines,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return lines


def run_elsewhere(lines: str, place: Path) -> str:
    code = [sys.executable, "-c", WITHOUT_THIS_PACKAGE + lines]
    result = subprocess.run(code, cwd=place, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def check_lines(agent: EPG, to: str, images: np.ndarray, place: Path) -> None:
    folder = export_agent(agent, to, place / "exported")
    Image.fromarray(images[0]).save(place / "image.png")
    answers = run_elsewhere(lines_of(folder), place).splitlines()
    action = int(agent.predict(images[0], deterministic=True)[0])
    assert answers[0].split(" ", 1)[1] == agent.class_names[action]
    assert len(answers) == len(agent.policy.seen_classes)


@pytest.mark.parametrize("to", slow_but(["timm"], ["timm", "peft"]))
def test_the_lines_give_the_agents_class(
    to: str, trained: Callable[..., EPG], images: np.ndarray, tmp_path: Path
) -> None:
    check_lines(trained(**EMBEDDED), to, images, tmp_path)


def test_the_lines_of_onnx_need_no_torch(trained: Callable[..., EPG], images: np.ndarray, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    agent = trained("ncm", input_size=16, crop_fraction=0.8)
    check_lines(agent, "onnx", images, tmp_path)
    assert "torch" not in lines_of(tmp_path / "exported")


def test_without_this_package_means_without_it(tmp_path: Path) -> None:
    result = subprocess.run([sys.executable, "-c", WITHOUT_THIS_PACKAGE + "import cls_env"], capture_output=True)
    assert b"cls_env is not installed here" in result.stderr
