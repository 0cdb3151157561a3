"""Help, lists and unknown names are answered without the packages that take seconds to import."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.long

HEAVY = ("torch", "timm", "peft", "stable_baselines3", "transformers", "pandas", "matplotlib", "scipy", "torchvision")
LINES = (
    "--help",
    "run --help",
    "compare --help",
    "bounds --help",
    "rl --help",
    "study --help",
    "presets",
    "presets table1-10tasks --help",
    "presets nonsense",
    "stream --help",
    "pretrain --help",
    "objectives --help",
    "nonsense",
)
PROGRAM = f"""
import contextlib, io, json, sys
from experiments.__main__ import main
found = {{}}
for line in {LINES!r}:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            code = main(line.split())
        except SystemExit as stopped:
            code = stopped.code
    found[line] = [code, [name for name in {HEAVY!r} if name in sys.modules]]
print(json.dumps(found))
"""


def test_nothing_heavy_is_imported() -> None:
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    found = json.loads(answer.stdout.splitlines()[-1])
    assert found == {line: [2 if "nonsense" in line else 0, []] for line in LINES}
