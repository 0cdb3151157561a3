"""Help, lists and unknown names are answered without the packages that take seconds to import."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

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
    "pretrain-characters --help",
    "objectives",
    "methods",
    "modules",
    "study",
    "study nonsense",
    "nonsense",
    "run --objective nonsense",
    "compare --objectives ce nonsense",
    "bounds --method nonsense",
    "rl --algorithms nonsense",
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
from experiments.catalogue.contents import contents
from experiments.catalogue.names import FILE
print(json.dumps([found, contents(), json.loads(FILE.read_text())]))
"""


@pytest.fixture(scope="module")
def answers() -> list[Any]:
    """What a fresh process finds, in which no test has registered anything."""
    process = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    found: list[Any] = json.loads(process.stdout.splitlines()[-1])
    return found


def test_nothing_heavy_is_imported(answers: list[Any]) -> None:
    assert answers[0] == {line: [2 if "nonsense" in line else 0, []] for line in LINES}


def test_the_catalogue_is_that_of_the_definitions(answers: list[Any]) -> None:
    _, contents, saved = answers
    assert saved == contents, "run `make docs` and commit experiments/catalogue"
